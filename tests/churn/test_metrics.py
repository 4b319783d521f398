"""Figures against scikit-learn and closed forms; intervals that know customers from rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.churn.metrics import (
    METRICS,
    area_under_curve,
    average_precision,
    compare,
    draw_weights,
    measure,
)
from tasks.churn.profit import sum_profit
from tasks.economics import Economics
from tests.churn.made_up import economics_settings

ECONOMICS = Economics.of(economics_settings())


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=4, max_size=60))
@settings(deadline=None, max_examples=80)
def test_ranking_figures_equal_scikit_learns_with_ties(pairs: list[tuple[bool, int]]) -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    churned = np.asarray([pair[0] for pair in pairs])
    score = np.asarray([pair[1] / 5 for pair in pairs])
    if churned.all() or not churned.any():
        assert np.isnan(area_under_curve(churned, score))
        return
    assert area_under_curve(churned, score) == pytest.approx(roc_auc_score(churned, score))
    assert average_precision(churned, score) == pytest.approx(
        average_precision_score(churned, score)
    )


def _population(rows: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probability = rng.beta(2, 3, rows)
    return rng.random(rows) < probability, probability, rng.lognormal(4, 1, rows)


def test_all_figures_by_hand() -> None:
    from sklearn.metrics import brier_score_loss, log_loss

    churned, probability, value = _population(500)
    found = measure(
        churned, probability, value, np.arange(500), ECONOMICS, resamples=50, seed=1
    ).estimates
    assert tuple(found) == METRICS
    assert found["log_loss"] == pytest.approx(log_loss(churned, probability))
    assert found["brier"] == pytest.approx(brier_score_loss(churned, probability))
    top = np.argsort(-probability)[:50]
    assert found["top_decile_lift"] == pytest.approx(churned[top].mean() / churned.mean())
    bins = np.array_split(np.argsort(probability), 10)
    by_hand = sum(abs(probability[b].mean() - churned[b].mean()) * len(b) / 500 for b in bins)
    assert found["calibration_error"] == pytest.approx(by_hand)
    assert found["profit_amount"] == pytest.approx(
        float(sum_profit(churned, probability, value, ECONOMICS)), abs=0.01 * 200
    )


def test_drawing_whole_customers_widens_the_interval_of_repeated_rows() -> None:
    churned, probability, value = _population(300)
    repeated = [np.tile(part, 4) for part in (churned, probability, value)]
    customers = np.tile(np.arange(300), 4)

    def width(ids: np.ndarray) -> float:
        found = measure(*repeated, ids, ECONOMICS, resamples=300, seed=1)
        _, low, high = found.interval("auc", 0.95)
        return high - low

    once = measure(churned, probability, value, np.arange(300), ECONOMICS, resamples=300, seed=1)
    _, low, high = once.interval("auc", 0.95)
    # Four copies of each customer hold no more than one: the interval must not shrink.
    assert width(customers) == pytest.approx(high - low, rel=0.15)
    assert width(np.arange(1200)) < 0.65 * (high - low)


def test_weights_bring_all_rows_of_a_customer_and_are_seeded() -> None:
    customers = np.asarray([5, 5, 2, 9, 9, 9])
    drawn = np.concatenate(list(draw_weights(customers, 40, seed=7)))
    assert drawn.shape == (40, 6)
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert (drawn[:, 3] == drawn[:, 5]).all()
    assert (drawn[:, 0] + drawn[:, 2] + drawn[:, 3] == 3).all()
    again = np.concatenate(list(draw_weights(customers, 40, seed=7)))
    assert (drawn == again).all()


def test_a_paired_comparison_is_narrower_than_its_parts() -> None:
    churned, probability, value = _population(800)
    worse = np.clip(probability + np.random.default_rng(1).normal(0, 0.03, 800), 0.001, 0.999)
    left, right = (
        measure(churned, p, value, np.arange(800), ECONOMICS, resamples=200, seed=4)
        for p in (probability, worse)
    )
    estimate, low, high = compare(left, right, 0.95)["auc"]
    assert low <= estimate <= high
    _, alone_low, alone_high = left.interval("auc", 0.95)
    assert high - low < 0.5 * (alone_high - alone_low)


def test_one_class_gives_no_number_instead_of_a_wrong_one() -> None:
    found = measure(
        np.ones(40, dtype=bool),
        np.linspace(0.1, 0.9, 40),
        np.ones(40),
        np.arange(40),
        ECONOMICS,
        resamples=50,
        seed=1,
    )
    assert all(np.isnan(value) for value in found.interval("auc", 0.95))
