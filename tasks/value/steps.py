"""The steps of lifetime value, as a flow calls them."""

from __future__ import annotations

import json
import logging
import tempfile
from datetime import datetime
from pathlib import Path

from tasks.errors import ServiceDown
from tasks.exports import find_scoring
from tasks.findings import ValueFindings
from tasks.handles import FeatureTable, Snapshot
from tasks.orchestration import publish_markdown, step
from tasks.studies import StudyRecord
from tasks.tracking.tracker import open_tracker
from tasks.value.contracts import value_contracts
from tasks.value.horizons import Horizons, find_horizon_days, plan_horizons
from tasks.value.publishing import Valuation, find_run, name_run
from tasks.value.reading import find_first_order, name_orders, see_orders
from tasks.value.valuing import require_horizon, value_orders
from tasks.warehouse import Lake

__all__ = [
    "find_horizon_days",
    "plan",
    "render",
    "value_customers",
    "value_subscribers",
]

_log = logging.getLogger(__name__)


def _plan(lake: Lake, as_of: datetime, known_by: datetime, snapshot: Snapshot) -> Horizons:
    """The past cut-offs that judge and teach. Raises DataRejected (65) for a short history."""
    require_horizon(lake.settings)
    sight = see_orders(lake, snapshot.snapshot_id, known_by)
    return plan_horizons(as_of, find_first_order(lake, sight), lake.settings)


def _value_customers(
    lake: Lake, serving: FeatureTable, past: FeatureTable, horizons: Horizons
) -> ValueFindings:
    """Value who orders when they like; found again where nothing has changed."""
    sight = see_orders(lake, serving.snapshot_id, serving.known_by[-1])
    scoring_id = find_scoring(lake, serving.as_of[-1])
    orders = name_orders(lake, sight, serving.as_of[-1])
    run_id = name_run(lake.settings, serving, scoring_id, orders)
    made = find_run(lake, run_id) or value_orders(lake, run_id, serving, past, horizons, scoring_id)
    return _tell(lake, made, past)


def _value_contracts(
    lake: Lake, serving: FeatureTable, past: FeatureTable, judged: datetime | None
) -> ValueFindings:
    """Value who has a contract; found again where nothing has changed."""
    scoring_id = find_scoring(lake, serving.as_of[-1])
    run_id = name_run(lake.settings, serving, scoring_id, past.fingerprint)
    made = find_run(lake, run_id) or value_contracts(
        lake, run_id, serving, past, judged, scoring_id
    )
    return _tell(lake, made, past)


def _tell(lake: Lake, made: Valuation, past: FeatureTable) -> ValueFindings:
    publish_markdown(
        f"value {lake.deployment}", render(made.found), "What customers are worth, and who says so"
    )
    if made.is_new:
        _log_study(lake, made, past)
    return made.found


def render(found: ValueFindings) -> str:
    """The findings as Markdown."""
    lines = [
        f"**{found.total_amount:,.0f} {found.currency}** of discounted margin in"
        f" {found.horizon_days} days from {found.customers:,} customers"
        f" ({found.confidence:.0%}: {found.low_amount:,.0f} to {found.high_amount:,.0f}).",
        "",
        f"Served: **{found.contest.served}**; {found.contest.reason}.",
        "",
        "| contender | Gini | bias | error | top 1 % | top 5 % | top 10 % |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.name} | {one.gini_share:.3f} | {one.bias_share:+.1%}"
        f" | {one.mean_absolute_error_amount:,.2f} |"
        + "|".join(f" {one.captured_share[key]:.1%} " for key in ("0.01", "0.05", "0.1"))
        + "|"
        for one in found.contenders
    ]
    lines += ["", "| contradiction | customers | before | after |", "|---|---|---|---|"]
    lines += [
        f"| {one.words.en} | {one.customers:,} | {one.before_amount:,.0f}"
        f" | {one.after_amount:,.0f} |"
        for one in found.contradictions
    ]
    lines += ["", *(f"- {note.en}" for note in found.notes)]
    return "\n".join(lines)


def _log_study(lake: Lake, made: Valuation, past: FeatureTable) -> None:
    """Into MLflow, after the ledger has it: a store that is down costs a warning, not the night."""
    found = made.found
    with tempfile.TemporaryDirectory() as temporary:
        files = Path(temporary)
        (files / "value.md").write_text(render(found), encoding="utf-8")
        (files / "findings.json").write_text(
            json.dumps(found.model_dump(mode="json"), indent=2, ensure_ascii=False),
            encoding="utf-8",
        )
        record = StudyRecord(
            subject="value",
            run_name=f"value {found.as_of:%Y-%m-%d}",
            command=f"holdfast -d {lake.settings.called} value",
            tags={
                "served": found.contest.served,
                "served_kind": found.contest.served_kind,
                "reason": found.contest.reason,
                "finding_id": made.run_id,
                "as_of": found.as_of.isoformat(),
                "known_by": found.known_by.isoformat(),
                "snapshot_id": str(found.snapshot_id),
            },
            params={
                **{
                    f"value.{key}": str(value)
                    for key, value in lake.settings.value.model_dump(mode="json").items()
                },
                "horizon_days": found.horizon_days,
                "margin_share": lake.settings.economics.margin_share,
            },
            metrics={
                **made.figures,
                **found.parameters,
                "customers": found.customers,
                "total_amount": float(found.total_amount),
                "low_amount": float(found.low_amount),
                "high_amount": float(found.high_amount),
                **({} if found.coverage_share is None else {"coverage": found.coverage_share}),
            },
            dataset_name=past.table,
            dataset_fingerprint=past.fingerprint,
            dataset_rows=past.rows,
            files=files,
            trials=made.trials,
        )
        try:
            with open_tracker(lake.settings) as tracker:
                tracker.finish_run(tracker.log_study(record))
        except ServiceDown as error:
            _log.warning("The values are published but not logged to MLflow: %s", error.what)


plan = step(_plan, name="plan the horizons of value")
value_customers = step(_value_customers, name="value customers")
value_subscribers = step(_value_contracts, name="value contracts")
