"""Calibration, harm, shift and rank against figures worked out by hand or by another library."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from tasks.registry.comparing import (
    compare_calibration,
    correlate_ranks,
    find_harm,
    list_kept_share,
    measure_shift,
)


def test_calibration_by_hand() -> None:
    """Two groups of probability in ten bins of equal size: off by 0.1 each, once up, once down."""
    probability = np.repeat([0.2, 0.8], 500)
    churned = np.concatenate(
        [np.tile([1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 50), np.tile([1] * 9 + [0], 50)]
    )
    truth = np.repeat([0.1, 0.9], 500)
    found = compare_calibration(churned.astype(float), probability, truth, replicates=200, seed=1)
    assert found.error == pytest.approx(0.1)
    assert found.other_error == pytest.approx(0.0, abs=1e-12)
    assert found.gap == pytest.approx(0.0, abs=1e-12)
    assert found.worsening == pytest.approx(0.1)
    assert 0.03 < found.worsening_low < 0.1
    assert found.gap_low < 0 < found.gap_high


@pytest.mark.statistics
def test_a_calibrated_model_is_hardly_ever_called_worse() -> None:
    called, beyond = 0, []
    for seed in range(100):
        random = np.random.default_rng(seed)
        truth = random.beta(1, 3, 600)
        churned = (random.random(600) < truth).astype(float)
        other = np.clip(truth + random.normal(0, 0.02, 600), 0, 1)
        found = compare_calibration(churned, truth, other, replicates=200, seed=seed)
        called += found.worsening_low > 0.02
        beyond.append(found.error - found.chance)
    assert called <= 2
    assert abs(float(np.mean(beyond))) < 0.003  # the error itself is 0.04 on average


def test_harm_is_found_in_its_slice_alone() -> None:
    random = np.random.default_rng(4)
    n = 3000
    truth = random.beta(2, 5, n)
    churned = (random.random(n) < truth).astype(float)
    region = np.where(np.arange(n) % 3 == 0, "north", "south")
    harmed = np.where(region == "north", 1 - truth, truth)
    slices = {"region": region, "tiny": np.where(np.arange(n) < 50, "few", "others")}
    found = find_harm(churned, harmed, truth, slices, tolerance=0.01, minimum_customers=100)
    assert next(harm.slice for harm in found if harm.p_value < 0.05) == "region: north"
    assert {harm.slice for harm in found} == {"region: north", "region: south", "tiny: others"}
    south = next(harm for harm in found if harm.slice == "region: south")
    assert (south.harm, south.p_value) == (0.0, 1.0)


@pytest.mark.statistics
def test_no_harm_is_seldom_found_over_many_slices() -> None:
    """Forty slices of two models of equal error: the level holds over all of them together."""
    found = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        truth = random.beta(2, 5, 4000)
        churned = (random.random(4000) < truth).astype(float)
        one, other = (np.clip(truth + random.normal(0, 0.05, 4000), 0, 1) for _ in "ab")
        slices = {"group": random.integers(0, 40, 4000).astype(str)}
        harms = find_harm(churned, one, other, slices, tolerance=0.0, minimum_customers=50)
        found += harms[0].p_value <= 0.05
    assert found / 200 < 0.09


def test_shift_by_hand() -> None:
    """Half of the customers move from the lowest group of ten to the highest."""
    before = np.repeat(np.arange(10) / 10, 100)
    assert measure_shift(before, before) == pytest.approx(0.0, abs=1e-12)
    after = before.copy()
    after[:50] = 0.9
    shares = (np.array([150.5, 50.5]) / 1005, np.array([100.5, 100.5]) / 1005)
    by_hand = np.sum((shares[0] - shares[1]) * np.log(shares[0] / shares[1]))
    assert measure_shift(after, before) == pytest.approx(by_hand, rel=1e-9)


@given(
    st.lists(st.integers(0, 20), min_size=3, max_size=60),
    st.integers(0, 1000),
)
def test_rank_correlation_is_scipys(values: list[int], seed: int) -> None:
    one = np.asarray(values, dtype=float)
    other = np.random.default_rng(seed).integers(0, 10, len(values)).astype(float)
    found = correlate_ranks(one, other)
    if len(set(values)) == 1 or len(set(other.tolist())) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(one, other).statistic, abs=1e-12)


def test_the_list_that_is_kept() -> None:
    one = np.array([5.0, 4.0, 3.0, -1.0])
    assert list_kept_share(one, one, 2) == 1.0
    assert list_kept_share(one, np.array([5.0, 0.0, 3.0, 4.0]), 2) == 0.5
    assert list_kept_share(one, np.array([1.0, -1.0, -1.0, -1.0]), 4) == pytest.approx(1 / 3)
    assert list_kept_share(-np.ones(4), -np.ones(4), 2) == 1.0
