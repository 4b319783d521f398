"""What a waiver names: what was broken, in the column in which it was, and nothing that is moot."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.errors import UsageError
from tasks.handles import Cause, Incident, RuleResult
from tasks.incidents.releasing import check_rows, choose_rules

NOW = datetime(2011, 10, 7, tzinfo=UTC)
WAIVABLE = {"price_not_zero": True, "customer_id_present": False, "shift": True, "volume": True}
ROW_RULES = {"price_not_zero": True, "customer_id_present": False}


def item(level: Any = "stop", key: str = "orders|stop|UNIT_SHIFT|net_amount") -> Incident:
    cause = Cause(key, "UNIT_SHIFT", level, "orders", "net_amount", "it broke")
    return Incident(1, cause, "orders", "open", None, NOW, NOW, "night", "")


def broken(rule: str, column: str, severity: Any = "stop") -> RuleResult:
    return RuleResult(rule, column, severity, 10, 3, "", "", passed=False)


RESULTS = [
    broken("shift", "net_amount"),
    broken("volume", ""),
    broken("price_not_zero", "net_amount", "quarantine"),
]


def test_what_stops_is_waived_in_its_column_alone() -> None:
    chosen = choose_rules(item(), RESULTS, (), WAIVABLE, let_in=False)
    assert chosen == ("shift:net_amount", "volume")
    held = item("held", "orders|held|price_not_zero")
    assert choose_rules(held, RESULTS, (), WAIVABLE, let_in=True) == ("price_not_zero:net_amount",)


@pytest.mark.parametrize("rule", ["shift:quantity", "customer_id_present", "no_such"])
def test_a_rule_that_was_not_broken_is_not_waived(rule: str) -> None:
    with pytest.raises(UsageError, match=f"No rule '{rule}' was broken by item-1"):
        choose_rules(item(), RESULTS, (rule,), WAIVABLE, let_in=False)
    assert choose_rules(item(), RESULTS, ("shift",), WAIVABLE, let_in=False) == ("shift",)


def test_rows_are_named_to_let_them_in_and_by_a_rule_about_rows() -> None:
    check_rows((), ("volume",), ROW_RULES, let_in=False)
    check_rows((5,), ("price_not_zero:net_amount",), ROW_RULES, let_in=True)
    with pytest.raises(UsageError, match="stay aside as they are"):
        check_rows((5,), ("price_not_zero",), ROW_RULES, let_in=False)
    with pytest.raises(UsageError, match="'shift:net_amount' is about the whole batch"):
        check_rows((5,), ("shift:net_amount",), ROW_RULES, let_in=True)
