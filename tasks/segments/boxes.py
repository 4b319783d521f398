"""The box of feature space that holds one group best: at most so many sides, found by a beam."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]
# Feature -> (first bin, last bin, with those who have no value); first > last: no bin at all.
Box = dict[int, tuple[int, int, bool]]

_MOST_BINS = 96
_BEAM = 8
_MOST_STEPS = 40
_LEAST_GAIN = 1e-9


@dataclass(frozen=True, slots=True)
class Binned:
    """Every feature cut into bins of neighbouring values.

    `bins` (n, p): the bin, or the number of bins where there is no value. `lows` and `highs` are
    the smallest and the largest value of each bin that a customer has.
    """

    bins: Indices
    lows: tuple[Floats, ...]
    highs: tuple[Floats, ...]
    missing: tuple[bool, ...]


def bin_features(values: Floats, most_bins: int = _MOST_BINS) -> Binned:
    """Bins of about equal numbers of customers; a value of its own where there are few.

    Equal values share a bin. `values` (n, p) with NaN for no value.
    """
    rows, features = values.shape
    bins = np.zeros((rows, features), dtype=np.int64)
    lows, highs, missing = [], [], []
    for feature in range(features):
        column = values[:, feature]
        known = np.sort(column[~np.isnan(column)])
        distinct = known[np.concatenate([[True], known[1:] != known[:-1]])] if len(known) else known
        tops = distinct
        if len(distinct) > most_bins:
            places = np.linspace(0, len(known) - 1, most_bins + 1)[1:].round().astype(np.int64)
            tops = np.unique(known[places])
        place = np.searchsorted(tops, column, side="left")
        bins[:, feature] = np.where(np.isnan(column), len(tops), place)
        highs.append(tops)
        # The smallest value above the bin before.
        starts = np.concatenate([[0], np.searchsorted(distinct, tops[:-1], side="right")])
        lows.append(distinct[starts] if len(distinct) else distinct)
        missing.append(len(known) < rows)
    return Binned(bins, tuple(lows), tuple(highs), tuple(missing))


def harmonic_share(chosen: Flags, members: Flags) -> float:
    """Harmonic mean of precision and recall of `chosen`; 0 where nobody is."""
    both = int(np.count_nonzero(chosen)) + int(np.count_nonzero(members))
    return 2 * int(np.count_nonzero(chosen & members)) / both if both else 0.0


def find_box(binned: Binned, members: Flags, most_sides: int) -> Box:
    """The box of at most `most_sides` features with the best harmonic share for `members` (n,)."""
    features = [f for f in range(binned.bins.shape[1]) if _varies(binned, f)]
    everybody = harmonic_share(np.ones(len(members), dtype=bool), members)
    states: list[tuple[float, Box]] = [(everybody, {})]
    best = states[0]
    for _ in range(_MOST_STEPS):
        found: dict[tuple[tuple[int, tuple[int, int, bool]], ...], float] = {}
        for share, box in states:
            for feature in features:
                if feature in box or len(box) < most_sides:
                    moved, moved_share = _move(binned, members, box, feature, share)
                    found[tuple(sorted(moved.items()))] = moved_share
        ranked = sorted(found.items(), key=lambda one: (-one[1], len(one[0]), one[0]))[:_BEAM]
        if not ranked or ranked[0][1] <= best[0] + _LEAST_GAIN:
            break
        states = [(share, dict(sides)) for sides, share in ranked]
        best = states[0]
    return best[1]


def _varies(binned: Binned, feature: int) -> bool:
    return len(binned.highs[feature]) + binned.missing[feature] > 1


def _move(
    binned: Binned, members: Flags, box: Box, feature: int, share: float
) -> tuple[Box, float]:
    """The box with the best interval of one feature, all other sides as they are.

    2·hits / (chosen + members) exceeds `share` exactly where the sum over the chosen of
    (2 - share) for a member and -share for another exceeds share·members, so the best interval is
    the run of bins with the greatest sum.
    """
    others = {f: side for f, side in box.items() if f != feature}
    free = _inside(binned, others)
    count = len(binned.highs[feature])
    bins = binned.bins[free, feature]
    hits = np.bincount(bins[members[free]], minlength=count + 1)
    chosen = np.bincount(bins, minlength=count + 1)
    sums = 2.0 * hits - share * chosen
    low, high = _greatest_run(sums[:count])
    nulls = bool(binned.missing[feature] and sums[count] > 0)
    if nulls and count and float(sums[low : high + 1].sum()) <= 0:
        low, high = 0, -1
    if count == 0:
        low, high, nulls = 0, -1, True
    taken, right = int(chosen[low : high + 1].sum()), int(hits[low : high + 1].sum())
    if nulls:
        taken, right = taken + int(chosen[count]), right + int(hits[count])
    size = int(np.count_nonzero(members))
    moved_share = 2 * right / (taken + size)
    if low == 0 and high == count - 1 and (nulls or not binned.missing[feature]):
        return others, moved_share
    return {**others, feature: (low, high, nulls)}, moved_share


def _inside(binned: Binned, box: Box) -> Flags:
    inside = np.ones(binned.bins.shape[0], dtype=bool)
    for feature, (low, high, nulls) in box.items():
        bins = binned.bins[:, feature]
        within = (bins >= low) & (bins <= high)
        if nulls:
            within |= bins == len(binned.highs[feature])
        inside &= within
    return inside


def _greatest_run(sums: Floats) -> tuple[int, int]:
    """First and last place of the run with the greatest sum; the first of equal ones."""
    if not len(sums):
        return 0, -1
    best, run, start, found = -np.inf, 0.0, 0, (0, 0)
    for place, value in enumerate(sums.tolist()):
        if run <= 0:
            run, start = value, place
        else:
            run += value
        if run > best:
            best, found = run, (start, place)
    return found
