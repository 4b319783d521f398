"""Pictures of a segmentation as plain figures: maps of a sample, heat of profiles, their tree.

A map shows which segments lie near each other. It is no evidence that they are separate: PCA
leaves out what two axes cannot hold, and t-SNE draws islands even where there are none.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.findings import MapPoint
from tasks.segments.profiles import profile_segments

Floats = NDArray[np.float64]

SAMPLE_ROWS = 1_000
# t-SNE with fewer points than this has no neighbourhoods to keep; PCA's places serve for it.
_LEAST_POINTS = 12
_MOST_PERPLEXITY = 30.0
# Half of scikit-learn's default; with a thousand points the picture has long settled.
_ITERATIONS = 500
_MOST_COMPONENTS = 20
# A customer far out would press all the others into a corner.
_MOST_DEVIATIONS = 5.0


@dataclass(frozen=True, slots=True)
class Maps:
    """Points of the sample, heat by segment in the features' order, and the centroids' linkage.

    `heat` is each segment's medians in robust standard deviations from everybody's, 0 where a
    feature has no spread or nobody a value, at most 5 either way. `tree` is SciPy's linkage
    (left, right, distance, size) of the segments in the order of `tree_ids`, empty for one
    segment. `axis_shares` is the part of the variance on PCA's two axes. `seconds` took the maps.
    """

    pca: tuple[MapPoint, ...]
    tsne: tuple[MapPoint, ...]
    heat: dict[str, tuple[float, ...]]
    tree: tuple[tuple[float, float, float, float], ...]
    tree_ids: tuple[str, ...]
    axis_shares: tuple[float, float]
    seconds: dict[str, float]


def draw_maps(
    matrix: ArrayLike,
    feature_names: Sequence[str],
    segment_ids: ArrayLike,
    *,
    seed: int = 0,
    sample_rows: int = SAMPLE_ROWS,
) -> Maps:
    """Maps of at most `sample_rows` customers; the same data and seed give the same points.

    `matrix` (n, p) in the features' own units or already transformed, NaN for NULL (drawn in the
    middle); `segment_ids` (n,). Each segment is in the sample by its share, and once at least.
    Raises DataRejected (65) without customers, or for an infinite value.
    """
    values = np.asarray(matrix, dtype=np.float64)
    ids = np.asarray(segment_ids, dtype=object).reshape(-1).astype(str)
    profile = profile_segments(values, feature_names, ids)
    rows = _sample(ids, sample_rows, seed)
    points = _standardise(values[rows])
    started = time.perf_counter()
    flat, shares = _place_by_pca(points)
    pca_seconds = time.perf_counter() - started
    started = time.perf_counter()
    near = _place_by_tsne(points, flat, seed)
    tsne_seconds = time.perf_counter() - started
    heat = np.clip(np.nan_to_num(profile.deviations), -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
    return Maps(
        pca=_points(flat, ids[rows]),
        tsne=_points(near, ids[rows]),
        heat={key: tuple(map(float, heat[row])) for row, key in enumerate(profile.segment_ids)},
        tree=link_centroids(heat),
        tree_ids=profile.segment_ids,
        axis_shares=shares,
        seconds={"pca": pca_seconds, "tsne": tsne_seconds},
    )


def link_centroids(centroids: Floats) -> tuple[tuple[float, float, float, float], ...]:
    """SciPy's linkage, by Ward, of `centroids` (k, p); empty for fewer than two."""
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import pdist

    if len(centroids) < 2 or centroids.shape[1] == 0:
        return ()
    # Distances, not points: it takes a square table of points for one of distances, and warns.
    rows = linkage(pdist(centroids), method="ward")
    return tuple((float(a), float(b), float(d), float(n)) for a, b, d, n in rows)


def _sample(ids: NDArray[np.str_], most: int, seed: int) -> NDArray[np.int64]:
    """Rows of a sample by segment, in the table's order; one of each at least."""
    if len(ids) <= most:
        return np.arange(len(ids))
    random = np.random.default_rng(seed)
    chosen = []
    for name in np.unique(ids):
        members = np.flatnonzero(ids == name)
        count = max(1, int(most * len(members) / len(ids)))
        chosen.append(random.choice(members, size=count, replace=False))
    return np.sort(np.concatenate(chosen))[:most]


def _standardise(values: Floats) -> Floats:
    """Columns with a spread, skewed ones by their logarithm, mean 0, deviation 1, NaN as 0."""
    columns = []
    for place in range(values.shape[1]):
        column = values[:, place]
        known = column[~np.isnan(column)]
        if len(known) < 2 or known.min() == known.max():
            continue
        low, middle, high = np.quantile(known, [0.05, 0.5, 0.95])
        if high - middle > 3 * (middle - low):
            column = np.sign(column) * np.log1p(np.abs(column))
            known = column[~np.isnan(column)]
        spread = float(np.std(known))
        if spread > 0:
            scaled = np.clip((column - known.mean()) / spread, -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
            columns.append(np.nan_to_num(scaled))
    return np.column_stack(columns) if columns else np.zeros((len(values), 0))


def _place_by_pca(points: Floats) -> tuple[Floats, tuple[float, float]]:
    placed = np.zeros((len(points), 2))
    if not points.size:
        return placed, (0.0, 0.0)
    centred = points - points.mean(axis=0)
    left, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    count = min(2, len(sizes))
    # The sign of an axis is arbitrary; its largest loading is made positive, so that it stays.
    signs = np.sign(axes[np.arange(count), np.argmax(np.abs(axes[:count]), axis=1)])
    placed[:, :count] = left[:, :count] * sizes[:count] * np.where(signs == 0, 1, signs)
    total = float(np.sum(sizes**2))
    shares = [float(size**2) / total if total > 0 else 0.0 for size in sizes[:2]] + [0.0]
    return placed, (shares[0], shares[1])


def _place_by_tsne(points: Floats, flat: Floats, seed: int) -> Floats:
    """scikit-learn's t-SNE from PCA's places; those themselves where there is too little."""
    if len(points) < _LEAST_POINTS or points.shape[1] < 2 or not np.ptp(flat[:, 0]) > 0:
        return flat
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    count = min(_MOST_COMPONENTS, points.shape[1], len(points) - 1)
    reduced = PCA(n_components=count, svd_solver="full").fit_transform(points)
    perplexity = min(_MOST_PERPLEXITY, (len(points) - 1) / 3)
    placed = TSNE(
        n_components=2,
        perplexity=perplexity,
        max_iter=_ITERATIONS,
        init=flat / np.std(flat[:, 0]) * 1e-4,
        random_state=seed,
        n_jobs=1,
    ).fit_transform(reduced)
    return np.asarray(placed, dtype=np.float64)


def _points(places: Floats, ids: NDArray[np.str_]) -> tuple[MapPoint, ...]:
    return tuple(
        MapPoint(x=round(float(x), 4), y=round(float(y), 4), segment_id=str(name))
        for (x, y), name in zip(places, ids, strict=True)
    )
