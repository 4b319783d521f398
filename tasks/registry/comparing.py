"""Two models over the same customers: money, calibration, harm by slice, and how scores moved.

Pure functions of arrays with one value a customer, shape (n,); amounts are in the deployment's
currency. Resampling is seeded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.registry.evidence import Array

# Weight draws per comparison: with many customers fewer replicates do, since each is steadier.
_MAXIMUM_DRAWS = 40_000_000
_MINIMUM_REPLICATES = 200
_CHUNK_DRAWS = 4_000_000
_GROUPS = 10
# Standard normal quantile of a two-sided 90 % interval.
_NORMAL_95 = 1.6448536269514722


@dataclass(frozen=True, slots=True)
class Comparison:
    """Profit of one list less another's: estimate, 90 % interval, and share of resamples above."""

    difference_amount: float
    low_amount: float
    high_amount: float
    share_above_zero: float
    share_above_tolerance: float
    tolerance_amount: float
    profit_amount: float
    other_profit_amount: float
    replicates: int


@dataclass(frozen=True, slots=True)
class CalibrationFigures:
    """How far probabilities are from outcomes, against another's over the same customers.

    `error` is the expected calibration error over ten groups of equal size, `chance` what it would
    be on average if every probability were true: with few customers that is not little. `gap` is
    the mean probability less the share that left, with its 90 % interval. `worsening` is `error`
    less the other's, `worsening_low` its lower bound: it is larger in 95 % of resamples.
    """

    error: float
    chance: float
    gap: float
    gap_low: float
    gap_high: float
    other_error: float
    worsening: float
    worsening_low: float


@dataclass(frozen=True, slots=True)
class SliceHarm:
    """Mean squared error of one model less another's in a slice, above 0: worse.

    `p_value` is of "harmed by no more than the tolerance", one-sided, adjusted by Holm (1979) over
    all slices judged.
    """

    slice: str
    customers: int
    harm: float
    p_value: float


def compare_profit(
    one: Array,
    other: Array,
    gain_amount: Array,
    *,
    budget_contacts: int,
    replicates: int,
    seed: int,
    tolerance_share: float = 0.0,
) -> Comparison:
    """Paired bootstrap of the profit difference of two lists over the same customers.

    Each replicate draws how often every customer is there (Poisson with mean 1, the usual
    stand-in for drawing n of n: Chamandy et al. 2012, "Estimating uncertainty for massive data
    streams") and contacts the first `budget_contacts` of either list whose expected return is
    above 0. Equal ones are ordered at random, alike for both. Only customers near the head of
    either list are drawn for.
    """
    customers = len(gain_amount)
    budget = min(budget_contacts, customers)
    random = np.random.default_rng(seed)
    shuffle = random.permutation(customers)
    # Poisson weights reach the budget within this many places but for a chance below 1e-12.
    reach = math.ceil(budget + 8 * math.sqrt(budget) + 50)
    heads = [
        np.lexsort((shuffle, -score))[: min(reach, int(np.count_nonzero(score > 0)))]
        for score in (one, other)
    ]
    drawn, places = np.unique(np.concatenate(heads), return_inverse=True)
    columns = (places[: len(heads[0])], places[len(heads[0]) :])
    gains = [gain_amount[head] for head in heads]
    point = [float(gain[:budget].sum()) for gain in gains]
    count = max(_MINIMUM_REPLICATES, min(replicates, _MAXIMUM_DRAWS // max(1, len(drawn))))
    table = _poisson_table()
    chunk = max(1, _CHUNK_DRAWS // max(1, len(drawn)))
    differences = np.empty(count)
    for start in range(0, count, chunk):
        size = min(chunk, count - start)
        weights = table[random.integers(0, len(table), (size, len(drawn)), dtype=np.uint16)]
        profit = [
            _weighted_profit(weights[:, column], gain, budget)
            for column, gain in zip(columns, gains, strict=True)
        ]
        differences[start : start + size] = profit[0] - profit[1]
    low, high = np.quantile(differences, (0.05, 0.95))
    tolerance = tolerance_share * abs(point[1])
    return Comparison(
        difference_amount=point[0] - point[1],
        low_amount=float(low),
        high_amount=float(high),
        share_above_zero=float(np.mean(differences > 0)),
        share_above_tolerance=float(np.mean(differences >= -tolerance)),
        tolerance_amount=tolerance,
        profit_amount=point[0],
        other_profit_amount=point[1],
        replicates=count,
    )


def _weighted_profit(weights: NDArray[np.uint8], gain: Array, budget: int) -> Array:
    """Profit of the first `budget` customers of a list in which each stands `weights` times."""
    before = np.cumsum(weights, axis=1, dtype=np.int32) - weights
    taken = np.clip(budget - before, 0, weights)
    profit: Array = taken @ gain
    return profit


def _poisson_table() -> NDArray[np.uint8]:
    """A uniform 16-bit number looked up here is Poisson(1), to 1 part in 65,536; 20x the speed."""
    counts = [round(65_536 / math.e / math.factorial(k)) for k in range(9)]
    counts[0] += 65_536 - sum(counts)
    return np.repeat(np.arange(9, dtype=np.uint8), counts)


def compare_calibration(
    churned: Array, one: Array, other: Array, *, replicates: int, seed: int
) -> CalibrationFigures:
    """How well `one` is calibrated, and how much worse than `other`, by a paired bootstrap.

    Groups are those of equal size by probability, and stay as they are in every replicate.
    """
    customers = len(churned)
    residuals, groups = [], []
    for probability in (one, other):
        order = np.argsort(probability, kind="stable")
        residuals.append((probability - churned)[order])
        groups.append(order)
    starts = np.unique(np.arange(_GROUPS) * customers // _GROUPS)
    point = [
        float(_group_errors(residual[None, :], starts)[0] / customers) for residual in residuals
    ]
    count = max(_MINIMUM_REPLICATES, min(replicates, _MAXIMUM_DRAWS // max(1, customers)))
    chunk = max(1, _CHUNK_DRAWS // customers)
    table, random = _poisson_table(), np.random.default_rng(seed)
    worsenings = np.empty(count)
    for start in range(0, count, chunk):
        size = min(chunk, count - start)
        weights = table[random.integers(0, len(table), (size, customers), dtype=np.uint16)]
        total = np.maximum(weights.sum(axis=1, dtype=np.float64), 1.0)
        errors = [
            _group_errors(weights[:, order] * residual, starts) / total
            for order, residual in zip(groups, residuals, strict=True)
        ]
        worsenings[start : start + size] = errors[0] - errors[1]
    gaps = one - churned
    gap = float(gaps.mean())
    spread = _NORMAL_95 * float(gaps.std(ddof=1)) / math.sqrt(customers)
    return CalibrationFigures(
        error=point[0],
        chance=_expect_error(one[groups[0]], starts),
        gap=gap,
        gap_low=gap - spread,
        gap_high=gap + spread,
        other_error=point[1],
        worsening=point[0] - point[1],
        worsening_low=float(np.quantile(worsenings, 0.05)),
    )


def _group_errors(residuals: Array, starts: NDArray[np.int64]) -> Array:
    """Sum over groups of the absolute summed residual, (b, n) -> (b,)."""
    errors: Array = np.abs(np.add.reduceat(residuals, starts, axis=1)).sum(axis=1)
    return errors


def _expect_error(ordered: Array, starts: NDArray[np.int64]) -> float:
    """Mean calibration error of true probabilities: a group's gap is then about normal."""
    spreads = np.sqrt(np.add.reduceat(ordered * (1 - ordered), starts))
    return float(math.sqrt(2 / math.pi) * spreads.sum() / len(ordered))


def find_harm(
    churned: Array,
    one: Array,
    other: Array,
    slices: Mapping[str, NDArray[np.str_]],
    *,
    tolerance: float,
    minimum_customers: int,
) -> tuple[SliceHarm, ...]:
    """Every slice of enough customers, the surest harm first."""
    from scipy.stats import norm

    worse = (one - churned) ** 2 - (other - churned) ** 2
    found: list[tuple[float, str, int, float]] = []
    for name in sorted(slices):
        labels = slices[name]
        for label in sorted(set(labels.tolist())):
            inside = worse[labels == label]
            if len(inside) < minimum_customers:
                continue
            harm = float(inside.mean())
            error = float(inside.std(ddof=1)) / math.sqrt(len(inside))
            if error > 0:
                p_value = float(norm.sf((harm - tolerance) / error))
            else:
                p_value = float(harm <= tolerance)
            found.append((p_value, f"{name}: {label}", len(inside), harm))
    found.sort()
    harms, largest = [], 0.0
    for place, (p_value, name, customers, harm) in enumerate(found):
        largest = max(largest, min(1.0, p_value * (len(found) - place)))
        harms.append(SliceHarm(name, customers, harm, largest))
    return tuple(harms)


def correlate_ranks(one: Array, other: Array) -> float:
    """Spearman's rank correlation; NaN where either is constant."""
    from scipy.stats import rankdata

    ranks = [rankdata(values) for values in (one, other)]
    spreads = [float(rank.std()) for rank in ranks]
    if min(spreads) == 0:
        return math.nan
    covariance = float(np.mean((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean())))
    return covariance / (spreads[0] * spreads[1])


def measure_shift(probability: Array, reference: Array) -> float:
    """Population stability index over ten groups of equal size by `reference`.

    The symmetric divergence sum of (p - q) ln(p / q) (Siddiqi 2006); half a customer is added to a
    group, so that an empty one counts and is finite.
    """
    edges = np.unique(np.quantile(reference, np.arange(1, _GROUPS) / _GROUPS))

    def share(values: Array) -> Array:
        bins = np.searchsorted(edges, values, side="left")
        counts = np.bincount(bins, minlength=len(edges) + 1) + 0.5
        shares: Array = counts / counts.sum()
        return shares

    now, before = share(probability), share(reference)
    return float(np.sum((now - before) * np.log(now / before)))


def list_kept_share(one: Array, other: Array, budget_contacts: int) -> float:
    """Share of the contact list of `one` that the list of `other` holds too; 1 if both are empty.

    A list is those whose expected return is above 0, highest first, up to the budget; the longer
    list is what the share is of.
    """
    lists = [_choose(values, budget_contacts) for values in (one, other)]
    longer = max(len(chosen) for chosen in lists)
    return len(lists[0] & lists[1]) / longer if longer else 1.0


def _choose(return_amount: Array, budget_contacts: int) -> set[int]:
    order = np.argsort(-return_amount, kind="stable")
    return set(order[return_amount[order] > 0][:budget_contacts].tolist())
