"""Value that agrees with churn: what must hold of everybody, whatever the two models say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.value.reconciling import (
    CODES,
    LEAST_ORDER_PROBABILITY,
    correct,
    correct_alive,
    find_contradictions,
    find_curve,
)
from tasks.worth import ContradictionSettings

shares = st.floats(0, 1)
LIMITS = ContradictionSettings()


def one(value: float) -> np.ndarray:
    return np.array([value])


@given(spend=st.floats(0, 1e6), order=shares, churn=shares, other=shares)
def test_value_follows_churn(spend: float, order: float, churn: float, other: float) -> None:
    lower, higher = sorted([churn, other])
    much = correct(one(spend), one(order), one(lower))[0]
    little = correct(one(spend), one(order), one(higher))[0]
    assert much >= little >= 0
    assert correct(one(spend), one(order), one(1.0))[0] == 0
    assert much <= spend / LEAST_ORDER_PROBABILITY * (1 + 1e-9)
    agreed = correct(one(spend), one(max(order, 0.02)), one(1 - max(order, 0.02)))[0]
    assert agreed == pytest.approx(spend)
    assert correct(one(spend), one(order), one(np.nan))[0] == spend


@given(alive=shares, order_if_alive=st.floats(0, 1), churn=shares, other=shares)
def test_alive_follows_churn(
    alive: float, order_if_alive: float, churn: float, other: float
) -> None:
    lower, higher = sorted([churn, other])
    here = correct_alive(one(alive), one(order_if_alive), one(lower))[0]
    there = correct_alive(one(alive), one(order_if_alive), one(higher))[0]
    assert 0 <= there <= here <= 1
    assert here >= 1 - lower - 1e-12  # who orders is alive
    assert correct_alive(one(alive), one(order_if_alive), one(1.0))[0] == 0
    if order_if_alive > 1e-6:
        agreed = correct_alive(one(alive), one(order_if_alive), one(1 - alive * order_if_alive))
        assert agreed[0] == pytest.approx(alive, abs=1e-6)
    assert correct_alive(one(alive), one(order_if_alive), one(np.nan))[0] == alive


def test_codes_by_hand() -> None:
    found = find_contradictions(
        frequency=np.array([0.0, 5, 5, 5, 5, 0]),
        certain_alive=np.array([1.0, 0.5, 0.5, 0.1, 0.9, 1]),
        alive=np.array([0.6, 0.5, 0.99, 0.1, 0.9, 0.6]),
        order_probability=np.array([0.2, 0.5, 0.9, 0.1, 0.9, 0.2]),
        spend=np.array([1.0, 100, 2, 3, 4, 5]),
        churn_probability=np.array([0.9, 0.9, 0.9, 0.1, 0.1, np.nan]),
        limits=LIMITS,
    )
    assert [CODES[place] if place >= 0 else None for place in found] == [
        "alive_for_certain",
        "leaving_but_valuable",
        "leaving_but_ordering",
        "staying_but_gone",
        None,
        None,
    ]


def test_nobody_contradicts_nothing() -> None:
    empty = np.zeros(0)
    found = find_contradictions(
        frequency=empty, certain_alive=empty, alive=empty, order_probability=empty,
        spend=empty, churn_probability=empty, limits=LIMITS,
    )  # fmt: skip
    assert len(found) == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1e5), st.booleans()), min_size=1, max_size=50))
def test_a_curve_ascends_between_its_bounds(pairs: list[tuple[float, bool]]) -> None:
    score, ordered = (np.array(column) for column in zip(*pairs, strict=True))
    curve = find_curve(score, ordered)
    at = curve.at(np.sort(np.concatenate([score, [0.0, 1e6]])))
    assert (np.diff(at) >= -1e-12).all()
    assert (at >= LEAST_ORDER_PROBABILITY).all()
    assert (at <= 1).all()
