"""Measures against what they are by definition, and their intervals against repeated draws."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.economics import Economics
from tasks.monitoring.measures import (
    estimate_auc,
    estimate_performance,
    make_interval,
    measure_calibration_error,
    measure_gap,
    measure_profit,
)
from tasks.monitoring.money import Money
from tasks.sections import EconomicsSettings
from tasks.significance import measure_auc

ECONOMICS = EconomicsSettings()


def draw(seed: int, rows: int = 600) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chances, outcomes drawn with them, and what customers are worth."""
    random = np.random.default_rng(seed)
    chance = random.beta(1, 3, rows)
    return chance, random.random(rows) < chance, random.gamma(2, 60, rows)


def test_a_contact_is_worth_what_it_is_in_training() -> None:
    chance, churned, value = draw(3)
    value[:5] = np.nan, -10, 0, np.nan, 3
    money, economics = Money.of(ECONOMICS), Economics.of(ECONOMICS)
    expected = money.returns(chance, value)
    assert expected == pytest.approx(economics.expected_returns(chance, value))
    assert money.choose(expected).tolist() == economics.choose(chance, value).tolist()
    listed = economics.choose(chance, value)
    brought, error = measure_profit(churned, expected, value, money)
    assert brought == pytest.approx(
        economics.realised_returns(churned[listed], value[listed]).sum()
    )
    assert error > 0


def test_intervals_hold_as_often_as_they_say() -> None:
    held = {"auc": 0, "gap": 0, "estimate": 0}
    draws = 120
    chance, _, value = draw(0)
    true_auc = estimate_auc(chance)
    money = Money.of(ECONOMICS)
    expected = money.returns(chance, value)
    auc, _, _ = estimate_performance(
        chance,
        expected,
        value,
        money,
        calibration_error=0.0,
        simulations=400,
        confidence=0.9,
        seed=1,
    )
    random = np.random.default_rng(7)
    for _ in range(draws):
        churned = random.random(len(chance)) < chance
        found = make_interval(*measure_auc(churned, chance), 0.9)
        held["auc"] += found[1] <= true_auc <= found[2]
        gap = make_interval(*measure_gap(churned, chance), 0.9)
        held["gap"] += gap[1] <= 0 <= gap[2]
        held["estimate"] += auc[1] <= measure_auc(churned, chance)[0] <= auc[2]
    for name, count in held.items():
        assert 0.82 <= count / draws <= 0.97, (name, count)


def test_the_estimate_is_right_if_the_probabilities_are() -> None:
    chance, _, _ = draw(1, 4000)
    random = np.random.default_rng(2)
    areas = [measure_auc(random.random(4000) < chance, chance)[0] for _ in range(20)]
    assert estimate_auc(chance) == pytest.approx(np.mean(areas), abs=0.003)
    # All alike: nothing is told apart, by definition.
    assert estimate_auc(np.full(50, 0.3)) == pytest.approx(0.5)
    assert np.isnan(estimate_auc(np.zeros(5)))


def test_a_doubtful_calibration_widens_the_estimate() -> None:
    chance, _, value = draw(4, 2000)
    money = Money.of(ECONOMICS)

    def estimate(error: float) -> tuple[float, float, float]:
        return estimate_performance(
            chance,
            money.returns(chance, value),
            value,
            money,
            calibration_error=error,
            simulations=200,
            confidence=0.9,
            seed=1,
        )[2]

    sure, unsure = estimate(0.0), estimate(0.05)
    assert sure[0] == unsure[0]
    assert unsure[2] - unsure[1] > 1.5 * (sure[2] - sure[1])


def test_calibration_error_sees_what_the_mean_hides() -> None:
    chance = np.repeat([0.2, 0.4], 500)
    churned = np.zeros(1000, bool)
    churned[:150] = churned[500:650] = True
    assert measure_gap(churned, chance)[0] == pytest.approx(0.0)
    assert measure_calibration_error(churned, chance) == pytest.approx(0.1)
