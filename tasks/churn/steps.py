"""The steps of this family, as the flows call them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.churn.ageing import Aged, measure_ageing
from tasks.churn.data import TrainingData, read_training_data
from tasks.churn.record import describe_training, gather_final, prepare_directory
from tasks.churn.training import train
from tasks.economics import Economics
from tasks.errors import DataRejected
from tasks.handles import FeatureTable, FinalCustomers, TrainingRecord
from tasks.orchestration import step
from tasks.progress import show_progress
from tasks.warehouse import Lake, quote

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["age_churn", "train_churn"]


def _age_churn(
    lake: Lake, table: FeatureTable, drivers: Mapping[str, str], origins: int, confidence: float
) -> list[Aged]:
    """Fit at past cut-offs of a labelled table with fixed parameters, judge at later ones."""
    settings = lake.settings
    data, _ = _read(lake, table, drivers, {})
    return measure_ageing(
        data,
        settings.churn,
        Economics.of(settings.economics),
        origins=origins,
        confidence=confidence,
    )


_SQL = Path(__file__).with_name("sql")
_SEGMENT = "known_segment"


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
    data, last = _read(lake, table, drivers, words)
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
        describe_training(result, settings, table, known_by, at_cutoff=int(last["customers"])),
        gather_final(result, data, settings),
    )


def _read(
    lake: Lake, table: FeatureTable, drivers: Mapping[str, str], words: Mapping[str, str]
) -> tuple[TrainingData, dict[str, Any]]:
    features = lake.settings.features
    rows, last = _read_labelled(lake, table)
    data = read_training_data(
        rows,
        drivers={name: drivers[name] for name in table.feature_names},
        words=words,
        horizon_days=None if features.outcome == "given" else float(features.horizon_days),
        value_column="value_amount",
        slice_columns=[_SEGMENT] if _SEGMENT in rows.column_names else [],
    )
    return data, last


def _read_labelled(lake: Lake, table: FeatureTable) -> tuple[pa.Table, dict[str, Any]]:
    """The rows with an outcome, in segments where some were known; and the last cut-off's counts.

    Raises DataRejected (65) where no outcome is known yet.
    """
    names = {"table": quote(table.table)}
    found = lake.rows(lake.text(_SQL / "last_cutoff.sql", names=names))
    if not found:
        raise DataRejected(
            f"No row of '{table.table}' has a known outcome.",
            next_step="wait until a horizon has passed after the first cut-off, or shorten it",
        )
    last = found[0]
    if "customer_segments" in lake.tables():
        segmented = lake.arrow(
            lake.text(_SQL / "labelled_by_segment.sql", names=names), {"as_of": last["as_of"]}
        )
        if segmented[_SEGMENT].null_count < segmented.num_rows:
            return segmented, last
    return lake.arrow(lake.text(_SQL / "labelled.sql", names=names)), last


# Not tried again by itself: a second try of a training that failed for its data fails again.
train_churn = step(_train_churn, name="train churn model")
age_churn = step(_age_churn, name="see models age")
