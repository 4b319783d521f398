"""How far observed spend lies from predicted: by bands of prediction, at the judged cut-off.

Spend is mostly 0 with a long tail, so no formula gives its spread; what was seen of customers
predicted alike does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bands:
    """Quantiles of observed spend by mean prediction, ascending; arrays of shape (bands,).

    `predicted` starts above 0; at a prediction of 0 the interval is (0, 0).
    """

    predicted: Floats
    low: Floats
    high: Floats

    def interval(self, spend: Floats) -> tuple[Floats, Floats]:
        """Low and high of customers with this expected spend, shape as `spend`.

        Between bands by straight lines, beyond the last in proportion. Both ascend with `spend`,
        and the expected spend lies between them.
        """
        low = _follow(spend, self.predicted, self.low)
        high = _follow(spend, self.predicted, self.high)
        return np.minimum(low, spend), np.maximum(high, spend)


# Of the currency. Slopes up from less than that are beyond what a float holds.
NOTHING_AMOUNT = 1e-9


def find_bands(observed: Floats, predicted: Floats, bands: int, confidence: float) -> Bands:
    """Bands of equally many customers, each with the quantiles of what they spent."""
    tail = (1 - confidence) / 2
    order = np.argsort(predicted, kind="stable")
    means, lows, highs = [], [], []
    for part in np.array_split(order, min(bands, max(1, len(order) // 20))):
        mean = float(predicted[part].mean())
        if mean <= NOTHING_AMOUNT:
            continue  # nothing is expected of them: their interval is a point
        low, high = np.quantile(observed[part], [tail, 1 - tail])
        means.append(mean)
        lows.append(float(low))
        highs.append(float(high))
    if not means:
        return Bands(np.ones(1), np.zeros(1), np.ones(1))
    # Noise may turn a band round; whoever is expected to spend more gets no lower limits.
    return Bands(np.array(means), np.maximum.accumulate(lows), np.maximum.accumulate(highs))


def measure_coverage(
    observed: Floats, predicted: Floats, bands: int, confidence: float, seed: int
) -> float:
    """Share of customers inside their interval, each half of them by the bands of the other."""
    halves = np.random.default_rng(seed).permutation(len(observed)) % 2
    inside = np.zeros(len(observed), dtype=bool)
    for half in (0, 1):
        there, other = halves == half, halves != half
        if not there.any() or not other.any():
            continue
        low, high = find_bands(observed[other], predicted[other], bands, confidence).interval(
            predicted[there]
        )
        # A limit that was observed is inside; binary fractions must not decide it.
        slack = 1e-9 * np.maximum(1.0, high)
        inside[there] = (observed[there] >= low - slack) & (observed[there] <= high + slack)
    return float(inside.mean())


def find_total_factors(
    observed: Floats, predicted: Floats, resamples: int, confidence: float, seed: int
) -> tuple[float, float]:
    """What the total may be multiplied with at either end, (<= 1, >= 1).

    Two errors in the logarithm of observed over predicted sum: that of the customers drawn
    (bootstrap), and that of the whole horizon, of which one is seen; its size stands for itself.
    """
    total = float(predicted.sum())
    if total <= 0 or observed.sum() <= 0:
        return 0.0, 1.0
    random = np.random.default_rng(seed)
    customers = len(observed)
    ratios = np.empty(resamples)
    for number in range(resamples):
        drawn = np.bincount(random.integers(0, customers, customers), minlength=customers)
        ratios[number] = max(float(drawn @ observed), 1e-12) / max(float(drawn @ predicted), 1e-12)
    level = float(np.log(observed.sum() / total))
    spread = float(np.hypot(np.log(ratios).std(), level))
    from scipy.stats import norm

    reach = float(norm.ppf(1 - (1 - confidence) / 2)) * spread
    return float(np.exp(-reach)), float(np.exp(reach))


def _follow(spend: Floats, means: Floats, limits: Floats) -> Floats:
    inside = np.interp(spend, np.concatenate(([0.0], means)), np.concatenate(([0.0], limits)))
    beyond = spend > means[-1]
    return np.asarray(np.where(beyond, spend * (limits[-1] / means[-1]), inside))
