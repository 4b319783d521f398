"""Publishing: everything of a batch at once, everything accounted for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.errors import DataRejected, InternalError, StoredDataCorrupt
from tasks.handles import Statistic
from tasks.intake.ledger import find_batch, read_batches
from tasks.intake.publication import mark_staged, publish, register_delivery
from tasks.intake.raw import hash_file
from tasks.intake.refusals import describe_stop, record_rejection
from tasks.warehouse import Lake
from tests.intake.builders import judge, make_raw, make_staged, order

pytestmark = pytest.mark.sql


def facts(lake: Lake) -> list[tuple[object, ...]]:
    rows = lake.rows(
        "select customer_id, batch_number, row_number from lake.main.orders order by all"
    )
    return [tuple(row.values()) for row in rows]


def test_accepted_and_quarantined_rows_make_up_the_received_ones(
    lake: Lake, tmp_path: Path
) -> None:
    staged = make_staged(tmp_path, [order("bob"), order("ann", quantity=0), order("cat")])
    register_delivery(lake, staged.raw, "test")
    mark_staged(lake, staged, "test")

    batch = publish(lake, staged, judge(staged, refused=[3]), "test")

    assert (batch.received_rows, batch.accepted_rows, batch.quarantined_rows) == (3, 2, 1)
    assert batch.state == "accepted"
    assert batch.published_at == batch.recorded_at
    assert facts(lake) == [("bob", 1, 2), ("cat", 1, 4)]
    assert lake.rows("select row_number, rule, reason from lake.ledger.quarantine") == [
        {"row_number": 3, "rule": "positive", "reason": "quantity is 0"}
    ]
    states = lake.rows("select state from lake.ledger.batches order by recorded_at")
    assert [row["state"] for row in states] == ["received", "staged", "accepted"]


def test_one_snapshot_holds_rows_ledger_rules_and_statistics(lake: Lake, tmp_path: Path) -> None:
    staged = make_staged(tmp_path, [order()])
    verdict = replace(judge(staged), statistics=(Statistic("net_amount", "median", 9.5),))
    register_delivery(lake, staged.raw, "test")
    before = lake.snapshot().snapshot_id

    publish(lake, staged, verdict, "test")

    assert lake.snapshot().snapshot_id == before + 1
    version = f"at (version => {before})"
    for table in ("main.orders", "ledger.rule_results", "ledger.batch_statistics"):
        assert lake.scalar(f"select count(*) from lake.{table}") == 1
        assert lake.scalar(f"select count(*) from lake.{table} {version}") == 0
    message = lake.one(
        "select author, commit_message, commit_extra_info from lake.snapshots()"
        " order by snapshot_id desc limit 1"
    )
    assert message["commit_message"] == "publish orders/2011-10"
    assert '"batch_number": 1' in message["commit_extra_info"]


def test_the_same_content_again_changes_nothing(lake: Lake, tmp_path: Path) -> None:
    staged = make_staged(tmp_path, [order()])
    publish(lake, staged, judge(staged), "test")
    before = lake.snapshot().snapshot_id

    assert register_delivery(lake, staged.raw, "test").already_known
    again = publish(lake, staged, judge(staged), "test")

    assert again.already_known
    assert again.batch_number == 1
    assert lake.snapshot().snapshot_id == before


def test_the_same_content_under_another_name_is_known(lake: Lake, tmp_path: Path) -> None:
    first = make_staged(tmp_path, [order()])
    publish(lake, first, judge(first), "test")
    second = make_staged(tmp_path, [order()], "orders/copy")

    assert publish(lake, second, judge(second), "test").batch_name == "orders/2011-10"
    assert len(facts(lake)) == 1


def test_the_same_bytes_of_another_source_are_another_batch(lake: Lake, tmp_path: Path) -> None:
    first = make_staged(tmp_path, [order()])
    second = make_staged(tmp_path, [order()], "returns/2011-10")
    publish(lake, first, judge(first), "test")
    assert not publish(lake, second, judge(second), "test").already_known
    assert len(facts(lake)) == 2


def test_a_stopped_batch_stands_aside_whole(lake: Lake, tmp_path: Path) -> None:
    staged = make_staged(tmp_path, [order("ann"), order("bob", quantity=0), order("cat")])
    batch = publish(lake, staged, judge(staged, refused=[3], stop=True), "test")

    assert batch.state == "quarantined"
    assert (batch.received_rows, batch.accepted_rows, batch.quarantined_rows) == (3, 0, 3)
    assert facts(lake) == []
    held = lake.rows("select row_number, rule, raw_line from lake.ledger.quarantine order by 1")
    assert [(row["row_number"], row["rule"]) for row in held] == [
        (2, "volume"),
        (3, "positive"),
        (4, "volume"),
    ]
    assert held[0]["raw_line"] is None
    assert held[1]["raw_line"].startswith("bob,")
    refusal = describe_stop(batch, "shop")
    assert refusal.exit_code == 65
    assert "orders/2011-10 quarantined: 2 of 2 rules failed" in str(refusal)
    assert "volume: 1 of 3 rows (33.3%), found ratio 9.1, limit 0.5 to 2, shift" in str(refusal)
    assert "ann" not in str(refusal)


def test_stopped_again_for_the_same_causes_adds_nothing(lake: Lake, tmp_path: Path) -> None:
    staged = make_staged(tmp_path, [order()])
    publish(lake, staged, judge(staged, stop=True), "test")
    before = lake.snapshot().snapshot_id

    again = publish(lake, staged, judge(staged, stop=True), "test")

    assert again.state == "quarantined"
    assert again.already_known
    assert lake.snapshot().snapshot_id == before


def test_a_stopped_batch_that_passes_later_is_published_and_the_try_is_closed(
    lake: Lake, tmp_path: Path
) -> None:
    staged = make_staged(tmp_path, [order()])
    publish(lake, staged, judge(staged, stop=True), "test")
    publish(lake, staged, judge(staged, stop=True, failed=0), "test")
    batch = publish(lake, staged, judge(staged), "test")

    assert batch.state == "accepted"
    assert batch.batch_number == 3
    assert [b.state for b in read_batches(lake)] == ["replayed", "replayed", "accepted"]
    assert facts(lake) == [("ann", 3, 2)]


def test_a_file_that_changed_since_it_was_judged_is_refused(lake: Lake, tmp_path: Path) -> None:
    staged = make_staged(tmp_path, [order()])
    staged = replace(staged, staged_hash=hash_file(staged.staged_path)[0])
    staged.staged_path.write_bytes(staged.staged_path.read_bytes() + b"x")
    with pytest.raises(DataRejected, match="CHANGED"):
        publish(lake, staged, judge(staged), "test")

    other = make_staged(tmp_path, [order("bob")])
    other.raw.raw_path.write_bytes(b"something else")
    with pytest.raises(StoredDataCorrupt, match="raw bytes has changed"):
        publish(lake, other, judge(other), "test")
    assert facts(lake) == []


def test_counts_that_differ_from_the_verdict_stop_everything(lake: Lake, tmp_path: Path) -> None:
    staged = make_staged(tmp_path, [order("ann"), order("bob")])
    wrong = replace(judge(staged), received_rows=3, accepted_rows=3)
    with pytest.raises(InternalError, match="account for every row"):
        publish(lake, staged, wrong, "test")
    # Two claimed refused, one named in the file: the sum fits, what is inserted does not.
    lying = replace(judge(staged, refused=[2]), accepted_rows=0, quarantined_rows=2)
    with pytest.raises(InternalError, match="does not add up"):
        publish(lake, staged, lying, "test")
    missing = make_staged(tmp_path, [order("ann", currency=None)])
    with pytest.raises(InternalError, match="1 rows lack a required value"):
        publish(lake, missing, judge(missing), "test")
    assert facts(lake) == []
    assert read_batches(lake) == []


def test_an_unreadable_delivery_is_recorded_once(lake: Lake, tmp_path: Path) -> None:
    raw = make_raw(tmp_path, [order()])
    register_delivery(lake, raw, "test")
    for _ in range(2):
        batch = record_rejection(
            lake,
            raw,
            code="MALFORMED",
            reason="a line of 3 fields, 12 expected",
            lines=[(50_001, "3 fields", "ann,1,2")],
            actor="test",
        )
    assert (batch.batch_number, batch.state, batch.quarantined_rows) == (1, "quarantined", 1)
    assert batch.already_known
    assert "orders/2011-10 refused: MALFORMED" in str(describe_stop(batch, "shop"))
    assert lake.scalar("select count(*) from lake.ledger.quarantine") == 1


def test_what_was_received_and_never_ended_goes_on_under_its_number(
    lake: Lake, tmp_path: Path
) -> None:
    other = make_staged(tmp_path, [order("bob")], "orders/2011-11")
    staged = make_staged(tmp_path, [order()])
    first = register_delivery(lake, staged.raw, "test")
    register_delivery(lake, other.raw, "test")
    again = register_delivery(lake, staged.raw, "test")
    assert (first.batch_number, again.batch_number) == (1, 1)
    assert publish(lake, staged, judge(staged), "test").batch_number == 1
    found = find_batch(lake, batch_name="orders/2011-11")
    assert found is not None
    assert found.state == "received"
