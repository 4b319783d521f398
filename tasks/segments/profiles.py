"""What the customers of each segment are like, as plain figures: medians and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.errors import DataRejected

Floats = NDArray[np.float64]

# A normal distribution's standard deviation over its median absolute deviation, and its quartiles.
_DEVIATION_OF_MAD = 1.4826
_DEVIATION_OF_QUARTILES = 0.7413


@dataclass(frozen=True, slots=True)
class Profile:
    """Segments by features, shapes (k, p) and (p,); NaN where nobody has a value.

    `ranks` say where a segment's median lies among all customers: 0 lowest, 0.5 in the middle, 1
    highest, equal values counted half; no scale and no outlier changes them. A median that is
    everybody's lies in the middle, however many share it (most return nothing). `spread` is the
    robust standard deviation of all customers, 0 for a constant. `sizes` (k,) are customers.
    """

    segment_ids: tuple[str, ...]
    feature_names: tuple[str, ...]
    sizes: NDArray[np.int64]
    medians: Floats
    ranks: Floats
    overall: Floats
    spread: Floats

    @property
    def deviations(self) -> Floats:
        """Difference of medians in robust standard deviations, NaN where there is no spread."""
        out = np.full(self.medians.shape, np.nan)
        differences = self.medians - self.overall
        deviations: Floats = np.divide(differences, self.spread, out=out, where=self.spread > 0)
        return deviations


def profile_segments(
    matrix: ArrayLike, feature_names: Sequence[str], segment_ids: ArrayLike
) -> Profile:
    """Profile of `matrix` (n, p), NaN for NULL, by `segment_ids` (n,), which come sorted.

    Raises DataRejected (65) as `check_matrix` does.
    """
    values, ids = check_matrix(matrix, feature_names, segment_ids)
    names = tuple(feature_names)
    segments, codes, sizes = np.unique(ids, return_inverse=True, return_counts=True)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(sizes)
    shape = (len(segments), len(names))
    medians, ranks = np.full(shape, np.nan), np.full(shape, np.nan)
    overall, spread = np.full(len(names), np.nan), np.zeros(len(names))
    for place in range(len(names)):
        column = values[:, place]
        known = np.sort(column[~np.isnan(column)])
        if not len(known):
            continue
        overall[place], spread[place] = _measure_spread(known)
        grouped = column[order]
        for row, end in enumerate(ends):
            part = grouped[end - sizes[row] : end]
            part = part[~np.isnan(part)]
            if len(part):
                medians[row, place] = np.median(part)
        below = np.searchsorted(known, medians[:, place], side="left")
        upto = np.searchsorted(known, medians[:, place], side="right")
        rank = np.where(medians[:, place] == overall[place], 0.5, (below + upto) / 2 / len(known))
        ranks[:, place] = np.where(np.isnan(medians[:, place]), np.nan, rank)
    return Profile(
        tuple(str(name) for name in segments),
        names,
        sizes.astype(np.int64),
        medians,
        ranks,
        overall,
        spread,
    )


def check_matrix(
    matrix: ArrayLike, feature_names: Sequence[str], segment_ids: ArrayLike
) -> tuple[Floats, NDArray[np.str_]]:
    """`matrix` (n, p) as float64 and `segment_ids` (n,) as text.

    Raises DataRejected (65) without customers, for an infinite value, or where the shapes do not
    fit together.
    """
    values = np.asarray(matrix, dtype=np.float64)
    ids = np.asarray(segment_ids, dtype=object).reshape(-1).astype(str)
    names = tuple(feature_names)
    if len(ids) == 0:
        raise DataRejected(
            "There are no customers to describe the segments of.",
            next_step="build a feature table with customers, then segment them",
        )
    if values.shape != (len(ids), len(names)):
        raise DataRejected(
            "Features and segments do not fit together.",
            found=f"features {values.shape}, {len(names)} names, {len(ids)} segments",
        )
    infinite = np.isinf(values).any(axis=0)
    if infinite.any():
        raise DataRejected(
            f"The feature '{names[int(np.argmax(infinite))]}' is infinite.",
            next_step="guard the division in its query",
        )
    return values, ids


def _measure_spread(known: Floats) -> tuple[float, float]:
    """Median and robust standard deviation of sorted values; the plain one where half are equal."""
    median = float(np.median(known))
    spread = _DEVIATION_OF_MAD * float(np.median(np.abs(known - median)))
    if spread == 0:
        low, high = np.quantile(known, [0.25, 0.75])
        spread = _DEVIATION_OF_QUARTILES * float(high - low)
    if spread == 0:
        spread = float(np.std(known)) if known[0] != known[-1] else 0.0
    return median, spread
