"""What of a figure may be chance: standard errors, and p-values of many questions at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def deviation_of(confidence: float) -> float:
    """How many standard errors a two-sided interval reaches."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def adjust_by_holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (1979), in the order given.

    >>> adjust_by_holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def measure_auc(events: NDArray[np.bool_], scores: Floats) -> tuple[float, float]:
    """Area under the ROC curve and its standard error (DeLong et al. 1988); ties count half.

    NaN where a class is empty. A class of one shows no variance, so the greatest is taken.

    >>> measure_auc(np.array([False, False, True, True]), np.array([0.1, 0.2, 0.8, 0.9]))
    (1.0, 0.0)
    """
    positive, negative = scores[events], scores[~events]
    if not len(positive) or not len(negative):
        return math.nan, math.nan
    above = _place(positive, negative)
    below = 1 - _place(negative, positive)
    variance = sum(
        float(part.var(ddof=1)) / len(part) if len(part) > 1 else 0.25 for part in (above, below)
    )
    return float(above.mean()), math.sqrt(variance)


def _place(these: Floats, others: Floats) -> Floats:
    """For each of `these` the share of `others` below it, equal ones counting half."""
    ranked = np.sort(others)
    below = np.searchsorted(ranked, these, side="left")
    upto = np.searchsorted(ranked, these, side="right")
    shares: Floats = (below + upto) / 2 / len(ranked)
    return shares
