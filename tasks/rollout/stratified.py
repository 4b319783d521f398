"""Arms compared within each day of entry alone, so that a ramp and a drifting base cancel out.

The test asks: if the arms did not matter, how far would the challenger's sum be from its share of
the day's? Given the day's customers and outcomes that is sampling without replacement, so its mean,
variance and skewness are exact whatever the outcomes look like. For an outcome of 0 and 1 this is
the Cochran-Mantel-Haenszel statistic without correction; for money the Mantel-Haenszel mean score,
of what CUPED leaves over (Deng, Xu, Kohavi and Walker 2013), its slope fitted within days over both
arms together, blind to which is which.

The effect is the Mantel-Haenszel difference; the variance of a share's is Sato's (1989), consistent
both for few large days and for many sparse ones. Above 0 the challenger is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import cast

import numpy as np
from numpy.typing import NDArray

from tasks.rollout.evidence import DayCounts
from tasks.rollout.plan import Metric

Floats = NDArray[np.float64]

_COLUMNS = (
    "matured",
    "events",
    "amount_sum",
    "amount_square_sum",
    "covariate_sum",
    "covariate_square_sum",
    "cross_sum",
    "amount_cube_sum",
    "covariate_cube_sum",
    "amount_square_covariate_sum",
    "amount_covariate_square_sum",
)


@dataclass(frozen=True, slots=True)
class Difference:
    """Challenger against champion over all days that have matured customers in both arms.

    `z` is standard normal if the arms do not matter, after `skewness` of the score is taken out;
    `variance` is the score's, by which looks hang together; `information` is 1 / variance of the
    effect if there is none; `standard_error` that of the effect as it is. `theta` is CUPED's slope,
    `customers` and `events` are (champion, challenger).
    """

    z: float
    variance: float
    skewness: float
    information: float
    effect: float
    standard_error: float
    theta: float
    customers: tuple[int, int]
    events: tuple[int, int]
    least_expected: float


@dataclass(frozen=True, slots=True)
class _Arms:
    """By day and arm (champion, challenger), shape (days, 2)."""

    count: Floats
    events: Floats
    total: Floats
    square: Floats
    covariate: Floats
    covariate_square: Floats
    cross: Floats
    cube: Floats
    covariate_cube: Floats
    square_covariate: Floats
    covariate_square_cross: Floats


def compare(days: Iterable[DayCounts], metric: Metric) -> Difference | None:
    """The stratified comparison; None while no day has matured customers of both arms.

    Days on which one arm has nobody say nothing of a difference and are left out.
    """
    arms = _tabulate(days)
    if arms is None:
        return None
    return _compare_shares(arms) if metric == "lapse_share" else _compare_amounts(arms)


def _tabulate(days: Iterable[DayCounts]) -> _Arms | None:
    table: dict[date, list[list[float]]] = {}
    for counts in days:
        cell = table.setdefault(counts.day, [[0.0] * len(_COLUMNS), [0.0] * len(_COLUMNS)])
        row = cell[counts.arm == "challenger"]
        for place, column in enumerate(_COLUMNS):
            row[place] += getattr(counts, column)
    both = [cell for cell in table.values() if cell[0][0] > 0 and cell[1][0] > 0]
    if not both:
        return None
    cube = np.array(both, dtype=np.float64)
    return _Arms(*(cube[:, :, place] for place in range(len(_COLUMNS))))


def _compare_shares(arms: _Arms) -> Difference | None:
    champion, challenger = arms.count[:, 0], arms.count[:, 1]
    left, gone = arms.events[:, 0], arms.events[:, 1]
    size = champion + challenger
    events = left + gone
    weight = champion * challenger / size
    variance_by_day = weight * events * (size - events) / (size * np.maximum(size - 1, 1))
    # The third central moment of a hypergeometric count.
    third = (
        variance_by_day
        * (size - 2 * challenger)
        * (size - 2 * events)
        / (size * np.maximum(size - 2, 1))
    )
    score = float((challenger * events / size - gone).sum())
    variance = float(variance_by_day.sum())
    if variance <= 0:
        return None
    total = float(weight.sum())
    effect = score / total
    standard_error = _sato_error(champion, challenger, left, gone, size, weight, -effect)
    least = float(np.minimum(champion, challenger) @ (np.minimum(events, size - events) / size))
    return _finish(
        arms, score, variance, -float(third.sum()), total, effect, standard_error, 0.0, least
    )


def _sato_error(
    champion: Floats,
    challenger: Floats,
    left: Floats,
    gone: Floats,
    size: Floats,
    weight: Floats,
    difference: float,
) -> float:
    """Of the Mantel-Haenszel difference challenger - champion (Sato, Biometrics 1989)."""
    first = (
        challenger**2 * left
        - champion**2 * gone
        + champion * challenger * (champion - challenger) / 2
    ) / size**2
    second = (gone * (champion - left) + left * (challenger - gone)) / (2 * size)
    squared = (difference * first.sum() + second.sum()) / weight.sum() ** 2
    return math.sqrt(max(float(squared), 0.0))


def _compare_amounts(arms: _Arms) -> Difference | None:
    theta = _slope(arms)
    count = arms.count
    total = arms.total - theta * arms.covariate
    square = arms.square - 2 * theta * arms.cross + theta**2 * arms.covariate_square
    size = count.sum(axis=1)
    weight = count[:, 0] * count[:, 1] / size
    spread = square.sum(axis=1) - total.sum(axis=1) ** 2 / size
    variance = float((weight * np.maximum(spread, 0) / np.maximum(size - 1, 1)).sum())
    if variance <= 0:
        return None
    third = _third_moment(arms, theta, total.sum(axis=1), square.sum(axis=1))
    score = float((total[:, 1] - count[:, 1] * total.sum(axis=1) / size).sum())
    summed = float(weight.sum())
    within = np.maximum(square - total**2 / count, 0).sum(axis=0)
    freedom = np.maximum((count - 1).sum(axis=0), 1)
    of_arm = within / freedom
    squared = float((weight**2 @ (of_arm / count)).sum()) / summed**2
    return _finish(
        arms, score, variance, third, summed, score / summed, math.sqrt(squared), theta,
        float(count.sum(axis=0).min()),
    )  # fmt: skip


def _third_moment(arms: _Arms, theta: float, total: Floats, square: Floats) -> float:
    """The third central moment of a sum drawn without replacement, over all days."""
    size = arms.count.sum(axis=1)
    cube = (
        arms.cube
        - 3 * theta * arms.square_covariate
        + 3 * theta**2 * arms.covariate_square_cross
        - theta**3 * arms.covariate_cube
    ).sum(axis=1)
    mean = total / size
    central = cube - 3 * mean * square + 3 * mean**2 * total - size * mean**3
    drawn = arms.count[:, 1] * arms.count[:, 0] * (arms.count[:, 0] - arms.count[:, 1])
    ways = size * np.maximum(size - 1, 1) * np.maximum(size - 2, 1)
    return float((drawn * central / ways).sum())


def _slope(arms: _Arms) -> float:
    """CUPED's: within days, over both arms together."""
    size = arms.count.sum(axis=1)
    covariate = arms.covariate.sum(axis=1)
    spread = (arms.covariate_square.sum(axis=1) - covariate**2 / size).sum()
    common = (arms.cross.sum(axis=1) - covariate * arms.total.sum(axis=1) / size).sum()
    return float(common / spread) if spread > 0 else 0.0


def _finish(
    arms: _Arms,
    score: float,
    variance: float,
    third: float,
    weight: float,
    effect: float,
    standard_error: float,
    theta: float,
    least: float,
) -> Difference:
    skewness = third / variance**1.5
    customers = arms.count.sum(axis=0)
    events = arms.events.sum(axis=0)
    return Difference(
        z=_unskew(score / math.sqrt(variance), skewness),
        variance=variance,
        skewness=skewness,
        information=weight**2 / variance,
        effect=effect,
        standard_error=standard_error,
        theta=theta,
        customers=cast(tuple[int, int], tuple(int(n) for n in customers)),
        events=cast(tuple[int, int], tuple(int(n) for n in events)),
        least_expected=least,
    )


def _unskew(z: float, skewness: float) -> float:
    """What a skewed z is worth as a normal one, by Cornish and Fisher; only ever nearer to 0.

    With few customers in the smaller arm one rich one makes a z of 4. Where the long tail lies on
    the other side, z is left as it is, which errs on the side of not deciding.
    """
    if skewness * z <= 0 or abs(z) <= 1 or abs(skewness) < 1e-6:
        return z
    root = 1 + 2 * skewness * z / 3 + skewness**2 / 9
    return 3 / skewness * (math.sqrt(root) - 1)
