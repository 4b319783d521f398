"""Customers followed through time: survival by segment, and the lead of a warning."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from tasks.findings import LeadTime, SurvivalCurve, Words
from tasks.reasons import notes
from tasks.reasons.explaining import Asked, Explained, Models
from tasks.reasons.lead import measure_lead, plan_watch
from tasks.reasons.membership import PastMembership, learn_membership
from tasks.reasons.reading import LabelledRows
from tasks.reasons.survival import draw_curves, read_stays
from tasks.warehouse import Lake

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Followed:
    """What could be followed; `has_time` is False where the outcome has no moment."""

    has_time: bool
    survival: tuple[SurvivalCurve, ...]
    p_value: float | None
    lead_time: LeadTime | None
    notes: tuple[Words, ...]


def follow_customers(
    lake: Lake, asked: Asked, rows: LabelledRows, models: Models, explained: Explained
) -> Followed:
    """Survival from a past cut-off and the lead time; what cannot be computed is a note."""
    settings = lake.settings.reasons
    past = (
        learn_membership(
            explained.features, explained.segment, explained.segment_ids, settings.seed
        )
        if asked.segments_run is not None
        else None
    )
    if lake.settings.features.outcome == "given":
        return _follow_tenure(lake, rows, past)
    said: list[Words] = []
    curves, p_value = _survive(lake, asked, rows, past, said)
    lead_time = _lead(lake, asked, rows, models, said)
    if past is not None and len(curves) > 1:
        said.append(notes.past_segments(past.agreement_share))
    return Followed(True, curves, p_value, lead_time, tuple(said))


def _survive(
    lake: Lake,
    asked: Asked,
    rows: LabelledRows,
    past: PastMembership | None,
    said: list[Words],
) -> tuple[tuple[SurvivalCurve, ...], float | None]:
    """From the earliest labelled cut-off within `survival_days`, where segments can be told."""
    settings = lake.settings.reasons
    as_of_day = int(asked.newest.as_of[-1].timestamp()) // 86_400
    known = np.unique(rows.cutoff_days[rows.matured])
    within = known[known >= as_of_day - settings.survival_days]
    if not len(within):
        said.append(notes.NO_SURVIVAL)
        return (), None
    since = int(within[0])
    stay = read_stays(lake, asked.newest, since)
    segments = None
    if past is not None:
        there = np.flatnonzero(rows.cutoff_days == since)
        told = dict(
            zip(
                rows.customer_ids[rows.customers[there]],
                past.tell(rows.features[there]).tolist(),
                strict=True,
            )
        )
        segments = np.array([told.get(one, -1) for one in stay.customer_ids], dtype=np.int64)
    curves, p_value = draw_curves(
        stay.days,
        stay.lapsed,
        segments,
        past.segment_ids if past is not None else (),
        confidence=settings.confidence,
        minimum_customers=settings.survival_customers,
    )
    said.append(
        notes.followed_since(_day(since), as_of_day - since) if curves else notes.NO_SURVIVAL
    )
    return curves, p_value


def _lead(
    lake: Lake, asked: Asked, rows: LabelledRows, models: Models, said: list[Words]
) -> LeadTime | None:
    settings = lake.settings.reasons
    watch = plan_watch(rows, lake.settings.features.horizon_days)
    lead_time = None
    if watch is not None:
        first = int(watch.watched_days[0])
        lead_time = measure_lead(
            rows,
            read_stays(lake, asked.newest, first, newcomers=True),
            watch,
            models.recipe,
            flag_share=settings.flag_share,
            seed=settings.seed,
        )
        if lead_time is not None:
            said.append(
                notes.warned_by(_day(first), settings.flag_share, lead_time.flag_probability)
            )
    if lead_time is None:
        said.append(notes.NO_LEAD)
    return lead_time


def _follow_tenure(lake: Lake, rows: LabelledRows, past: PastMembership | None) -> Followed:
    """A labelled set: how long they had been there when they left or were recorded."""
    settings = lake.settings.reasons
    said = [notes.NO_TIME]
    name = settings.tenure_feature
    if name is None or name not in rows.feature_names:
        return Followed(False, (), None, None, tuple(said))
    tenure = rows.features[:, rows.feature_names.index(name)] * settings.tenure_unit_days
    chosen = np.flatnonzero(rows.matured & np.isfinite(tenure) & (tenure > 0))
    curves, p_value = draw_curves(
        tenure[chosen],
        rows.churned[chosen] == 1,
        past.tell(rows.features[chosen]) if past is not None else None,
        past.segment_ids if past is not None else (),
        confidence=settings.confidence,
        minimum_customers=settings.survival_customers,
    )
    said.append(notes.TENURE if curves else notes.NO_SURVIVAL)
    if past is not None and len(curves) > 1:
        said.append(notes.past_segments(past.agreement_share))
    return Followed(False, curves, p_value, None, tuple(said))


def _day(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
