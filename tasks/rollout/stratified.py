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
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from tasks.rollout.evidence import DayTable
from tasks.rollout.plan import Metric

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pivot:
    """(effect - true effect) / standard error, with error and skewness as the true effect has them.

    With few customers in the smaller arm the error hangs on the effect, and an interval by one
    error misses too often. Falls in the true effect, within its possible values.
    """

    effect: float
    error: Callable[[Floats], Floats]
    skewness: Callable[[Floats], Floats]

    def __call__(self, true: Floats) -> Floats:
        z = (self.effect - true) / self.error(true)
        skewness = self.skewness(true)
        safe = np.where(np.abs(skewness) < 1e-6, 1.0, skewness)
        root = np.maximum(1 + 2 * safe * z / 3 + safe**2 / 9, 0)
        normal: Floats = np.where(np.abs(skewness) < 1e-6, z, 3 / safe * (np.sqrt(root) - 1))
        # Beyond where the correction turns, the plain value goes on falling.
        return np.where(root > 0.05, normal, z)


@dataclass(frozen=True, slots=True)
class Difference:
    """Challenger against champion over all days that have matured customers in both arms.

    `z` is standard normal if the arms do not matter, after `skewness` of the score is taken out;
    `pivot` is what `z` is if the true effect is another than 0; `null_error` is the effect's
    standard error if there is none.
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
    pivot: Pivot = field(compare=False, repr=False)

    @property
    def null_error(self) -> float:
        return 1 / math.sqrt(self.information)

    def effect_at(self, z: float) -> float:
        """The effect that would have had this z."""
        if self.skewness * z > 0 and abs(z) > 1:
            z += self.skewness * (z * z - 1) / 6
        return z * self.null_error


def compare(table: DayTable, metric: Metric) -> Difference | None:
    """The stratified comparison; None while no day has matured customers of both arms.

    Days on which one arm has nobody say nothing of a difference and are left out.
    """
    both = np.all(table["matured"] > 0, axis=1)
    if not np.any(both):
        return None
    days = DayTable(
        days=tuple(day for day, is_there in zip(table.days, list(both), strict=True) if is_there),
        values=table.values[:, both],
    )
    return _compare_shares(days) if metric == "lapse_share" else _compare_amounts(days)


def _compare_shares(table: DayTable) -> Difference | None:
    champion, challenger = table["matured"].T
    left, gone = table["events"].T
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
    pivot = _share_pivot(champion, challenger, float(events.sum()), weight, effect, variance)
    return _finish(
        table,
        score,
        variance,
        -float(third.sum()),
        total,
        effect,
        standard_error,
        0.0,
        least,
        pivot,
    )


def _share_pivot(
    champion: Floats,
    challenger: Floats,
    events: float,
    weight: Floats,
    effect: float,
    variance: float,
) -> Pivot:
    """As of two binomials whose shares are what the events in all and the true effect make them."""
    total = weight.sum()
    first = float((weight**2 / champion).sum() / total**2)
    second = float((weight**2 / challenger).sum() / total**2)
    third_first = float((weight**3 / champion**2).sum() / total**3)
    third_second = float((weight**3 / challenger**2).sum() / total**3)
    size = champion.sum() + challenger.sum()
    part = challenger.sum() / size

    def shares(true: Floats) -> tuple[Floats, Floats]:
        base = np.clip(events / size + true * part, 1e-4, 1 - 1e-4)
        return base, np.clip(base - true, 1e-4, 1 - 1e-4)

    def squared(true: Floats) -> Floats:
        base, other = shares(true)
        return base * (1 - base) * first + other * (1 - other) * second

    # Days differ, so that the pooled share's variance is a little too large: as found without an
    # effect, so with one.
    scale = variance / total**2 / float(squared(np.zeros(1))[0])

    def error(true: Floats) -> Floats:
        found: Floats = np.sqrt(scale * squared(true))
        return found

    def skewness(true: Floats) -> Floats:
        base, other = shares(true)
        third = base * (1 - base) * (1 - 2 * base) * third_first
        third = third - other * (1 - other) * (1 - 2 * other) * third_second
        found: Floats = third / squared(true) ** 1.5
        return found

    return Pivot(effect=effect, error=error, skewness=skewness)


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


def _compare_amounts(table: DayTable) -> Difference | None:
    theta = _slope(table)
    count = table["matured"]
    total = table["amount_sum"] - theta * table["covariate_sum"]
    square = (
        table["amount_square_sum"]
        - 2 * theta * table["cross_sum"]
        + theta**2 * table["covariate_square_sum"]
    )
    size = count.sum(axis=1)
    weight = count[:, 0] * count[:, 1] / size
    spread = square.sum(axis=1) - total.sum(axis=1) ** 2 / size
    variance = float((weight * np.maximum(spread, 0) / np.maximum(size - 1, 1)).sum())
    if variance <= 0:
        return None
    third = _third_moment(table, theta, total.sum(axis=1), square.sum(axis=1))
    # Of each day, the challenger's sum beyond its share.
    scores = total[:, 1] - count[:, 1] * total.sum(axis=1) / size
    score = float(scores.sum())
    summed = float(weight.sum())
    within = np.maximum(square - total**2 / count, 0).sum(axis=0)
    freedom = np.maximum((count - 1).sum(axis=0), 1)
    of_arm = within / freedom
    squared = float((weight**2 @ (of_arm / count)).sum()) / summed**2
    # Taken away from the challenger's amounts, a true effect changes the spread by a parabola.
    by_day = weight / np.maximum(size - 1, 1)
    slope, bend = float(by_day @ scores), float(by_day @ weight)
    least_error = math.sqrt(squared)

    def error(true: Floats) -> Floats:
        spread = np.maximum(variance - 2 * true * slope + true**2 * bend, 0)
        return np.maximum(np.sqrt(spread) / summed, least_error)

    def skewness(true: Floats) -> Floats:
        return np.full_like(true, third / variance**1.5)

    pivot = Pivot(effect=score / summed, error=error, skewness=skewness)
    return _finish(
        table, score, variance, third, summed, score / summed, math.sqrt(squared), theta,
        float(count.sum(axis=0).min()), pivot,
    )  # fmt: skip


def _third_moment(table: DayTable, theta: float, total: Floats, square: Floats) -> float:
    """The third central moment of a sum drawn without replacement, over all days."""
    size = table["matured"].sum(axis=1)
    cube = (
        table["amount_cube_sum"]
        - 3 * theta * table["amount_square_covariate_sum"]
        + 3 * theta**2 * table["amount_covariate_square_sum"]
        - theta**3 * table["covariate_cube_sum"]
    ).sum(axis=1)
    mean = total / size
    central = cube - 3 * mean * square + 3 * mean**2 * total - size * mean**3
    drawn = (
        table["matured"][:, 1]
        * table["matured"][:, 0]
        * (table["matured"][:, 0] - table["matured"][:, 1])
    )
    ways = size * np.maximum(size - 1, 1) * np.maximum(size - 2, 1)
    return float((drawn * central / ways).sum())


def _slope(table: DayTable) -> float:
    """CUPED's: within days, over both arms together."""
    size = table["matured"].sum(axis=1)
    covariate = table["covariate_sum"].sum(axis=1)
    spread = (table["covariate_square_sum"].sum(axis=1) - covariate**2 / size).sum()
    common = (
        table["cross_sum"].sum(axis=1) - covariate * table["amount_sum"].sum(axis=1) / size
    ).sum()
    return float(common / spread) if spread > 0 else 0.0


def _finish(
    table: DayTable,
    score: float,
    variance: float,
    third: float,
    weight: float,
    effect: float,
    standard_error: float,
    theta: float,
    least: float,
    pivot: Pivot,
) -> Difference:
    skewness = third / variance**1.5
    customers = table["matured"].sum(axis=0)
    events = table["events"].sum(axis=0)
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
        pivot=pivot,
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
