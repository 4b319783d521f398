"""The steps of this family, as the flows call them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tasks.errors import HoldfastError
from tasks.escaping import escape_markdown as safe
from tasks.handles import Champion, FeatureTable, Predictor
from tasks.monitoring.ageing import conclude
from tasks.monitoring.alerts import list_alerts, mark_alert, measure_precision
from tasks.monitoring.following import follow_alerts
from tasks.monitoring.outcomes import SCORED, find_covered, stage_weeks
from tasks.monitoring.page import Report, publish_report
from tasks.monitoring.reference import find_reference, keep_reference
from tasks.monitoring.retraining import close_answered, find_due
from tasks.monitoring.watching import find_promise, watch
from tasks.orchestration import publish_markdown, send_event, step
from tasks.quality import MonitoringFindings, ReferenceFindings
from tasks.tracking.tracker import open_tracker

if TYPE_CHECKING:
    from tasks.warehouse import Lake

__all__ = [
    "SCORED",
    "Report",
    "close_answered",
    "conclude_decay",
    "find_covered",
    "find_due",
    "find_reference",
    "keep_training_inputs",
    "list_alerts",
    "mark_alert",
    "measure_precision",
    "stage_weeks",
    "watch_model",
]
_LOG = logging.getLogger("holdfast.monitoring")


def _watch_model(
    lake: Lake,
    champion: Champion,
    predictor: Predictor,
    tonight: FeatureTable,
    reference: ReferenceFindings | None,
    sources: Mapping[str, str],
    has_weeks: bool,
    actor: str = "holdfast",
) -> Report:
    """Look at the model, raise and follow alerts, draw the page, and tell MLflow."""
    close_answered(lake, actor=actor)
    found = watch(
        lake, champion, predictor, tonight, reference, sources, has_weeks=has_weeks, actor=actor
    )
    follow_alerts(lake, champion, found, find_promise(champion), send_event, actor=actor)
    report = publish_report(lake, found)
    publish_markdown(
        f"monitoring {lake.deployment}", _describe(report), "How the model is doing, and alerts"
    )
    _log_weeks(lake, champion, found)
    return report


def _describe(report: Report) -> str:
    lines = [f"As of {report.found.as_of:%Y-%m-%d}, version {report.found.model_version}.", ""]
    lines += [
        f"- **{one.kind}** {safe(one.headline)} (`{one.alert_id}`, {one.state})"
        for one in report.open_alerts
    ] or ["- no alert is open"]
    return "\n".join([*lines, f"- page: `{report.path}`"])


def _log_weeks(lake: Lake, champion: Champion, found: MonitoringFindings) -> None:
    """Quality by week on the champion's run; MLflow is a mirror, without which a night goes on."""
    metrics = [
        (name, value, int(one.as_of.timestamp() * 1000), int(one.as_of.timestamp() // 86_400))
        for one in found.weeks
        if one.model_hash == champion.model_hash
        for name, value in (
            (f"live.{one.population}.auc", None if one.auc is None else one.auc[0]),
            (f"live.{one.population}.calibration_gap", one.gap[0]),
            (f"live.{one.population}.calibration_error", one.calibration_error),
            (f"live.{one.population}.profit_amount", one.profit[0]),
        )
        if value is not None
    ]
    if not metrics or champion.run_id is None:
        return
    try:
        with open_tracker(lake.settings) as tracker:
            tracker.log_series(champion.run_id, metrics)
    except HoldfastError as error:
        _LOG.warning("Quality by week is not in MLflow: %s", error.what)
    except Exception as error:  # noqa: BLE001  (a mirror that breaks must not stop a night)
        _LOG.warning("Quality by week is not in MLflow: %s", type(error).__name__)


watch_model = step(_watch_model, name="watch the model", retries=1)
keep_training_inputs = step(keep_reference, name="keep the training's inputs", retries=1)
conclude_decay = step(conclude, name="recommend when to train", retries=1)
