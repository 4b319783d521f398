"""The steps of the reasons, as a flow calls them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from tasks.errors import ServiceDown
from tasks.findings import ReasonFindings
from tasks.handles import Champion, FeatureTable, Predictor
from tasks.orchestration import publish_markdown, step
from tasks.reasons.finding import Told, find_reasons
from tasks.reasons.report import describe_study, write_summary
from tasks.sections import FeaturesSettings
from tasks.tracking.tracker import open_tracker
from tasks.warehouse import Lake

__all__ = ["explain_customers", "plan_past"]

_LOG = logging.getLogger("holdfast.reasons")


def plan_past(
    matured: Sequence[datetime], as_of: datetime, settings: FeaturesSettings
) -> tuple[datetime, ...]:
    """The cut-offs with an outcome, and those since, in which a warning may have come up."""
    if settings.outcome == "given" or not matured:
        return tuple(matured)
    past = list(matured)
    step_days = timedelta(days=settings.cutoff_step_days)
    while past[-1] + step_days < as_of:
        past.append(past[-1] + step_days)
    return tuple(past)


def _explain_customers(
    lake: Lake,
    champion: Champion,
    predictor: Predictor,
    newest: FeatureTable,
    labelled: FeatureTable,
    drivers: Mapping[str, str],
) -> ReasonFindings:
    """Find the reasons that hold, publish them, and show them in MLflow where it answers."""
    told = find_reasons(lake, champion, predictor, newest, labelled, drivers)
    publish_markdown(
        f"reasons {lake.deployment}",
        write_summary(told.findings),
        "Associations with leaving that held when the model was fitted again",
    )
    if told.is_new:
        _log_study(lake, told, newest)
    return told.findings


def _log_study(lake: Lake, told: Told, newest: FeatureTable) -> None:
    try:
        with (
            describe_study(lake.settings, told, newest) as record,
            open_tracker(lake.settings) as tracker,
        ):
            tracker.finish_run(tracker.log_study(record))
    except ServiceDown as error:
        # The ledger has the findings; MLflow only shows them.
        _LOG.warning("The reasons could not be shown in MLflow: %s", error.what)


explain_customers = step(_explain_customers, name="explain customers", retries=1)
