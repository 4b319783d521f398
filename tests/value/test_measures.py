"""Figures of a contest, by hand and by their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.value.bands import find_bands, find_total_factors, measure_coverage
from tasks.value.judging import figures, judge
from tasks.value.measures import (
    Predictions,
    bias_share,
    captured_share,
    compare_ginis,
    find_deciles,
    mean_error_amount,
    normalised_gini,
)
from tasks.value.rules import discount_factor, last_years_spend, simple_formula

amounts = arrays(np.float64, st.integers(2, 60), elements=st.floats(0, 1e6))


def test_figures_by_hand() -> None:
    observed = np.array([0.0, 10, 30, 60])
    assert captured_share(observed, np.array([1.0, 2, 3, 4]), 0.25) == 0.6
    assert captured_share(observed, np.array([4.0, 3, 2, 1]), 0.01) == 0.0
    assert bias_share(observed, np.array([50.0, 50, 0, 20])) == pytest.approx(0.2)
    assert bias_share(np.zeros(2), np.ones(2)) == 1.0
    assert mean_error_amount(observed, np.zeros(4)) == 25
    assert normalised_gini(observed, observed) == 1.0
    assert normalised_gini(observed, -observed) == pytest.approx(-1.0)
    # Two neighbours change places: 1 less 2 x 20 x 1 of the pairwise differences (20 + ... = 150).
    swapped = normalised_gini(observed, np.array([10.0, 0, 30, 60]))
    assert 0.8 < swapped < 1
    assert find_deciles(observed, observed) == ((0, 0), (10, 10), (30, 30), (60, 60))


@given(amounts)
def test_no_order_is_better_than_the_true_one(observed: np.ndarray) -> None:
    shuffled = np.random.default_rng(1).permutation(observed)
    assert normalised_gini(observed, shuffled) <= 1 + 1e-9
    assert 0 <= captured_share(observed, shuffled, 0.1) <= 1 + 1e-9
    if observed.max() > observed.min():
        assert normalised_gini(observed, observed) in (0.0, pytest.approx(1.0))


def test_a_resample_is_counted_like_its_rows() -> None:
    random = np.random.default_rng(2)
    observed, predicted = random.exponential(size=50), random.exponential(size=50)
    drawn = random.integers(0, 50, 50)
    weights = np.bincount(drawn, minlength=50).astype(np.float64)
    rows = np.repeat(np.arange(50), weights.astype(int))
    assert normalised_gini(observed, predicted, weights) == pytest.approx(
        normalised_gini(observed[rows], predicted[rows])
    )


def test_the_interval_of_a_difference_holds_it() -> None:
    random = np.random.default_rng(3)
    observed = random.exponential(size=800)
    good, bad = observed + random.normal(0, 0.3, 800), observed + random.normal(0, 3, 800)
    low, high = compare_ginis(observed, good, bad, resamples=200, confidence=0.9, seed=1)
    difference = normalised_gini(observed, good) - normalised_gini(observed, bad)
    assert 0 < low < difference < high
    same = compare_ginis(observed, good, good, resamples=50, confidence=0.9, seed=1)
    assert same == (0.0, 0.0)


def contest(model: np.ndarray, rule: np.ndarray, observed: np.ndarray):  # type: ignore[no-untyped-def]
    return judge(
        observed,
        [Predictions("learnt", "model", model), Predictions("simple", "rule", rule)],
        maximum_bias_share=0.5,
        resamples=200,
        confidence=0.9,
        seed=1,
    )


def test_who_is_served() -> None:
    random = np.random.default_rng(4)
    observed = random.exponential(10, size=1000)
    near = np.abs(observed + random.normal(0, 1, 1000))
    far = 0.3 * observed + 0.7 * random.permutation(observed)
    won = contest(near, far, observed)
    assert (won.served, won.contest.served_kind, won.contest.rival) == ("learnt", "model", "simple")
    assert won.contest.low is not None
    assert won.contest.low > 0
    lost = contest(far, near, observed)
    assert (lost.served, lost.contest.served_kind) == ("simple", "rule")
    assert "does not surely rank spend better" in lost.contest.reason
    assert lost.contest.difference > 0
    tied = contest(near, near, observed)
    assert tied.served == "simple"
    off = contest(near * 3, far, observed)
    assert off.served == "simple"
    assert "no model's total came within 50%" in off.contest.reason
    assert figures(won.contenders)["learnt.captured_share_0.1"] > 0.2


def test_nothing_was_spent() -> None:
    served = contest(np.ones(30), np.zeros(30), np.zeros(30))
    assert served.served == "simple"
    assert served.contest.served_figure == 0


def test_next_to_nothing_is_nothing() -> None:
    predicted = np.full(60, 2.3e-313)
    predicted[:3] = 5e-324, 1.0, 3.0
    low, high = find_bands(predicted[::-1], predicted, 30, 0.9).interval(predicted)
    assert np.isfinite(low).all()
    assert np.isfinite(high).all()


@given(amounts, st.integers(2, 30))
def test_intervals_hold_the_expected_and_ascend(predicted: np.ndarray, bands: int) -> None:
    observed = np.random.default_rng(5).permutation(predicted)
    found = find_bands(observed, predicted, bands, 0.9)
    spend = np.sort(np.concatenate([predicted, predicted * 3, [0.0]]))
    low, high = found.interval(spend)
    assert (low <= spend).all()
    assert (high >= spend).all()
    assert (low >= 0).all()
    assert (np.diff(low) >= -1e-6).all()
    assert (np.diff(high) >= -1e-6).all()
    assert (low[spend == 0] == 0).all()
    assert (high[spend == 0] == 0).all()


@pytest.mark.statistics
def test_intervals_cover_what_they_say() -> None:
    random = np.random.default_rng(6)
    predicted = random.exponential(20, 8000)
    observed = predicted * random.exponential(1, 8000) * (random.random(8000) < 0.7)
    # Nobody spends less than nothing: the lower limit of 0 cannot be missed.
    assert 0.9 < measure_coverage(observed, predicted, 20, 0.9, 1) < 0.96
    observed = predicted * random.uniform(0.5, 1.5, 8000)
    assert measure_coverage(observed, predicted, 20, 0.9, 1) == pytest.approx(0.9, abs=0.03)


def test_the_total_widens_with_what_it_was_off() -> None:
    random = np.random.default_rng(7)
    observed = random.exponential(20, 2000)
    down, up = find_total_factors(observed, observed.copy(), 100, 0.9, 1)
    assert down == pytest.approx(1)
    assert up == pytest.approx(1)
    down, up = find_total_factors(observed, observed * 1.3, 100, 0.9, 1)
    assert down < 1 / 1.3
    assert up > 1.3
    assert find_total_factors(np.zeros(3), np.ones(3), 50, 0.9, 1) == (0.0, 1.0)


def test_rules_by_hand() -> None:
    year = last_years_spend(np.array([365.0, 100, 10]), np.array([800.0, 50, 1]), 90)
    assert year == pytest.approx([90, 100, 10])
    formula = simple_formula(
        np.array([100.0, 0]), np.array([4.0, 2]), np.array([360.0, 360]),
        np.array([90.0, 0]), 90, 90.0,
    )  # fmt: skip
    # 25 an order, 4 orders in 360 days, 90 days, and half of it for 90 silent days.
    assert formula == pytest.approx([12.5, 0])


def test_discounting() -> None:
    assert discount_factor(365, 0) == 1
    # Evenly over a year at 10 %: between nothing and all of the discount.
    assert discount_factor(365, 0.1) == pytest.approx(0.1 / -np.log(0.9))
    assert discount_factor(730, 0.1) < discount_factor(365, 0.1) < discount_factor(30, 0.1) < 1
