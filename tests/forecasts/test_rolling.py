"""The contest by rolling origin, and intervals that hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.forecasts import rolling
from tasks.forecasts.methods import LEAST_VALUES
from tasks.forecasts.rolling import Forecast, forecast


def carry_on(values: np.ndarray, ahead: int = 4, season: int = 52, origins: int = 6) -> Forecast:
    return forecast(values, ahead, season, origins=origins, confidence=0.9, minimum_gain_share=0.05)


def test_errors_are_scaled_as_by_hand() -> None:
    values = np.array([5.0, 7, 4, 8, 6, 9, 3, 8, 7, 5, 9, 6, 8, 4, 7])
    found = carry_on(values, ahead=2, origins=4)
    # Origins see 10 to 13 values; each looks two ahead.
    missed = [
        abs(values[place + step] - values[place - 1]) for place in range(10, 14) for step in (0, 1)
    ]
    scale = np.mean(np.abs(np.diff(values[:10])))
    assert found.errors["naive"] == pytest.approx(np.mean(missed) / scale)
    assert found.checked_values == 8
    assert "seasonal_naive" not in found.errors


def test_a_trend_is_told_by_a_model() -> None:
    random = np.random.default_rng(3)
    values = 100 + 2.0 * np.arange(40) + random.normal(size=40)
    found = carry_on(values)
    assert found.contest.served_kind == "model"
    assert found.contest.difference < 0
    assert found.contest.served_figure == min(found.errors.values())
    assert found.mean[-1] > values[-1]


def test_a_year_that_repeats_is_told_by_the_rule() -> None:
    year = np.array([3.0, 4, 9, 2, 7, 12, 11, 5, 6, 14, 20, 35])
    values = np.tile(year, 3) * 10
    found = carry_on(values, season=12, origins=5)
    assert (found.contest.served, found.contest.served_kind) == ("seasonal_naive", "rule")
    assert found.mean == pytest.approx(values[:4])
    assert found.high - found.low == pytest.approx(np.zeros(4))


def test_a_model_that_is_hardly_better_is_not_served() -> None:
    errors = {"naive": 1.0, "exponential_smoothing": 0.96, "arima": 1.2}
    kept = rolling._hold_contest(errors, 20, 0.05)
    assert (kept.served, kept.rival, kept.served_kind) == ("naive", "exponential_smoothing", "rule")
    assert rolling._hold_contest(errors, 20, 0.03).served == "exponential_smoothing"


@pytest.mark.parametrize("level", [0.0, 7.5, -3.0, 1e12])
def test_a_constant_is_carried_on_by_the_rule(level: float) -> None:
    found = carry_on(np.full(20, level))
    assert found.contest.served == "naive"
    assert "no model" in found.contest.reason
    assert found.mean == pytest.approx(np.full(4, level))
    assert found.errors == {"naive": 0.0}


def test_no_method_sees_what_came_after() -> None:
    random = np.random.default_rng(4)
    values = np.cumsum(random.normal(size=30)) + 50
    places = [20, 22]
    changed = values.copy()
    changed[22:] += 100
    told, _ = rolling._tell_the_past(values, places, 3, 12)
    other, _ = rolling._tell_the_past(changed, places, 3, 12)
    assert set(told) == {"naive", "seasonal_naive", "exponential_smoothing", "arima"}
    for name, past in told.items():
        for one, two in zip(past, other[name], strict=True):
            assert one == pytest.approx(two), name


def test_origins_look_the_whole_way_where_history_allows() -> None:
    assert rolling._choose_origins(40, 8, 5) == [28, 29, 30, 31, 32]
    assert rolling._choose_origins(16, 8, 5) == [11, 12, 13, 14, 15]
    assert rolling._choose_origins(12, 8, 8) == [10, 11]


@settings(max_examples=8, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([0.0, 1.0, 1.0, -1.0, 1e9]),
            st.floats(-1e6, 1e6, allow_nan=False),
        ),
        min_size=12,
        max_size=24,
    )
)
def test_any_series_is_carried_on_without_a_warning(values: list[float]) -> None:
    found = carry_on(np.array(values), origins=2)
    assert np.isfinite(found.mean).all()
    assert (found.low <= found.mean).all()
    assert (found.mean <= found.high).all()
    assert 0 <= found.coverage_share <= 1
    assert all(np.isfinite(error) for error in found.errors.values())
    assert len(values) >= LEAST_VALUES


@pytest.mark.statistics
def test_intervals_hold_what_comes() -> None:
    """90 % intervals of 60 short walks hold at least 80 % of what comes next (made to hold 90)."""
    random = np.random.default_rng(5)
    inside = []
    for _ in range(60):
        walk = 200 + np.cumsum(random.normal(size=36))
        missed = [
            walk[place : place + 4] - walk[place - 1] for place in rolling._choose_origins(32, 4, 8)
        ]
        spread, *_ = rolling._find_spread([one[: 32 - 28] for one in missed], 4, 0.9)
        truth = walk[32:]
        inside += (np.abs(truth - walk[31]) <= spread).tolist()
    assert np.mean(inside) >= 0.8
