"""Draws a staged batch: a table as text becomes the Parquet file that validation reads.

    customer_id | net_amount
    a           | 10.00
    -           | 11.00        # customer_id is NULL

The first line names columns; `-` is NULL, `''` is the empty text, what follows `#` explains the
row. Columns that are not drawn have the values of `DEFAULTS`, else NULL. Row numbers start at 2,
as in a file with a header.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.contracts import CONTRACTS
from tasks.handles import Delivery, KnownBasis, RawBatch, StagedBatch, Statistic
from tasks.validation.history import (
    CustomersKnown,
    NoHistory,
    PastVolume,
    TrailingBatch,
    volume_of,
)
from tasks.validation.rules import table_rules
from tasks.validation.statistics import measure
from tasks.warehouse import quote, scratch

NOON = "2024-03-15 12:00:00+00"
DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "orders": {
        "customer_id": "'c' || n",
        "order_id": "'o' || n",
        "ordered_at": f"timestamptz '{NOON}' + n * interval 1 minute",
        "product_id": "'p'",
        "quantity": "1",
        "net_amount": "10 + n % 7",
        "currency": "'GBP'",
        "is_return": "false",
    },
    "events": {
        "customer_id": "'c' || n",
        "event_id": "'e' || n",
        "occurred_at": f"timestamptz '{NOON}' + n * interval 1 minute",
        "kind": "'visit'",
    },
    "tickets": {
        "customer_id": "'c' || n",
        "ticket_id": "'t' || n",
        "opened_at": f"timestamptz '{NOON}' + n * interval 1 minute",
    },
    "contacts": {
        "customer_id": "'c' || n",
        "contact_id": "'k' || n",
        "contacted_at": f"timestamptz '{NOON}' + n * interval 1 minute",
    },
    "subscriptions": {
        "customer_id": "'c' || n",
        "subscription_id": "'s' || n",
        "started_at": f"timestamptz '{NOON}' + n * interval 1 minute",
    },
    "customers": {
        "customer_id": "'c' || n",
        "recorded_at": f"timestamptz '{NOON}'",
    },
    "labelled": {
        "customer_id": "'c' || n",
        "observed_at": f"timestamptz '{NOON}'",
        "churned": "n % 4 = 0",
        "numbers": "map {'tenure': n::double}",
        "categories": "map {'plan': 'a'}",
    },
}


def draw(
    directory: Path,
    table: str,
    text: str,
    *,
    name: str | None = None,
    source: str | None = None,
    known_basis: KnownBasis = "observed",
) -> StagedBatch:
    """A staged batch of the drawn rows."""
    lines = [line.split(" #")[0] for line in text.strip().splitlines()]
    header = [cell.strip() for cell in lines[0].split("|")]
    rows = [[_cell(cell) for cell in line.split("|")] for line in lines[1:]]
    columns = {name: [row[place] for row in rows] for place, name in enumerate(header)}
    drawn = pa.table(
        {
            "n": pa.array(range(len(rows)), pa.int64()),
            **{key: pa.array(cells, pa.string()) for key, cells in columns.items()},
        }
    )
    expressions = {}
    for column in CONTRACTS[table].columns:
        if column.name in header:
            expressions[column.name] = f"{quote(column.name)}::{column.type}"
        else:
            default = DEFAULTS[table].get(column.name, "null")
            expressions[column.name] = f"({default})::{column.type}"
    return stage(directory, table, drawn, expressions, name, source, known_basis)


def fill(
    directory: Path,
    table: str,
    rows: int,
    *,
    name: str | None = None,
    source: str | None = None,
    known_basis: KnownBasis = "observed",
    **columns: str,
) -> StagedBatch:
    """A staged batch of many rows; `columns` are SQL over the row's number `n` from 0."""
    drawn = pa.table({"n": pa.array(range(rows), pa.int64())})
    expressions = {
        column.name: f"({columns.get(column.name, DEFAULTS[table].get(column.name, 'null'))})"
        f"::{column.type}"
        for column in CONTRACTS[table].columns
    }
    return stage(directory, table, drawn, expressions, name, source, known_basis)


def stage(
    directory: Path,
    table: str,
    drawn: pa.Table,
    expressions: Mapping[str, str],
    name: str | None = None,
    source: str | None = None,
    known_basis: KnownBasis = "observed",
) -> StagedBatch:
    """A staged batch whose columns are the given SQL over `drawn` (which has `n`)."""
    batch_name = name or f"{table}/batch"
    path = directory / f"{batch_name.replace('/', '_')}.parquet"
    listed = ", ".join(f"{sql} as {quote(key)}" for key, sql in expressions.items())
    with scratch() as connection:
        connection.load_arrow("drawn", drawn)
        connection.execute(
            f"copy (select {listed}, (n + 2)::bigint as row_number,"
            " 'line ' || (n + 2) as raw_line, null::timestamptz as received_at"
            f" from drawn order by n) to '{path}' (format parquet)"
        )
    delivery = Delivery(batch_name, source or table, table, str(path))
    raw = RawBatch(delivery, f"{abs(hash(path)):064x}"[:64], path, path.stat().st_size)
    lag = 1.0 if known_basis == "declared" else None
    return StagedBatch(raw, path, drawn.num_rows, known_basis, lag)


def measured(staged: StagedBatch) -> tuple[Statistic, ...]:
    """What the ledger would keep of the batch, were it accepted."""
    with scratch() as connection:
        figures = measure(connection, str(staged.staged_path), table_rules(staged.table))
    return figures.statistics(maximum_categories=200)


def rejected(verdict: Any) -> dict[int, list[str]]:
    """Rules by number of the row that breaks them, from the rejects file."""
    if verdict.rejects_path is None:
        return {}
    with scratch() as connection:
        rows = connection.rows(
            "select row_number, list(rule order by rule) as rules from read_parquet($path)"
            " group by row_number order by row_number",
            {"path": str(verdict.rejects_path)},
        )
    return {row["row_number"]: row["rules"] for row in rows}


def result(verdict: Any, rule: str, column: str | None = None) -> Any:
    """The result of one rule, of one column where several have it."""
    found = [r for r in verdict.results if r.rule == rule and column in (None, r.column)]
    assert len(found) == 1, f"{rule} {column}: {[(r.rule, r.column) for r in verdict.results]}"
    return found[0]


def failed(verdict: Any, severity: str | None = None) -> set[str]:
    """Names of the rules that failed, of one severity if given."""
    return {r.rule for r in verdict.results if not r.passed and severity in (None, r.severity)}


class DrawnHistory(NoHistory):
    """A past: statistics of accepted batches, rows published, customers known."""

    def __init__(
        self,
        *batches: Sequence[Statistic],
        published: pa.Table | None = None,
        customers: CustomersKnown | None = None,
        newest_event_at: Any = None,
        reused: pa.Table | None = None,
    ) -> None:
        self.batches = [
            TrailingBatch(number, {(s.column, s.statistic): s.value for s in statistics})
            for number, statistics in enumerate(batches, 1)
        ]
        self.published, self.customers, self.newest = published, customers, newest_event_at
        self.reused = reused

    def trailing_batches(self, staged: StagedBatch, limit: int) -> list[TrailingBatch]:
        return self.batches[-limit:]

    def past_volumes(self, staged: StagedBatch) -> list[PastVolume]:
        volumes = [volume_of(batch.figures) for batch in self.batches]
        found = [volume for volume in volumes if volume is not None]
        return sorted(found, key=lambda volume: volume.middle_day)

    def published_before(self, staged: StagedBatch, columns: Any) -> pa.Table | None:
        return self.published

    def customers_known(self, staged: StagedBatch) -> CustomersKnown | None:
        return self.customers

    def customers_reused(self, staged: StagedBatch, minimum_days: float) -> pa.Table | None:
        return self.reused

    def newest_event_at(self, staged: StagedBatch) -> Any:
        return self.newest


def _cell(text: str) -> str | None:
    stripped = text.strip()
    if stripped == "-":
        return None
    return "" if stripped == "''" else stripped
