"""What is one row's own among the faults of the corpus; what holds for all is in its test."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from tasks.exports import write_files
from tasks.handles import Batch
from tasks.incidents.queue import list_incidents, read_history
from tests.faults.fault import Check
from tests.faults.fault_deliveries import FORMULAS, MARKUP, spoil
from tests.faults.fed_shop import LATE, FedShop, Outcome


def _texts(shop: FedShop, column: str) -> list[str]:
    """The texts of a column of the newest batch, in order of its lines."""
    rows = shop.lake.rows(
        f"select {column} as text from lake.main.orders"
        " where batch_number = (select max(batch_number) from lake.main.orders)"
        " order by row_number"
    )
    return [str(row["text"]) for row in rows]


def newest(outcome: Outcome) -> Batch:
    """The batch that the command has published."""
    return max(outcome.batches, key=lambda batch: batch.batch_number)


def kept_as_text(column: str, expected: Sequence[str]) -> Check:
    def check(shop: FedShop, _: Outcome) -> None:
        assert _texts(shop, column)[: len(expected)] == list(expected)

    return check


def noted(text: str) -> Check:
    def check(shop: FedShop, outcome: Outcome) -> None:
        report = newest(outcome).report
        assert text in " ".join([*report["notes"], *report])

    return check


def known(_: FedShop, outcome: Outcome) -> None:
    assert all(batch.already_known for batch in outcome.batches)


def same_as_usual(shop: FedShop, _: Outcome) -> None:
    """Columns in another order give the rows that the usual order gives."""
    found = shop.lake.rows(
        "select customer_id, net_amount::varchar as amount, category"
        " from lake.main.orders"
        " where batch_number = (select max(batch_number) from lake.main.orders)"
        " order by row_number"
    )
    assert [tuple(row.values()) for row in found] == [
        (row["customer"], f"{row['paid']}00", row["kind"]) for row in spoil([4])
    ]


def ordered_by_number(shop: FedShop, outcome: Outcome) -> None:
    """Times of the ledger never run backwards; the lag is reported."""
    noted("clock_behind_seconds")(shop, outcome)
    times = [
        row["recorded_at"]
        for row in shop.lake.rows(
            "select batch_number, min(recorded_at) as recorded_at from lake.ledger.batches"
            " group by batch_number order by batch_number"
        )
    ]
    assert times == sorted(times)


def only_its_day(shop: FedShop, outcome: Outcome) -> None:
    """A late day adds its own lines: what was known before it came is known as it was."""
    batch = newest(outcome)
    assert batch.published_at is not None
    rows = shop.lake.rows(
        "select distinct ordered_at::date::varchar as day from lake.main.orders"
        " where received_at >= $published_at",
        {"published_at": batch.published_at},
    )
    assert [row["day"] for row in rows] == [LATE]


def escaped_in_exports(shop: FedShop, outcome: Outcome) -> None:
    kept_as_text("order_id", FORMULAS)(shop, outcome)
    schema = pa.schema([("order_id", pa.string()), ("amount", pa.float64())])
    batch = pa.RecordBatch.from_arrays(
        [pa.array(_texts(shop, "order_id")[: len(FORMULAS)]), pa.array([-1.5] * len(FORMULAS))],
        schema=schema,
    )
    made, _ = write_files([batch], schema, shop.folder / "exports", "list", byte_order_mark=True)
    with made.aside.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert len(rows) == len(FORMULAS)
    for cell, amount in rows:
        assert cell[0] not in "=+-@\t\r"
        assert not any(f"\n{sign}" in cell for sign in "=+-@")
        assert float(amount) == -1.5


def nothing_owned(_: FedShop, __: Outcome) -> None:
    assert not Path("owned.csv").exists()


def nothing_live(shop: FedShop, outcome: Outcome) -> None:
    """What was written into a value is text wherever it is shown."""
    assert "<" not in outcome.message
    for page in shop.reports().values():
        assert not any(payload in page for payload in MARKUP[:2])
        assert not re.search(r"<[^>]*\son\w+\s*=", page)
        assert "alert(1)" not in page or "Content-Security-Policy" in page


def still_to_be_told(shop: FedShop, _: Outcome) -> None:
    """The message was tried and is kept; nobody was told, and nothing was lost by it."""
    rows = shop.lake.rows("select state, attempts from lake.ledger.notices order by recorded_at")
    assert rows
    assert all(row["state"] == "failed" and row["attempts"] >= 1 for row in rows)


def one_line_an_event(_: FedShop, outcome: Outcome) -> None:
    for line in (outcome.message + outcome.log).split("\n"):
        assert line.isprintable(), ascii(line)


def decided_by(*authors: str) -> Check:
    """Who has decided what stands in the item's history, once each."""

    def check(shop: FedShop, _: Outcome) -> None:
        number = list_incidents(shop.lake, unresolved=False)[-1].incident_number
        history = read_history(shop.lake, number)
        decisions = [row["actor"] for row in history if row["what"].startswith("decision")]
        assert decisions == list(authors)

    return check
