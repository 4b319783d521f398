"""Do the bootstrap intervals of the model's metrics hold the truth as often as they say?"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from tasks.churn.metrics import measure
from tasks.economics import Economics
from tests.churn.made_up import economics_settings

pytestmark = pytest.mark.statistics

_STUDIES = 300
_SEPARATION = 1.0


def _draw(rng: np.random.Generator, customers: int, copies: int) -> tuple[np.ndarray, ...]:
    """Scores N(+-separation/2, 1) of leavers and stayers, each customer `copies` times."""
    churned = rng.random(customers) < 0.4
    score = rng.normal(np.where(churned, _SEPARATION / 2, -_SEPARATION / 2))
    # The true probability, so that log loss, Brier score and calibration have known truths too.
    probability = 1 / (1 + np.exp(-(_SEPARATION * score + np.log(0.4 / 0.6))))
    repeat = np.repeat(np.arange(customers), copies)
    return churned[repeat], probability[repeat], repeat


@pytest.mark.parametrize("copies", [1, 3])
def test_ninety_percent_intervals_hold_the_truth_nine_times_in_ten(copies: int) -> None:
    economics = Economics.of(economics_settings())
    truth_auc = norm.cdf(_SEPARATION / np.sqrt(2))
    rng = np.random.default_rng(20)
    churned, probability, _ = _draw(rng, 400_000, 1)
    truth = {
        "auc": truth_auc,
        "brier": float(np.mean((probability - churned) ** 2)),
        "log_loss": float(-np.mean(np.where(churned, np.log(probability), np.log1p(-probability)))),
    }
    truth["average_precision"] = _large_sample_precision(churned, probability)
    held = dict.fromkeys(truth, 0)
    for study in range(_STUDIES):
        churned, probability, customers = _draw(np.random.default_rng(study), 300, copies)
        found = measure(
            churned,
            probability,
            np.ones(len(churned)),
            customers,
            economics,
            resamples=120,
            seed=study,
        )
        for metric, value in truth.items():
            _, low, high = found.interval(metric, 0.90)
            held[metric] += low <= value <= high
    # Nominal 90 %; 300 studies have a standard error of 1.7 points, and the percentile
    # bootstrap of 120 draws on 300 customers is itself a little short.
    for metric, count in held.items():
        assert 0.845 <= count / _STUDIES <= 0.95, f"{metric}: {count / _STUDIES:.3f}"


def _large_sample_precision(churned: np.ndarray, probability: np.ndarray) -> float:
    order = np.argsort(-probability)
    found = np.cumsum(churned[order])
    precision = found / np.arange(1, len(order) + 1)
    return float(precision[churned[order]].mean())
