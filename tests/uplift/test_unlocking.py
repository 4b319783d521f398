"""Where a contact does the same to all, or nothing, no list is chosen by uplift but by bad luck.

`python -m benchmarks.uplift --only unlocking` counts the same over hundreds of seeds.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from tasks.incrementality import UpliftSettings
from tasks.uplift.serving import calibrate
from tasks.uplift.targeting import compare_strategies
from tests.uplift.drawn import QUICK, World, draw_trial

pytestmark = pytest.mark.statistics

SETTINGS = UpliftSettings.model_validate(QUICK)


def count_unlocked(world: World, seeds: int) -> int:
    found = 0
    for seed in range(seeds):
        trial, features = draw_trial(world, seed)
        found += compare_strategies(trial, features, "lapse_share", SETTINGS).unlocked
    return found


@pytest.mark.parametrize("world", ["nothing", "alike"])
def test_no_difference_unlocks_no_oftener_than_declared(world: World) -> None:
    seeds = 30
    found = count_unlocked(world, seeds)
    assert binomtest(found, seeds, 1 - SETTINGS.confidence, "greater").pvalue > 0.05


def test_a_difference_does() -> None:
    assert count_unlocked("unlike", 5) == 5


def test_what_is_told_is_as_large_as_it_is() -> None:
    """The cross-fitted predictions overdo it; told, they are as spread as the truth is."""
    trial, features = draw_trial("unlike", 3, subjects=4000)
    contest = compare_strategies(trial, features, "lapse_share", SETTINGS)
    calibration = calibrate(trial, contest.scores, "lapse_share", SETTINGS)
    assert calibration is not None
    truth = np.where(features[:, 0] > 0, 0.2, -0.2)
    told = calibration.tell(contest.scores)
    slope = float(np.polyfit(told, truth, 1)[0])
    assert 0.7 < slope < 1.6
    assert abs(float(told.mean() - truth.mean())) < 0.05
    assert -0.5 < calibration.low < -0.1 < 0.1 < calibration.high < 0.5
    # Of an order that is none, only the mean is left, or nothing at all.
    noise = np.random.default_rng(1).normal(size=len(trial))
    flat = calibrate(trial, noise, "lapse_share", SETTINGS)
    assert flat is None or float(np.ptp(flat.tell(noise))) < 0.5 * float(np.ptp(told))
    assert calibrate(trial, np.full(len(trial), np.nan), "lapse_share", SETTINGS) is None
    assert calibrate(trial, -contest.scores, "lapse_share", SETTINGS) is None
