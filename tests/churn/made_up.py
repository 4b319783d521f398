"""Customers made up for tests: a few thousand rows on which churn can be learnt in a second."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from tasks.churn.data import TrainingData, read_training_data
from tasks.sections import ChurnSettings, EconomicsSettings, RuleSettings

DRIVERS = {
    "recency_days": "cadence",
    "gap_median_days": "cadence",
    "order_days_365": "cadence",
    "amount_365": "spend",
    "tickets_90": "service",
    "tenure_days": "tenure",
    "noise": "profile",
}
WORDS = {
    "cadence": "how often and how recently they order",
    "spend": "what they spend",
    "service": "tickets and complaints",
    "tenure": "how long they have been a customer",
    "profile": "what is recorded of the customer",
}


@functools.cache
def labelled_table(customers: int = 400, cutoffs: int = 7, seed: int = 1) -> pa.Table:
    """`customers` at `cutoffs` points 30 days apart, shuffled; about 40 % leave."""
    rng = np.random.default_rng(seed)
    rows = customers * cutoffs
    person = np.tile(np.arange(customers), cutoffs)
    gap = rng.lognormal(3, 0.6, customers)[person]
    recency = gap * rng.lognormal(0, 0.8, rows)
    tickets = rng.poisson(0.5, rows).astype(float)
    margin = 0.9 * np.log(recency / gap) + 0.6 * tickets + 0.02 * (gap - 20) - 0.8
    churned = rng.random(rows) < 1 / (1 + np.exp(-margin))
    first = datetime(2024, 1, 1, tzinfo=UTC)
    as_of = [first + timedelta(days=30 * int(n)) for n in np.repeat(np.arange(cutoffs), customers)]
    table = pa.table(
        {
            "customer_id": [f"c{n:05d}" for n in person],
            "as_of": pa.array(as_of, pa.timestamp("us", tz="UTC")),
            "churned": churned,
            "recency_days": recency,
            "gap_median_days": pa.array(gap, mask=rng.random(rows) < 0.2),
            "order_days_365": (365 / gap).astype(np.int32),
            "amount_365": rng.lognormal(5, 1, rows),
            "tickets_90": tickets,
            "tenure_days": rng.integers(1, 900, rows),
            "noise": rng.normal(size=rows),
            "value_amount": rng.lognormal(5, 1, rows),
            "region": rng.choice(["north", "south"], rows),
        }
    )
    return table.take(rng.permutation(rows))


def training_data(
    customers: int = 400, cutoffs: int = 7, horizon_days: float | None = 60.0
) -> TrainingData:
    return read_training_data(
        labelled_table(customers, cutoffs),
        drivers=DRIVERS,
        words=WORDS,
        horizon_days=horizon_days,
        value_column="value_amount",
        slice_columns=("region",),
    )


def churn_settings(**changes: object) -> ChurnSettings:
    """Settings small enough for a test."""
    small: dict[str, object] = {
        "folds": 2,
        "calibration_folds": 3,
        "trials": 6,
        "round_trials": 3,
        "workers": 1,
        "startup_trials": 3,
        "prune_after_trials": 2,
        "maximum_trees": 40,
        "forest_trees": 10,
        "resamples": 60,
        "minimum_slice_customers": 30,
        "rules": (
            RuleSettings(name="recency", feature="recency_days", reason="long without an order"),
            RuleSettings(
                name="own_cadence",
                feature="recency_days",
                divided_by="gap_median_days",
                reason="pause against their own rhythm",
            ),
        ),
    }
    return ChurnSettings.model_validate(small | changes)


def economics_settings(**changes: object) -> EconomicsSettings:
    return EconomicsSettings.model_validate(changes)
