"""The ledger: states appended, never changed, and what on-call reads from them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.errors import InternalError, UsageError
from tasks.intake.ledger import (
    count_batches,
    find_batch,
    ledger_time,
    read_batch,
    read_batches,
    record_state,
    show_quarantine,
)
from tasks.intake.publication import publish, register_delivery
from tasks.intake.refusals import record_rejection
from tasks.intake.replay import describe_queue
from tasks.warehouse import Lake
from tests.intake.builders import judge, make_raw, make_staged, order

pytestmark = pytest.mark.sql


def test_the_latest_row_is_the_state_and_earlier_rows_stay(lake: Lake, tmp_path: Path) -> None:
    raw = make_raw(tmp_path, [order()])
    batch = register_delivery(lake, raw, "test")
    with lake.writer_lock("test"):
        staged = record_state(lake, batch, "staged", actor="ann", report={"a": 1})
        record_state(lake, staged, "staged", actor="ann")
        record_state(lake, staged, "discarded", actor="bob", report={"b": 2})
    rows = lake.rows("select state, actor, report from lake.ledger.batches order by recorded_at")
    assert [(row["state"], row["actor"]) for row in rows] == [
        ("received", "test"),
        ("staged", "ann"),
        ("discarded", "bob"),
    ]
    assert read_batch(lake, 1).report == {"a": 1, "b": 2}
    with pytest.raises(InternalError, match="no batch number 2"):
        read_batch(lake, 2)


def test_ledger_time_never_runs_backwards(lake: Lake, tmp_path: Path) -> None:
    register_delivery(lake, make_raw(tmp_path, [order()]), "test")
    last = read_batch(lake, 1).recorded_at
    earlier = last - timedelta(hours=1)
    assert ledger_time(lake, earlier) == (last + timedelta(microseconds=1), timedelta(hours=1))
    later = last + timedelta(hours=1)
    assert ledger_time(lake, later) == (later, timedelta(0))


def test_batches_are_found_by_name_content_source_and_state(lake: Lake, tmp_path: Path) -> None:
    staged = make_staged(tmp_path, [order()])
    publish(lake, staged, judge(staged), "test")
    register_delivery(lake, make_raw(tmp_path, [order("bob")], "orders/2011-11"), "test")
    content = staged.raw.content_hash
    found = find_batch(lake, content_hash=content, source="orders")
    assert found is not None
    assert found.batch_name == "orders/2011-10"
    assert find_batch(lake, content_hash=content, source="returns") is None
    assert find_batch(lake, batch_name="orders/2011-11", states=("accepted",)) is None
    assert [b.state for b in read_batches(lake, states=("received",))] == ["received"]


def test_quarantine_is_listed_with_causes_counts_and_the_next_command(
    lake: Lake, tmp_path: Path
) -> None:
    clean = make_staged(tmp_path, [order("cat")], "orders/2011-09")
    some = make_staged(tmp_path, [order("ann", quantity=0), order("bob")])
    stopped = make_staged(tmp_path, [order("dan")], "orders/2011-11")
    broken = make_raw(tmp_path, [order("eve")], "orders/2011-12")
    publish(lake, clean, judge(clean), "test")
    publish(lake, some, judge(some, refused=[2]), "test")
    publish(lake, stopped, judge(stopped, stop=True), "test")
    record_rejection(lake, broken, code="ENCODING", reason="byte 7 is 0xff", actor="test")

    listed = describe_queue(lake)
    # What stops stands first, then the newest.
    assert [(item["code"], item["level"], item["rows_aside"]) for item in listed] == [
        ("ENCODING", "stop", 0),
        ("VOLUME", "stop", 1),
        ("RULE", "held", 1),
    ]
    assert [[one["batch_name"] for one in item["batches"]] for item in listed] == [
        ["orders/2011-12"],
        ["orders/2011-11"],
        ["orders/2011-10"],
    ]
    assert listed[2]["headline"] == "quantity positive: 1 of 2 rows (50.0%)"
    assert listed[2]["review"].endswith("quarantine show item-1")
    shown = [show_quarantine(lake, f"orders/2011-{month}") for month in (12, 11, 10)]
    assert [(one["state"], one["quarantined_share"]) for one in shown] == [
        ("quarantined", None),
        ("quarantined", 1.0),
        ("accepted", 0.5),
    ]
    assert shown[0]["causes"] == ["ENCODING: byte 7 is 0xff"]
    assert shown[2]["causes"] == ["quantity positive: 1 of 2 rows (50.0%), limit > 0, not above 0"]
    assert shown[2]["review"].endswith("quarantine show orders/2011-10")
    text = json.dumps(listed)
    assert "ann" not in text.replace("quarantin", "")


def test_one_batch_is_shown_with_rules_and_masked_rows(lake: Lake, tmp_path: Path) -> None:
    rows = [order("ann", quantity=0), order("bob"), order("cat", quantity=0)]
    staged = make_staged(tmp_path, rows)
    publish(lake, staged, judge(staged, refused=[2, 4]), "test")

    shown = show_quarantine(lake, "orders/2011-10", rows=1)

    assert shown["rules"] == [
        {
            "rule": "positive",
            "column": "quantity",
            "severity": "quarantine",
            "checked_rows": 3,
            "failed_rows": 2,
            "failed_share": 2 / 3,
            "limit": "> 0",
            "observed": "",
            "passed": False,
            "reason": "not above 0",
        }
    ]
    assert (shown["rows_total"], len(shown["rows"])) == (2, 1)
    row = shown["rows"][0]
    assert (row["row_number"], row["rule"]) == (2, "positive")
    assert row["line"].startswith("xxx,xxx-9,")
    assert json.loads(json.dumps(shown))["batch_number"] == 1
    assert show_quarantine(lake, "1")["batch_name"] == "orders/2011-10"
    with pytest.raises(UsageError, match="knows no batch 'orders/2011-1'") as unknown:
        show_quarantine(lake, "orders/2011-1")
    assert "Did you mean 'orders/2011-10'?" in str(unknown.value)


def test_status_counts(lake: Lake, tmp_path: Path) -> None:
    assert count_batches(lake)["newest_published_at"] is None
    staged = make_staged(tmp_path, [order("ann", quantity=0), order("bob")])
    batch = publish(lake, staged, judge(staged, refused=[2]), "test")
    register_delivery(lake, make_raw(tmp_path, [order("cat")], "orders/late"), "test")
    counts = count_batches(lake)
    assert counts["states"] == {"accepted": 1, "received": 1}
    assert counts["unfinished"] == ["orders/late"]
    assert counts["tables"]["orders"]["received"] == 2
    assert counts["tables"]["orders"]["accepted"] == 1
    assert batch.published_at is not None
    assert datetime.fromisoformat(counts["newest_published_at"]) == batch.published_at
    assert batch.published_at <= datetime.now(UTC)
