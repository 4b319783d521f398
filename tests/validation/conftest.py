"""Settings for drawn batches: few rows, so that ceilings on shares of rows stand out of the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tasks.settings import Settings
from tasks.validation.rules import CATALOGUE

MakeSettings = Callable[..., Settings]


@pytest.fixture
def lenient(make_settings: MakeSettings) -> Settings:
    """No share of bad rows stops a batch: single rows can be looked at."""
    tables: dict[str, Any] = {}
    for name, entry in CATALOGUE.items():
        rows = {rule.name: {"stop_above_share": 1.0} for rule in entry.rows}
        batch = {rule: {"stop_above": None} for rule in ("quarantined_share", "one_currency")}
        known = {rule: limits for rule, limits in batch.items() if rule in entry.batch}
        tables[name] = {"rows": rows, "batch": known}
    return make_settings(validation={"tables": tables})


@pytest.fixture
def with_rules(make_settings: MakeSettings) -> Callable[..., Settings]:
    """Settings whose rules of `orders` are changed: `with_rules({rule: {...}}, {rule: {...}})`."""

    def make(
        rows: dict[str, Any] | None = None,
        batch: dict[str, Any] | None = None,
        table: str = "orders",
        **sections: Any,
    ) -> Settings:
        limits = {"quarantined_share": {"stop_above": None}, **(batch or {})}
        tables = {table: {"rows": rows or {}, "batch": limits}}
        return make_settings(validation={"tables": tables}, **sections)

    return make
