"""The step of the forecasts, as a flow calls it."""

from __future__ import annotations

import logging
from datetime import datetime

from tasks.errors import ServiceDown
from tasks.findings import ForecastFindings
from tasks.forecasts.forecasting import forecast_all
from tasks.orchestration import publish_markdown, step
from tasks.studies import StudyRecord
from tasks.tracking.tracker import open_tracker
from tasks.warehouse import Lake

_LOG = logging.getLogger(__name__)


def _make_forecasts(lake: Lake, as_of: datetime, known_by: datetime) -> ForecastFindings:
    """Forecast and publish; MLflow is told last, and a night goes on without it."""
    found, is_new = forecast_all(lake, as_of, known_by, lake.settings)
    publish_markdown(
        f"forecasts {lake.deployment}", describe_forecasts(found), "Churn, base and revenue ahead"
    )
    if is_new:
        _log_forecasts(lake, found)
    return found


def describe_forecasts(found: ForecastFindings) -> str:
    """The forecasts in Markdown: where each series ends, and who tells it."""
    lines = [
        f"As of {found.as_of:%Y-%m-%d}.",
        "",
        "| series | segment | last | ahead | low | high | served | error | rival |",
        "|---|---|--:|--:|--:|--:|---|--:|---|",
    ]
    for one in found.series:
        _, mean, low, high = one.forecast[-1]
        contest = one.contest
        lines.append(
            f"| {one.measure} | {one.segment_id or 'all'} | {one.history[-1][1]:,.4g}"
            f" | {mean:,.4g} | {low:,.4g} | {high:,.4g} | {contest.served}"
            f" | {contest.served_figure:.3f} | {contest.rival} {contest.rival_figure:.3f} |"
        )
    return "\n".join([*lines, "", *(f"- {note.en}" for note in found.notes)])


def _log_forecasts(lake: Lake, found: ForecastFindings) -> None:
    metrics: dict[str, float] = {
        "series": len(found.series),
        "served_by_a_model": sum(one.contest.served_kind == "model" for one in found.series),
    }
    for one in (one for one in found.series if one.segment_id is None):
        metrics[f"{one.measure}.error"] = one.contest.served_figure
        metrics[f"{one.measure}.rival_error"] = one.contest.rival_figure
        metrics[f"{one.measure}.coverage_share"] = one.coverage_share
    chosen = lake.settings.forecasts
    record = StudyRecord(
        subject="forecasts",
        run_name=f"{found.as_of:%Y-%m-%d} forecasts",
        command="holdfast forecast",
        tags={"as_of": found.as_of.isoformat(), "snapshot_id": str(found.snapshot_id)},
        params={"origins": chosen.origins, "confidence": chosen.confidence},
        metrics=metrics,
        dataset_name=f"{lake.deployment}.series",
        dataset_fingerprint=str(found.snapshot_id),
        dataset_rows=sum(len(one.history) for one in found.series),
    )
    try:
        with open_tracker(lake.settings) as tracker:
            tracker.finish_run(tracker.log_study(record))
    except ServiceDown as error:
        _LOG.warning("MLflow was not told of the forecasts: %s", error)


make_forecasts = step(_make_forecasts, name="forecast", retries=1)
