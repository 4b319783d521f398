"""Whether the model holds for parts of the customers, not only on average."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.churn.data import Floats, Indices, TrainingData
from tasks.churn.metrics import Ranking, area_under_curve, draw_weights, weigh_auc

# Features that customers are banded by: everybody has them, and models fail along them.
_BANDED = (
    ("tenure", "tenure_days"),
    ("frequency", "order_days_365"),
    ("recency", "recency_days"),
)
_WORTH = "value"
_BANDS = ("lowest third", "middle third", "highest third")
_RESAMPLES = 300


def measure_slices(
    data: TrainingData,
    rows: Indices,
    probability: Floats,
    *,
    minimum_customers: int,
    confidence: float,
    seed: int,
) -> tuple[dict[str, Any], ...]:
    """One row a slice: size, share that left, mean probability, and AUC with its interval.

    A slice of fewer than `minimum_customers`, or of one class, is listed without figures that
    would be noise. `probability` has shape (len(rows),).
    """
    table = []
    for name, labels in label_slices(data, rows):
        for label in sorted(set(labels.tolist())):
            inside = labels == label
            table.append(
                _measure(
                    f"{name}: {label}",
                    data.churned[rows][inside],
                    probability[inside],
                    data.customers[rows][inside],
                    minimum_customers,
                    confidence,
                    seed,
                )
            )
    return tuple(table)


def label_slices(data: TrainingData, rows: Indices) -> list[tuple[str, NDArray[np.str_]]]:
    """What the rows are sliced by, and the slice of each row, shape (len(rows),)."""
    labelled = [(name, values[rows]) for name, values in data.slices.items()]
    seen: set[str] = set()
    banded = [
        (name, data.column(feature)) for name, feature in _BANDED if feature in data.feature_names
    ]
    for name, column in [*banded, (_WORTH, data.value_amount)]:
        if name in seen:
            continue
        values = column[rows]
        known = values[np.isfinite(values)]
        edges = np.quantile(known, [1 / 3, 2 / 3]) if len(known) else np.zeros(2)
        if edges[0] < edges[1]:
            seen.add(name)
            bands = np.asarray(_BANDS)[np.searchsorted(edges, values, side="left").clip(0, 2)]
            labelled.append((name, np.where(np.isfinite(values), bands, "unknown")))
    return labelled


def _measure(
    name: str,
    churned: NDArray[np.bool_],
    probability: Floats,
    customers: Indices,
    minimum_customers: int,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    row: dict[str, Any] = {"slice": name, "customers": len(np.unique(customers))}
    if row["customers"] < minimum_customers:
        return row
    row |= {
        "churn_share": float(churned.mean()),
        "mean_probability": float(probability.mean()),
    }
    if churned.all() or not churned.any():
        return row
    ranking = Ranking.of(probability)
    drawn = np.concatenate(
        [weigh_auc(churned, ranking, w) for w in draw_weights(customers, _RESAMPLES, seed)]
    )
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return row | {
        "auc": area_under_curve(churned, probability),
        "auc_low": float(low),
        "auc_high": float(high),
    }
