"""Ways to group customers: six methods, each over features prepared as a setting says.

Whatever the method, what comes out is a `segmentation`: plain values from which
`model_code.assign` puts any customer into a group, so that the search, the nightly assignment and
MLflow's pyfunc give the same answer. Methods that cannot assign new customers by themselves
(Ward's hierarchy, density) hand out points, each with its group; the nearest point decides.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.groups import Method, SegmentFeature, SegmentsSettings
from tasks.segments.model_code import FORMAT, assign, prepare

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]
Segmentation = dict[str, Any]
Scaling = Literal["standard", "robust", "rank"]
SCALINGS: tuple[Scaling, ...] = ("standard", "robust", "rank")

# Further out than so many deviations a value says no more, and would make a group of its own.
_LIMIT = 4.0
_KNOTS = 41
# A normal distribution's quartiles lie this far apart, in standard deviations.
_QUARTILE_DISTANCE = 1.349
# Points that stand for one dense group.
_DENSE_POINTS = 12
_REGULARISATION = 1e-3
# Of several starts the best is kept: fewer, and resamples end in other places.
_STARTS = 8


@dataclass(frozen=True, slots=True)
class Setting:
    """One point of the search; `dimensions` 0: no projection. `diagonal` is of mixtures alone."""

    method: Method
    feature_set: str
    feature_names: tuple[str, ...]
    scaling: Scaling
    logarithm: bool
    dimensions: int
    groups: int
    diagonal: bool = False

    def params(self) -> dict[str, float | int | str]:
        """As MLflow shows it."""
        shown = asdict(self)
        shown["feature_names"] = ", ".join(self.feature_names)
        return shown

    def describe(self) -> str:
        """`K-means, 6 groups, 5 features (pace), ranks, 3 dimensions`."""
        words = [f"{self.groups} groups", f"{len(self.feature_names)} features"]
        words[1] += f" ({self.feature_set})"
        words.append({"standard": "standardised", "robust": "robust scale", "rank": "ranks"}[
            self.scaling
        ])  # fmt: skip
        if self.logarithm:
            words.append("logarithms")
        if self.dimensions:
            words.append(f"{self.dimensions} principal components")
        return f"{METHOD_NAMES[self.method]}, {', '.join(words)}"


METHOD_NAMES: dict[Method, str] = {
    "kmeans": "K-means",
    "minibatch": "mini-batch K-means",
    "bisecting": "bisecting K-means",
    "mixture": "Gaussian mixture",
    "ward": "Ward's hierarchy",
    "density": "density (HDBSCAN)",
}


class Unusable(Exception):
    """A setting that gives no groups within the limits; its text says why."""


def fit_setting(
    matrix: Matrix, names: Sequence[str], setting: Setting, settings: SegmentsSettings, seed: int
) -> Segmentation:
    """Group the rows of `matrix` (rows, names; NaN for missing) as the setting says.

    Raises Unusable where the method finds no such groups.
    """
    places = [list(names).index(name) for name in setting.feature_names]
    chosen = matrix[:, places]
    segmentation: Segmentation = {
        "format": FORMAT,
        "method": setting.describe(),
        "feature_names": list(setting.feature_names),
        "prepare": [
            _learn_column(
                chosen[:, place], settings.features[name], setting.scaling, setting.logarithm
            )
            for place, name in enumerate(setting.feature_names)
        ],
        "project": None,
    }
    rows = prepare(chosen, segmentation)
    if 0 < setting.dimensions < rows.shape[1]:
        segmentation["project"] = _learn_projection(rows, setting.dimensions)
        rows = prepare(chosen, segmentation)
    if len(np.unique(rows, axis=0)) < 2 * setting.groups:
        raise Unusable("too few customers differ")
    segmentation["assign"] = _METHODS[setting.method](rows, setting, settings, seed)
    return segmentation


def assign_rows(matrix: Matrix, names: Sequence[str], segmentation: Segmentation) -> Labels:
    """The label of each row of a matrix that has at least the segmentation's features."""
    places = [list(names).index(name) for name in segmentation["feature_names"]]
    labels: Labels = assign(matrix[:, places], segmentation)
    return labels


def common_space(matrix: Matrix, names: Sequence[str], settings: SegmentsSettings) -> Matrix:
    """One space for all candidates and rules, in which separation is measured.

    A silhouette in a candidate's own space would praise whoever throws most away.
    """
    declared = [name for name in names if name in settings.features]
    places = [list(names).index(name) for name in declared]
    learnt = [
        _learn_column(matrix[:, place], settings.features[name], "standard", True)
        for place, name in zip(places, declared, strict=True)
    ]
    prepared: Matrix = prepare(matrix[:, places], {"prepare": learnt, "project": None})
    return prepared


def learn_fill(column: Matrix, feature: SegmentFeature) -> float:
    """What stands for a missing value of this column."""
    known = column[np.isfinite(column)]
    if feature.fill == "zero" or not len(known):
        return 0.0
    return float(np.median(known) if feature.fill == "median" else known.max())


def _learn_column(
    column: Matrix, feature: SegmentFeature, scaling: Scaling, logarithm: bool
) -> Mapping[str, Any]:
    fill = learn_fill(column, feature)
    values = np.where(np.isfinite(column), column, fill)
    # Ranks are the same of a logarithm.
    use_log = logarithm and feature.skewed and scaling != "rank"
    if use_log:
        values = np.sign(values) * np.log1p(np.abs(values))
    how: dict[str, Any] = {"fill": fill, "log": use_log}
    if scaling == "rank":
        shares = np.linspace(0, 1, _KNOTS)
        knots, inverse = np.unique(np.quantile(values, shares), return_inverse=True)
        ranks = np.bincount(inverse, weights=shares) / np.bincount(inverse)
        # A uniform distribution's deviation is 1/sqrt(12): all columns weigh alike.
        scaled = (ranks - 0.5) * np.sqrt(12.0)
        return how | {"kind": "rank", "knots": knots.tolist(), "ranks": scaled.tolist()}
    if scaling == "robust":
        low, centre, high = np.quantile(values, (0.25, 0.5, 0.75))
        scale = (high - low) / _QUARTILE_DISTANCE or float(values.std())
    else:
        centre, scale = values.mean(), values.std()
    return how | {
        "kind": "linear",
        "centre": float(centre),
        "scale": float(scale) if scale > 0 else 1.0,
        "limit": _LIMIT,
    }


def _learn_projection(rows: Matrix, dimensions: int) -> dict[str, Any]:
    mean = rows.mean(axis=0)
    _, _, axes = np.linalg.svd(rows - mean, full_matrices=False)
    kept = axes[:dimensions]
    # The sign of an axis is free; this one does not depend on the machine.
    signs = np.sign(kept[np.arange(len(kept)), np.abs(kept).argmax(axis=1)])
    return {"mean": mean.tolist(), "components": (kept * signs[:, None]).tolist()}


# --- methods: rows of the prepared space -> the `assign` of a segmentation --------------------


def _nearest(points: Matrix, groups: Labels | None = None) -> dict[str, Any]:
    labels = np.arange(len(points)) if groups is None else groups
    return {"kind": "nearest", "points": points.tolist(), "groups": [int(g) for g in labels]}


def _fit_kmeans(
    rows: Matrix, setting: Setting, _settings: SegmentsSettings, seed: int
) -> dict[str, Any]:
    from sklearn.cluster import KMeans

    found = KMeans(setting.groups, n_init=_STARTS, random_state=seed).fit(rows)
    return _nearest(found.cluster_centers_)


def _fit_minibatch(
    rows: Matrix, setting: Setting, _settings: SegmentsSettings, seed: int
) -> dict[str, Any]:
    from sklearn.cluster import MiniBatchKMeans

    found = MiniBatchKMeans(setting.groups, n_init=_STARTS, random_state=seed, batch_size=1024).fit(
        rows
    )
    return _nearest(found.cluster_centers_)


def _fit_bisecting(
    rows: Matrix, setting: Setting, _settings: SegmentsSettings, seed: int
) -> dict[str, Any]:
    from sklearn.cluster import BisectingKMeans

    found = BisectingKMeans(setting.groups, n_init=2, random_state=seed).fit(rows)
    return _nearest(found.cluster_centers_)


def _fit_mixture(
    rows: Matrix, setting: Setting, _settings: SegmentsSettings, seed: int
) -> dict[str, Any]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    with warnings.catch_warnings():
        # A mixture that has not settled is judged like any other: by its stability.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = GaussianMixture(
            setting.groups,
            covariance_type="diag" if setting.diagonal else "full",
            reg_covar=_REGULARISATION,
            max_iter=60,
            random_state=seed,
        ).fit(rows)
    roots = found.precisions_cholesky_
    if setting.diagonal:
        roots = np.stack([np.diag(row) for row in roots])
    return {
        "kind": "mixture",
        "weights": found.weights_.tolist(),
        "means": found.means_.tolist(),
        "roots": roots.tolist(),
    }


def _fit_ward(
    rows: Matrix, setting: Setting, settings: SegmentsSettings, seed: int
) -> dict[str, Any]:
    from sklearn.cluster import AgglomerativeClustering, KMeans

    distinct = len(np.unique(rows, axis=0))
    micro = min(settings.micro_groups, distinct // 2)
    if micro < setting.groups:
        raise Unusable("too few customers differ")
    points = KMeans(micro, n_init=1, random_state=seed).fit(rows).cluster_centers_
    return _nearest(points, AgglomerativeClustering(setting.groups).fit(points).labels_)


def _fit_density(
    rows: Matrix, setting: Setting, settings: SegmentsSettings, seed: int
) -> dict[str, Any]:
    from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans

    sample = rows[: settings.density_rows]
    least = max(5, int(settings.minimum_share * len(sample)))
    labels = np.full(len(sample), -1)
    # The surest places first; where they are too few, those that they are made of.
    for choice in ("eom", "leaf"):
        labels = (
            HDBSCAN(
                min_cluster_size=least,
                min_samples=max(3, least // 4),
                cluster_selection_method=choice,
                copy=True,
            )
            .fit(sample)
            .labels_
        )
        if labels.max() + 1 >= settings.minimum_groups:
            break
    count = int(labels.max()) + 1
    if count < settings.minimum_groups:
        raise Unusable(f"{count} dense places")
    noise = float((labels < 0).mean())
    if noise > settings.maximum_noise_share:
        raise Unusable(f"{noise:.0%} of the customers in no dense place")
    points, groups = [], []
    for label in range(count):
        members = sample[labels == label]
        distinct = len(np.unique(members, axis=0))
        found_points = (
            KMeans(min(_DENSE_POINTS, distinct), n_init=1, random_state=seed)
            .fit(members)
            .cluster_centers_
        )
        points.append(found_points)
        groups += [label] * len(found_points)
    if count > setting.groups:
        # More dense places than groups are wanted: those that lie nearest go together.
        centres = np.stack([sample[labels == label].mean(axis=0) for label in range(count)])
        merged = AgglomerativeClustering(setting.groups).fit(centres).labels_
        groups = [int(merged[label]) for label in groups]
    return _nearest(np.concatenate(points), np.array(groups))


_METHODS = {
    "kmeans": _fit_kmeans,
    "minibatch": _fit_minibatch,
    "bisecting": _fit_bisecting,
    "mixture": _fit_mixture,
    "ward": _fit_ward,
    "density": _fit_density,
}
