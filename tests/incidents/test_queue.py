"""The states of an item: who ended it is never overwritten, and what it waits for is not lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.errors import UsageError
from tasks.handles import Cause, Incident, Waiver
from tasks.incidents.decisions import grant_waivers, make_decision, request_release
from tasks.incidents.queue import (
    list_incidents,
    raise_incident,
    read_incident,
    reopen_incident,
    resolve_all_raised,
    resolve_incident,
)
from tasks.intake.publication import publish
from tasks.intake.replay import discard_batches
from tasks.warehouse import Lake
from tests.intake.builders import judge, make_staged, order

pytestmark = pytest.mark.sql

GAP = Cause("orders|gap", "GAP", "gap", "orders", "", "orders/2011-09 is missing")


def raise_gap(lake: Lake, missing: int = 1) -> Incident:
    cause = replace(GAP, headline=f"{missing} parts are missing")
    return raise_incident(lake, cause, actor="holdfast", report={"missing": missing})


def waiver(incident: Incident) -> Waiver:
    now = datetime.now(UTC)
    return Waiver(
        "w1", "orders", ("gap",), "leave_out", "a holiday", "ann", now, now + timedelta(days=9)
    )


def discard(lake: Lake, incident: Incident, number: int) -> None:
    discard_batches(
        lake,
        [number],
        incident_number=incident.incident_number,
        actor="bob",
        reason="a test file",
        decision=make_decision(incident, "discarded", "bob", "a test file", {"batch": number}),
    )


def test_a_discard_does_not_overwrite_what_a_night_has_published_meanwhile(
    lake: Lake, tmp_path: Path
) -> None:
    staged = make_staged(tmp_path, [order("ann"), order("bob")])
    stopped = publish(lake, staged, judge(staged, stop=True), "night")
    [seen] = list_incidents(lake)
    # The item was looked up; before the discard has the lock, the batch is published after all.
    publish(lake, staged, judge(staged), "night")
    with pytest.raises(UsageError, match="item-1 is decided already: replayed, by night"):
        discard(lake, seen, stopped.batch_number)
    assert read_incident(lake, "item-1").resolution == "replayed"
    assert lake.scalar("select count(*) from lake.ledger.decisions") == 0


def test_an_item_that_is_done_is_changed_by_taking_it_up_again_alone(lake: Lake) -> None:
    gap = raise_gap(lake)
    resolve_incident(lake, gap, "waived", actor="ann", reason="a holiday")
    with pytest.raises(UsageError, match="decided already: waived, by ann"):
        resolve_incident(lake, gap, "discarded", actor="bob", reason="never")
    with pytest.raises(UsageError, match="decided already: waived, by ann"):
        request_release(lake, gap, [waiver(gap)], "bob", "once more")
    assert reopen_incident(lake, gap, actor="bob", reason="it came").state == "open"


def test_a_gap_that_grows_goes_on_waiting_for_its_second_person(lake: Lake) -> None:
    gap = raise_gap(lake)
    request_release(lake, gap, [waiver(gap)], "ann", "a holiday")
    waiting = read_incident(lake, gap.name)
    grown = raise_gap(lake, missing=2)
    assert (grown.state, grown.cause.headline) == ("waiting", "2 parts are missing")
    assert grown.report["request"] == waiting.report["request"]
    # Asked every minute, it writes nothing more.
    states = lake.scalar("select count(*) from lake.ledger.incidents")
    assert raise_gap(lake, missing=2) == grown
    assert lake.scalar("select count(*) from lake.ledger.incidents") == states


def test_a_leave_that_needs_nobody_else_is_not_called_approved(lake: Lake) -> None:
    gap = raise_gap(lake)
    request_release(lake, gap, [waiver(gap)], "ann", "a holiday")
    waiting = read_incident(lake, gap.name)
    grant_waivers(lake, waiting, [waiver(gap)], "ann", "a holiday")
    assert read_incident(lake, gap.name).reason == "a holiday"
    other = replace(waiver(gap), waiver_id="w2", approved_by="bob")
    request_release(lake, read_incident(lake, gap.name), [other], "ann", "a holiday")
    grant_waivers(lake, read_incident(lake, gap.name), [other], "bob", "a holiday")
    assert read_incident(lake, gap.name).reason == "approved: a holiday"


def test_the_same_decision_after_taking_up_again_is_another(lake: Lake) -> None:
    gap = raise_gap(lake)
    first = make_decision(gap, "discarded", "ann", "a holiday", {})
    assert make_decision(gap, "discarded", "ann", "a holiday", {}) == first
    done = resolve_incident(lake, gap, "discarded", actor="ann", reason="a holiday")
    again = reopen_incident(lake, done, actor="bob", reason="it came")
    second = make_decision(again, "discarded", "cid", "a holiday", {})
    assert second["decision_id"] != first["decision_id"]


def test_a_batch_that_the_next_night_publishes_by_a_waiver_ends_as_waived(
    lake: Lake, tmp_path: Path
) -> None:
    staged = make_staged(tmp_path, [order("ann")])
    stopped = publish(lake, staged, judge(staged, stop=True), "night")
    publish(lake, staged, replace(judge(staged), waived=True), "night")
    states = lake.rows(
        "select state from lake.ledger.batches where batch_number = $number order by recorded_at",
        {"number": stopped.batch_number},
    )
    assert [row["state"] for row in states] == ["quarantined", "waived"]
    assert read_incident(lake, "item-1").resolution == "waived"


def test_many_causes_are_ended_by_one_question(lake: Lake) -> None:
    keys = [f"night|fault|{code}" for code in ("BUG", "OOM", "DISK")]
    for key in keys[:2]:
        raise_incident(lake, replace(GAP, key=key, level="fault"), actor="holdfast", report={})
    raise_gap(lake)
    assert resolve_all_raised(lake, keys, actor="holdfast", reason="it ended well") == 2
    assert [one.cause.key for one in list_incidents(lake)] == [GAP.key]
    assert resolve_all_raised(lake, keys, actor="holdfast", reason="again") == 0
    ended = [one for one in list_incidents(lake, unresolved=False) if one.state == "resolved"]
    assert [one.reason for one in ended] == ["it ended well"] * 2
