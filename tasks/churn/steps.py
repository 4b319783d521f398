"""The steps of this family, as the flows call them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from tasks.churn.data import read_training_data
from tasks.churn.record import describe_training, gather_final, prepare_directory
from tasks.churn.training import train
from tasks.errors import DataRejected
from tasks.handles import FeatureTable, FinalCustomers, TrainingRecord
from tasks.orchestration import step
from tasks.progress import show_progress
from tasks.warehouse import Lake, quote

__all__ = ["train_churn"]


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
    rows = lake.arrow(f"select * from lake.main.{quote(table.table)} where churned is not null")
    given = settings.features.outcome == "given"
    data = read_training_data(
        rows,
        drivers={name: drivers[name] for name in table.feature_names},
        words=words,
        horizon_days=None if given else float(settings.features.horizon_days),
        value_column="value_amount",
    )
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


# Not tried again by itself: a second try of a training that failed for its data fails again.
train_churn = step(_train_churn, name="train churn model")
