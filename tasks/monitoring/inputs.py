"""Inputs against those that the champion learnt from: what moved beyond what always moves.

The training's cut-offs differ among themselves: seasons, growth, windows that fill up. So a shift
is judged against the line through theirs, extended to tonight, and against how much they scatter
about it; where there are few, what other inputs scatter lends strength (a moderated t-test, after
Smyth 2004). An input's place is its mean rank among the training's values (0 to 1), which no unit
or outlier can stretch; the share that is missing is looked at in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.monitoring.money import Floats
from tasks.quality import InputProfile

POINTS = 201
# Degrees of freedom that the other inputs lend.
_BORROWED = 4.0
_LEAST_DEVIATION = 0.005
_CUTOFFS_FOR_A_LINE = 5


@dataclass(frozen=True)
class Shift:
    """How an input stands tonight. `rank` and `missing_share` with what the training lets expect.

    `p_value` is the smaller one of both, doubled and not yet adjusted for the number of inputs.
    """

    name: str
    rank: float
    expected_rank: float
    missing_share: float
    expected_missing_share: float
    p_value: float

    @property
    def size(self) -> float:
        """The larger of both shifts, 0 to 1."""
        return max(
            abs(self.rank - self.expected_rank),
            abs(self.missing_share - self.expected_missing_share),
        )


def profile_input(values: Floats, cutoffs: NDArray[np.int64], name: str) -> InputProfile:
    """What is kept of an input of the training: quantiles, and its place at each cut-off.

    `values` (n,), NaN where missing; `cutoffs` (n,) numbers the rows' cut-offs from 0.
    """
    known = values[np.isfinite(values)]
    grid = np.quantile(known, np.linspace(0, 1, POINTS)) if len(known) else np.empty(0)
    ranks, missing = [], []
    for number in range(int(cutoffs.max()) + 1):
        rank, share = place_values(values[cutoffs == number], grid)
        ranks.append(rank)
        missing.append(share)
    return InputProfile(
        name=name, grid=tuple(grid.tolist()), ranks=tuple(ranks), missing_shares=tuple(missing)
    )


def place_values(values: Floats, grid: Floats) -> tuple[float, float]:
    """Mean rank of the known values among the grid's (0.5 if there are none), missing share."""
    known = values[np.isfinite(values)]
    missing = 1 - len(known) / max(1, len(values))
    if not len(known) or not len(grid):
        return 0.5, float(missing)
    low = np.searchsorted(grid, known, side="left")
    high = np.searchsorted(grid, known, side="right")
    return float((low + high).mean() / 2 / len(grid)), float(missing)


def find_shifts(
    profiles: Sequence[InputProfile],
    days: Floats,
    tonight: Mapping[str, Floats],
    tonight_day: float,
) -> list[Shift]:
    """Each input's shift; `days` (cut-offs,) and `tonight_day` are in one unit of time.

    What `tonight` lacks is missing for everybody.
    """
    here = {
        one.name: place_values(tonight.get(one.name, np.full(1, np.nan)), np.asarray(one.grid))
        for one in profiles
    }
    count = max((len(values) for values in tonight.values()), default=1)
    ranks = _test(
        {one.name: np.asarray(one.ranks) for one in profiles},
        {name: found[0] for name, found in here.items()},
        days,
        tonight_day,
        # A mean rank of n independent ranks.
        1 / np.sqrt(12 * count),
    )
    missing = _test(
        {one.name: np.asarray(one.missing_shares) for one in profiles},
        {name: found[1] for name, found in here.items()},
        days,
        tonight_day,
        0.5 / np.sqrt(count),
    )
    return [
        Shift(
            name=one.name,
            rank=here[one.name][0],
            expected_rank=ranks[one.name][0],
            missing_share=here[one.name][1],
            expected_missing_share=missing[one.name][0],
            p_value=min(1.0, 2 * min(ranks[one.name][1], missing[one.name][1])),
        )
        for one in profiles
    ]


def take_back(values: Floats, grid: Floats, missing_share: float) -> Floats:
    """Tonight's values on the training's distribution: each keeps its rank, not its size.

    Where more are missing than used to be, the surplus is filled with the training's median, which
    is as good a guess as any; where fewer are, they stay.
    """
    result = values.copy()
    known = np.isfinite(values)
    if not len(grid):
        return result
    if known.any():
        _, place, counts = np.unique(values[known], return_inverse=True, return_counts=True)
        ends = np.cumsum(counts)
        rank = ((ends - counts / 2) / ends[-1])[place]
        result[known] = np.interp(rank, np.linspace(0, 1, len(grid)), grid)
    surplus = round((1 - known.mean() - missing_share) * len(values))
    if surplus > 0:
        result[np.flatnonzero(~known)[:surplus]] = grid[len(grid) // 2]
    return result


def _test(
    past: Mapping[str, Floats],
    now: Mapping[str, float],
    days: Floats,
    day: float,
    sampling: float,
) -> dict[str, tuple[float, float]]:
    """What each input's past lets expect of now, and the two-sided p-value of what is."""
    from scipy.stats import t

    cutoffs = len(days)
    slope = cutoffs >= _CUTOFFS_FOR_A_LINE
    design = np.column_stack([np.ones(cutoffs), (days - day) if slope else np.zeros(cutoffs)])
    design = design[:, : 2 if slope else 1]
    freedom = max(0, cutoffs - design.shape[1])
    # The value at `day` is the intercept, and this is its variance for errors of variance 1.
    inverse = np.linalg.pinv(design.T @ design)
    leverage = float(inverse[0, 0])
    expected, variance = {}, {}
    for name, values in past.items():
        weights = inverse @ design.T @ values
        expected[name] = float(np.clip(weights[0], 0, 1))
        residual = values - design @ weights
        variance[name] = float(residual @ residual) / freedom if freedom else 0.0
    usual = max(_LEAST_DEVIATION**2, float(np.median(list(variance.values()) or [0.0])))
    found = {}
    for name, value in now.items():
        moderated = (_BORROWED * usual + freedom * variance[name]) / (_BORROWED + freedom)
        error = np.sqrt(moderated * (1 + leverage) + sampling**2)
        statistic = abs(value - expected[name]) / error
        found[name] = (expected[name], float(2 * t.sf(statistic, _BORROWED + freedom)))
    return found
