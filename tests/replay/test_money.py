"""The money of a replay: sums by the house's formula, leads as intervals of paired steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.economics import Economics
from tasks.histories import ReplaySettings
from tasks.replay.money import find_interval, settle
from tasks.replay.truth import compare_truth

MONEY = Economics("EUR", Decimal("1"), Decimal("4"), 0.5, 0.5, 20.0, Decimal("50"))
HOW = ReplaySettings(block_weeks=2)
START = datetime(2023, 1, 2, tzinfo=UTC)


def outcomes(rows: list[tuple[int, str, str, float, float, bool]]) -> pa.Table:
    names = ("as_of", "policy", "customer_id", "value_amount", "probability", "churned")
    columns = list(zip(*rows, strict=True))
    columns[0] = tuple(START + timedelta(days=7 * week) for week in columns[0])
    return pa.table(dict(zip(names, map(list, columns), strict=True)))


def test_sums_are_what_the_formula_says() -> None:
    # leave: 0.5 * (0.5 * 100 - 4) - 1 = 22; stay: -5
    found = settle(
        outcomes(
            [
                (0, "served", "a", 100.0, 0.6, True),
                (0, "served", "b", 100.0, 0.6, False),
                (1, "served", "c", 100.0, 0.6, True),
                (0, "best rule", "b", 100.0, 0.5, False),
                (1, "best rule", "c", 100.0, 0.5, True),
            ]
        ),
        MONEY,
        HOW,
    )
    served, rule = found.of("served"), found.of("best rule")
    assert served is not None
    assert rule is not None
    assert (served.realised_amount, rule.realised_amount) == (Decimal("39.00"), Decimal("17.00"))
    assert rule.lead_amount == Decimal("22.00")
    assert served.expected_amount == pytest.approx(3 * (0.6 * 22 - 0.4 * 5))
    assert found.by_week == {"served": (17.0, 22.0), "best rule": (-5.0, 22.0)}
    assert found.currency == "EUR"
    assert found.of("never retrained") is None


def test_a_policy_leads_itself_by_nothing() -> None:
    rows = [(week, name, f"c{week}", 80.0, 0.5, week % 3 == 0)
            for week in range(20) for name in ("served", "always promoted")]  # fmt: skip
    same = settle(outcomes(rows), MONEY, HOW).of("always promoted")
    assert same is not None
    assert (same.lead_amount, same.lead_interval) == (Decimal("0.00"), (0.0, 0.0))


def test_an_interval_goes_by_the_groups_of_neighbours() -> None:
    # Groups (1, 3), (5, 7), (6, 8): means 2, 6, 7, and t with two degrees of freedom is 4.3027.
    low, high = find_interval(np.asarray([1.0, 3, 5, 7, 6, 8]), 2, 0.95)
    reach = 6 * 4.302653 * np.std([2, 6, 7], ddof=1) / np.sqrt(3)
    assert (low, high) == pytest.approx((30 - reach, 30 + reach), rel=1e-6)
    assert find_interval(np.asarray([5.0]), 2, 0.95) == (-np.inf, np.inf)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60), st.integers(1, 12))
def test_an_interval_holds_its_sum_and_grows_with_the_money(
    amounts: list[float], block: int
) -> None:
    low, high = find_interval(np.asarray(amounts), block, 0.95)
    assert low <= sum(amounts) + 1e-3
    assert high >= sum(amounts) - 1e-3
    twice = find_interval(2 * np.asarray(amounts), block, 0.95)
    assert twice == pytest.approx((2 * low, 2 * high), rel=1e-9, abs=1e-3)


def test_claims_are_held_against_the_truth() -> None:
    rng = np.random.default_rng(7)
    true = rng.uniform(0.2, 0.8, 400)
    rows = [
        (n // 20, "served", f"c{n}", 60.0, float(p), bool(rng.random() < p))
        for n, p in enumerate(true)
    ]
    made = outcomes(rows)
    truths = {
        f"{START + timedelta(days=7 * week):%Y-%m-%d}": pa.table(
            {
                "customer_id": [f"c{n}" for n in range(20 * week, 20 * week + 20)],
                "lapse_probability": list(true[20 * week : 20 * week + 20]),
                # MONEY assumes that a contact keeps half of them, give or take.
                "contact_effect_on_lapse": list(-0.5 * true[20 * week : 20 * week + 20]),
            }
        )
        for week in range(20)
    }
    account = settle(made, MONEY, HOW)
    found = {one.claim: one for one in compare_truth(made, truths, MONEY, account)}
    assert all(one.covers for one in found.values())
    # A model that promises too much is told so.
    promised = made.set_column(4, "probability", pa.array(np.minimum(true + 0.15, 1.0)))
    wrong = {one.claim: one for one in compare_truth(promised, truths, MONEY, account)}
    assert not wrong["share of the contacted who leave"].covers
