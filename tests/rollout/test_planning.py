"""The planner's figures are a standard formula's, and what can't be answered is refused."""

from __future__ import annotations

import pytest
import tea_tasting
from statsmodels.stats.power import NormalIndPower

from tasks.errors import UsageError
from tasks.rollout.planning import (
    CustomerBase,
    Feasibility,
    Outlook,
    assess,
    assess_plan,
    needed_customers,
    require_feasible,
    smallest_effect,
)
from tasks.rollout.preregistering import last_day
from tests.rollout.made_up import make_plan

_SIX = Outlook("lapse_share", base_share=0.06)


def _assess(customers: int, effect: float, **more: object) -> Feasibility:
    values: dict[str, object] = {
        "minimum_effect": effect,
        "horizon_days": 90,
        "stages": (0.01, 0.05, 0.2, 0.5),
        "minimum_stage_days": 7,
    }
    base = more.pop("base", CustomerBase(customers))
    return assess(_SIX, base, **{**values, **more})  # type: ignore[arg-type]


def test_it_says_what_the_customers_detect_and_what_would_be_needed() -> None:
    found = _assess(8000, 0.005)
    assert found.sentence == (
        "8,000 customers at 6 % churn detect 1.5 points; 0.5 points need about 71,000."
    )
    assert not found.can_answer
    assert found.days is None
    with pytest.raises(UsageError, match="could not be answered") as refused:
        require_feasible(found)
    assert "need about 71,000" in str(refused.value)
    assert refused.value.exit_code == 64


def test_two_effects_that_round_to_the_same_are_told_apart() -> None:
    found = _assess(4000, 0.0209)
    assert found.sentence == (
        "4,000 customers at 6 % churn detect 2.1 points; 2.09 points need about 4,100."
    )


def test_figures_are_those_of_statsmodels() -> None:
    ours = needed_customers(0.015, 0.06 * 0.94, 0.5)
    size = 0.015 / (0.06 * 0.94) ** 0.5
    theirs = 2 * NormalIndPower().solve_power(size, alpha=0.05, power=0.8)
    assert ours == pytest.approx(theirs, abs=2)
    assert smallest_effect(ours, 0.06 * 0.94, 0.5) == pytest.approx(0.015, rel=1e-3)


@pytest.mark.parametrize("share", [0.5, 0.05])
def test_figures_are_those_of_tea_tasting(share: float) -> None:
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(1)
    data = pd.DataFrame(
        {"margin": rng.normal(20, 10, 20_000), "before": rng.normal(20, 10, 20_000)}
    )
    mean = tea_tasting.Mean(
        "margin", alpha=0.05, power=0.8, n_obs=8000, ratio=share / (1 - share), use_t=False
    )
    theirs = mean.solve_power(data, "effect_size")[0].effect_size
    ours = smallest_effect(8000, float(data["margin"].var()), share)
    assert ours == pytest.approx(theirs, rel=2e-3)


def test_the_last_look_is_a_quarter_after_the_planned_day() -> None:
    plan = make_plan(stages=(0.2, 0.5), horizon_days=14, maximum_days=365)
    assert last_day(plan, 49) == 63
    assert last_day(plan, 300) == 365  # as the settings say
    assert last_day(plan, 15) == 21
    long = make_plan(stages=(0.01, 0.05, 0.2, 0.5), horizon_days=90, maximum_days=365)
    # The last stage's first customers are judged, however few would do.
    assert last_day(long, 40) == long.earliest_possible_days == 111
    assert last_day(plan, None) == 365


def test_days_are_the_stages_the_horizon_and_a_whole_week() -> None:
    found = _assess(8000, 0.015)
    # The last stage begins on day 21; 90 days on its outcomes have matured.
    assert found.can_answer
    assert found.days == 112
    assert "judged on day 112" in found.sentence


def test_who_is_reached_slowly_takes_longer() -> None:
    slow = CustomerBase(8000, exposed_daily=100)
    assert (_assess(8000, 0.015, base=slow).days or 0) > 112 + 60
    growing = CustomerBase(4000, new_daily=20)
    assert (_assess(4000, 0.015, base=growing).days or 0) > 112


def test_a_small_arm_without_outcomes_is_refused() -> None:
    found = _assess(8000, 0.05, stages=(0.01,))
    assert not found.can_answer
    assert "smaller arm" in found.sentence


def test_money_is_planned_by_its_spread_and_what_is_known_before() -> None:
    plain = Outlook("margin_amount", standard_deviation=40)
    known = Outlook("margin_amount", standard_deviation=40, explained_share=0.5)
    values = {"horizon_days": 30, "stages": (0.5,), "minimum_stage_days": 7, "minimum_effect": 2.0}
    first = assess(plain, CustomerBase(20_000), **values)  # type: ignore[arg-type]
    second = assess(known, CustomerBase(20_000), **values)  # type: ignore[arg-type]
    assert second.needed_customers == pytest.approx(first.needed_customers / 2, abs=1)
    assert "a customer" in first.sentence


def test_what_is_not_known_is_asked_for() -> None:
    for outlook in (Outlook("lapse_share"), Outlook("margin_amount")):
        with pytest.raises(UsageError, match="The planner needs"):
            assess_plan(make_plan(metric=outlook.metric), outlook, CustomerBase(1000))


def test_a_written_plan_is_held_against_its_own_end() -> None:
    plan = make_plan(minimum_effect=0.02, maximum_days=60)
    assert assess_plan(plan, _SIX, CustomerBase(8000)).can_answer
    assert not assess_plan(plan, _SIX, CustomerBase(2000)).can_answer
