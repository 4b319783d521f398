"""Qini curves: chance is nothing, truth is its area, and intervals cover it."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.incrementality import LearnerSettings
from tasks.uplift.learners import cross_fit
from tasks.uplift.qini import STEPS, area_over_chance, draw_curves, weigh_arms


def make_arms(
    subjects: int, seed: int, share: float = 0.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(score, treated, benefit): a contact adds the score to a chance of one half."""
    generator = np.random.default_rng(seed)
    score = generator.uniform(-0.4, 0.4, subjects)
    treated = generator.random(subjects) < share
    benefit = (generator.random(subjects) < 0.5 + score * treated).astype(np.float64)
    return score, treated, benefit


def draw(score: np.ndarray, treated: np.ndarray, benefit: np.ndarray, resamples: int = 100):  # type: ignore[no-untyped-def]
    people = np.arange(len(score))
    lots = np.zeros(len(score), dtype=np.int64)
    return draw_curves({"one": score}, benefit, treated, lots, people, resamples=resamples, seed=3)[
        "one"
    ]


def test_the_curve_of_a_true_ranking() -> None:
    """Of uniform effects from -0.4 to 0.4 the first x bring x (0.4 - 0.4 x): an area of 0.4 / 6."""
    curve = draw(*make_arms(60_000, 1), resamples=50)
    shares = np.linspace(0, 1, STEPS + 1)
    assert np.abs(curve.gains - shares * (0.4 - 0.4 * shares)).max() < 0.012
    assert curve.qini == pytest.approx(0.4 / 6, abs=0.006)
    assert curve.at(0.25)[0] == pytest.approx(0.075, abs=0.01)
    assert curve.at(1.0)[0] == pytest.approx(curve.gains[-1])


def test_chance_and_one_score_for_all_are_nothing() -> None:
    score, treated, benefit = make_arms(20_000, 2)
    shuffled = np.random.default_rng(9).permutation(score)
    for ranking in (shuffled, np.zeros(len(score))):
        curve = draw(ranking, treated, benefit)
        low, high = np.quantile(curve.qinis, [0.005, 0.995])
        assert low < 0 < high
        assert abs(curve.qini) < 0.01


def test_a_reversed_ranking_is_as_bad_as_it_was_good() -> None:
    score, treated, benefit = make_arms(20_000, 4)
    assert draw(-score, treated, benefit).qini == pytest.approx(
        -draw(score, treated, benefit).qini, abs=0.004
    )


@pytest.mark.statistics
def test_intervals_cover_the_truth() -> None:
    """80 trials of 1,200 customers: the 90 % interval of the Qini holds the true area."""
    covered = 0
    for seed in range(80):
        curve = draw(*make_arms(1200, 100 + seed, share=0.7), resamples=120)
        low, high = np.quantile(curve.qinis, [0.05, 0.95])
        covered += low <= 0.4 / 6 <= high
    assert 65 <= covered <= 79


def test_lots_weigh_by_their_own_shares() -> None:
    treated = np.array([True, True, True, False, True, False, True])
    lots = np.array([0, 0, 0, 0, 1, 1, 2])
    assert weigh_arms(treated, lots).tolist() == pytest.approx([4 / 3] * 3 + [4, 2, 2, 0])


def test_an_area_by_hand() -> None:
    gains = np.array([[0.0, 1.0, 1.0]])
    assert area_over_chance(gains).tolist() == pytest.approx([0.25])


def test_no_row_is_predicted_by_a_model_that_saw_its_customer() -> None:
    """Each customer's outcome is an own secret that features name: only a leak could tell it."""
    generator = np.random.default_rng(11)
    people = np.repeat(np.arange(150), 4)
    secret = generator.permutation(np.repeat([0.0, 1.0], 75))[people]
    features = people[:, None].astype(np.float64)
    treated = generator.random(600) < 0.5
    settings = LearnerSettings(trees=60, num_leaves=63, min_data_in_leaf=2, lambda_l2=0.0)
    found = cross_fit(features, secret, treated, people, settings, folds=3, seed=1, binary=True)
    assert set(found) == {"t_learner", "x_learner", "with_contact", "without_contact"}
    told = found["without_contact"]
    assert abs(np.corrcoef(told, secret)[0, 1]) < 0.25
    again = cross_fit(features, secret, treated, people, settings, folds=3, seed=1, binary=True)
    assert all((found[name] == again[name]).all() for name in found)
