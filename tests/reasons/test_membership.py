"""Segments of the past are told from where customers stood among the others then."""

from __future__ import annotations

import numpy as np

from tasks.reasons.membership import learn_membership, rank_features
from tests.reasons.made_up import draw_features


def test_ranks_are_shares_of_the_known() -> None:
    features = np.array([[10.0, np.nan], [30.0, np.nan], [10.0, np.nan], [np.nan, np.nan]])
    ranks = rank_features(features)
    assert ranks[:3, 0].tolist() == [0.5, 1.0, 0.5]
    assert np.isnan(ranks[3, 0])
    assert np.isnan(ranks[:, 1]).all()


def test_a_short_history_does_not_move_everybody_into_one_segment() -> None:
    """All figures were a third then; who was large among them is told large all the same."""
    features = draw_features(600, np.random.default_rng(4))
    segments = (features[:, 1] > 5).astype(np.int64)
    past = learn_membership(features, segments, ("small", "large"), seed=1)
    assert past is not None
    assert past.agreement_share > 0.97
    assert (past.tell(features / 3) == segments).mean() > 0.97
    assert past.tell(features[:0]).tolist() == []


def test_one_segment_is_no_membership() -> None:
    features = draw_features(50, np.random.default_rng(4))
    assert learn_membership(features, np.zeros(50, dtype=np.int64), ("all",), seed=1) is None
