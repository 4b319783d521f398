"""How well predicted spend told the observed: order, level and error, with paired intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CAPTURED_SHARES = (0.01, 0.05, 0.10)
_DECILES = 10


@dataclass(frozen=True, slots=True)
class Predictions:
    """One contender's predicted spend of the judged customers, shape (customers,)."""

    name: str
    kind: Literal["model", "rule"]
    spend: Floats


def normalised_gini(observed: Floats, predicted: Floats, weights: Floats | None = None) -> float:
    """Gini of the spend in order of prediction over that in its own order: 1 perfect, 0 chance.

    `weights` counts each customer (a bootstrap resample); equal predictions keep the order of the
    rows, which must mean nothing. 0 where nothing was spent, or everybody spent the same.
    """
    counts = np.ones(len(observed)) if weights is None else weights
    best = _gini(observed, counts, np.argsort(-observed, kind="stable"))
    if best <= 1e-12:
        return 0.0
    return _gini(observed, counts, np.argsort(-predicted, kind="stable")) / best


def _gini(observed: Floats, weights: Floats, order: NDArray[np.intp]) -> float:
    counts = weights[order]
    spent = observed[order] * counts
    total, customers = spent.sum(), counts.sum()
    if total <= 0 or customers <= 0:
        return 0.0
    # Twice the area between the curve of spend and the diagonal, by trapezia.
    curve = np.cumsum(spent) / total
    before = np.concatenate(([0.0], curve[:-1]))
    return float((counts * (curve + before)).sum() / customers - 1)


def captured_share(observed: Floats, predicted: Floats, top_share: float) -> float:
    """The part of all spend that the customers of highest prediction brought; at least one."""
    total = observed.sum()
    if total <= 0:
        return 0.0
    top = max(1, round(len(observed) * top_share))
    return float(observed[np.argsort(-predicted, kind="stable")[:top]].sum() / total)


def bias_share(observed: Floats, predicted: Floats) -> float:
    """Predicted over observed sum, less 1; where nothing was spent, 1 if any was predicted."""
    total = float(observed.sum())
    return float(predicted.sum()) / total - 1 if total > 0 else float(predicted.sum() > 0)


def mean_error_amount(observed: Floats, predicted: Floats) -> float:
    """Mean absolute error a customer."""
    return float(np.abs(observed - predicted).mean())


def find_deciles(observed: Floats, predicted: Floats) -> tuple[tuple[float, float], ...]:
    """(mean predicted, mean observed) of each tenth by prediction, the lowest first.

    Fewer than ten customers make as many parts as there are.
    """
    order = np.argsort(predicted, kind="stable")
    parts = np.array_split(order, min(_DECILES, len(order)))
    return tuple((float(predicted[part].mean()), float(observed[part].mean())) for part in parts)


def compare_ginis(
    observed: Floats,
    served: Floats,
    rival: Floats,
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> tuple[float, float]:
    """Interval of the difference of the normalised Ginis, the same customers drawn for both."""
    random = np.random.default_rng(seed)
    customers = len(observed)
    orders = [np.argsort(-column, kind="stable") for column in (observed, served, rival)]
    differences = np.empty(resamples)
    for number in range(resamples):
        drawn = random.integers(0, customers, customers)
        weights = np.bincount(drawn, minlength=customers).astype(np.float64)
        best, ours, theirs = (_gini(observed, weights, order) for order in orders)
        differences[number] = (ours - theirs) / best if best > 1e-12 else 0.0
    tail = (1 - confidence) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    return float(low), float(high)
