"""Customers made up for the reasons: who complains leaves, whatever else is known of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.handles import Champion, FeatureTable, Predictor
from tasks.reasons.reading import LabelledRows
from tasks.warehouse import Lake, quote

AS_OF = datetime(2022, 1, 1, tzinfo=UTC)
HORIZON_DAYS = 30
# Ascending, 30 days apart, the last a horizon before AS_OF.
CUTOFFS = tuple(AS_OF - timedelta(days=30 * n) for n in range(6, 0, -1))
BORN = {
    "recency_days": "cadence",
    "order_days_90": "cadence",
    "tickets_90": "service",
    "complaint_share_365": "service",
    "discount_share_365": "price",
    "events_30": "engagement",
    "tenure_days": "tenure",
    "year_sine": "season",
}
FEATURES = tuple(BORN)


def draw_features(rows: int, random: np.random.Generator) -> np.ndarray:
    """(rows, features): independent of each other; the last is the same for everybody."""
    tickets = random.poisson(0.6, rows).astype(float)
    columns = [
        random.integers(1, HORIZON_DAYS, rows).astype(float),
        random.integers(1, 10, rows).astype(float),
        tickets,
        np.where(tickets > 0, (random.random(rows) < 0.5).astype(float), np.nan),
        random.random(rows) * 0.4,
        random.poisson(4, rows).astype(float),
        random.integers(30, 900, rows).astype(float),
        np.full(rows, 0.5),
    ]
    return np.column_stack(columns)


def leave_probability(features: np.ndarray) -> np.ndarray:
    """The planted cause: tickets and complaints, and a little the pause."""
    complained = np.nan_to_num(features[:, 3])
    margin = -2.2 + 0.9 * features[:, 2] + 1.6 * complained + 0.04 * features[:, 0]
    probability: np.ndarray = 1 / (1 + np.exp(-margin))
    return probability


def make_rows(customers: int = 500, seed: int = 7) -> LabelledRows:
    """Labelled rows at all cut-offs, in memory."""
    random = np.random.default_rng(seed)
    count = customers * len(CUTOFFS)
    features = draw_features(count, random)
    days = [int(cutoff.timestamp()) // 86_400 for cutoff in CUTOFFS]
    return LabelledRows(
        features=features,
        customers=np.tile(np.arange(customers), len(CUTOFFS)),
        customer_ids=np.array([f"c{n:05d}" for n in range(customers)], dtype=object),
        cutoff_days=np.repeat(days, customers),
        churned=(random.random(count) < leave_probability(features)).astype(np.int8),
        present=np.ones(count, dtype=bool),
        feature_names=FEATURES,
        share=1.0,
    )


def store_tables(
    lake: Lake,
    customers: int = 300,
    *,
    seed: int = 7,
    change: dict[str, float | None] | None = None,
) -> tuple[FeatureTable, FeatureTable]:
    """The newest cut-off and the labelled past in the lake; `change` makes features constant."""
    random = np.random.default_rng(seed)
    newest = draw_features(customers, random)
    past = draw_features(customers * len(CUTOFFS), random)
    churned = random.random(len(past)) < leave_probability(past)
    for name, value in (change or {}).items():
        for matrix in (newest, past):
            matrix[:, FEATURES.index(name)] = np.nan if value is None else value
    return (
        _store(lake, "made_newest", newest, (AS_OF,), None),
        _store(lake, "made_past", past, CUTOFFS, churned),
    )


def _store(
    lake: Lake,
    table: str,
    features: np.ndarray,
    cutoffs: tuple[datetime, ...],
    churned: np.ndarray | None,
) -> FeatureTable:
    customers = len(features) // len(cutoffs)
    columns = {
        "customer_id": [f"c{n:05d}" for n in range(customers)] * len(cutoffs),
        "as_of": pa.array(
            [one for one in cutoffs for _ in range(customers)], pa.timestamp("us", tz="UTC")
        ),
        **({} if churned is None else {"churned": pa.array(churned)}),
        "value_amount": pa.array(np.full(len(features), 100.0)),
    }
    for place, name in enumerate(FEATURES):
        columns[name] = pa.array(features[:, place], pa.float64(), from_pandas=True)
    lake.load_arrow("made_features", pa.table(columns))
    with lake.writer_lock("test"), lake.publish("test", "features", {}):
        lake.execute(
            f"create or replace table lake.main.{quote(table)} as select * from made_features"
        )
    lake.drop_arrow("made_features")
    return FeatureTable(
        table=table,
        as_of=cutoffs,
        known_by=tuple(one + timedelta(days=1) for one in cutoffs),
        snapshot_id=lake.snapshot().snapshot_id,
        fingerprint=f"{table}-{features.shape}-{np.nansum(features):.6f}",
        rows=len(features),
        feature_names=FEATURES,
        labelled=churned is not None,
    )


def make_champion(directory: Path, rows: LabelledRows, *, rule: bool = False) -> Champion:
    """A model of the rows (or a rule on the pause) in `directory`, as if promoted."""
    import lightgbm

    from tasks.churn.model_files import write_model
    from tasks.keeping import combine_hashes, hash_files

    names = ("recency_days",) if rule else FEATURES
    text = None
    if not rule:
        text = lightgbm.train(
            {
                "objective": "binary",
                "num_leaves": 6,
                "min_data_in_leaf": 40,
                "learning_rate": 0.1,
                "verbosity": -1,
                "seed": 1,
                "deterministic": True,
            },
            lightgbm.Dataset(
                rows.features,
                (rows.churned == 1).astype(float),
                feature_name=list(FEATURES),
            ),
            num_boost_round=40,
        ).model_to_string()
    write_model(
        directory,
        feature_names=names,
        drivers=tuple(BORN[name] for name in names),
        words={},
        calibration={"kind": "identity"},
        booster_text=text,
        rule={
            "feature": "recency_days",
            "divided_by": None,
            "least_divisor": 1.0,
            "fallbacks": {"recency_days": 15.0},
            "centre": 15.0,
            "scale": 10.0,
            "sign": 1.0,
            "driver": "cadence",
            "reason": "a long pause",
        }
        if rule
        else None,
    )
    files = hash_files(directory)
    return Champion(
        name="made.churn",
        version=1,
        kind="rule" if rule else "model",
        candidate="recency" if rule else "lightgbm",
        directory=directory,
        model_hash=combine_hashes(files),
        files=files,
        feature_names=names,
        metrics={},
        golden=(),
        decision_id="d",
        promoted_at=AS_OF,
        features_fingerprint="f",
        snapshot_id=1,
        run_id=None,
    )


def open_predictor(champion: Champion) -> Predictor:
    from tasks.churn.model_code import open_model

    predictor: Predictor = open_model(champion.directory)
    return predictor
