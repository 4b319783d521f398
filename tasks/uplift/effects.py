"""The effect of being drawn, by intention to treat: contacted less not contacted.

Lots are strata, each weighted by what it can tell (n1 n0 / n), so a lot in which more were drawn is
never compared with one in which fewer were. The variance is clustered by customer: who was in many
lots is one customer. A night looks again each time, so intervals and p-values come from a normal
mixture (Robbins 1970; Johari et al. 2022) and hold at every look at once; the price is an interval
about half as wide again as one for a single look, which is told beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.evidence import Effect, Measure
from tasks.significance import deviation_of

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

_ENOUGH_FOR_CHI_SQUARE = 5
_POWER_QUANTILE = 0.8416212335729143  # of the standard normal at 80 %


@dataclass(frozen=True, slots=True)
class Trial:
    """Who was drawn in which lot and what became of them; arrays of shape (subjects,).

    `lots` and `customers` are codes from 0; a customer may be a subject of several lots.
    """

    treated: Flags
    lots: Codes
    customers: Codes
    lapsed: Floats
    margin: Floats

    def __len__(self) -> int:
        return len(self.treated)

    def take(self, rows: Flags | Codes) -> Trial:
        """The subjects of a part, codes as they were."""
        return Trial(
            self.treated[rows],
            self.lots[rows],
            self.customers[rows],
            self.lapsed[rows],
            self.margin[rows],
        )

    def outcome(self, measure: Measure) -> Floats:
        return self.lapsed if measure == "lapse_share" else self.margin


def measure_effect(
    trial: Trial, measure: Measure, *, confidence: float, scale: float
) -> Effect | None:
    """The stratified difference with its intervals; None where no lot has both arms.

    `scale` is the effect that the mixture is sharpest for, in standard deviations of the outcome.
    """
    outcome = trial.outcome(measure)
    drawn = trial.treated.astype(np.float64)
    lots = int(trial.lots.max()) + 1 if len(trial) else 0
    sizes = np.maximum(np.bincount(trial.lots, minlength=lots), 1)

    def centre(values: Floats) -> Floats:
        means = np.bincount(trial.lots, weights=values, minlength=lots) / sizes
        return np.asarray(values - means[trial.lots])

    apart = centre(drawn)
    weight = float(apart @ apart)
    if weight <= 0:
        return None
    level = centre(outcome)
    estimate = float(apart @ level) / weight
    scores = apart * (level - estimate * apart)
    _, clusters = np.unique(trial.customers, return_inverse=True)
    sums = np.bincount(clusters, weights=scores)
    groups = len(sums)
    error = math.sqrt(float(sums @ sums) * groups / max(groups - 1, 1)) / weight
    spread = float(outcome.std())
    if error <= 0 or spread <= 0:
        # Everybody did the same: nothing varies, so nothing is told.
        return None
    alpha = 1 - confidence
    growth = (scale * spread / error) ** 2
    half = error * valid_quantile(scale * spread / error, alpha)
    once = error * deviation_of(confidence)
    return Effect(
        measure=measure,
        estimate=estimate,
        expected=estimate * growth / (1 + growth),
        standard_error=error,
        low=estimate - half,
        high=estimate + half,
        fixed_low=estimate - once,
        fixed_high=estimate + once,
        p_value=valid_p_value(estimate / error, scale * spread / error),
        treated_mean=float(outcome[trial.treated].mean()),
        control_mean=float(outcome[~trial.treated].mean()),
    )


def valid_p_value(z: float, sharpness: float) -> float:
    """The p-value of a z-score that may be looked at as often as one likes.

    `sharpness` is the mixture's standard deviation in standard errors, so it grows with the data.

    >>> round(valid_p_value(0.0, 2.0), 3)
    1.0
    >>> valid_p_value(5.0, 4.0) < 0.0001
    True
    """
    growth = sharpness * sharpness
    log_ratio = z * z * growth / (2 * (1 + growth)) - 0.5 * math.log1p(growth)
    return min(1.0, math.exp(-min(log_ratio, 700.0)))


def valid_quantile(sharpness: float, alpha: float) -> float:
    """At which absolute z-score `valid_p_value` is alpha.

    >>> round(valid_p_value(valid_quantile(4.0, 0.05), 4.0), 6)
    0.05
    """
    growth = sharpness * sharpness
    return math.sqrt((1 + growth) / growth * (math.log1p(growth) - 2 * math.log(alpha)))


def count_needed(drawn_share: float, scale: float, confidence: float) -> int:
    """Customers in all who would show an effect of `scale` standard deviations with 80 % power.

    >>> count_needed(0.5, 0.1, 0.95) < count_needed(0.9, 0.1, 0.95)
    True
    """
    share = min(max(drawn_share, 0.01), 0.99)
    quantile = 3.0
    for _ in range(20):
        quantile = valid_quantile(quantile + _POWER_QUANTILE, 1 - confidence)
    return math.ceil(((quantile + _POWER_QUANTILE) / scale) ** 2 / (share * (1 - share)))


def check_lot(sizes: Codes, drawn: Codes, share: float) -> float:
    """How likely the numbers drawn, of shape (lots,), are if each lot drew its declared share.

    Exact over all lots together, and chi-square over those that are large enough for it; twice the
    smaller. A tiny value: it was no such lot.
    """
    from scipy.stats import binomtest, chi2

    likely = float(binomtest(int(drawn.sum()), int(sizes.sum()), share).pvalue)
    large = sizes * min(share, 1 - share) >= _ENOUGH_FOR_CHI_SQUARE
    if large.sum() > 1:
        expected = sizes[large] * share
        statistic = float(((drawn[large] - expected) ** 2 / (expected * (1 - share))).sum())
        likely = min(likely, float(chi2.sf(statistic, int(large.sum()))))
    return min(1.0, 2 * likely)


def compare_arms(features: Floats, treated: Flags, lots: Codes) -> Floats:
    """Standardised mean differences within lots, contacted less not; shape (features,).

    NaN counts as a value of its own by its share: an unknown that only one arm has is a difference.
    """
    count = int(lots.max()) + 1
    sizes = np.maximum(np.bincount(lots, minlength=count), 1)
    drawn = treated.astype(np.float64)
    apart = drawn - (np.bincount(lots, weights=drawn, minlength=count) / sizes)[lots]
    weight = float(apart @ apart)
    found = np.zeros(features.shape[1])
    for place in range(features.shape[1]):
        column = features[:, place]
        known = np.isfinite(column)
        worst = 0.0
        for values in (
            np.where(known, column, column[known].mean() if known.any() else 0.0),
            known,
        ):
            spread = float(values.std())
            # What is the same for all of a moment differs by rounding alone.
            if spread > 1e-9 * (1 + abs(float(values.mean()))) and weight > 0:
                difference = float(apart @ values) / weight / spread
                worst = difference if abs(difference) > abs(worst) else worst
        found[place] = worst
    return found
