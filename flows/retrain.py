"""Learn anew because something asked for it: an event of monitoring, or a hand."""

from __future__ import annotations

import logging
from pathlib import Path

from prefect import flow

from flows.score import score
from flows.train import train
from flows.watching import watched
from tasks.monitoring import steps as monitoring
from tasks.orchestration import run_flow
from tasks.registry.admission import Admission
from tasks.settings import load_settings
from tasks.warehouse import open_lake

_LOG = logging.getLogger("holdfast.retrain")


@flow(name="retrain")
@watched("monitor retrain")
def retrain(deployment: str | Path) -> Admission | None:
    """Train if an alert still asks for it, and close the alert with what the gate said.

    'Keep the champion' is a success. None: nothing asks any more, since a training came in
    between, so an event that arrives twice trains once. After a promotion it scores anew.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        due = monitoring.find_due(lake)
    if not due.alert_ids or not due.is_due:
        _LOG.warning("No training: %s", due.reason)
        return None
    admission: Admission = run_flow(train, deployment)
    with open_lake(settings) as lake:
        monitoring.close_answered(lake)
    if admission.decision.outcome in ("promote", "serve_rule"):
        run_flow(score, deployment)
    return admission
