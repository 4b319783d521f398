"""A feature table in the lake with planted groups of customers, as the segments read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.errors import ServiceDown
from tasks.handles import FeatureTable
from tasks.settings import Settings
from tasks.warehouse import Lake

AS_OF = datetime(2011, 12, 9, tzinfo=UTC)
HORIZON = timedelta(days=90)
STEP = timedelta(days=30)
FEATURES = (
    "recency_days",
    "gap_median_days",
    "order_days_90",
    "order_days_365",
    "amount_90",
    "amount_365",
    "amount_total",
    "tenure_days",
    "categories_total",
)
# Recency, yearly order days, spent on one, tenure, share that leaves.
_KINDS = (
    (5.0, 40.0, 80.0, 900.0, 0.02),
    (12.0, 14.0, 40.0, 300.0, 0.10),
    (20.0, 3.0, 300.0, 700.0, 0.25),
    (60.0, 6.0, 20.0, 800.0, 0.50),
    (120.0, 1.5, 25.0, 250.0, 0.90),
)
# Quick settings: what is tested is that it works, not that it works best.
QUICK: dict[str, Any] = {
    "trials": 6,
    "startup_trials": 4,
    "finalists": 2,
    "resamples": 2,
    "contest_resamples": 4,
    "search_rows": 200,
    "judged_rows": 400,
    "silhouette_rows": 200,
    "described_rows": 240,
    "micro_groups": 40,
    "methods": ["kmeans", "ward"],
}


@contextmanager
def refuse(_settings: Settings) -> Iterator[Any]:
    """In place of the tracking store: it is down."""
    raise ServiceDown("MLflow does not answer.")
    yield


def make_features(
    lake: Lake,
    customers: int = 600,
    *,
    as_of: datetime = AS_OF,
    seed: int = 3,
    table: str = "segment_features",
    drop: tuple[str, ...] = (),
    constant: tuple[str, ...] = (),
    missing: tuple[str, ...] = (),
) -> FeatureTable:
    """`customers` rows at each of three cut-offs, with outcomes at all but the last.

    Columns can be left out (`drop`), made all alike (`constant`) or NULL (`missing`).
    """
    random = np.random.default_rng(seed)
    kinds = np.arange(customers) % len(_KINDS)
    cutoffs = (as_of - HORIZON - STEP, as_of - HORIZON, as_of)
    parts = []
    for number, cutoff in enumerate(cutoffs):
        wobble = random.lognormal(0, 0.12, (customers, 4))
        recency, orders, spent, tenure, leaves = np.array(_KINDS)[kinds].T
        year = orders * wobble[:, 1]
        amount = year * spent * wobble[:, 2]
        values = {
            "recency_days": np.ceil(recency * wobble[:, 0]),
            "gap_median_days": np.where(year > 2, 365 / np.maximum(year, 1), np.nan),
            "order_days_90": np.round(year / 4),
            "order_days_365": np.ceil(year),
            "amount_90": amount / 4,
            "amount_365": amount,
            "amount_total": amount * (2 + number / 4),
            "tenure_days": tenure * wobble[:, 3] + number * 30,
            "categories_total": np.ceil(year / 2 * wobble[:, 0]) + 1,
        }
        columns: dict[str, Any] = {
            "customer_id": [f"c{place:06d}" for place in range(customers)],
            "as_of": pa.array([cutoff] * customers, pa.timestamp("us", tz="UTC")),
            "churned": pa.array(
                [None] * customers if cutoff == as_of else random.random(customers) < leaves,
                pa.bool_(),
            ),
            "value_amount": amount,
        }
        for name in FEATURES:
            if name in drop:
                continue
            column = np.full(customers, 7.0) if name in constant else values[name]
            column = np.full(customers, np.nan) if name in missing else column
            columns[name] = pa.array(column, pa.float64(), from_pandas=True)
        parts.append(pa.table(columns))
    lake.load_arrow("made_features", pa.concat_tables(parts))
    with lake.writer_lock("test"), lake.publish("test", "features", {}):
        lake.execute(f"create or replace table lake.main.{table} as select * from made_features")
    lake.drop_arrow("made_features")
    return FeatureTable(
        table=table,
        as_of=cutoffs,
        known_by=cutoffs,
        snapshot_id=lake.snapshot().snapshot_id,
        fingerprint=f"{customers:032d}{seed:016d}{as_of:%Y%m%d%H%M%S}00",
        rows=3 * customers,
        feature_names=tuple(name for name in FEATURES if name not in drop),
        labelled=True,
    )
