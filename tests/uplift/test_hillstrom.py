"""A real lot: 64,000 customers, two e-mails and none. Published effects are found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.uplift.hillstrom import read_arm
from tasks.incrementality import UpliftSettings
from tasks.uplift.effects import check_lot, compare_arms, measure_effect
from tasks.uplift.targeting import compare_strategies
from tests.uplift.test_effects import SHARP

pytestmark = pytest.mark.statistics


@pytest.mark.parametrize(
    ("arm", "visits", "spend"),
    [("Mens E-Mail", 0.0766, 0.770), ("Womens E-Mail", 0.0452, 0.424)],
)
def test_published_effects(hillstrom: Path, arm: str, visits: float, spend: float) -> None:
    trial, features, _ = read_arm(hillstrom, arm)
    found = measure_effect(trial, "lapse_share", **SHARP)
    money = measure_effect(trial, "margin_amount", **SHARP)
    assert found is not None
    assert money is not None
    assert -found.estimate == pytest.approx(visits, abs=5e-5)
    assert money.estimate == pytest.approx(spend, abs=5e-4)
    assert found.high < 0
    assert money.fixed_low > 0
    assert check_lot(np.array([len(trial)]), np.array([trial.treated.sum()]), 0.5) > 0.1
    assert np.abs(compare_arms(features, trial.treated, trial.lots)).max() < 0.02


def test_women_can_be_targeted_by_uplift_and_men_not_told_from_chance(hillstrom: Path) -> None:
    settings = UpliftSettings(resamples=150, folds=3)
    trial, features, _ = read_arm(hillstrom, "Womens E-Mail")
    contest = compare_strategies(trial, features, "lapse_share", settings, risk="with_contact")
    by_name = {one.name: one for one in contest.strategies}
    assert contest.unlocked
    served = by_name[contest.served]
    assert served.qini_low is not None
    assert served.qini_low > 0.003
    assert served.at_budget_low > by_name["random"].at_budget_high
    assert served.at_budget < by_name["everyone"].at_budget
    trial, features, _ = read_arm(hillstrom, "Mens E-Mail")
    mens = compare_strategies(trial, features, "lapse_share", settings, risk="with_contact")
    assert mens.low < 0.002
    # Where response is what uplift follows, a ranking by it is as good, and that is said.
    assert mens.over_risk[1] < 0
