"""All that lots tell as of a night: planned, found out once, and named by what went into it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.archive import hash_parts, recall_findings
from tasks.errors import DataRejected
from tasks.evidence import Ranking, Undeclared, UpliftFindings, UpliftStudy
from tasks.findings import Words
from tasks.keeping import holds_files
from tasks.uplift.ladder import ListName, climb
from tasks.uplift.ranking import judge_ranking
from tasks.uplift.serving import find_directory
from tasks.uplift.studying import OwnUplifts, find_imbalance, study_action
from tasks.uplift.subjects import (
    Campaign,
    Staged,
    Subjects,
    read_arms,
    read_subjects,
    stage_subjects,
)

if TYPE_CHECKING:
    from tasks.handles import FeatureTable, Snapshot
    from tasks.settings import Settings
    from tasks.warehouse import Lake

_LOG = logging.getLogger("holdfast.uplift")
# Counted up when the same data give other findings.
_METHOD = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be found out: `cutoffs` are the moments whose features are needed, maybe none.

    `staged` tells of the temporary tables that planning has filled, which finding out reads; `done`
    is what an earlier run of the same name has published.
    """

    run_id: str
    as_of: datetime
    known_by: datetime
    snapshot: Snapshot
    cutoffs: tuple[datetime, ...]
    ranking: Ranking
    staged: Staged
    undeclared: tuple[Campaign, ...]
    done: UpliftFindings | None


@dataclass(frozen=True, slots=True)
class Found:
    """What was found out, and, of the actions that are unlocked, each customer's own uplift."""

    findings: UpliftFindings
    own: tuple[OwnUplifts, ...] = ()


def plan_uplift(
    lake: Lake,
    as_of: datetime,
    known_by: datetime,
    snapshot: Snapshot,
    champion: Mapping[str, Any] | None,
) -> Plan:
    """Find the lots whose outcomes have matured, and what of features they need.

    `champion` is the registry's description of who serves, None for nobody. Raises DataRejected
    (65) where leaving is not to order no more: what a contact brings is told by orders.
    """
    settings = lake.settings
    if settings.features.outcome != "lapse":
        raise DataRejected(
            "What a contact brings is told by orders after it.",
            found=f"`features.outcome` is '{settings.features.outcome}'",
            next_step="nothing is wrong; the action list rests on the policy's guesses",
        )
    staged = stage_subjects(lake, as_of, known_by, snapshot, settings)
    ranking = judge_ranking(lake, as_of, known_by, snapshot, settings, champion)
    lots = staged.newest_lots if _can_learn(lake, settings) else ()
    undeclared = staged.undeclared[:1]
    # Tonight's features beside the lots', so that whatever is learnt of is there tonight.
    tonight = (as_of,) if lots else ()
    cutoffs = tuple(sorted({*lots, *tonight, *(one.decided_at for one in undeclared)}))
    parts = {
        "method": _METHOD,
        "deployment": settings.deployment,
        "as_of": as_of.isoformat(),
        "known_by": known_by.isoformat(),
        "subjects": staged.fingerprint,
        "ranking": ranking.model_dump(mode="json"),
        "cutoffs": [one.isoformat() for one in cutoffs],
        "undeclared": [one.campaign_id for one in staged.undeclared],
        "uplift": settings.uplift.model_dump(mode="json"),
        "offers": settings.actions.model_dump(mode="json"),
        "economics": settings.economics.model_dump(mode="json"),
        "features": settings.features.model_dump(mode="json"),
        "facts": lake.scalar(
            "select coalesce(md5(string_agg(content_hash || state, ',' order by batch_number,"
            " recorded_at, state)), '') from lake.ledger.batches"
        ),
    }
    run_id = hash_parts(parts)
    done = recall_findings(lake, UpliftFindings, run_id)
    if done is not None and not _are_learners_whole(lake, done):
        # The same lots and seed make the same files anew; what is published stands.
        done = None
    return Plan(run_id, as_of, known_by, snapshot, cutoffs, ranking, staged, undeclared, done)


def _can_learn(lake: Lake, settings: Settings) -> bool:
    """Whether some action has so many in both arms that a model is tried."""
    return bool(
        lake.scalar(
            "select exists (select 1 from trial group by listed_for, action"
            " having least(count(*) filter (treated), count(*) filter (not treated)) >= $least)",
            {"least": settings.uplift.minimum_model_customers},
        )
    )


def _are_learners_whole(lake: Lake, found: UpliftFindings) -> bool:
    """Whether every learner that serves is kept as it was."""
    damaged = [
        study.action
        for study in found.studies
        if study.kept is not None
        and not holds_files(
            find_directory(lake.settings.home, lake.deployment, study.kept.model_hash),
            study.kept.files,
        )
    ]
    if damaged:
        _LOG.error("INTEGRITY: the uplift learners of %s are made anew.", ", ".join(damaged))
    return not damaged


def find_uplift(lake: Lake, plan: Plan, table: FeatureTable | None) -> Found:
    """The ladder, and the contest of the strategies where there is enough to learn from.

    On the connection on which it was planned: what was staged there is read again.
    """
    settings = lake.settings
    staged = plan.staged
    subjects: dict[tuple[str, str], Subjects] = {}
    for listed_for, action in staged.actions:
        found = read_subjects(lake, listed_for, action)
        if found is not None:
            subjects[listed_for, action] = found
    actions = _list_actions(settings, subjects)
    cells = climb(actions, subjects, plan.ranking.confirmed, settings.uplift)
    studies: list[UpliftStudy] = []
    own: list[OwnUplifts] = []
    notes = list(staged.notes)
    for listed_for, action in actions:
        one = subjects.get((listed_for, action))
        if one is None:
            continue
        arms = int(one.trial.treated.sum())
        if min(arms, len(one.trial) - arms) < settings.uplift.minimum_model_customers:
            continue
        studied = (
            study_action(lake, listed_for, action, table, plan.as_of) if table is not None else None
        )
        if studied is not None:
            studies.append(studied.study)
            own += [studied.own] if studied.own is not None else []
    if not subjects:
        notes.append(
            Words(
                en="Nothing that went by lot has matured: no effect is told, and the list rests on"
                " the policy's guesses.",
                ko="추첨 결과가 확정된 것이 없어 효과를 말할 수 없으며, 목록은 정책의 추정치를"
                " 씁니다.",
            )
        )
    elif not studies:
        notes.append(
            Words(
                en="Uplift targeting is not tried: it takes"
                f" {settings.uplift.minimum_model_customers:,} customers in each arm of an action.",
                ko="업리프트 타기팅에는 액션별로 각 집단"
                f" {settings.uplift.minimum_model_customers:,}명이 필요합니다.",
            )
        )
    findings = UpliftFindings(
        deployment=settings.deployment,
        as_of=plan.as_of,
        known_by=plan.known_by,
        snapshot_id=plan.snapshot.snapshot_id,
        currency=settings.economics.currency,
        notes=tuple(notes),
        horizon_days=settings.features.horizon_days,
        metric=settings.uplift.metric,
        confidence=settings.uplift.confidence,
        ranking=plan.ranking,
        cells=cells,
        studies=tuple(studies),
        undeclared=tuple(
            _refuse(lake, one, table, plan, settings)
            for one in plan.undeclared
            if table is not None
        ),
        vouchers=staged.vouchers,
    )
    return Found(findings, tuple(own))


def _list_actions(
    settings: Settings, subjects: Mapping[tuple[str, str], Subjects]
) -> list[tuple[ListName, str]]:
    """Every action of the policy, and what else went by lot."""
    listed: list[tuple[ListName, str]] = [("retention", one) for one in settings.actions.offers]
    listed += [("winback", one) for one in settings.actions.winback.offers]
    for listed_for, action in subjects:
        name: ListName = "winback" if listed_for == "winback" else "retention"
        if (name, action) not in listed:
            listed.append((name, action))
    return listed


def _refuse(
    lake: Lake, campaign: Campaign, table: FeatureTable, plan: Plan, settings: Settings
) -> Undeclared:
    treated, features = read_arms(
        lake, campaign, table, plan.as_of, plan.known_by, plan.snapshot, settings
    )
    both = 0 < int(treated.sum()) < len(treated)
    worst = (
        find_imbalance(
            features, treated, np.zeros(len(treated), dtype=np.int64), table.feature_names
        )
        if both
        else ()
    )
    shown = ", ".join(f"{one.feature} {one.difference:+.2f}" for one in worst[:3]) or "none"
    return Undeclared(
        campaign_id=campaign.campaign_id,
        contacted_at=campaign.decided_at,
        customers=int(treated.sum()),
        controls=int((~treated).sum()),
        worst=worst,
        reason=Words(
            en=f"Refused: nobody declares in `uplift.campaigns` that '{campaign.campaign_id}' went"
            " by lot, so why who was contacted is not known. Standardised differences of those"
            f" contacted from those not: {shown}.",
            ko=f"거부: '{campaign.campaign_id}'이(가) 추첨이었다는 선언이 `uplift.campaigns`에"
            f" 없습니다. 연락 여부의 이유를 알 수 없습니다. 표준화 차이: {shown}.",
        ),
    )
