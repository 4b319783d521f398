"""What waivers change of a judgement when several of them speak of one rule."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.handles import Delivery, RawBatch, RuleResult, StagedBatch, Waiver
from tasks.validation.waiving import apply_waivers

NOW = datetime(2011, 10, 7, tzinfo=UTC)
STAGED = StagedBatch(
    RawBatch(Delivery("orders/2011-10", "orders", "orders", ""), "a" * 64, Path("-"), 1),
    Path("-"),
    10,
    "observed",
    None,
)


def waiver(rule: str, **values: Any) -> Waiver:
    said = {"effect": "leave_out", "reason": "so", "author": "ann", **values}
    return Waiver(
        "w", source="orders", rules=(rule,), granted_at=NOW, ends_at=NOW + timedelta(days=1), **said
    )


def broken(rule: str, column: str, severity: Any) -> RuleResult:
    return RuleResult(rule, column, severity, 10, 3, "", "", passed=False)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_widest_waiver_counts_whenever_it_was_granted(order: tuple[int, ...]) -> None:
    granted = [
        waiver("price_not_zero", effect="let_in", row_numbers=(5,)),
        waiver("price_not_zero"),
        waiver("price_not_zero", effect="let_in", reason="gifts"),
    ]
    waivers = [granted[place] for place in order]
    for severity in ("stop", "quarantine"):
        [result] = apply_waivers(
            [broken("price_not_zero", "net_amount", severity)], waivers, STAGED
        )
        assert (result.severity, "gifts" in result.reason) == ("warn", True)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_waiver_of_rows_takes_nothing_from_one_of_the_rule(order: tuple[int, ...]) -> None:
    granted = [
        waiver("price_not_zero", effect="let_in", row_numbers=(5,)),
        waiver("price_not_zero"),
    ]
    [result] = apply_waivers(
        [broken("price_not_zero", "net_amount", "stop")], [granted[n] for n in order], STAGED
    )
    assert result.severity == "quarantine"


def test_rows_alone_lift_no_stop_and_what_a_table_requires_stays_aside() -> None:
    rows = waiver("price_not_zero", effect="let_in", row_numbers=(5,))
    [result] = apply_waivers([broken("price_not_zero", "net_amount", "stop")], [rows], STAGED)
    assert result.severity == "stop"
    [result] = apply_waivers(
        [broken("customer_id_present", "customer_id", "stop")],
        [waiver("customer_id_present", effect="let_in")],
        STAGED,
    )
    assert result.severity == "quarantine"
