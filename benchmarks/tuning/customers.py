"""A made-up panel of customers with known truth, for tuning to be measured on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.churn.data import TrainingData, read_training_data

_FEATURES = 40
_STEP_DAYS, _HORIZON_DAYS = 30, 90.0
_DRIVERS = ("cadence", "spend", "service", "tenure", "contacts", "assortment", "price", "season")


def make_customers(customers: int, cutoffs: int, seed: int) -> TrainingData:
    """`customers` at `cutoffs`, 40 features: a dozen matter, with bends and crossings."""
    rng = np.random.default_rng(seed)
    rows = customers * cutoffs
    person = np.repeat(rng.normal(size=(customers, 6)), cutoffs, axis=0)
    noise = rng.normal(size=(rows, _FEATURES))
    features = noise.copy()
    features[:, :6] += person
    features[:, 6:12] = np.exp(0.5 * features[:, 6:12] + 0.3 * person)
    margin = (
        0.7 * features[:, 0]
        - 0.5 * np.maximum(features[:, 1], 0)
        + 0.4 * features[:, 2] * (features[:, 3] > 0)
        - 0.3 * np.log(features[:, 6])
        + 0.25 * np.abs(features[:, 4])
        - 0.6
    )
    churned = rng.random(rows) < 1 / (1 + np.exp(-margin))
    features[rng.random(features.shape) < 0.05] = np.nan
    when = np.datetime64("2023-01-01", "us") + np.tile(np.arange(cutoffs), customers) * (
        np.timedelta64(_STEP_DAYS, "D")
    )
    names = [f"feature_{number:02d}" for number in range(_FEATURES)]
    table = pa.table(
        {
            "customer_id": np.repeat(np.arange(customers), cutoffs).astype(str),
            "as_of": pa.array(when).cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
            "churned": churned,
            "value_amount": rng.lognormal(5, 1, rows),
            **{name: features[:, place] for place, name in enumerate(names)},
        }
    )
    return _read(table, names, _HORIZON_DAYS)


def read_table(path: Path, horizon_days: float) -> TrainingData:
    """A labelled feature table from a Parquet file: every column but the named ones a feature."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    given = {"customer_id", "as_of", "churned", "value_amount"}
    return _read(table, [n for n in table.column_names if n not in given], horizon_days)


def _read(table: pa.Table, names: list[str], horizon_days: float) -> TrainingData:
    drivers = {name: _DRIVERS[place % len(_DRIVERS)] for place, name in enumerate(names)}
    return read_training_data(
        table, drivers=drivers, horizon_days=horizon_days, value_column="value_amount"
    )
