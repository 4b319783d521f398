"""How good a way of grouping is: the same three measures for clusterings and for rules.

separation   silhouette on a sample, in one space for all (`candidates.common_space`);
             Calinski-Harabasz and Davies-Bouldin beside it
stability    mean of three: adjusted Rand index and Jaccard of the groups (Hennig) when it is
             fitted on resamples of the customers, and the adjusted Rand index between what it says
             of the same customers a step earlier, fitted then, and now
usefulness   the share of the differences between customers that the groups explain (eta squared),
             of later churn and of the rank of later spending
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.groups import SegmentsSettings
from tasks.segments.candidates import Labels, Matrix, Segmentation, Unusable, assign_rows
from tasks.segments.data import Evidence

# Fits rows (of all the evidence's columns) with a seed.
Fit = Callable[[Matrix, int], Segmentation]


@dataclass(frozen=True, slots=True)
class Measured:
    """What was fitted, the labels of those it was judged on, and the measures by name."""

    segmentation: Segmentation
    labels: Labels
    values: dict[str, float]

    @property
    def objectives(self) -> tuple[float, float, float]:
        """Separation, stability, usefulness; the more the better."""
        return (self.values["separation"], self.values["stability"], self.values["usefulness"])


def measure(
    fit: Fit,
    train: Evidence,
    judged: Evidence,
    space: Matrix,
    settings: SegmentsSettings,
    *,
    seed: int,
    resamples: int,
    limited: bool,
) -> Measured:
    """Fit on `train` and judge on `judged`, whose rows in the common space are `space`.

    With `limited`, groups outside the business limits raise Unusable; a rule has those it has.
    """
    segmentation = fit(train.matrix, seed)
    labels = assign_rows(judged.matrix, judged.names, segmentation)
    shares = np.bincount(labels) / len(labels)
    if limited:
        check_limits(labels, settings)
    rows = settings.silhouette_rows
    values = _separation(space[:rows], labels[:rows])
    values |= _stability(fit, train, judged, segmentation, labels, seed, resamples)
    values |= usefulness(labels, judged, settings)
    values["groups"] = float(len(np.unique(labels)))
    values["smallest_share"] = float(shares[shares > 0].min())
    return Measured(segmentation, labels, values)


def check_limits(labels: Labels, settings: SegmentsSettings) -> None:
    """Raise Unusable for groups outside the limits of number and size."""
    sizes = np.bincount(labels)
    count = int((sizes > 0).sum())
    if not settings.minimum_groups <= count <= settings.maximum_groups or count < len(sizes):
        raise Unusable(f"{count} groups")
    smallest = sizes.min() / len(labels)
    if smallest < settings.minimum_share:
        raise Unusable(f"a group of {smallest:.1%}")


def usefulness(labels: Labels, judged: Evidence, settings: SegmentsSettings) -> dict[str, float]:
    """Shares of later churn's and spending's differences that the groups explain, and their mean.

    Where nobody's outcome is known, spending counts alone.
    """
    from scipy.stats import rankdata

    known = np.isfinite(judged.churned)
    churn = eta_squared(judged.churned[known], labels[known])
    spending = eta_squared(rankdata(judged.spent), labels)
    weight = settings.churn_weight if known.any() else 0.0
    return {
        "churn_explained": churn,
        "spending_explained": spending,
        "usefulness": weight * churn + (1 - weight) * spending,
    }


def eta_squared(values: NDArray[np.float64], labels: Labels) -> float:
    """The share of the variance of `values` that lies between groups; 0 where there is none."""
    if len(values) < 2:
        return 0.0
    centred = values - values.mean()
    total = float((centred**2).sum())
    if total <= 0:
        return 0.0
    sizes = np.bincount(labels)
    sums = np.bincount(labels, weights=centred)
    between = float((sums[sizes > 0] ** 2 / sizes[sizes > 0]).sum())
    return min(max(between / total, 0.0), 1.0)


def adjusted_rand(one: Labels, other: Labels) -> float:
    """1: the same groups, 0: as by chance."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(one, other))


def jaccard(one: Labels, other: Labels) -> float:
    """Of each group of `one`, the best overlap (both over either) with a group of `other`; mean."""
    table = np.zeros((int(one.max()) + 1, int(other.max()) + 1))
    np.add.at(table, (one, other), 1.0)
    table = table[table.sum(axis=1) > 0]
    either = table.sum(axis=1)[:, None] + table.sum(axis=0)[None, :] - table
    return float((table / either).max(axis=1).mean())


def usefulness_interval(
    one: Labels,
    other: Labels,
    judged: Evidence,
    settings: SegmentsSettings,
    *,
    resamples: int,
    seed: int,
) -> tuple[float, float]:
    """The middle 90 % of the difference in usefulness over resampled customers, one less other."""
    random = np.random.default_rng(seed)
    differences = []
    for _ in range(resamples):
        rows = random.integers(0, len(judged), len(judged))
        drawn = judged.take(rows)
        differences.append(
            usefulness(one[rows], drawn, settings)["usefulness"]
            - usefulness(other[rows], drawn, settings)["usefulness"]
        )
    low, high = np.quantile(differences, (0.05, 0.95))
    return float(low), float(high)


def _separation(space: Matrix, labels: Labels) -> dict[str, float]:
    from sklearn.metrics import (
        calinski_harabasz_score,
        davies_bouldin_score,
        silhouette_score,
    )

    if len(np.unique(labels)) < 2:
        return {"separation": -1.0}
    return {
        "separation": float(silhouette_score(space, labels)),
        "calinski_harabasz": float(calinski_harabasz_score(space, labels)),
        "davies_bouldin": float(davies_bouldin_score(space, labels)),
    }


def _stability(
    fit: Fit,
    train: Evidence,
    judged: Evidence,
    segmentation: Segmentation,
    labels: Labels,
    seed: int,
    resamples: int,
) -> dict[str, float]:
    random = np.random.default_rng(seed)
    rand, overlaps = [], []
    for number in range(resamples):
        rows = random.integers(0, len(train), len(train))
        again = fit(train.matrix[rows], seed + 1 + number)
        other = assign_rows(judged.matrix, judged.names, again)
        rand.append(adjusted_rand(labels, other))
        overlaps.append(jaccard(labels, other))
    values = {"resampled_rand": float(np.mean(rand)), "resampled_jaccard": float(np.mean(overlaps))}
    parts = list(values.values())
    # Too few of both months say nothing of one from the other.
    if train.was_there.sum() >= len(train) // 4 and judged.was_there.any():
        earlier = fit(train.before[train.was_there], seed)
        there = judged.was_there
        then = assign_rows(judged.before[there], judged.names, earlier)
        values["monthly_rand"] = adjusted_rand(then, labels[there])
        parts.append(values["monthly_rand"])
    values["stability"] = float(np.mean(parts))
    return values
