"""What of a canonical table can be seen by whom asks at a time: the second clock, in one place.

A row is visible at `known_by` when it was received by then and its batch had not been superseded
by then. Both facts are in the lake for ever, so the same `(as_of, known_by)` at the same snapshot
sees the same rows today as it did then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

from tasks.contracts import CONTRACTS
from tasks.errors import InternalError

if TYPE_CHECKING:
    from tasks.handles import Snapshot
    from tasks.warehouse import Connection


@dataclass(frozen=True, slots=True)
class Supersession:
    """Rows of `batch_number` count until `superseded_at`, exclusive, and no longer."""

    batch_number: int
    superseded_at: datetime


def supersessions(
    lake: Connection, snapshot: Snapshot | int, table: str | None = None
) -> tuple[Supersession, ...]:
    """The batches that had been superseded when the snapshot was taken, in order of time.

    Read it once a run and pass it to `visible`. Mostly it is empty, and then visibility costs a
    scan no more than one comparison a row.
    """
    rows = lake.rows(
        "select batch_number, min(recorded_at) as superseded_at"
        f" from lake.ledger.batches {_version(snapshot)}"
        " where state = 'superseded' and ($table is null or table_name = $table)"
        " group by batch_number order by superseded_at, batch_number",
        {"table": table},
    )
    return tuple(
        Supersession(int(row["batch_number"]), row["superseded_at"].astimezone(UTC)) for row in rows
    )


def visible(
    table: str,
    snapshot: Snapshot | int,
    superseded: Iterable[Supersession] = (),
    *,
    known_by: str = "$known_by",
    columns: Sequence[str] = (),
) -> str:
    """A subquery in parentheses: the rows of `lake.main.<table>` that are visible at `known_by`.

    `known_by` is SQL text, by default the bound value `$known_by`; `columns` are names of the
    table, empty for all. `superseded` comes from `supersessions` at the same snapshot. The filter
    stands right on the scan, so DuckDB pushes it down and prunes files and row groups by it.
    """
    listed = ", ".join(_quote(column) for column in columns) or "*"
    return (
        f"(select {listed} from {at_version(table, snapshot)}"
        f" where {visible_condition(superseded, known_by=known_by)})"
    )


def at_version(table: str, snapshot: Snapshot | int) -> str:
    """`lake.main."orders" at (version => 12)`, for a table of the contracts; takes no alias."""
    if table not in CONTRACTS:
        raise InternalError(f"'{table}' is not a canonical table.", available=CONTRACTS)
    return f"lake.main.{_quote(table)} {_version(snapshot)}"


def visible_condition(
    superseded: Iterable[Supersession] = (), *, known_by: str = "$known_by", alias: str = ""
) -> str:
    """The condition of `visible` alone, for a query that reads several cut-offs in one scan."""
    prefix = f"{_quote(alias)}." if alias else ""
    conditions = [f"{prefix}received_at <= {known_by}"]
    ordered = sorted(superseded, key=lambda item: (item.superseded_at, item.batch_number))
    for moment, group in groupby(ordered, key=lambda item: item.superseded_at):
        numbers = ", ".join(str(int(item.batch_number)) for item in group)
        stamp = moment.astimezone(UTC).isoformat(sep=" ", timespec="microseconds")
        conditions.append(
            f"not ({prefix}batch_number in ({numbers}) and timestamptz '{stamp}' <= {known_by})"
        )
    return " and ".join(conditions)


def table_fingerprint(lake: Connection, table: str, snapshot: Snapshot | int) -> str:
    """sha256 that is equal exactly when two lakes hold the same rows of the table.

    It covers the contract's columns, the row's number and its batch's name and content, but no
    wall clock, batch number or file layout: the order in which batches arrived, compaction and
    a crash on the way leave it as it is. Computed as a sum of md5 halves over rows (order-free,
    each row counted), so it guards against accidents, not against an adversary.
    """
    contract = CONTRACTS[table]
    columns = ", ".join(f"'{name}': t.{_quote(name)}" for name in contract.names)
    row = lake.one(
        "with batch as (select batch_number, any_value(batch_name) as batch_name,"
        " any_value(content_hash) as content_hash"
        f" from lake.ledger.batches {_version(snapshot)} group by batch_number),"
        f" line as (select md5(to_json({{{columns}, 'row_number': t.row_number,"
        " 'batch_name': b.batch_name, 'content_hash': b.content_hash})::varchar) as digest"
        f" from (select * from {at_version(table, snapshot)}) t"
        " left join batch b using (batch_number))"
        " select count(*) as line_count,"
        " coalesce(sum(('0x' || digest[1:15])::bigint), 0) as low,"
        " coalesce(sum(('0x' || digest[16:30])::bigint), 0) as high from line"
    )
    text = f"{row['line_count']}:{row['low']}:{row['high']}"
    return hashlib.sha256(text.encode()).hexdigest()


def _version(snapshot: Snapshot | int) -> str:
    number = snapshot if isinstance(snapshot, int) else snapshot.snapshot_id
    return f"at (version => {int(number)})"


def _quote(identifier: str) -> str:
    # As `warehouse.quote`, which is not imported: this module builds text and opens nothing.
    return '"' + identifier.replace('"', '""') + '"'
