"""Learn who leaves: nothing missing? enough data? features, leak audit, tuning, and the gate."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from flows.watching import watched
from tasks.audits import LeakAudit
from tasks.churn import steps as churn
from tasks.clock import find_time
from tasks.features import steps as features
from tasks.handles import FinalCustomers, TrainingRecord
from tasks.incidents.faults import reporting_fault
from tasks.intake import steps as intake
from tasks.registry import steps as registry
from tasks.registry.admission import Admission
from tasks.settings import Settings, load_settings
from tasks.standings import Standing
from tasks.validation import steps as validation
from tasks.warehouse import Lake, open_lake


@flow(name="train")
@watched("train")
def train(deployment: str | Path, allow_gaps: bool = False) -> Admission:
    """Train a challenger and let the gate decide; the champion serves until it has.

    Raises LockHeld (75) where a delivery is missing, unless `allow_gaps`; DataRejected (65) where
    there is too little to learn from, a feature leaks or the outcomes cannot be, both of which
    become items; and ServiceDown (69) where MLflow does not answer: an unseen training is none.
    The tables of optional sources that are behind are left out.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        registry.require_tracking(settings)
        registry.mirror_registry(lake)
        standing = intake.judge_sources(lake, settings)
        has_champion = registry.find_champion(lake) is not None
        hold = intake.find_hold(standing, settings, has_champion=has_champion)
        if hold is not None and not allow_gaps:
            raise hold.error
        record, final, audited = learn(lake, settings, standing)
        return registry.admit_training(lake, record, final, audited)


def learn(
    lake: Lake, settings: Settings, standing: Standing
) -> tuple[TrainingRecord, FinalCustomers, LeakAudit]:
    """What the data up to now teach; the final customers and the audit that the gate judges by."""
    now = find_time(lake, settings)
    table = features.build_to_learn(lake, now, standing.left_out)
    validation.validate_features(lake, table, settings)
    with reporting_fault(lake, "LABEL"):
        features.audit_outcomes(lake, table, settings.features)
    with reporting_fault(lake, "LEAK"):
        audited = features.audit(lake, table, settings.features)
    drivers, words = features.describe_drivers(lake, table, settings.features)
    record, final = churn.train_churn(lake, table, drivers, words, now.known_by)
    return record, final, audited
