"""Does a reason carry weight? Take it away and look whether the score falls.

Setting the features of a customer's top driver to the medians of their segment asks the model, not
the world: it shows that the score rests on what is named, and not that changing it keeps anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.reasons.grouping import Grouping

Floats = NDArray[np.float64]
_BLOCK = 100


@dataclass(frozen=True)
class Ablation:
    """Mean change of the probability with its interval, over how many customers."""

    change: float
    low: float
    high: float
    customers: int


def segment_medians(features: Floats, segments: NDArray[np.int64], count: int) -> Floats:
    """Median of each feature by segment, (count, features); all missing: NaN."""
    medians = np.full((count, features.shape[1]), np.nan)
    for segment in range(count):
        members = features[segments == segment]
        # `nanmedian` warns of a column without a value, which is no fault here.
        filled = ~np.isnan(members).all(axis=0) if len(members) else np.zeros(0, dtype=bool)
        if filled.any():
            medians[segment, filled] = np.nanmedian(members[:, filled], axis=0)
    return medians


def ablate(
    features: Floats,
    drivers: NDArray[np.int64],
    segments: NDArray[np.int64],
    medians: Floats,
    grouping: Grouping,
    predict: Callable[[Floats], Floats],
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> Ablation | None:
    """Set each customer's top driver to their segment's medians; None without a customer.

    `features` (n, p), `drivers` and `segments` (n,); `medians` (segments, p); `predict` gives
    probabilities. The interval is a bootstrap of customers.
    """
    if not len(features):
        return None
    changed = features.copy()
    for driver in np.unique(drivers):
        rows = np.flatnonzero(drivers == driver)
        columns = grouping.features_of(int(driver))
        changed[np.ix_(rows, columns)] = medians[segments[rows]][:, columns]
    difference = predict(changed) - predict(features)
    low, high = bootstrap_mean(difference, resamples=resamples, confidence=confidence, seed=seed)
    return Ablation(float(difference.mean()), low, high, len(difference))


def bootstrap_mean(
    values: Floats, *, resamples: int, confidence: float, seed: int
) -> tuple[float, float]:
    """Percentile interval of the mean under drawing anew."""
    random = np.random.default_rng(seed)
    means = np.concatenate(
        [
            values[
                random.integers(len(values), size=(min(_BLOCK, resamples - start), len(values)))
            ].mean(axis=1)
            for start in range(0, resamples, _BLOCK)
        ]
    )
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)
