"""Differences between segments: the tests, and control of how many of them may be chance."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from tasks.reasons.contrasts import Count, compare_segments, compare_shares


def count(segment: str, driver: str | None, customers: int) -> Count:
    return Count(segment, driver, customers, Decimal(customers))


def test_shares_are_compared_by_z_and_small_ones_exactly() -> None:
    # statsmodels.stats.proportion.proportions_ztest([60, 40], [200, 200]) gives 0.02092.
    assert compare_shares(60, 200, 40, 200) == pytest.approx(0.020921, abs=1e-6)
    # Fisher's tea: 3 of 4 against 1 of 4.
    assert compare_shares(3, 4, 1, 4) == pytest.approx(0.485714, abs=1e-6)
    assert compare_shares(0, 10, 0, 10) == 1.0
    assert compare_shares(10, 10, 10, 10) == 1.0


def test_a_segment_that_differs_stands_out_and_the_rest_does_not() -> None:
    counts = [
        count("a", "price", 150),
        count("a", "cadence", 50),
        count("a", None, 100),
        count("b", "price", 60),
        count("b", "cadence", 60),
        count("b", None, 180),
        count("c", "price", 62),
        count("c", "cadence", 58),
        count("c", None, 180),
    ]
    cells = {
        (one.segment_id, one.driver): one
        for one in compare_segments(counts, false_discovery_rate=0.05)
    }
    assert cells["a", "price"].stands_out
    assert cells["a", "price"].customers_share == pytest.approx(0.5)
    assert cells["a", "price"].rest_share == pytest.approx(122 / 600)
    assert not cells["b", "cadence"].stands_out
    # No stable reason is not a reason: it is counted and not tested.
    assert cells["a", None].q_value is None
    assert cells["a", None].at_risk_amount == Decimal(100)


def test_one_segment_has_nothing_to_differ_from() -> None:
    cells = compare_segments(
        [count("all", "price", 7), count("all", None, 3)], false_discovery_rate=0.1
    )
    assert [one.q_value for one in cells] == [None, None]
    assert not any(one.stands_out for one in cells)
    assert cells[0].customers_share == pytest.approx(0.7)
    assert compare_segments([], false_discovery_rate=0.1) == ()


@pytest.mark.statistics
def test_where_nothing_differs_little_is_named() -> None:
    """Under the null, a run names anything at all in no more than the set share of runs."""
    random = np.random.default_rng(3)
    named = 0
    for _ in range(200):
        counts = [
            count(segment, driver, int(customers))
            for segment in "abcde"
            for driver, customers in zip(
                ("x", "y", None), random.multinomial(300, [0.3, 0.2, 0.5]), strict=True
            )
        ]
        named += any(one.stands_out for one in compare_segments(counts, false_discovery_rate=0.10))
    assert named / 200 < 0.10 + 4 * np.sqrt(0.1 * 0.9 / 200)
