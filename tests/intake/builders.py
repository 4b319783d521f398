"""Deliveries, staged batches and verdicts for tests, from rows written in the test itself."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.contracts import CONTRACTS
from tasks.handles import Delivery, KnownBasis, RawBatch, RuleResult, StagedBatch, Verdict
from tasks.warehouse import quote, scratch

ORDER: dict[str, Any] = {
    "customer_id": "ann",
    "order_id": "o1",
    "line_id": None,
    "ordered_at": datetime(2011, 10, 3, 12, tzinfo=UTC),
    "product_id": "p1",
    "category": None,
    "channel": "web",
    "quantity": 1,
    "net_amount": "9.50",
    "discount_amount": None,
    "currency": "GBP",
    "is_return": False,
}


def order(customer: str = "ann", day: int = 3, **columns: Any) -> dict[str, Any]:
    """An order line of October 2011."""
    return {
        **ORDER,
        "customer_id": customer,
        "order_id": f"{customer}-{day}",
        "ordered_at": datetime(2011, 10, day, 12, tzinfo=UTC),
        **columns,
    }


def make_raw(
    folder: Path, rows: Sequence[Mapping[str, Any]], name: str = "orders/2011-10"
) -> RawBatch:
    """A kept raw file of the rows, as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(list(ORDER))
    writer.writerows(["" if v is None else v for v in row.values()] for row in rows)
    data = text.getvalue().encode()
    content_hash = hashlib.sha256(data).hexdigest()
    path = folder / f"{content_hash}.csv"
    path.write_bytes(data)
    source = name.split("/")[0]
    return RawBatch(Delivery(name, source, "orders", str(path)), content_hash, path, len(data))


def make_staged(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    name: str = "orders/2011-10",
    *,
    known_basis: KnownBasis = "observed",
    received_at: Sequence[datetime | None] | None = None,
    lag_days: float | None = None,
) -> StagedBatch:
    """A staged batch of order lines; `received_at` are declared times, one a row."""
    raw = make_raw(folder, rows, name)
    contract = CONTRACTS["orders"]
    path = folder / f"{raw.content_hash}.parquet"
    columns = [(c.name, c.type) for c in contract.columns]
    columns += [("row_number", "BIGINT"), ("raw_line", "VARCHAR"), ("received_at", "TIMESTAMPTZ")]
    lines = raw.raw_path.read_text().splitlines()[1:]
    with scratch() as db:
        listed = ", ".join(f"{quote(n)} {t}" for n, t in columns)
        db.execute(f"create table staged ({listed})")
        for index, row in enumerate(rows):
            known = received_at[index] if received_at else None
            values = {**row, "row_number": index + 2, "raw_line": lines[index]}
            db.execute(
                f"insert into staged values ({', '.join('$' + n for n, _ in columns)})",
                {**values, "received_at": known},
            )
        db.execute(f"copy staged to '{path}' (format parquet)")
    return StagedBatch(raw, path, len(rows), known_basis, lag_days)


def judge(
    staged: StagedBatch, refused: Sequence[int] = (), *, stop: bool = False, failed: int = 1
) -> Verdict:
    """A verdict that refuses the rows of these numbers, or stops the batch."""
    path: Path | None = None
    if refused:
        path = staged.staged_path.with_suffix(".rejects.parquet")
        listed = ", ".join(str(number) for number in refused)
        with scratch() as db:
            db.execute(
                "copy (select row_number, 'positive' as rule, 'quantity is 0' as reason, raw_line"
                f" from read_parquet('{staged.staged_path}') where row_number in ({listed}))"
                f" to '{path}' (format parquet)"
            )
    count = len(set(refused))
    rows = staged.received_rows
    results = [
        RuleResult(
            "positive", "quantity", "quarantine", rows, count, "> 0", "", not count, "not above 0"
        )
    ]
    if stop:
        results.append(
            RuleResult("volume", "", "stop", rows, failed, "0.5 to 2", "ratio 9.1", False, "shift")
        )
    aside = rows if stop else count
    return Verdict(
        "stopped" if stop else "accepted", rows, rows - aside, aside, path, tuple(results)
    )
