"""A feature table in the lake, as scoring reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.handles import Champion, FeatureTable
from tasks.keeping import combine_hashes, hash_files
from tasks.warehouse import Lake
from tests.registry.models import FEATURES, METRICS

AS_OF = datetime(2011, 9, 10, tzinfo=UTC)
BEFORE = datetime(2011, 8, 10, tzinfo=UTC)


def make_features(
    lake: Lake, customers: int = 500, table: str = "scoring_features"
) -> FeatureTable:
    """`customers` rows at AS_OF and three at an earlier cut-off, some values missing."""
    random = np.random.default_rng(9)
    values = np.abs(random.normal(size=(customers + 3, len(FEATURES)))) * (60, 5, 200, 2)
    values[::17, 3] = np.nan
    worth = [
        None if place % 50 == 7 else round(float(v), 2) for place, v in enumerate(values[:, 2])
    ]
    columns = {
        "customer_id": [f"c{place:06d}" for place in range(customers + 3)],
        "as_of": pa.array([AS_OF] * customers + [BEFORE] * 3, pa.timestamp("us", tz="UTC")),
        "value_amount": pa.array(worth, pa.float64()),
    }
    for place, name in enumerate(FEATURES):
        # Missing is NULL in the lake, as the features write it.
        columns[name] = pa.array(values[:, place], pa.float64(), from_pandas=True)
    lake.load_arrow("made_features", pa.table(columns))
    with lake.writer_lock("test"), lake.publish("test", "features", {}):
        lake.execute(f"create or replace table lake.main.{table} as select * from made_features")
    lake.drop_arrow("made_features")
    return FeatureTable(
        table=table,
        as_of=(BEFORE, AS_OF),
        known_by=(BEFORE, AS_OF),
        snapshot_id=lake.snapshot().snapshot_id,
        fingerprint=f"{customers:064d}",
        rows=customers + 3,
        feature_names=FEATURES,
        labelled=False,
    )


def make_champion(directory: Path, version: int = 1) -> Champion:
    """The model in `directory` as if it had been promoted."""
    files = hash_files(directory)
    return Champion(
        name="shop.churn",
        version=version,
        kind="model",
        candidate="lightgbm",
        directory=directory,
        model_hash=combine_hashes(files),
        files=files,
        feature_names=FEATURES,
        metrics=METRICS,
        golden=(),
        decision_id="d",
        promoted_at=AS_OF,
        features_fingerprint="f" * 64,
        snapshot_id=1,
        run_id=None,
    )
