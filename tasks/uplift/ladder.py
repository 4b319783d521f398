"""The evidence ladder: the level of each action, overall, in segments and for reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tasks.evidence import Effect, EffectVerdict, EvidenceCell
from tasks.findings import Words
from tasks.significance import adjust_by_holm
from tasks.uplift.effects import Trial, count_needed, measure_effect

if TYPE_CHECKING:
    from tasks.incrementality import UpliftSettings
    from tasks.uplift.subjects import Subjects

ListName = Literal["retention", "winback"]
RANKS, WORKS, KNOWN_HERE = 1, 2, 3


@dataclass(frozen=True, slots=True)
class _Measured:
    """A cell before its level is told; `deciding` is the effect in the metric that decides."""

    listed_for: ListName
    action: str
    segment_id: str | None
    driver: str | None
    subjects: Subjects | None
    trial: Trial | None
    lapse: Effect | None
    margin: Effect | None
    deciding: Effect | None
    adjusted: float | None = None

    @property
    def is_overall(self) -> bool:
        return self.segment_id is None and self.driver is None


def climb(
    actions: Sequence[tuple[ListName, str]],
    subjects: dict[tuple[str, str], Subjects],
    ranking_confirmed: bool,
    settings: UpliftSettings,
) -> tuple[EvidenceCell, ...]:
    """A cell for each action, and for each segment and reason that its lots have customers of.

    Holm's correction goes over all actions for level 2, and over all segments and reasons of all
    actions for level 3: the first family is asked once a action, the second anew.
    """
    overall, inner = [], []
    for listed_for, action in actions:
        found = subjects.get((listed_for, action))
        overall.append(_measure(listed_for, action, None, None, found, settings))
        if found is None:
            continue
        for kind, labels in (("segment", found.segments), ("driver", found.drivers)):
            for label in sorted({str(one) for one in labels if one is not None}):
                segment, driver = (label, None) if kind == "segment" else (None, label)
                part = found.trial.take(labels == label)
                inner.append(_measure(listed_for, action, segment, driver, found, settings, part))
    cells = []
    for one in _adjust(overall):
        verdict = _judge(one, settings)
        # The ranking is of who may leave; of who is gone nobody is ranked by a model.
        base = RANKS if ranking_confirmed and one.listed_for == "retention" else 0
        cells.append(_to_cell(one, WORKS if verdict == "works" else base, verdict, settings))
    levels = {(cell.listed_for, cell.action): cell.level for cell in cells}
    for one in _adjust(inner):
        verdict = _judge(one, settings)
        known = verdict in ("works", "harms")
        level = KNOWN_HERE if known else levels[one.listed_for, one.action]
        cells.append(_to_cell(one, level, verdict, settings))
    return tuple(cells)


def _measure(
    listed_for: ListName,
    action: str,
    segment_id: str | None,
    driver: str | None,
    subjects: Subjects | None,
    settings: UpliftSettings,
    part: Trial | None = None,
) -> _Measured:
    trial = part if part is not None else (subjects.trial if subjects is not None else None)
    lapse = margin = None
    if trial is not None and has_enough(trial, settings):
        sharp: dict[str, Any] = {
            "confidence": settings.confidence,
            "scale": settings.effect_scale,
        }
        lapse = measure_effect(trial, "lapse_share", **sharp)
        margin = measure_effect(trial, "margin_amount", **sharp)
    deciding = lapse if settings.metric == "lapse_share" else margin
    return _Measured(
        listed_for, action, segment_id, driver, subjects, trial, lapse, margin, deciding
    )


def has_enough(trial: Trial, settings: UpliftSettings) -> bool:
    """Whether both arms have customers, and outcomes of both kinds, to say anything of."""
    contacted = int(trial.treated.sum())
    lapses = int(trial.lapsed.sum())
    return (
        min(contacted, len(trial) - contacted) >= settings.minimum_customers
        and min(lapses, len(trial) - lapses) >= settings.minimum_events
    )


def _adjust(cells: list[_Measured]) -> list[_Measured]:
    """With Holm's p-values over all cells of which something can be said."""
    places = [place for place, one in enumerate(cells) if one.deciding is not None]
    adjusted = adjust_by_holm([one.deciding.p_value for one in cells if one.deciding is not None])
    found = list(cells)
    for place, value in zip(places, adjusted, strict=True):
        found[place] = replace(cells[place], adjusted=value)
    return found


def _judge(one: _Measured, settings: UpliftSettings) -> EffectVerdict:
    if one.trial is None or len(one.trial) == 0:
        return "none"
    if one.deciding is None or one.adjusted is None:
        return "too_few"
    if one.adjusted > 1 - settings.confidence:
        return "open"
    good = (
        one.deciding.estimate < 0
        if settings.metric == "lapse_share"
        else (one.deciding.estimate > 0)
    )
    return "works" if good else "harms"


def _to_cell(
    one: _Measured, level: int, verdict: EffectVerdict, settings: UpliftSettings
) -> EvidenceCell:
    trial, subjects = one.trial, one.subjects
    contacted = int(trial.treated.sum()) if trial is not None else 0
    everybody = len(trial) if trial is not None else 0
    share = contacted / everybody if 0 < contacted < everybody else 0.5
    needed = count_needed(share, settings.effect_scale, settings.confidence)
    return EvidenceCell(
        listed_for=one.listed_for,
        action=one.action,
        segment_id=one.segment_id,
        driver=one.driver,
        level=level,
        verdict=verdict,
        sources=subjects.sources if subjects is not None else (),
        lots=len(np.unique(trial.lots)) if trial is not None else 0,
        customers=contacted,
        controls=everybody - contacted,
        first_at=subjects.first_at if subjects is not None else None,
        last_at=subjects.last_at if subjects is not None else None,
        lapse=one.lapse,
        margin=one.margin,
        adjusted_p_value=one.adjusted,
        needed_customers=needed,
        needs=_say_needs(verdict, level, one.is_overall, contacted, everybody, needed, settings),
    )


def _say_needs(
    verdict: EffectVerdict,
    level: int,
    is_overall: bool,
    contacted: int,
    everybody: int,
    needed: int,
    settings: UpliftSettings,
) -> Words:
    """What it still needs to reach the next level."""
    controls = everybody - contacted
    if verdict == "none":
        first = (
            Words(en="", ko="")
            if level >= RANKS
            else Words(
                en="Level 1 needs a ranking that holds on matured outcomes. ",
                ko="1단계에는 확정된 결과에서 확인된 순위가 필요합니다. ",
            )
        )
        return Words(
            en=f"{first.en}Level 2 needs a lot whose outcomes have matured: the list's hold-out, or"
            f" a campaign declared in `uplift.campaigns`; about {needed:,} customers in all.",
            ko=f"{first.ko}2단계에는 결과가 확정된 추첨(목록의 대조군 또는 `uplift.campaigns`에"
            f" 선언된 캠페인)이 필요합니다. 약 {needed:,}명.",
        )
    if verdict == "too_few":
        return Words(
            en=f"At least {settings.minimum_customers:,} customers in each arm and"
            f" {settings.minimum_events:,} outcomes of both kinds; {contacted:,} were contacted"
            f" and {controls:,} were not.",
            ko=f"각 집단 {settings.minimum_customers:,}명, 각 결과 {settings.minimum_events:,}건"
            f" 이상이 필요합니다. 현재 연락 {contacted:,}명, 비연락 {controls:,}명.",
        )
    if verdict == "open":
        return Words(
            en=f"An effect of {settings.effect_scale} standard deviations needs about {needed:,}"
            f" customers at this split; there are {everybody:,}. It may also be nothing.",
            ko=f"표준편차 {settings.effect_scale}의 효과를 보려면 약 {needed:,}명이 필요합니다."
            f" 현재 {everybody:,}명. 효과가 없을 수도 있습니다.",
        )
    if verdict == "harms":
        return Words(
            en="It does harm here: stop it. Nothing more is needed to know that.",
            ko="역효과가 확인되었습니다. 중단하십시오.",
        )
    if is_overall:
        return Words(
            en="Level 3 needs a segment or reason with an effect of its own after Holm's"
            " correction.",
            ko="3단계에는 홀름 보정 후에도 효과가 있는 세그먼트나 이유가 필요합니다.",
        )
    return Words(en="Nothing more; it is watched on.", ko="추가로 필요한 것이 없습니다.")
