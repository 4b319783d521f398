"""The steps of this family, as the flows call them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from tasks.churn.ageing import Aged, measure_ageing
from tasks.churn.data import TrainingData, read_training_data
from tasks.churn.profit import Economics
from tasks.churn.record import describe_training, gather_final, prepare_directory
from tasks.churn.training import train
from tasks.errors import DataRejected
from tasks.handles import FeatureTable, FinalCustomers, TrainingRecord
from tasks.orchestration import step
from tasks.progress import show_progress
from tasks.warehouse import Lake, quote

__all__ = ["age_churn", "train_churn"]


def _age_churn(
    lake: Lake, table: FeatureTable, drivers: Mapping[str, str], origins: int, confidence: float
) -> list[Aged]:
    """Fit at past cut-offs of a labelled table with fixed parameters, judge at later ones."""
    settings = lake.settings
    data = _read(lake, table, drivers, {})
    return measure_ageing(
        data,
        settings.churn,
        Economics.of(settings.economics),
        origins=origins,
        confidence=confidence,
    )


def _train_churn(
    lake: Lake,
    table: FeatureTable,
    drivers: Mapping[str, str],
    words: Mapping[str, str],
    known_by: datetime,
) -> tuple[TrainingRecord, FinalCustomers]:
    """Train on a labelled feature table; what was found, and the final customers for the gate.

    `drivers` maps each feature to its business driver, `words` each driver to plain words,
    `known_by` is by when the outcomes were known. A training that was killed goes on where it
    was. Raises DataRejected (65) where the table cannot teach.
    """
    settings = lake.settings
    if not table.labelled:
        raise DataRejected(f"The feature table '{table.table}' has no outcomes to learn from.")
    data = _read(lake, table, drivers, words)
    with show_progress("tuning") as report:
        result = train(
            data,
            settings.churn,
            settings.economics,
            directory=prepare_directory(settings, data.fingerprint),
            study_directory=settings.home / "optuna" / settings.deployment,
            progress=None if report is None else lambda done, total: report(done, total, None),
        )
    return (
        describe_training(result, settings, table, known_by),
        gather_final(result, data, settings),
    )


def _read(
    lake: Lake, table: FeatureTable, drivers: Mapping[str, str], words: Mapping[str, str]
) -> TrainingData:
    features = lake.settings.features
    rows = lake.arrow(f"select * from lake.main.{quote(table.table)} where churned is not null")
    return read_training_data(
        rows,
        drivers={name: drivers[name] for name in table.feature_names},
        words=words,
        horizon_days=None if features.outcome == "given" else float(features.horizon_days),
        value_column="value_amount",
    )


# Not tried again by itself: a second try of a training that failed for its data fails again.
train_churn = step(_train_churn, name="train churn model")
age_churn = step(_age_churn, name="see models age")
