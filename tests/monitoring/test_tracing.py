"""A jump at the border of a batch is told from what changes gradually."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from tasks.alarms import MonitoringSettings
from tasks.monitoring.tracing import Level, find_jumps
from tests.features.shop import at

SETTINGS = MonitoringSettings()


def levels(medians: list[float | None], missing: list[float] | None = None) -> list[Level]:
    """Batches of a week each, a hundred rows in each."""
    gone = missing or [0.0] * len(medians)
    return [
        Level(n, at(7 * n), 100, median, share)
        for n, (median, share) in enumerate(zip(medians, gone, strict=True))
    ]


def sort_of(made: list[Level], learnt_until: int = 0) -> str | None:
    found = find_jumps("orders", {"net_amount": made}, at(learnt_until), SETTINGS)
    return found[0].sort if found else None


@pytest.mark.parametrize(
    ("medians", "sort"),
    [
        ([10, 11, 10, 9, 10], None),
        ([10, 11, 10, 1000, 10], "factor"),
        ([10, 11, 10, 9, 1040], "factor"),
        ([10, 11, 10, 0.1, 0.1], "factor"),
        ([10, 10.1, 10, 10.2, 25], "step"),
        # As far from one to the next as always: no step, however large.
        ([10, 25, 9, 24, 11, 26], None),
        # Prices that climb by a tenth a week are no jump at any border.
        ([10 * 1.1**n for n in range(8)], None),
        ([None, 10, 11, 10, None], None),
    ],
)
def test_medians(medians: list[float | None], sort: str | None) -> None:
    assert sort_of(levels(medians)) == sort


def test_values_that_go_missing_at_once() -> None:
    flat: list[float | None] = [10.0] * 5
    assert sort_of(levels(flat, [0.1, 0.1, 0.1, 0.1, 0.6])) == "missing"
    assert sort_of(levels(flat, [0.1, 0.15, 0.2, 0.25, 0.3])) is None


def test_what_the_champion_has_learnt_from_is_not_held_against_tonight() -> None:
    made = levels([10, 11, 1000, 9, 10, 11])
    assert sort_of(made, learnt_until=0) == "factor"
    assert sort_of(made, learnt_until=28) is None


def test_a_jump_says_where_since_when_and_how_far() -> None:
    (found,) = find_jumps("orders", {"net_amount": levels([10, 10, 10, 1000])}, at(0), SETTINGS)
    said = found.describe()
    assert "orders.net_amount" in said
    assert "x 100" in said
    assert f"{at(0) + timedelta(days=21):%Y-%m-%d}" in said
    assert "change of unit" in said


def test_batches_like_one_another_jump_rarely() -> None:
    random = np.random.default_rng(1)
    jumps = sum(
        sort_of(levels(list(np.exp(random.normal(3, 0.1, 24))))) is not None for _ in range(60)
    )
    assert jumps == 0
