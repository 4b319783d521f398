"""The second clock: what is visible at a time stays visible at that time, whatever comes later."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import InternalError
from tasks.intake import ledger, supersession
from tasks.intake.compaction import compact_tables, count_files
from tasks.intake.publication import publish
from tasks.visibility import (
    Supersession,
    supersessions,
    table_fingerprint,
    visible,
    visible_condition,
)
from tasks.warehouse import Lake
from tests.intake.builders import judge, make_staged, order

pytestmark = pytest.mark.sql

OCTOBER = datetime(2011, 10, 1, tzinfo=UTC)


def look(lake: Lake, as_of: datetime, known_by: datetime) -> list[dict[str, Any]]:
    version = lake.snapshot()
    source = visible("orders", version, supersessions(lake, version, "orders"))
    return lake.rows(
        f"select * from {source} where ordered_at < $as_of order by all",
        {"as_of": as_of, "known_by": known_by},
    )


def test_declared_rows_are_known_from_their_declared_time_but_never_after_publishing(
    lake: Lake, tmp_path: Path
) -> None:
    rows = [order("ann", 3), order("bob", 9), order("cat", 12)]
    lag = timedelta(days=2)
    declared = [rows[0]["ordered_at"] + lag, rows[1]["ordered_at"] + lag, None]
    staged = make_staged(tmp_path, rows, known_basis="declared", received_at=declared, lag_days=2.0)
    batch = publish(lake, staged, judge(staged), "test")

    received = lake.rows("select customer_id, received_at from lake.main.orders order by 1")
    assert [row["received_at"] for row in received] == [*declared[:2], batch.published_at]
    entry = lake.one(
        "select known_basis, declared_lag_days from lake.ledger.batches where state = 'accepted'"
    )
    assert entry == {"known_basis": "declared", "declared_lag_days": 2.0}
    assert [r["customer_id"] for r in look(lake, datetime.now(UTC), declared[0])] == ["ann"]

    late = make_staged(
        tmp_path,
        [order("dan", 4)],
        "orders/late",
        known_basis="declared",
        received_at=[datetime(9999, 1, 1, tzinfo=UTC)],
    )
    batch = publish(lake, late, judge(late), "test")
    assert batch.published_at is not None
    known = lake.scalar("select received_at from lake.main.orders where customer_id = 'dan'")
    assert known == batch.published_at


def test_a_correction_of_declared_history_does_not_change_what_was_known(
    lake: Lake, tmp_path: Path
) -> None:
    when = [OCTOBER + timedelta(days=5)]
    first = make_staged(tmp_path, [order("old")], known_basis="declared", received_at=when)
    second = make_staged(tmp_path, [order("new")], known_basis="declared", received_at=when)
    publish(lake, first, judge(first), "test")
    before = look(lake, datetime.now(UTC), OCTOBER + timedelta(days=6))
    new = publish(lake, second, judge(second), "test", supersede=True)

    assert look(lake, datetime.now(UTC), OCTOBER + timedelta(days=6)) == before
    assert new.published_at is not None
    assert [r["customer_id"] for r in look(lake, datetime.now(UTC), new.published_at)] == ["new"]


@pytest.mark.faults(19, 55)
@pytest.mark.parametrize("seed", range(3))
def test_rows_that_happen_or_arrive_later_change_nothing_seen_before(
    lake: Lake, tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)

    def batch(name: str, *, after: datetime | None = None) -> None:
        days = [draw.randint(1, 28) for _ in range(draw.randint(1, 80))]
        rows = [
            order(f"c{draw.randint(1, 9)}", day, order_id=f"{name}-{n}")
            for n, day in enumerate(days)
        ]
        known = None
        if draw.random() < 0.6:
            earliest = after or OCTOBER
            known = [
                max(earliest, row["ordered_at"]) + timedelta(days=draw.randint(0, 9), seconds=1)
                for row in rows
            ]
        staged = make_staged(
            tmp_path,
            rows,
            f"orders/{name}",
            known_basis="declared" if known else "observed",
            received_at=known,
        )
        publish(lake, staged, judge(staged), "test", supersede=True)

    for name in ("a", "b", "c"):
        batch(name)
    as_of = OCTOBER + timedelta(days=draw.randint(5, 25))
    past, now = OCTOBER + timedelta(days=draw.randint(5, 30)), datetime.now(UTC)
    then = [look(lake, as_of, past), look(lake, as_of, now)]
    assert then[1]
    version = lake.snapshot().snapshot_id
    digest = table_fingerprint(lake, "orders", version)

    for name in ("d", "b", "e", "a"):  # new batches, and corrections of known ones
        batch(name, after=past + timedelta(seconds=1))
    late = make_staged(
        tmp_path,
        [order("c1", 28)],
        "orders/later-event",
        known_basis="declared",
        received_at=[OCTOBER],
    )
    if as_of < OCTOBER + timedelta(days=27):
        publish(lake, late, judge(late), "test")

    observed_later = [r for r in look(lake, as_of, past) if r not in then[0]]
    assert observed_later == []
    assert look(lake, as_of, past) == then[0]
    assert all(row in look(lake, as_of, now) for row in then[1])
    assert table_fingerprint(lake, "orders", version) == digest
    compact_tables(lake, force=True)
    assert look(lake, as_of, past) == then[0]
    assert table_fingerprint(lake, "orders", version) == digest


def test_the_order_of_arrival_does_not_change_the_table(
    make_settings: Callable[..., Any], tmp_path: Path
) -> None:
    from tasks.warehouse import open_lake

    digests = set()
    batches = [
        make_staged(tmp_path, [order("ann", day), order("bob", day)], f"orders/2011-10-{day:02}")
        for day in (1, 2, 3)
    ]
    for arrival in ((0, 1, 2), (2, 0, 1)):
        with open_lake(make_settings()) as lake:
            for index in arrival:
                publish(lake, batches[index], judge(batches[index]), "test")
            digests.add(table_fingerprint(lake, "orders", lake.snapshot()))
    assert len(digests) == 1


def test_the_fingerprint_sees_every_row_and_value(lake: Lake, tmp_path: Path) -> None:
    first = make_staged(tmp_path, [order("ann"), order("ann")])
    publish(lake, first, judge(first), "test")
    digests = [table_fingerprint(lake, "orders", lake.snapshot())]
    for change in (
        "delete from lake.main.orders where row_number = 3",
        "update lake.main.orders set channel = null",
        "update lake.main.orders set channel = 'null'",
        "update lake.main.orders set net_amount = net_amount + 0.0001",
    ):
        lake.execute(change)
        digests.append(table_fingerprint(lake, "orders", lake.snapshot()))
    assert len(set(digests)) == len(digests)


def test_a_clock_set_back_does_not_publish_into_the_past(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_staged(tmp_path, [order("ann")])
    one = publish(lake, first, judge(first), "test")
    real = ledger.ledger_time
    yesterday = datetime.now(UTC) - timedelta(days=1)
    monkeypatch.setattr(supersession, "ledger_time", lambda lake: real(lake, yesterday))
    second = make_staged(tmp_path, [order("bob")], "orders/2011-11")
    two = publish(lake, second, judge(second), "test")
    assert one.published_at is not None
    assert two.published_at is not None
    assert two.published_at > one.published_at
    assert two.report["clock_behind_seconds"] == pytest.approx(86_400, abs=60)


def test_merged_files_are_sorted_and_old_versions_still_read(
    make_settings: Callable[..., Any], tmp_path: Path
) -> None:
    from tasks.warehouse import open_lake

    settings = make_settings(warehouse={"compact_after_files": 2})
    with open_lake(settings) as lake:
        versions = []
        for day in range(1, 4):
            rows = [order(f"c{n:03}", day) for n in range(60)] + [order("zoe", day)]
            staged = make_staged(tmp_path, rows, f"orders/2011-10-{day:02}")
            publish(lake, staged, judge(staged), "test")
            versions.append(lake.snapshot().snapshot_id)
        tiny = make_staged(tmp_path, [order("aaa", 9)], "orders/2011-10-09")
        publish(lake, tiny, judge(tiny), "test")
        compact_tables(lake, force=True)

        assert count_files(lake)["orders"] == 1
        stored = lake.rows(
            "select customer_id, ordered_at from lake.main.orders order by file_row_number"
        )
        assert stored == sorted(stored, key=lambda row: (row["customer_id"], row["ordered_at"]))
        assert len(stored) == 184
        counts = [
            lake.scalar(f"select count(*) from lake.main.orders at (version => {version})")
            for version in versions
        ]
        assert counts == [61, 122, 183]


def test_visibility_without_supersession_is_one_comparison() -> None:
    assert visible_condition() == "received_at <= $known_by"
    moment = datetime(2011, 10, 3, 1, 2, 3, 4, tzinfo=UTC)
    assert visible_condition(
        [Supersession(7, moment), Supersession(3, moment)], known_by="c.known_by", alias="o"
    ) == (
        '"o".received_at <= c.known_by and not ("o".batch_number in (3, 7)'
        " and timestamptz '2011-10-03 01:02:03.000004+00:00' <= c.known_by)"
    )
    with pytest.raises(InternalError, match="not a canonical table"):
        visible("x; drop table", 1)
