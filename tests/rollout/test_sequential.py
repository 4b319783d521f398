"""The bounds are those of the tables; they spend what they may; one look is a plain test."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from tasks.rollout.sequential import (
    Adjusted,
    adjust_stagewise,
    crossing_probabilities,
    find_bounds,
    spent_alpha,
)

_FIVE = [0.2, 0.4, 0.6, 0.8, 1.0]


def test_bounds_are_the_published_ones() -> None:
    # Lan-DeMets, O'Brien-Fleming type, two-sided 0.05, five equal looks. The table has 3.3569 for
    # the second, where both an adaptive quadrature and this one have 3.35701.
    found = [bound.upper for bound in find_bounds(_FIVE, _FIVE, 0.025, 2)]
    assert found == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-4)


def test_two_equal_looks_are_the_published_ones() -> None:
    found = [bound.upper for bound in find_bounds([0.5, 1.0], [0.5, 1.0], 0.025, 2)]
    assert found == pytest.approx([2.9626, 1.9686], abs=1e-4)


def test_second_bound_agrees_with_the_bivariate_normal() -> None:
    """P(Z1 <= b1, Z2 > b2), by a library's distribution function."""
    shares, variances = [0.3, 0.7], [12.0, 31.0]
    first, second = find_bounds(shares, variances, 0.025, 1)
    correlation = np.sqrt(12 / 31)
    both = multivariate_normal(cov=[[1, correlation], [correlation, 1]])
    passed = norm.cdf(first.upper) - both.cdf([first.upper, second.upper])
    assert passed == pytest.approx(spent_alpha(0.025, 0.7) - spent_alpha(0.025, 0.3), rel=1e-3)


@pytest.mark.parametrize("sides", [1, 2])
@given(
    growth=st.lists(st.floats(0.05, 2.0), min_size=1, max_size=9),
    alpha=st.sampled_from([0.005, 0.025, 0.1]),
)
@settings(max_examples=25, deadline=None)
def test_all_of_alpha_is_spent_and_no_more(sides: int, growth: list[float], alpha: float) -> None:
    variances = np.cumsum(growth).tolist()
    shares = [variance / variances[-1] for variance in variances]
    shares[-1] = 1.0
    crossed = crossing_probabilities(shares, variances, alpha, sides)  # type: ignore[arg-type]
    assert sum(above for above, _ in crossed) == pytest.approx(alpha, rel=1e-4)


def test_looking_costs_about_a_point_of_power() -> None:
    drift = norm.isf(0.025) + norm.ppf(0.8)
    power = sum(above for above, _ in crossing_probabilities(_FIVE, _FIVE, 0.025, 2, drift))
    assert 0.785 < power < 0.80


def test_a_bound_cannot_shrink_in_information() -> None:
    with pytest.raises(ValueError, match="grow"):
        find_bounds([0.5, 0.4], [5.0, 6.0], 0.025, 2)
    with pytest.raises(ValueError, match="grow"):
        find_bounds([0.5, 0.6], [5.0, 5.0], 0.025, 2)


def _plain(effect: float, standard_error: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda true: (effect - true) / standard_error


def _stop(looks: int, effect: float) -> Adjusted:
    """A stop at one of five looks with standard error 1 then, by the bounds of the table."""
    variances = _FIVE[:looks]
    bounds = find_bounds(variances, variances, 0.025, 2)
    stops = [
        (bound.upper * np.sqrt(variances[-1] / v), -bound.upper * np.sqrt(variances[-1] / v))
        for v, bound in zip(variances[:-1], bounds, strict=False)
    ]
    return adjust_stagewise(
        variances, stops, _plain(effect, 1), effect=effect, standard_error=1, confidence=0.95
    )


def test_one_look_is_the_plain_interval() -> None:
    found = _stop(1, 2.0)
    assert found.effect == pytest.approx(2.0)
    assert found.low == pytest.approx(2.0 - 1.959964, abs=1e-5)
    assert found.high == pytest.approx(2.0 + 1.959964, abs=1e-5)


def test_an_early_stop_is_drawn_towards_nothing() -> None:
    upper = find_bounds(_FIVE[:3], _FIVE[:3], 0.025, 2)[-1].upper
    found = _stop(3, upper)
    assert 0 < found.effect < upper
    assert found.low > 0  # it was significant


def test_a_stop_below_is_the_mirror_of_one_above() -> None:
    above, below = _stop(4, 2.4), _stop(4, -2.4)
    assert below.effect == pytest.approx(-above.effect)
    assert (below.low, below.high) == pytest.approx((-above.high, -above.low))
