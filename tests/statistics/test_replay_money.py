"""Do the intervals of a replay's money hold the truth where steps are few, alike and skewed?"""

from __future__ import annotations

import numpy as np
import pytest

from tasks.replay.money import find_interval

pytestmark = pytest.mark.statistics

_STUDIES = 1_500
_BLOCK = 4


def _draw(rng: np.random.Generator, steps: int) -> np.ndarray:
    """Sums of mean 0 in most of which little happens; a customer's outcome is in three steps."""
    shocks = rng.gamma(0.3, 1.0, steps + 2) - 0.3
    return shocks[2:] + shocks[1:-1] + shocks[:-2]


def _resample(amounts: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """What was there before: percentiles of the sums of resampled blocks."""
    steps = amounts.size
    starts = rng.integers(0, steps, (400, -(-steps // _BLOCK)))
    places = ((starts[:, :, None] + np.arange(_BLOCK)) % steps).reshape(400, -1)[:, :steps]
    low, high = np.quantile(amounts[places].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


@pytest.mark.parametrize(("steps", "least", "resampled"), [(8, 0.88, 0.60), (50, 0.86, 0.87)])
def test_groups_of_steps_hold_the_truth_oftener_than_resampled_blocks(
    steps: int, least: float, resampled: float
) -> None:
    rng = np.random.default_rng(3)
    held = blocks = 0
    for _ in range(_STUDIES):
        amounts = _draw(rng, steps)
        low, high = find_interval(amounts, _BLOCK, 0.95)
        held += low <= 0 <= high
        low, high = _resample(amounts, rng)
        blocks += low <= 0 <= high
    # Nominal 95 %: sums of so skewed steps stay a little short of it.
    assert held / _STUDIES >= least
    assert blocks / _STUDIES <= resampled
