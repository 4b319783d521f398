"""Which segment a customer is in tonight, and in which those of earlier cut-offs would have been.

Tonight's segments hold nobody who has left; to follow the customers of a past cut-off by segment
without looking at what became of them, a tree learns tonight's membership from the features and
tells theirs from what was known of them then. It sees where a customer stands among the others of
the same cut-off, not the figures: early in a history everybody's are small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
EVERYBODY = "all"
_DEPTH = 10
_LEAST_LEAF = 10


@dataclass(frozen=True)
class PastMembership:
    """A tree that tells segments; it puts `agreement_share` of held-out customers right."""

    segment_ids: tuple[str, ...]
    tree: object
    agreement_share: float

    def tell(self, features: Floats) -> NDArray[np.int64]:
        """Places in `segment_ids`, shape (rows,). The rows are all customers of one cut-off."""
        if not len(features):
            return np.zeros(0, dtype=np.int64)
        found: NDArray[np.int64] = np.asarray(
            self.tree.predict(rank_features(features)),  # type: ignore[attr-defined]
            dtype=np.int64,
        )
        return found


def rank_features(features: Floats) -> Floats:
    """Each column as the share of its known values that are no greater, ties in their middle."""
    from scipy.stats import rankdata

    ranks = np.full(features.shape, np.nan)
    for place in range(features.shape[1]):
        known = np.flatnonzero(~np.isnan(features[:, place]))
        if len(known):
            ranks[known, place] = rankdata(features[known, place]) / len(known)
    return ranks


def learn_membership(
    features: Floats, segments: NDArray[np.int64], segment_ids: tuple[str, ...], seed: int
) -> PastMembership | None:
    """Learn tonight's segments from tonight's features; None where there is only one."""
    from sklearn.tree import DecisionTreeClassifier

    if len(np.unique(segments)) < 2:
        return None

    ranks = rank_features(features)

    def make() -> DecisionTreeClassifier:
        return DecisionTreeClassifier(
            max_depth=_DEPTH, min_samples_leaf=_LEAST_LEAF, random_state=seed
        )

    held_out = np.random.default_rng(seed).random(len(features)) < 0.25
    agreement = 0.0
    if held_out.any() and not held_out.all():
        tried = make().fit(ranks[~held_out], segments[~held_out])
        agreement = float((tried.predict(ranks[held_out]) == segments[held_out]).mean())
    return PastMembership(segment_ids, make().fit(ranks, segments), agreement)
