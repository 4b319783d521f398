"""Whatever an amount is distributed like: a hundredfold is stopped, a fifth more passes."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tasks.handles import Delivery, RawBatch, StagedBatch
from tasks.sections import BatchRuleSettings
from tasks.settings import Settings
from tasks.validation.batch_checks import list_checks
from tasks.validation.checks import Surroundings
from tasks.validation.history import TrailingBatch
from tasks.validation.rules import table_rules
from tasks.validation.statistics import QUANTILES, Figures

SHIFT = BatchRuleSettings(warn_above=2.5, stop_above=8.0)


@pytest.fixture(scope="module")
def chosen(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings()


def quantiles(values: list[float], factor: float = 1.0) -> tuple[float, ...]:
    """The least value that has the share of values at or below it, as `quantile_disc`."""
    ordered = sorted(value * factor for value in values)
    return tuple(ordered[math.ceil(share * len(ordered)) - 1] for _, share in QUANTILES)


def level(before: list[tuple[float, ...]], now: tuple[float, ...], settings: Settings) -> str:
    names = [name for name, _ in QUANTILES]
    trailing = [
        TrailingBatch(
            number,
            {("net_amount", name): value for name, value in zip(names, values, strict=True)}
            | {("net_amount", "positive_values"): 100.0},
        )
        for number, values in enumerate(before)
    ]
    figures = Figures(rows=100, positive_counts={"net_amount": 100}, quantiles={"net_amount": now})
    raw = RawBatch(Delivery("orders/a", "orders", "orders", ""), "", settings.home, 0)
    staged = StagedBatch(raw, settings.home, 100, "observed", None)
    around = Surroundings(staged, figures, trailing, None, None, frozenset(), settings.validation)
    [check] = list_checks(table_rules("orders"), {"shift": SHIFT}, around)
    return check.level


@pytest.mark.parametrize("factor", [100.0, 1000.0, 0.01, 0.001])
@hypothesis_settings(max_examples=25, deadline=None)
@given(values=st.lists(st.floats(min_value=0.01, max_value=100_000), min_size=100, max_size=100))
def test_another_unit_never_passes_and_a_fifth_more_always_does(
    chosen: Settings, factor: float, values: list[float]
) -> None:
    before = [quantiles(values)] * 3
    assert level(before, quantiles(values), chosen) == ""
    assert level(before, quantiles(values, 1.2), chosen) == ""
    assert level(before, quantiles(values, 1 / 1.2), chosen) == ""
    assert level(before, quantiles(values, factor), chosen) == "stop"
