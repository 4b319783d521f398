"""Taking the top reason away lowers the score, where the reason is what makes them leave."""

from __future__ import annotations

import numpy as np

from tasks.reasons.ablation import ablate, bootstrap_mean, segment_medians
from tasks.reasons.grouping import group_features
from tasks.settings import Settings
from tests.reasons.made_up import BORN, FEATURES, draw_features, leave_probability


def test_the_planted_reason_carries_the_score(settings: Settings) -> None:
    """The true probability stands in for a model: service features out, and it must fall."""
    features = draw_features(800, np.random.default_rng(2))
    features = features[features[:, 2] >= 1]
    grouping = group_features(FEATURES, settings.reasons.drivers, named={}, born=BORN)
    segments = np.arange(len(features)) % 2
    # Medians of a segment that has not complained.
    medians = np.tile(np.nanmedian(draw_features(400, np.random.default_rng(3)), axis=0), (2, 1))
    medians[:, 2:4] = 0.0

    def take_away(driver: str) -> tuple[float, float, float]:
        found = ablate(
            features,
            np.full(len(features), grouping.drivers.index(driver)),
            segments,
            medians,
            grouping,
            leave_probability,
            resamples=400,
            confidence=0.95,
            seed=1,
        )
        assert found is not None
        return found.low, found.change, found.high

    low, change, high = take_away("service")
    assert low < change < high < -0.15
    low, change, high = take_away("price")
    assert low == change == high == 0.0


def test_medians_are_of_the_segment_and_may_be_missing() -> None:
    features = np.array([[1.0, np.nan], [3.0, np.nan], [10.0, 5.0]])
    medians = segment_medians(features, np.array([0, 0, 1]), 3)
    assert medians[0, 0] == 2.0
    assert np.isnan(medians[0, 1])
    assert medians[1].tolist() == [10.0, 5.0]
    assert np.isnan(medians[2]).all()


def test_nobody_with_a_reason_is_no_figure(settings: Settings) -> None:
    grouping = group_features(FEATURES, settings.reasons.drivers, named={}, born=BORN)
    none = np.zeros((0, len(FEATURES)))
    empty = np.zeros(0, dtype=np.int64)
    asked = {"resamples": 50, "confidence": 0.9, "seed": 1}
    medians = np.zeros((1, len(FEATURES)))
    assert ablate(none, empty, empty, medians, grouping, leave_probability, **asked) is None  # type: ignore[arg-type]


def test_the_interval_covers_the_mean() -> None:
    random = np.random.default_rng(8)
    hit = 0
    for seed in range(120):
        low, high = bootstrap_mean(
            random.normal(1.0, 2.0, 80), resamples=200, confidence=0.9, seed=seed
        )
        hit += low <= 1.0 <= high
    assert 0.80 <= hit / 120 <= 0.98
