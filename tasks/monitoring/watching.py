"""A night's look at the model: quality by week, the estimate ahead of outcomes, moved inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from tasks.archive import find_findings, hash_parts, insert_findings
from tasks.crash import crash_point
from tasks.exports import find_scoring
from tasks.findings import Words
from tasks.handles import Champion, FeatureTable, Interval, Predictor
from tasks.monitoring.alerts import Wanted, choose_new, insert_new, list_alerts
from tasks.monitoring.inputs import Shift, find_shifts
from tasks.monitoring.judging import want_alerts
from tasks.monitoring.measures import estimate_performance
from tasks.monitoring.money import Floats, Money
from tasks.monitoring.outcomes import choose_judged, judge_weeks
from tasks.monitoring.pricing import VALUE, Pricing
from tasks.monitoring.reading import read_columns
from tasks.monitoring.reference import describe_size
from tasks.monitoring.tracing import find_jumps, read_levels
from tasks.quality import (
    DriftCause,
    InputDrift,
    MonitoringFindings,
    PerformanceEstimate,
    ReferenceFindings,
)
from tasks.significance import adjust_by_holm

if TYPE_CHECKING:
    from tasks.warehouse import Lake


def watch(
    lake: Lake,
    champion: Champion,
    predictor: Predictor,
    tonight: FeatureTable,
    reference: ReferenceFindings | None,
    sources: Mapping[str, str],
    *,
    has_weeks: bool,
    actor: str = "holdfast",
) -> MonitoringFindings:
    """Look, and publish what was found together with new alerts; the same night twice is one.

    `sources` maps each input to the canonical table that it is computed from; inputs that are not
    in it are not looked at (the season moves by design). `has_weeks` says that outcomes of past
    scorings are staged. Without a reference, inputs are not compared, and a note says so.
    """
    finding_id = name_watch(lake, champion, tonight)
    done = find_findings(lake, MonitoringFindings, finding_id=finding_id)
    if done is not None:
        return done
    found, wanted = _look(
        lake, champion, predictor, tonight, reference, sources, has_weeks=has_weeks
    )
    return publish_watch(lake, finding_id, found, wanted, actor)


def publish_watch(
    lake: Lake,
    finding_id: str,
    found: MonitoringFindings,
    wanted: Sequence[Wanted],
    actor: str = "holdfast",
) -> MonitoringFindings:
    """The figures and the alerts that they call for, in one transaction; once, whoever races us."""
    with lake.writer_lock("publish monitoring"):
        done = find_findings(lake, MonitoringFindings, finding_id=finding_id)
        if done is not None:
            return done
        quiet = lake.settings.monitoring.quiet_days
        new = choose_new(list_alerts(lake), wanted, found.as_of, quiet)
        crash_point("monitoring.before_publish")
        message = f"monitoring of {found.as_of:%Y-%m-%d}: {len(new)} new alerts"
        with lake.publish(actor, message, {"finding_id": finding_id}):
            insert_new(lake, new, found.as_of, actor)
            insert_findings(lake, finding_id, found)
    crash_point("monitoring.published")
    return found


def name_watch(lake: Lake, champion: Champion, tonight: FeatureTable) -> str:
    """The run's id: sha256, shortened, over everything that its figures depend on."""
    settings = lake.settings
    parts = {
        "deployment": settings.deployment,
        "model": champion.model_hash,
        "decision": champion.decision_id,
        "features": tonight.fingerprint,
        "as_of": tonight.as_of[-1].isoformat(),
        "known_by": tonight.known_by[-1].isoformat(),
        "monitoring": settings.monitoring.model_dump(mode="json"),
        "economics": settings.economics.model_dump(mode="json"),
    }
    return hash_parts(parts)


def find_promise(champion: Champion) -> Interval | None:
    """The champion's AUC in its final test, with its interval; None where it has none."""
    found = champion.metrics.get("auc")
    return found if found is not None and np.isfinite(found).all() else None


def _look(
    lake: Lake,
    champion: Champion,
    predictor: Predictor,
    tonight: FeatureTable,
    reference: ReferenceFindings | None,
    sources: Mapping[str, str],
    *,
    has_weeks: bool,
) -> tuple[MonitoringFindings, list[Wanted]]:
    settings = lake.settings
    monitoring = settings.monitoring
    weeks = judge_weeks(lake) if has_weeks else ()
    customers = describe_size(lake, tonight)
    share = min(1.0, monitoring.maximum_customers / max(1, customers))
    names = list(predictor.feature_names)
    columns, _ = read_columns(lake, tonight, [*names, VALUE], share, tonight.as_of[-1])
    drawn = len(columns[VALUE])
    pricing = Pricing(
        np.column_stack([columns[name] for name in names]),
        names,
        columns[VALUE],
        lambda matrix: _predict(predictor, matrix, names),
        Money.of(settings.economics, drawn / max(1, customers)),
        drawn / max(1, customers),
    )
    promised = find_promise(champion)
    estimate = _estimate(lake, champion, pricing, columns[VALUE], drawn / max(1, customers))
    notes: list[Words] = []
    inputs: list[InputDrift] = []
    causes: list[DriftCause] = []
    if reference is None:
        notes.append(
            Words(
                en="Inputs are not compared: the champion's training table is not there any more.",
                ko="챔피언의 학습 데이터가 없어 입력값을 비교하지 않았습니다.",
            )
        )
    else:
        # What a source that was left out would bring is not there, and its staleness says so.
        here = {*tonight.feature_names, VALUE}
        watched = {name: table for name, table in sources.items() if name in here}
        shifts = _find_shifts(reference, columns, tonight.as_of[-1], watched)
        inputs = _price_inputs(shifts, reference, pricing, watched, lake)
        causes = _find_causes(lake, inputs, reference, pricing, tonight)
    if not weeks:
        notes.append(
            Words(
                en="No scoring has matured yet with enough customers to judge.",
                ko="평가할 만큼 결과가 확정된 점수가 아직 없습니다.",
            )
        )
    wanted = want_alerts(
        champion.model_hash,
        promised,
        settings.churn.confidence,
        choose_judged(weeks, champion.model_hash),
        estimate,
        causes,
        pricing.expected_profit,
        monitoring,
    )
    found = MonitoringFindings(
        deployment=settings.deployment,
        as_of=tonight.as_of[-1],
        known_by=tonight.known_by[-1],
        snapshot_id=tonight.snapshot_id,
        currency=settings.economics.currency,
        notes=tuple(notes),
        model_version=champion.version,
        model_hash=champion.model_hash,
        scoring_id=find_scoring(lake, tonight.as_of[-1]),
        customers=customers,
        weeks=weeks,
        estimate=estimate,
        expected_profit_amount=pricing.expected_profit,
        inputs=tuple(inputs),
        causes=tuple(causes),
    )
    return found, wanted


def _estimate(
    lake: Lake, champion: Champion, pricing: Pricing, value: Floats, share: float
) -> PerformanceEstimate | None:
    if len(value) < lake.settings.monitoring.minimum_customers:
        return None
    monitoring = lake.settings.monitoring
    money = Money.of(lake.settings.economics, share)
    error = champion.metrics.get("calibration_error", (0.0, 0.0, 0.0))[0]
    auc, profit, churned = estimate_performance(
        pricing.probability,
        money.returns(pricing.probability, value),
        value,
        money,
        calibration_error=error if np.isfinite(error) else 0.0,
        simulations=monitoring.simulations,
        confidence=monitoring.confidence,
        seed=monitoring.seed,
    )
    if not np.isfinite(auc).all():
        return None
    return PerformanceEstimate(
        auc=auc,
        profit=(profit[0] / share, profit[1] / share, profit[2] / share),
        churn_share=churned,
        promised_auc=find_promise(champion),
    )


def _find_shifts(
    reference: ReferenceFindings,
    columns: Mapping[str, Floats],
    as_of: datetime,
    sources: Mapping[str, str],
) -> list[Shift]:
    profiles = [one for one in reference.inputs if one.name in sources]
    days = np.asarray([cutoff.timestamp() for cutoff in reference.cutoffs]) / 86_400
    tonight = {one.name: columns[one.name] for one in profiles if one.name in columns}
    return find_shifts(profiles, days, tonight, as_of.timestamp() / 86_400)


def _price_inputs(
    shifts: Sequence[Shift],
    reference: ReferenceFindings,
    pricing: Pricing,
    sources: Mapping[str, str],
    lake: Lake,
) -> list[InputDrift]:
    """Every input with what it costs, the dearest first."""
    profiles = {one.name: one for one in reference.inputs}
    adjusted = adjust_by_holm([one.p_value for one in shifts])
    monitoring = lake.settings.monitoring
    found = [
        InputDrift(
            name=one.name,
            source=sources[one.name],
            rank=one.rank,
            expected_rank=one.expected_rank,
            missing_share=one.missing_share,
            expected_missing_share=one.expected_missing_share,
            p_value=p_value,
            lost_amount=pricing.price([profiles[one.name]]),
            is_drift=p_value <= monitoring.alpha and one.size >= monitoring.minimum_shift,
        )
        for one, p_value in zip(shifts, adjusted, strict=True)
    ]
    return sorted(found, key=lambda one: (-one.lost_amount, one.p_value, one.name))


def _find_causes(
    lake: Lake,
    inputs: Sequence[InputDrift],
    reference: ReferenceFindings,
    pricing: Pricing,
    tonight: FeatureTable,
) -> list[DriftCause]:
    profiles = {one.name: one for one in reference.inputs}
    drifted = [one for one in inputs if one.is_drift]
    causes: list[DriftCause] = []
    real: list[str] = []
    asked: list[str] = []
    for table in dict.fromkeys(one.source for one in drifted):
        names = tuple(one.name for one in drifted if one.source == table)
        levels = read_levels(
            lake,
            table,
            tonight.as_of[-1],
            tonight.known_by[-1],
            tonight.snapshot_id,
            lake.settings.monitoring.evidence_batches,
        )
        jumps = find_jumps(table, levels, reference.cutoffs[-1], lake.settings.monitoring)
        if not jumps:
            real += names
            asked.append(table)
            continue
        causes.append(
            DriftCause(
                looks_like="data_fault",
                subject=f"{table}.{jumps[0].column}",
                inputs=names,
                lost_amount=pricing.price([profiles[name] for name in names]),
                rule="a column of one table jumps at the border of a batch",
                evidence=tuple(jump.describe() for jump in jumps[:5]),
            )
        )
    if real:
        causes.append(
            DriftCause(
                looks_like="real_change",
                subject="inputs",
                inputs=tuple(real),
                lost_amount=pricing.price([profiles[name] for name in real]),
                rule="inputs moved and no batch of their tables jumps",
                evidence=(
                    f"{len(real)} inputs of {', '.join(asked)} moved beyond what the training's"
                    " cut-offs let expect",
                    f"no column of {', '.join(asked)} jumps by a factor of"
                    f" {lake.settings.monitoring.step_ratio:g} or a power of ten, nor goes missing,"
                    f" in a batch since {reference.cutoffs[-1]:%Y-%m-%d}",
                ),
            )
        )
    return causes


def _predict(predictor: Predictor, matrix: Floats, names: Sequence[str]) -> Floats:
    import pyarrow as pa

    table = pa.table(
        {
            name: pa.array(matrix[:, place], pa.float64(), from_pandas=True)
            for place, name in enumerate(names)
        }
    )
    return np.asarray(predictor.predict(table), dtype=np.float64)
