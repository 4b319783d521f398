"""When it pays to train again, from what aged models lost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pytest

from tasks.alarms import MonitoringSettings
from tasks.churn.ageing import measure_ageing
from tasks.churn.data import TrainingData
from tasks.economics import Economics
from tasks.errors import DataRejected
from tasks.handles import Interval
from tasks.monitoring.ageing import recommend, sum_up
from tasks.sections import ChurnSettings, EconomicsSettings


@dataclass(frozen=True)
class Aged:
    age_days: int
    auc_loss: Interval
    profit_loss: Interval


def age(days: int, lost: float) -> Aged:
    return Aged(days, (0.01, 0.0, 0.02), (lost, lost - 1, lost + 1))


def test_dear_trainings_are_rarer_than_cheap_ones() -> None:
    ages = sum_up([age(30, 50), age(30, 54), age(60, 120), age(90, 200)], 0.9)
    assert [(one.age_days, one.pairs) for one in ages] == [(30, 2), (60, 1), (90, 1)]
    assert ages[0].profit_loss[0] == 52
    days = {
        cost: recommend(ages, MonitoringSettings(retraining_cost_amount=Decimal(cost)), "EUR")[0]
        for cost in (1, 50, 100_000)
    }
    assert days[1] is not None
    assert days[50] is not None
    assert 1 <= days[1] < days[50] < 90
    assert days[100_000] == 90


def test_a_loss_that_may_be_nothing_recommends_nothing() -> None:
    ages = sum_up([Aged(30, (0.0, -0.1, 0.1), (5.0, -20.0, 30.0))], 0.9)
    days, reason = recommend(ages, MonitoringSettings(), "EUR")
    assert days is None
    assert "No age up to 30 days" in reason
    assert recommend((), MonitoringSettings(), "EUR")[0] is None


def make_data(flips: bool) -> TrainingData:
    """Six cut-offs; where it `flips`, what makes customers leave turns around on the way."""
    random = np.random.default_rng(1)
    cutoffs, customers = 6, 300
    rows = cutoffs * customers
    features = random.normal(size=(rows, 2))
    number = np.repeat(np.arange(cutoffs), customers)
    sign = np.where(number >= 1, -1.0, 1.0) if flips else np.ones(rows)
    churned = random.random(rows) < 1 / (1 + np.exp(-2 * sign * features[:, 0]))
    day = np.datetime64("2024-01-01", "us") + number * np.timedelta64(30, "D")
    return TrainingData(
        features=features,
        churned=churned,
        as_of=day,
        customers=np.tile(np.arange(customers), cutoffs),
        value_amount=np.full(rows, 300.0),
        feature_names=("a", "b"),
        drivers=("spend", "cadence"),
        horizon_days=30.0,
    )


def test_a_world_that_turns_makes_models_old() -> None:
    churn = ChurnSettings(resamples=50, maximum_trees=120)
    economics = Economics.of(EconomicsSettings())
    worst = {}
    for flips in (False, True):
        aged = measure_ageing(make_data(flips), churn, economics, origins=1, confidence=0.9)
        assert {one.age_days for one in aged} >= {30, 60, 90, 120}
        worst[flips] = max(one.auc_loss[0] for one in aged)
    assert worst[True] > 0.2 > worst[False] + 0.1


def test_one_cutoff_cannot_age() -> None:
    data = make_data(False)
    short = data.as_of <= data.cutoffs[1]
    few = TrainingData(
        data.features[short],
        data.churned[short],
        data.as_of[short],
        data.customers[short],
        data.value_amount[short],
        data.feature_names,
        data.drivers,
        data.horizon_days,
    )
    with pytest.raises(DataRejected, match="too short to see a model age"):
        measure_ageing(
            few, ChurnSettings(), Economics.of(EconomicsSettings()), origins=2, confidence=0.9
        )
