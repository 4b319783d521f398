"""Learn who leaves: enough data? features, leak audit, tuning, MLflow, and the gate decides."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from tasks.churn import steps as churn
from tasks.clock import find_time
from tasks.features import steps as features
from tasks.registry import steps as registry
from tasks.registry.admission import Admission
from tasks.settings import load_settings
from tasks.validation import steps as validation
from tasks.warehouse import open_lake


@flow(name="train")
def train(deployment: str | Path) -> Admission:
    """Train a challenger and let the gate decide; the champion serves until it has.

    Raises DataRejected (65) where there is too little to learn from or a feature leaks, and
    ServiceDown (69) where MLflow does not answer: an unseen training is none.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        registry.require_tracking(settings)
        registry.mirror_registry(lake)
        now = find_time(lake, settings)
        snapshot = lake.snapshot()
        enough = features.check_enough(lake, now.as_of, now.known_by, snapshot, settings.features)
        table = features.build(
            lake,
            enough.cutoffs,
            now.known_at(enough.cutoffs),
            snapshot,
            settings.features,
            labels_as_of=now.as_of,
            labels_known_by=now.known_by,
        )
        validation.validate_features(lake, table, settings)
        features.audit(lake, table, settings.features)
        drivers, words = features.describe_drivers(lake, table, settings.features)
        record, final = churn.train_churn(lake, table, drivers, words, now.known_by)
        return registry.admit_training(lake, record, final)
