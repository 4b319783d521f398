"""One run of the reasons: explain, put together what is found, and publish it once.

A run is named by what its rows depend on, so the same night twice is one run. Everything it says
is an association: what goes together with leaving in the model and in the data, until an
experiment has shown more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from tasks.archive import find_findings, hash_parts, insert_findings, recall_findings
from tasks.crash import crash_point
from tasks.findings import (
    Driver,
    JourneyStep,
    LeadTime,
    ReasonCell,
    ReasonFindings,
    SurvivalCurve,
    Words,
)
from tasks.handles import Champion, FeatureTable, Predictor
from tasks.reasons import notes
from tasks.reasons.ablation import Ablation, ablate, segment_medians
from tasks.reasons.contrasts import Count, compare_segments
from tasks.reasons.explaining import (
    Asked,
    Explained,
    Models,
    explain_newest,
    fit_models,
    prepare,
    read_past,
)
from tasks.reasons.following import follow_customers
from tasks.reasons.journey import measure_journey
from tasks.reasons.membership import EVERYBODY
from tasks.reasons.reading import SQL
from tasks.reasons.stability import NONE
from tasks.warehouse import Lake

# Raised when the same inputs give other rows or findings.
FORMAT = 1


@dataclass(frozen=True)
class Told:
    """The findings under their id, and whether this run has found them (or an earlier one)."""

    finding_id: str
    findings: ReasonFindings
    is_new: bool


def find_reasons(
    lake: Lake,
    champion: Champion,
    predictor: Predictor,
    newest: FeatureTable,
    labelled: FeatureTable,
    born: Mapping[str, str],
) -> Told:
    """Explain the customers of `newest` and publish; what was published already is returned.

    `labelled` holds the past cut-offs with outcomes (those not known yet as NULL), `born` the
    declared driver of each feature. Raises DataRejected (65) where there is too little to learn
    from.
    """
    asked = prepare(lake, champion, predictor, newest, labelled, born)
    finding_id = name_run(lake, asked)
    known = recall_findings(lake, ReasonFindings, finding_id)
    if known is not None:
        return Told(finding_id, known, is_new=False)
    rows = read_past(lake, asked)
    models = fit_models(lake, asked, rows)
    explained = explain_newest(lake, asked, models)
    said: list[Words] = [notes.ASSOCIATION]
    if champion.kind == "rule":
        said.append(notes.RULE)
    if asked.scoring_id is None:
        said.append(notes.NO_SCORES)
    if asked.segments_run is None:
        said.append(notes.NO_SEGMENTS)
    if rows.share < 1:
        said.append(notes.sampled(rows.share))
    if models.grouping.left_out:
        said.append(notes.ALIKE)
    unmoved = explained.customers - int(explained.leads.sum())
    if unmoved:
        said.append(notes.unmoved(unmoved))
    ablation = take_away(lake, models, explained)
    followed = follow_customers(lake, asked, rows, models, explained)
    said.extend(followed.notes)
    journey = measure_journey(lake, labelled) if followed.has_time else ()
    if followed.has_time and not journey:
        said.append(notes.NO_JOURNEY)
    lake.load_arrow("explained_arrow", explained.table)
    try:
        lake.execute(
            "create or replace temporary table explained_customers as from explained_arrow"
        )
    finally:
        lake.drop_arrow("explained_arrow")
    findings = _put_together(
        lake,
        asked,
        models,
        explained,
        ablation=ablation,
        survival=followed.survival,
        p_value=followed.p_value,
        lead_time=followed.lead_time,
        journey=journey,
        said=tuple(said),
    )
    return _publish(lake, finding_id, findings)


def name_run(lake: Lake, asked: Asked) -> str:
    """The run's id: sha256, shortened, over everything that its rows depend on."""
    settings = lake.settings
    parts = {
        "format": FORMAT,
        "deployment": settings.deployment,
        "model": [asked.champion.name, asked.champion.version, asked.champion.model_hash],
        "newest": [asked.newest.fingerprint, asked.newest.as_of[-1].isoformat()],
        "known_by": asked.newest.known_by[-1].isoformat(),
        "labelled": asked.labelled.fingerprint,
        "born": dict(asked.born),
        "scoring": asked.scoring_id,
        "segments": asked.segments_run,
        "reasons": settings.reasons.model_dump(mode="json"),
        "outcome": [settings.features.outcome, settings.features.horizon_days],
        "drivers": dict(settings.features.drivers),
        "currency": settings.economics.currency,
    }
    return hash_parts(parts)


def take_away(lake: Lake, models: Models, explained: Explained) -> Ablation | None:
    """Set the top reason of (a sample of) the explained customers to their segment's medians."""
    settings = lake.settings.reasons
    medians = segment_medians(explained.features, explained.segment, len(explained.segment_ids))
    chosen = np.flatnonzero(explained.driver != NONE)
    if len(chosen) > settings.ablation_customers:
        random = np.random.default_rng(settings.seed)
        chosen = np.sort(random.choice(chosen, settings.ablation_customers, replace=False))
    return ablate(
        explained.features[chosen],
        explained.driver[chosen],
        explained.segment[chosen],
        medians,
        models.grouping,
        models.predict,
        resamples=settings.resamples,
        confidence=settings.confidence,
        seed=settings.seed,
    )


def _put_together(
    lake: Lake,
    asked: Asked,
    models: Models,
    explained: Explained,
    *,
    ablation: Ablation | None,
    survival: tuple[SurvivalCurve, ...],
    p_value: float | None,
    lead_time: LeadTime | None,
    journey: tuple[JourneyStep, ...],
    said: tuple[Words, ...],
) -> ReasonFindings:
    grouping = models.grouping
    total = float(explained.weights.sum())
    drivers = [
        Driver(
            driver=name,
            words=grouping.words[name],
            features=len(grouping.features_of(place)),
            weight_share=float(explained.weights[place]) / total if total else 0.0,
            agreement_share=float(explained.agreement[place]),
        )
        for place, name in enumerate(grouping.drivers)
    ]
    if not explained.holding:
        said = (*said, notes.NOTHING_HOLDS)
    return ReasonFindings(
        deployment=lake.deployment,
        as_of=asked.newest.as_of[-1],
        known_by=asked.newest.known_by[-1],
        snapshot_id=asked.newest.snapshot_id,
        currency=lake.settings.economics.currency,
        notes=said,
        drivers=tuple(sorted(drivers, key=lambda one: (-one.weight_share, one.driver))),
        cells=_count_cells(lake, asked),
        explained_customers=explained.holding,
        unstable_customers=explained.customers - explained.holding,
        refits=len(models.refits),
        ablation_change=ablation.change if ablation else None,
        ablation_low=ablation.low if ablation else None,
        ablation_high=ablation.high if ablation else None,
        survival=survival,
        survival_p_value=p_value,
        lead_time=lead_time,
        journey=journey,
    )


def _count_cells(lake: Lake, asked: Asked) -> tuple[ReasonCell, ...]:
    """Segment by reason, from `explained_customers` and what the lake knows of them."""
    at_risk, join = "explained.own_at_risk::decimal(18, 4)", ""
    if asked.scoring_id is not None:
        at_risk = "score.money_at_risk_amount"
        join = (
            "left join (select customer_id, money_at_risk_amount from lake.main.scores"
            " where scoring_id = $scoring_id) score on score.customer_id = explained.customer_id"
        )
    rows = lake.rows(
        lake.text(SQL / "reason_counts.sql", names={"at_risk": at_risk, "join_scores": join}),
        {
            "everybody": EVERYBODY,
            "segments_run": asked.segments_run,
            "scoring_id": asked.scoring_id,
        },
    )
    counts = [
        Count(
            segment_id=row["segment_id"],
            driver=row["driver"],
            customers=int(row["customers"]),
            at_risk_amount=Decimal(row["at_risk_amount"]),
        )
        for row in rows
    ]
    return compare_segments(counts, false_discovery_rate=lake.settings.reasons.false_discovery_rate)


def _publish(lake: Lake, finding_id: str, findings: ReasonFindings) -> Told:
    """The customers' rows and the findings, in one transaction; once, whoever races us."""
    with lake.writer_lock("publish reasons"):
        known = find_findings(lake, ReasonFindings, finding_id=finding_id)
        if known is not None:
            return Told(finding_id, known, is_new=False)
        crash_point("reasons.before_publish")
        message = f"reasons as of {findings.as_of:%Y-%m-%d}"
        with lake.publish("holdfast", message, {"finding_id": finding_id}):
            lake.run(
                SQL / "publish.sql",
                {"as_of": findings.as_of, "known_by": findings.known_by, "run_id": finding_id},
            )
            insert_findings(lake, finding_id, findings)
        crash_point("reasons.published")
    lake.execute("drop table temp.main.explained_customers")
    return Told(finding_id, findings, is_new=True)
