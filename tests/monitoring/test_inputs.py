"""What counts as a moved input, what it costs, and how rarely noise does."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.monitoring.inputs import find_shifts, place_values, profile_input, take_back
from tasks.monitoring.money import Money
from tasks.monitoring.pricing import VALUE, Pricing
from tasks.quality import InputProfile
from tasks.sections import EconomicsSettings
from tasks.significance import adjust_by_holm

CUTOFFS, CUSTOMERS = 8, 400
DAYS = np.arange(CUTOFFS) * 30.0
TONIGHT = DAYS[-1] + 60.0


def profile(name: str, random: np.random.Generator, trend: float = 0.0) -> InputProfile:
    numbers = np.repeat(np.arange(CUTOFFS), CUSTOMERS)
    values = random.gamma(2, 10, len(numbers)) + trend * numbers
    return profile_input(values, numbers, name)


def shift(made: InputProfile, values: np.ndarray) -> float:
    (found,) = find_shifts([made], DAYS, {made.name: values}, TONIGHT)
    return found.p_value


def test_noise_is_no_shift_and_a_factor_is() -> None:
    random = np.random.default_rng(1)
    made = profile("amount", random)
    usual = random.gamma(2, 10, CUSTOMERS)
    assert shift(made, usual) > 0.05
    assert shift(made, usual * 100) < 1e-6
    half_missing = np.where(random.random(CUSTOMERS) < 0.5, np.nan, usual)
    assert shift(made, half_missing) < 1e-6
    assert shift(made, usual * 1.05) > 0.001


def test_a_trend_goes_on_without_an_alarm() -> None:
    random = np.random.default_rng(2)
    made = profile("tenure", random, trend=1.5)
    ahead = random.gamma(2, 10, CUSTOMERS) + 1.5 * (CUTOFFS + 1)
    assert shift(made, ahead) > 0.01
    assert shift(made, ahead + 60) < 1e-4


def test_an_input_that_is_not_there_is_missing_for_everybody() -> None:
    made = profile("gone", np.random.default_rng(3))
    (found,) = find_shifts([made], DAYS, {}, TONIGHT)
    assert found.missing_share == 1
    assert found.size == pytest.approx(1)


@pytest.mark.statistics
def test_noise_raises_an_alarm_no_more_often_than_alpha() -> None:
    random = np.random.default_rng(4)
    alarms = 0
    for _ in range(40):
        made = [profile(f"input_{n}", random) for n in range(8)]
        tonight = {one.name: random.gamma(2, 10, CUSTOMERS) for one in made}
        found = find_shifts(made, DAYS, tonight, TONIGHT)
        alarms += min(adjust_by_holm([one.p_value for one in found])) <= 0.05
    assert alarms <= 6  # 2 are expected


def test_values_taken_back_have_the_old_distribution_and_the_new_order() -> None:
    random = np.random.default_rng(5)
    old, new = random.gamma(2, 10, 2000), random.gamma(2, 10, 500) * 100
    grid = np.quantile(old, np.linspace(0, 1, 201))
    back = take_back(new, grid, 0.0)
    assert np.argsort(back, kind="stable").tolist() == np.argsort(new, kind="stable").tolist()
    assert np.median(back) == pytest.approx(np.median(old), rel=0.02)
    assert place_values(back, grid)[0] == pytest.approx(0.5, abs=0.01)
    gone = np.where(np.arange(500) < 250, np.nan, new)
    assert np.isnan(take_back(gone, grid, 0.0)).sum() == 0
    assert np.isnan(take_back(gone, grid, 0.5)).sum() == 250


def make_pricing(amounts: np.ndarray, silence: np.ndarray, value: np.ndarray) -> Pricing:
    def predict(matrix: np.ndarray) -> np.ndarray:
        logit = matrix[:, 1] / 20 - 2 - np.minimum(matrix[:, 0], 200) / 100
        return np.asarray(1 / (1 + np.exp(-logit)))

    return Pricing(
        np.column_stack([amounts, silence]),
        ["amount", "silence"],
        value,
        predict,
        Money.of(EconomicsSettings()),
        1.0,
    )


def test_a_wrong_input_costs_money_and_a_right_one_does_not() -> None:
    random = np.random.default_rng(6)
    numbers = np.repeat(np.arange(CUTOFFS), CUSTOMERS)
    learnt = {
        "amount": random.gamma(2, 40, len(numbers)),
        "silence": random.gamma(2, 20, len(numbers)),
        VALUE: random.gamma(2, 200, len(numbers)),
    }
    profiles = {name: profile_input(v, numbers, name) for name, v in learnt.items()}
    amounts, silence, value = (v[:CUSTOMERS].copy() for v in learnt.values())
    right = make_pricing(amounts, silence, value)
    # Some customers' amounts came in cents: they look faithful, and are worth a hundred times more.
    wrong = np.where(np.arange(CUSTOMERS) % 2 == 0, 100.0, 1.0)
    broken = make_pricing(amounts * wrong, silence, value * wrong)
    assert right.price([profiles["silence"]]) < 0.02 * right.expected_profit
    assert broken.price([profiles["amount"]]) > 0
    assert broken.price([profiles[VALUE]]) > broken.price([profiles["silence"]])
    assert right.price([]) == 0
