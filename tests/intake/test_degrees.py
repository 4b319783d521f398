"""How sources stand by the ledger, the dead-man's switch, and what holds a training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.handles import BatchState, Cause, Delivery, Incident, RawBatch, Waiver
from tasks.incidents.queue import (
    change_state,
    list_incidents,
    raise_incident,
    resolve_incident,
)
from tasks.incidents.waivers import append_waiver
from tasks.intake.degrees import (
    describe_behind,
    find_hold,
    judge_sources,
    watch_deliveries,
)
from tasks.intake.ledger import append_batch, next_batch_number
from tasks.settings import Settings
from tasks.standings import SourceStanding, Standing
from tasks.warehouse import Lake, open_lake
from tests.features.shop import EPOCH, order, put

pytestmark = pytest.mark.sql

NOW = datetime(2011, 6, 2, 3, tzinfo=UTC)
MONTHS = ("2011-01", "2011-02", "2011-03", "2011-04", "2011-05")
Make = Callable[..., Settings]

_MAPS = {
    "orders": {
        "customer_id": "a",
        "order_id": "a",
        "ordered_at": "a",
        "quantity": "a",
        "net_amount": "a",
        "currency": "a",
        "is_return": "a",
    },
    "tickets": {"customer_id": "a", "ticket_id": "a", "opened_at": "a"},
}


def source(table: str = "orders", **values: Any) -> dict[str, Any]:
    return {
        "kind": "files",
        "table": table,
        "folder": "/nowhere",
        "pattern": "*",
        "columns": {"a": "text"},
        "map": _MAPS[table],
        **values,
    }


@contextmanager
def opened(make: Make, sources: dict[str, Any], **sections: Any) -> Iterator[Lake]:
    with open_lake(make(intake={"sources": sources}, **sections)) as lake:
        yield lake


def note(lake: Lake, *names: str, state: BatchState = "accepted") -> int:
    """Batches as the ledger would have them; the number of the last."""
    with lake.writer_lock("test"), lake.publish("test", "note", {}):
        for name in names:
            part = name.partition("/")[0]
            table = lake.settings.intake.sources[part].table
            number = next_batch_number(lake)
            raw = RawBatch(Delivery(name, part, table, ""), f"{number:064}", Path("-"), 1)
            append_batch(
                lake,
                raw,
                state,
                batch_number=number,
                recorded_at=NOW,
                published_at=NOW if state == "accepted" else None,
                actor="test",
            )
    return number


def day_of(year: int, month: int, day: int) -> int:
    """Days of the tests' shop, in which an order is one of noon."""
    return (datetime(year, month, day, tzinfo=UTC) - EPOCH).days


def months(name: str, *without: str) -> list[str]:
    return [f"{name}/{month}" for month in MONTHS if month not in without]


def stands(lake: Lake, name: str = "orders", now: datetime = NOW) -> SourceStanding:
    found = {one.source: one for one in judge_sources(lake, lake.settings, now).sources}
    return found[name]


def watched(lake: Lake, now: datetime = NOW) -> list[Incident]:
    items = watch_deliveries(lake, lake.settings, now)
    assert [item.name for item in items] == [item.name for item in list_incidents(lake)]
    return items


def held(lake: Lake, *, has_champion: bool = True, now: datetime = NOW) -> str:
    standing = judge_sources(lake, lake.settings, now)
    hold = find_hold(standing, lake.settings, has_champion=has_champion)
    return str(hold.error) if hold is not None else ""


def waive(lake: Lake, ends_at: datetime, batch_name: str | None = None) -> None:
    waiver = Waiver(
        waiver_id=f"w{batch_name}",
        source="orders",
        rules=("gap",),
        effect="leave_out",
        reason="stock-taking",
        author="ann",
        granted_at=NOW,
        ends_at=ends_at,
        batch_name=batch_name,
    )
    with lake.writer_lock("test"), lake.publish("test", "waive", {}):
        append_waiver(lake, waiver, None)


def test_the_switch_raises_one_item_brings_it_up_to_date_and_ends_it(make_settings: Make) -> None:
    with opened(make_settings, {"orders": source()}) as lake:
        assert watched(lake) == []
        note(lake, *months("orders", "2011-02"))
        [item] = watched(lake)
        assert item.cause.key == "orders|gap"
        assert (item.cause.code, item.cause.level, item.table) == ("GAP", "gap", "orders")
        assert item.cause.headline == "1 part did not come: 2011-02"
        version = lake.snapshot()
        assert watched(lake) == [item]
        assert lake.snapshot() == version  # asked every minute, it writes nothing

        note(lake, "orders/2011-08")
        [later] = watched(lake)
        assert later.name == item.name
        assert later.cause.headline == "3 parts did not come: 2011-02, 2011-06, 2011-07"
        assert later.report["missing"] == ["2011-02", "2011-06", "2011-07"]

        note(lake, "orders/2011-02", "orders/2011-06", "orders/2011-07")
        assert watched(lake) == []
        [done] = list_incidents(lake, unresolved=False)
        assert (done.state, done.resolution) == ("resolved", "recovered")
        assert done.reason == "everything missing has come"


def test_what_stands_in_quarantine_is_not_missed_twice_but_holds_a_training(
    make_settings: Make,
) -> None:
    with opened(make_settings, {"orders": source()}) as lake:
        note(lake, *months("orders", "2011-03", "2011-05"))
        number = note(lake, "orders/2011-03", "orders/2011-05", state="quarantined")
        assert watched(lake) == []
        one = stands(lake)
        assert (one.missing, one.refused) == ((), ("2011-03", "2011-05"))
        assert describe_behind(one) == "2 in quarantine: 2011-03, 2011-05"
        text = held(lake)
        assert text.startswith("GAP: training waits for 2 deliveries of orders.\n")
        assert "orders: 2011-03, 2011-05 in quarantine" in text
        assert "train --allow-gaps" in text
        assert "quarantine list" in text

        # What a killed process has begun was refused by nobody.
        note(lake, "orders/2011-07", state="staged")
        assert describe_behind(stands(lake)) == (
            "1 part did not come: 2011-06; 2 in quarantine: 2011-03, 2011-05;"
            " 1 begun and not finished: 2011-07"
        )
        assert "2011-07 begun and not finished" in held(lake)
        note(lake, "orders/2011-06", "orders/2011-07")

        # Discarded is decided; what was never decided still holds.
        note(lake, "orders/2011-03", state="discarded")
        assert stands(lake).refused == ("2011-05",)
        assert number == 5


def test_gaps_can_be_allowed_given_up_or_waived_for_a_time(make_settings: Make) -> None:
    with opened(make_settings, {"orders": source(gaps="allow")}) as lake:
        note(lake, *months("orders", "2011-02"))
        assert (watched(lake), held(lake), stands(lake).is_behind) == ([], "", False)

    with opened(make_settings, {"orders": source()}) as lake:
        note(lake, *months("orders", "2011-02", "2011-04"))
        waive(lake, NOW + timedelta(days=3), "orders/2011-02")
        assert "orders: 2011-04 did not come" in held(lake)
        waive(lake, NOW + timedelta(days=1))
        assert held(lake) == ""
        assert watched(lake) == []  # somebody has looked at it already
        # The data are no newer for it, and the leave ends by itself.
        assert stands(lake).is_behind
        day_after = NOW + timedelta(days=2)
        assert "1 delivery of orders" in held(lake, now=day_after)
        [item] = watched(lake, day_after)
        with lake.writer_lock("test"), lake.publish("test", "give up", {}):
            change_state(
                lake,
                item.incident_number,
                "resolved",
                recorded_at=NOW,
                actor="ann",
                resolution="discarded",
            )
        month_after = NOW + timedelta(days=30)
        assert watch_deliveries(lake, lake.settings, month_after) == []
        assert held(lake, now=month_after) == ""
        assert not stands(lake).is_behind
        # What goes missing later is another matter.
        note(lake, "orders/2011-07")
        [item] = watched(lake, month_after)
        assert item.cause.headline == "1 part did not come: 2011-06"


def test_overdue_is_what_the_settings_say_is_due(make_settings: Make) -> None:
    due = {"every": "month", "grace_hours": 48}
    sources = {"orders": source(due=due), "tickets": source("tickets", due=due)}
    with opened(make_settings, sources, clock={"as_of": "now"}) as lake:
        assert watched(lake) == []  # nothing has ever come: a deployment that is being set up
        note(lake, *months("orders", "2011-05"))
        assert describe_behind(stands(lake)) == ""  # two days of grace
        [tickets] = watched(lake)
        assert tickets.cause.headline == "1 is overdue: the first delivery"
        later = datetime(2011, 7, 3, 1, tzinfo=UTC)
        items = {item.cause.source: item.cause.headline for item in watched(lake, later)}
        assert items["orders"] == "2 are overdue: 2011-05, 2011-06"
        assert "orders: 2011-05, 2011-06 overdue" in held(lake, now=later)
        # One comes and is refused: it is there, and overdue is the other.
        note(lake, "orders/2011-05", state="quarantined")
        items = {item.cause.source: item.cause.headline for item in watched(lake, later)}
        assert items["orders"] == "1 is overdue: 2011-06"


def test_a_first_delivery_that_was_given_up_blinds_the_switch_to_nothing(
    make_settings: Make,
) -> None:
    due = {"every": "month", "grace_hours": 48}
    sources = {"orders": source(), "tickets": source("tickets", due=due)}
    with opened(make_settings, sources, clock={"as_of": "now"}) as lake:
        note(lake, *months("orders"))
        [item] = watched(lake)
        assert item.cause.headline == "1 is overdue: the first delivery"
        resolve_incident(lake, item, "discarded", actor="ann", reason="not before spring")
        assert watched(lake) == []
        note(lake, *months("tickets", "2011-02", "2011-05"))
        [item] = watched(lake, datetime(2011, 6, 3, 1, tzinfo=UTC))
        assert item.cause.headline == "1 part did not come: 2011-02; 1 is overdue: 2011-05"


def test_history_is_late_only_against_itself(make_settings: Make) -> None:
    due = {"every": "month", "grace_hours": 24}
    sources = {"orders": source(), "tickets": source("tickets", due=due)}
    with opened(make_settings, sources) as lake:
        note(lake, *months("orders"), *months("tickets", "2011-04", "2011-05"))
        assert stands(lake, "tickets").overdue == ()  # no rows, no time
        put(lake, "orders", [order("a", day_of(2014, 5, 31))])
        overdue = stands(lake, "tickets", datetime(2030, 1, 1, tzinfo=UTC)).overdue
        assert (overdue[0], overdue[-1], len(overdue)) == ("2011-04", "2014-04", 37)


def test_the_age_is_that_of_the_stalest_source(make_settings: Make) -> None:
    sources = {"orders": source(), "tickets": source("tickets")}
    with opened(make_settings, sources) as lake:
        assert judge_sources(lake, lake.settings, NOW).staleness.is_fresh
        number = note(lake, *months("orders", "2011-05"))
        put(lake, "orders", [order("a", day_of(2011, 4, 30), batch_number=number)])
        assert judge_sources(lake, lake.settings, NOW).staleness.text == ""
        note(lake, "orders/2011-05", state="quarantined")
        # By 'data' it should reach the end of May, whose part is refused.
        found = judge_sources(lake, lake.settings, NOW).staleness
        assert (found.days, found.sources, found.text) == (31.5, ("orders",), "orders")

    for as_of, days in (("now", 32.5), ("2011-05-02", 1.5)):
        with opened(make_settings, {"orders": source()}, clock={"as_of": as_of}) as lake:
            number = note(lake, *months("orders", "2011-02"))
            put(lake, "orders", [order("a", day_of(2011, 4, 30), batch_number=number)])
            assert judge_sources(lake, lake.settings, NOW).staleness.days == days


def test_an_optional_source_is_left_out_and_holds_only_a_later_training(
    make_settings: Make,
) -> None:
    tickets = source("tickets", optional=True)
    with opened(make_settings, {"orders": source(), "tickets": tickets}) as lake:
        note(lake, *months("orders"))
        found = judge_sources(lake, lake.settings, NOW)
        assert found.left_out == {"tickets"}
        assert found.staleness.text == "tickets (left out)"
        assert describe_behind(stands(lake, "tickets")) == "nothing has come yet"
        assert held(lake) == ""  # no champion can know what never came

        note(lake, *months("tickets", "2011-03"))
        assert "tickets: 2011-03 did not come" in held(lake)
        standing = judge_sources(lake, lake.settings, NOW)
        hold = find_hold(standing, lake.settings, has_champion=True)
        assert hold is not None
        assert not hold.ends_night
        assert held(lake, has_champion=False) == ""

    # A table that a required source feeds too is read as it is.
    sources = {"orders": source(), "desk": source("tickets"), "tickets": tickets}
    with opened(make_settings, sources) as lake:
        note(lake, *months("orders"), *months("desk"))
        found = judge_sources(lake, lake.settings, NOW)
        assert (found.left_out, found.staleness.text) == (frozenset(), "tickets")


@pytest.mark.parametrize(
    ("values", "has_champion", "ends"),
    [
        ({}, True, True),
        ({"when_refused": "degrade"}, True, False),
        ({"optional": True}, True, False),
        ({"optional": True}, False, None),
        ({"blocking": ()}, True, None),
    ],
)
def test_only_a_source_that_says_stop_ends_the_night(
    make_settings: Make, values: dict[str, Any], has_champion: bool, ends: bool | None
) -> None:
    missing = ("2011-02",)
    one = SourceStanding("desk", "tickets", "stop", False, missing, blocking=missing)
    one = replace(one, **values)
    standing = Standing((one,), left_out=frozenset(["tickets"]))
    hold = find_hold(standing, make_settings(), has_champion=has_champion)
    assert (hold.ends_night if hold else None) is ends
    if hold is not None:
        assert hold.error.exit_code == 75


def test_items_that_wait_are_left_waiting_and_those_of_gone_sources_end(
    make_settings: Make,
) -> None:
    with opened(make_settings, {"orders": source()}) as lake:
        note(lake, *months("orders", "2011-02"))
        [item] = watched(lake)
        with lake.writer_lock("test"), lake.publish("test", "ask", {}):
            change_state(
                lake,
                item.incident_number,
                "waiting",
                recorded_at=NOW,
                actor="ann",
                report={"request": {"author": "ann"}},
            )
        gone = Cause("till|gap", "GAP", "gap", "till", "", "1 part did not come: a")
        raise_incident(lake, gone, actor="test", report={})
        [item] = watched(lake)
        assert (item.state, item.report["request"]) == ("waiting", {"author": "ann"})
