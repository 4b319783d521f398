"""Draws accepted days as the ledger remembers them, and writes them into a lake's ledger.

    day        | rows | amount | missing | guests | currency
    2024-03-01 | 100  | 20     | 0.02    | 0.23   | GBP       # why the row is here

`amount` is the median of `net_amount`, `missing` the share of `category`, `guests` the share of
rows that `customer_id_present` set aside. Columns that are not drawn have the values of `USUAL`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from tasks.contracts import CONTRACTS
from tasks.validation.past import PastBatch
from tasks.warehouse import Lake

RECORDED_AT = datetime(2024, 6, 1, tzinfo=UTC)
USUAL = {"amount": "20", "missing": "0.02", "guests": "0", "currency": "GBP"}


def draw_past(text: str, source: str = "orders") -> list[PastBatch]:
    """The drawn days in order, as accepted batches of `orders`."""
    lines = [line.split(" #")[0] for line in text.strip().splitlines()]
    header = [cell.strip() for cell in lines[0].split("|")]
    drawn = []
    for number, line in enumerate(lines[1:], 1):
        cells = [cell.strip() for cell in line.split("|")]
        row = USUAL | dict(zip(header, cells, strict=True))
        drawn.append(
            make_day(
                number,
                date.fromisoformat(row["day"]),
                int(row["rows"]),
                amount=float(row["amount"]),
                missing=float(row["missing"]),
                guests=float(row["guests"]),
                currency=row["currency"],
                source=source,
            )
        )
    return drawn


def make_day(
    number: int,
    day: date,
    rows: int,
    *,
    amount: float = 20.0,
    missing: float = 0.02,
    guests: float = 0.0,
    currency: str = "GBP",
    middle_hour: float = 13.0,
    source: str = "orders",
) -> PastBatch:
    """One accepted day of orders. Two thirds of the rows with a category are of one of them."""
    aside = round(rows * guests)
    epoch_day = (day - date(1970, 1, 1)).days
    figures: dict[tuple[str, str], float] = {
        ("", "rows"): float(rows),
        ("", "active_days"): 1.0,
        ("", "span_days"): 1.0,
        ("", "late_day"): float(epoch_day),
        ("", "middle_day"): epoch_day + round(middle_hour * 4) / 96,
        ("currency", f"share:{currency}"): 1.0,
        ("category", "share:toys"): 2 / 3,
        ("category", "share:gifts"): 1 / 3,
    }
    figures |= {(name, "null_share"): 0.0 for name in CONTRACTS["orders"].names}
    figures["category", "null_share"] = round(missing * rows) / rows
    for column, middle in (("net_amount", amount), ("quantity", 2.0)):
        figures[column, "positive_values"] = float(rows)
        for name, factor in (("q25", 0.5), ("q50", 1.0), ("q75", 1.5), ("q90", 3.0)):
            figures[column, name] = middle * factor
    return PastBatch(
        batch_number=number,
        batch_name=f"{source}/{day}",
        source=source,
        table="orders",
        received_rows=rows,
        quarantined_rows=aside,
        recorded_at=RECORDED_AT + timedelta(minutes=number),
        known_basis="declared",
        figures=figures,
        broken={"customer_id_present": (aside, rows), "row_repeated": (0, rows)},
    )


def remember(lake: Lake, past: Sequence[PastBatch]) -> None:
    """Write the batches into the ledger of a lake."""
    for table, rows in {
        "batches": [
            {
                "batch_number": batch.batch_number,
                "batch_name": batch.batch_name,
                "source": batch.source,
                "table_name": batch.table,
                "content_hash": f"{batch.batch_number:064x}",
                "state": "accepted",
                "received_rows": batch.received_rows,
                "accepted_rows": batch.received_rows - batch.quarantined_rows,
                "quarantined_rows": batch.quarantined_rows,
                "known_basis": batch.known_basis,
                "recorded_at": batch.recorded_at,
                "actor": "test",
                "report": "{}",
            }
            for batch in past
        ],
        "batch_statistics": [
            {
                "batch_number": batch.batch_number,
                "table_name": batch.table,
                "column_name": column,
                "statistic": statistic,
                "value": value,
            }
            for batch in past
            for (column, statistic), value in batch.figures.items()
        ],
        "rule_results": [
            {
                "batch_number": batch.batch_number,
                "rule": rule,
                "column_name": "",
                "severity": "quarantine",
                "checked_rows": checked,
                "failed_rows": failed,
                "limit_text": "",
                "observed_text": "",
                "passed": failed == 0,
                "reason": "",
                "recorded_at": batch.recorded_at,
            }
            for batch in past
            for rule, (failed, checked) in batch.broken.items()
        ],
    }.items():
        lake.load_arrow("remembered", pa.Table.from_pylist(rows))
        lake.execute(f"insert into lake.ledger.{table} by name from remembered")
        lake.drop_arrow("remembered")
