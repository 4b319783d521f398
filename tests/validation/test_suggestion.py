"""Bounds learnt from history: wide enough for it, no wider than it must be, and loadable."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tasks.errors import UsageError
from tasks.sections import Limits
from tasks.settings import Settings, load_settings
from tasks.validation.backtest import backtest
from tasks.validation.checks import limits_of
from tasks.validation.past import PastBatch, read_past, rebuild
from tasks.validation.rules import table_rules
from tasks.validation.statistics import measure
from tasks.validation.suggestion import (
    Bound,
    join,
    learn_bounds,
    observe,
    put_in_force,
    render,
    suggest_bounds,
)
from tasks.warehouse import open_lake, scratch
from tests.validation.drawing import fill
from tests.validation.past_days import draw_past, make_day, remember

START = date(2024, 1, 1)

SHOP = draw_past(
    """
    day        | rows | amount | missing | guests
    2024-03-01 | 100  | 20     | 0.02    | 0.20
    2024-03-02 | 110  | 21     | 0.02    | 0.22
    2024-03-03 | 60   | 19     | 0.02    | 0.38      # a quiet Sunday, with many guests
    2024-03-04 | 105  | 20     | 0.03    | 0.21
    2024-03-05 | 98   | 20     | 0.02    | 0.20
    2024-03-06 | 102  | 24     | 0.02    | 0.23      # dear goods on sale
    2024-03-07 | 190  | 20     | 0.02    | 0.25      # the day of the newsletter
    2024-03-08 | 100  | 20     | 0.08    | 0.21      # new goods without a category yet
    2024-03-09 | 112  | 20     | 0.02    | 0.20
    2024-03-10 | 61   | 18     | 0.02    | 0.35
    2024-03-11 | 107  | 20     | 0.02    | 0.22
    2024-03-12 | 99   | 20     | 0.02    | 0.20
    2024-03-13 | 101  | 20     | 0.02    | 0.21
    2024-03-14 | 103  | 22     | 0.02    | 0.20
    2024-03-15 | 104  | 20     | 0.02    | 0.23
    2024-03-16 | 111  | 20     | 0.02    | 0.20
    """
)


@pytest.fixture(scope="module")
def chosen(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings()


@pytest.fixture(scope="module")
def called(chosen: Settings) -> str:
    return chosen.called


def limits(bounds: list[Bound], rule: str, column: str = "") -> dict[str, float]:
    [found] = [b for b in bounds if (b.rule, b.column) == (rule, column)]
    return dict(found.limits)


def test_a_bound_has_room_beyond_the_most_extreme_day(chosen: Settings) -> None:
    bounds = learn_bounds({"orders": SHOP}, chosen)
    # Guests: 38 % on one day, 21 % usually, of 16 days: 38 + sqrt(12 / 16) * (38 - 21).
    assert limits(bounds, "customer_id_present") == {"stop_above_share": 0.54}
    # The same rows were set aside, so that the whole has room too; 2 and 10 points are the floor.
    aside = limits(bounds, "quarantined_share")
    assert 0.38 < aside["warn_above"] < aside["stop_above"] < 0.6
    # From 0.6 times the trailing median to 1.9 times, and then as far again.
    volume = limits(bounds, "volume")
    assert volume["stop_below"] < volume["warn_below"] < 0.6
    assert 1.9 < volume["warn_above"] < volume["stop_above"]
    assert volume["stop_below"] > 0.1
    # A currency gets no room, as in force: another one is another unit of money.
    assert ("new_category", "currency") not in {(b.rule, b.column) for b in bounds}
    # A price of zero is counted and never stops a batch: that stays.
    assert "price_not_zero" not in {b.rule for b in bounds}
    # 19 to 24 never moved by half: a floor of half again and of threefold.
    assert limits(bounds, "shift", "net_amount") == {"warn_above": 1.5, "stop_above": 3.0}
    assert limits(bounds, "null_jump", "order_id") == {"warn_above": 0.05, "stop_above": 0.2}


def test_few_batches_are_not_enough(chosen: Settings) -> None:
    bounds = learn_bounds({"orders": SHOP[:11]}, chosen)
    assert not any(bound.limits for bound in bounds)
    text = render(bounds, chosen)
    assert "# orders: customer_id_present: not enough history, 11 of 12 batches" in text
    # Of eleven batches the first three have nothing to be compared with.
    assert "# orders: volume: not enough history, 8 of 12 batches" in text
    assert "Nothing to propose" in render([], chosen)


def test_sources_that_share_a_table_get_the_widest_of_their_bounds(chosen: Settings) -> None:
    web = [make_day(n, START + timedelta(days=n), 100, guests=0.0) for n in range(20)]
    till = [
        make_day(n, START + timedelta(days=n), 100, guests=0.6, currency="EUR", source="till")
        for n in range(20)
    ]
    alone = learn_bounds({"web": web}, chosen)
    both = learn_bounds({"web": web, "till": till}, chosen)
    assert "customer_id_present" not in {b.rule for b in alone}  # 5 %, as in force
    assert limits(both, "customer_id_present") == {"stop_above_share": 0.6}
    # A source that is too young takes nothing away.
    young = join([*suggest_bounds(web, observe(web, chosen), chosen.validation), *alone])
    assert limits(young, "volume") == limits(alone, "volume")
    fresh = learn_bounds({"web": web, "till": till[:3]}, chosen)
    assert limits(fresh, "volume") == limits(alone, "volume")


def test_the_lines_say_what_they_come_from_and_load(chosen: Settings, tmp_path: Path) -> None:
    bounds = learn_bounds({"orders": SHOP}, chosen)
    text = render(bounds, chosen)
    assert (
        "customer_id_present: {stop_above_share: 0.54}  # 16 batches: 19.6% to 38.3%, middle half"
        in text
    )
    assert "in force: at most 5.0% (stop)" in text
    path = tmp_path / "shop.yaml"
    path.write_text(text, encoding="utf-8")
    loaded = load_settings(path, home=chosen.home)
    assert loaded.validation == put_in_force(chosen, bounds).validation
    # What a deployment has set beside the bounds stays.
    assert loaded.validation.tables["orders"].rows["customer_id_present"].refused
    assert loaded.validation.tables["events"] == chosen.validation.tables["events"]


days = st.builds(
    dict,
    rows=st.integers(1, 5_000),
    amount=st.floats(0.01, 1e6),
    missing=st.floats(0, 1),
    guests=st.floats(0, 1),
    currency=st.sampled_from(["GBP", "EUR"]),
)


@hypothesis_settings(max_examples=15, deadline=None)
@given(drawn=st.lists(days, min_size=15, max_size=24))
def test_bounds_never_alarm_on_the_history_they_come_from_and_always_load(
    called: str, tmp_path_factory: pytest.TempPathFactory, drawn: list[dict[str, object]]
) -> None:
    chosen = load_settings(called)
    past: list[PastBatch] = [
        make_day(number, START + timedelta(days=number), **day)  # type: ignore[arg-type]
        for number, day in enumerate(drawn, 1)
    ]
    bounds = learn_bounds({"orders": past}, chosen)
    proposed = {(b.rule, b.column) for b in bounds if b.limits}
    assert ("volume", "") in proposed
    path = tmp_path_factory.mktemp("learnt") / "shop.yaml"
    path.write_text(render(bounds, chosen), encoding="utf-8")
    loaded = load_settings(path, home=chosen.home)
    assert loaded.validation == put_in_force(chosen, bounds).validation
    _, replay = backtest(past, chosen, given=loaded)
    about_rows = {rule.name for rule in table_rules("orders").rows}
    alarms = [
        alarm
        for alarm in replay.alarms
        if (alarm.rule, "" if alarm.rule in about_rows else alarm.column) in proposed
    ]
    assert alarms == []
    for bound in bounds:
        if bound.limits and not bound.about_rows:
            rule = loaded.validation.tables["orders"].batch[bound.rule]
            check_order(limits_of(rule, bound.column))


def check_order(found: Limits) -> None:
    """To stop is never easier than to warn."""
    if found.warn_above is not None and found.stop_above is not None:
        assert found.warn_above <= found.stop_above
    if found.warn_below is not None and found.stop_below is not None:
        assert found.stop_below <= found.warn_below


@pytest.mark.sql
def test_figures_are_made_anew_from_what_the_ledger_keeps(tmp_path: Path) -> None:
    staged = fill(
        tmp_path,
        "orders",
        90,
        category="case when n % 9 = 0 then null when n % 2 = 0 then 'toys' else 'gifts' end",
        ordered_at="timestamptz '2024-03-15 00:00:00+00' + n * interval 1 hour",
        discount_amount="case when n % 3 = 0 then n end",
    )
    with scratch() as connection:
        figures = measure(connection, str(staged.staged_path), table_rules("orders"))
    kept = figures.statistics(200)
    batch = make_day(1, START, 90)
    again = rebuild(
        PastBatch(
            **{
                **{name: getattr(batch, name) for name in PastBatch.__slots__},
                "figures": {(s.column, s.statistic): s.value for s in kept},
            }
        )
    )
    assert again.null_counts == figures.null_counts
    assert again.counts == figures.counts
    assert again.quantiles == figures.quantiles
    assert again.positive_counts == figures.positive_counts
    assert again.statistics(200) == kept


@pytest.mark.sql
def test_the_ledger_gives_the_accepted_batches_back(make_settings: Callable[..., Settings]) -> None:
    with open_lake(make_settings()) as lake:
        remember(lake, SHOP[:3])
        other = [make_day(9, START, 50, source="till")]
        remember(lake, other)
        # A batch that a correction has replaced is no longer of the past.
        lake.execute(
            "insert into lake.ledger.batches by name select * replace ('superseded' as state,"
            " recorded_at + interval 1 day as recorded_at) from lake.ledger.batches"
            " where batch_number = 2"
        )
        assert read_past(lake) == {"orders": [SHOP[0], SHOP[2]], "till": other}
        assert read_past(lake, "till") == {"till": other}
        with pytest.raises(UsageError, match="no source 'tills'") as refused:
            read_past(lake, "tills")
    assert "Did you mean 'till'?" in str(refused.value)
