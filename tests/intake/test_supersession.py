"""Identity: the same content twice, other content under a name, and corrections."""

from __future__ import annotations

import multiprocessing
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from tasks.errors import DataRejected, LockHeld
from tasks.handles import StagedBatch
from tasks.intake import publication
from tasks.intake.ledger import find_batch, read_batches
from tasks.intake.publication import publish, register_delivery
from tasks.intake.refusals import record_rejection
from tasks.postgres import connect
from tasks.settings import Settings
from tasks.visibility import supersessions, visible
from tasks.warehouse import Lake, open_lake
from tests.intake.builders import judge, make_raw, make_staged, order

pytestmark = pytest.mark.sql


def seen(lake: Lake, known_by: Any) -> list[str]:
    version = lake.snapshot()
    source = visible("orders", version, supersessions(lake, version))
    rows = lake.rows(f"select customer_id from {source} order by 1", {"known_by": known_by})
    return [row["customer_id"] for row in rows]


def test_other_content_under_an_accepted_name_is_refused_and_recorded_once(
    lake: Lake, tmp_path: Path
) -> None:
    first = make_staged(tmp_path, [order("ann")])
    other = make_staged(tmp_path, [order("bob")])
    publish(lake, first, judge(first), "test")
    for _ in range(2):
        with pytest.raises(DataRejected, match="published with other content") as refusal:
            register_delivery(lake, other.raw, "test")
        assert refusal.value.exit_code == 65
        assert "--supersede" in str(refusal.value)
        with pytest.raises(DataRejected, match="published with other content"):
            publish(lake, other, judge(other), "test")

    assert seen(lake, lake.snapshot().taken_at + timedelta(days=1)) == ["ann"]
    states = [(b.batch_number, b.state) for b in read_batches(lake)]
    assert states == [(1, "accepted"), (2, "quarantined")]
    refused = find_batch(lake, batch_name="orders/2011-10", states=("quarantined",))
    assert refused is not None
    assert refused.report["rejection"]["code"] == "CONFLICT"


def test_a_correction_is_seen_from_its_publishing_on_and_not_before(
    lake: Lake, tmp_path: Path
) -> None:
    first = make_staged(tmp_path, [order("ann"), order("old")])
    corrected = make_staged(tmp_path, [order("ann"), order("new")])
    old = publish(lake, first, judge(first), "test")
    with pytest.raises(DataRejected):
        register_delivery(lake, corrected.raw, "test")
    new = publish(lake, corrected, judge(corrected), "test", supersede=True)

    assert old.published_at is not None
    assert new.published_at is not None
    assert seen(lake, old.published_at) == ["ann", "old"]
    assert seen(lake, new.published_at - timedelta(microseconds=1)) == ["ann", "old"]
    assert seen(lake, new.published_at) == ["ann", "new"]
    states = {b.batch_number: b.state for b in read_batches(lake)}
    assert states == {1: "superseded", 2: "replayed", 3: "accepted"}
    row = lake.one("select supersedes_batch_number from lake.ledger.batches where batch_number = 3")
    assert row["supersedes_batch_number"] == 1


def test_a_correction_given_twice_is_published_once(lake: Lake, tmp_path: Path) -> None:
    first = make_staged(tmp_path, [order("old")])
    corrected = make_staged(tmp_path, [order("new")])
    publish(lake, first, judge(first), "test")
    publish(lake, corrected, judge(corrected), "test", supersede=True)
    assert publish(lake, corrected, judge(corrected), "test", supersede=True).already_known
    assert len(read_batches(lake)) == 2


def test_a_replayed_old_content_never_rolls_the_state_back(lake: Lake, tmp_path: Path) -> None:
    first = make_staged(tmp_path, [order("old")])
    corrected = make_staged(tmp_path, [order("new")])
    publish(lake, first, judge(first), "test")
    publish(lake, corrected, judge(corrected), "test", supersede=True)

    again = publish(lake, first, judge(first), "test")

    assert again.already_known
    assert again.state == "superseded"
    assert seen(lake, lake.snapshot().taken_at + timedelta(days=1)) == ["new"]
    # Asked for by name it comes back, as a correction of its own.
    third = publish(lake, first, judge(first), "test", supersede=True)
    assert third.batch_number == 3
    assert third.published_at is not None
    assert seen(lake, third.published_at) == ["old"]


def test_a_stopped_correction_leaves_the_first_in_place(lake: Lake, tmp_path: Path) -> None:
    first = make_staged(tmp_path, [order("old")])
    corrected = make_staged(tmp_path, [order("new")])
    publish(lake, first, judge(first), "test")
    stopped = publish(lake, corrected, judge(corrected, stop=True), "test", supersede=True)
    assert stopped.state == "quarantined"
    assert seen(lake, lake.snapshot().taken_at + timedelta(days=1)) == ["old"]


def test_a_mended_file_under_the_name_of_a_refused_one_needs_no_permission(
    lake: Lake, tmp_path: Path
) -> None:
    broken = make_raw(tmp_path, [order("broken")])
    mended = make_staged(tmp_path, [order("mended")])
    register_delivery(lake, broken, "test")
    record_rejection(lake, broken, code="MALFORMED", reason="ragged", actor="test")
    batch = publish(lake, mended, judge(mended), "test")
    assert batch.state == "accepted"
    assert [b.state for b in read_batches(lake)] == ["replayed", "accepted"]


def test_a_delivery_overtaken_before_it_was_published_is_judged_anew(
    lake: Lake, tmp_path: Path
) -> None:
    overtaken = make_staged(tmp_path, [order("slow")])
    faster = make_staged(tmp_path, [order("fast")])
    register_delivery(lake, overtaken.raw, "test")
    publish(lake, faster, judge(faster), "test")
    assert [b.state for b in read_batches(lake)] == ["discarded", "accepted"]
    with pytest.raises(DataRejected, match="published with other content"):
        publish(lake, overtaken, judge(overtaken), "test")


def _deliver(
    settings: Settings, staged: StagedBatch, barrier: Barrier, results: Queue[tuple[int, bool]]
) -> None:
    with open_lake(settings) as lake:
        verdict = judge(staged)
        register_delivery(lake, staged.raw, "test")
        barrier.wait(30)
        batch = publish(lake, staged, verdict, "test")
        results.put((batch.batch_number, batch.already_known))


def test_two_processes_with_the_same_delivery_publish_it_once(
    settings: Settings, lake: Lake, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    staged = make_staged(tmp_path, [order(f"customer {n}") for n in range(60)])
    arguments = (settings, staged, barrier, results)
    processes = [context.Process(target=_deliver, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    outcome = sorted(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join(30)
        assert process.exitcode == 0

    assert outcome == [(1, False), (1, True)]
    assert lake.scalar("select count(*) from lake.main.orders") == 60
    states = lake.rows("select state from lake.ledger.batches order by recorded_at")
    assert [row["state"] for row in states] == ["received", "accepted"]


def test_a_writer_that_lost_its_lock_commits_nothing(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = make_staged(tmp_path, [order()])
    balance = publication._balance

    def lose_the_lock(*arguments: Any) -> dict[str, int]:
        connection = connect(lake.database)
        with connection.cursor() as cursor:
            cursor.execute(
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"
                " and granted and pid <> pg_backend_pid()"
            )
        connection.close()
        return balance(*arguments)

    monkeypatch.setattr(publication, "_balance", lose_the_lock)
    with pytest.raises(LockHeld, match="was lost before the work was committed"):
        publish(lake, staged, judge(staged), "test")
    monkeypatch.undo()
    assert read_batches(lake) == []
    assert publish(lake, staged, judge(staged), "test").accepted_rows == 1
