"""The survival of contracts by hand, by truth, and made to agree with churn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import DataRejected
from tasks.value.tenure import (
    Spells,
    Tenure,
    expect_days,
    find_quantile_days,
    find_strength,
    fit_tenure,
    flat_tenure,
)

FLAT = Tenure(np.zeros(1), np.zeros(1), 0.01, 100, 10)


def spells(entry: list[float], exit_: list[float], ended: list[bool], each: float = 1) -> Spells:
    return Spells(np.array(entry), np.array(exit_), np.array(ended), np.full(len(entry), each))


def test_curve_by_hand() -> None:
    """100 leave at 10 of 200 at risk, 50 of the 100 left at 20."""
    made = fit_tenure(spells([0, 0, 0, 0], [10, 10, 20, 30], [True, True, True, False], each=50))
    assert made.contracts == 200
    assert made.ended == 150
    assert made.stays(np.zeros(1), 10.0)[0] == pytest.approx(0.5)
    assert made.stays(np.zeros(1), 20.0)[0] == pytest.approx(0.25)
    assert made.stays(np.full(1, 10.0), 10.0)[0] == pytest.approx(0.5)
    assert made.daily_hazard == pytest.approx(150 / (100 * 10 + 50 * 20 + 50 * 30))


def test_late_entry_is_no_early_survival() -> None:
    """Those who came late are not at risk before: of 100 seen at age 5, half leave there."""
    made = fit_tenure(spells([0, 0, 90], [5, 20, 100], [True, False, False], each=100))
    assert made.stays(np.zeros(1), 5.0)[0] == pytest.approx(0.5)


@pytest.mark.statistics
def test_a_window_finds_the_true_hazard() -> None:
    random = np.random.default_rng(1)
    start = random.uniform(-3000, 0, 20_000)
    life = random.exponential(400, 20_000)
    end = start + life
    seen = end > -200  # who ended before the window has been forgotten
    entry = np.maximum(-200 - start[seen], 0)
    made = fit_tenure(
        Spells(entry, np.minimum(end[seen], 0) - start[seen], end[seen] < 0, np.ones(seen.sum()))
    )
    ages = np.array([0.0, 100, 500])
    assert made.stays(ages, 100.0) == pytest.approx(np.full(3, np.exp(-0.25)), rel=0.08)
    assert expect_days(made, ages, 100.0) == pytest.approx(
        np.full(3, 400 * (1 - np.exp(-0.25))), rel=0.03
    )


def test_expected_and_quantile_days_of_a_flat_hazard() -> None:
    ages = np.array([0.0, 1000])
    assert expect_days(FLAT, ages, 90) == pytest.approx(
        np.full(2, (1 - np.exp(-0.9)) / 0.01), rel=1e-3
    )
    median = find_quantile_days(FLAT, ages, 365, 0.5)
    assert median == pytest.approx(np.full(2, np.log(2) / 0.01))
    assert find_quantile_days(FLAT, ages, 10, 0.5) == pytest.approx([10, 10])
    assert flat_tenure(FLAT) == FLAT


@given(age=st.floats(0, 5000), churn=st.floats(0, 1), other=st.floats(0, 1), days=st.floats(7, 700))
def test_days_follow_churn(age: float, churn: float, other: float, days: float) -> None:
    curve = Tenure(np.array([0.0, 30, 400]), np.array([0.0, 0.3, 0.5]), 0.002, 100, 50)
    ages, (lower, higher) = np.full(1, age), sorted([churn, other])

    def stay(probability: float) -> float:
        strength = find_strength(curve, ages, 90, np.full(1, probability))
        return float(expect_days(curve, ages, days, strength)[0])

    assert 0 <= stay(higher) <= stay(lower) <= days + 1e-9
    assert stay(1.0) == 0
    assert stay(0.0) == pytest.approx(days)
    told = 1 - float(curve.stays(ages, 90.0)[0])
    assert stay(told) == pytest.approx(float(expect_days(curve, ages, days)[0]), rel=1e-6)
    assert stay(np.nan) == pytest.approx(float(expect_days(curve, ages, days)[0]))
    ninety = find_strength(curve, ages, 90, np.full(1, 0.4))
    left = find_quantile_days(curve, ages, 1000, 0.4, ninety)[0]
    assert left == pytest.approx(90, rel=1e-6)


def test_nothing_has_ended() -> None:
    with pytest.raises(DataRejected, match="no contract has ended"):
        fit_tenure(spells([0.0], [10.0], [False]))
    with pytest.raises(DataRejected, match="no contract has ended"):
        fit_tenure(spells([5.0], [5.0], [True]))


def test_everybody_ends_on_one_day() -> None:
    made = fit_tenure(spells([0.0], [10.0], [True], each=50))
    days = expect_days(made, np.array([0.0, 10.0, 50.0]), 90.0)
    assert np.isfinite(days).all()
    assert (days >= 0).all()
