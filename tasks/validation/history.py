"""What validation asks of the past: figures of batches before, rows and customers published.

`LakeHistory` reads them in the lake; `NoHistory` is the past of a deployment's first batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tasks.contracts import CONTRACTS
from tasks.handles import StagedBatch
from tasks.warehouse import Connection, Lake, quote

if TYPE_CHECKING:
    import pyarrow as pa

SQL = Path(__file__).parent / "sql"

# Two years and a quarter of days: a season is compared with the same weeks of the year before.
_VOLUMES = 820

# Kinds of event that say nothing of a customer unless somebody has ordered or is on record.
_KNOWN_BY = ("orders", "customers", "subscriptions")
# What customers do themselves; a message sent to them says nothing of who has their id.
_HEARD_OF = ("orders", "events", "tickets", "subscriptions")


@dataclass(frozen=True, slots=True)
class TrailingBatch:
    """An accepted batch of the same source: its figures by (column, statistic)."""

    batch_number: int
    figures: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PastVolume:
    """How large an accepted batch was, and where in the calendar it lies (days since 1970)."""

    rows: int
    span_days: float
    middle_day: float


def volume_of(figures: Mapping[tuple[str, str], float]) -> PastVolume | None:
    """The size of a batch by the figures kept of it; None where its place is not known."""
    rows, span = figures.get(("", "rows"), 0.0), figures.get(("", "span_days"))
    middle = figures.get(("", "middle_day"))
    if rows <= 0 or span is None or middle is None:
        return None
    return PastVolume(int(rows), span, middle)


@dataclass(frozen=True, slots=True)
class CustomersKnown:
    """How many different customers a batch has, and how many of them the lake knows."""

    customers: int
    known: int


class History(Protocol):
    """The questions. A batch of the same name is never its own past: it is being replaced."""

    def trailing_batches(self, staged: StagedBatch, limit: int) -> Sequence[TrailingBatch]:
        """The newest accepted batches of the source, oldest first, at most `limit`."""
        ...

    def past_volumes(self, staged: StagedBatch) -> Sequence[PastVolume]:
        """Sizes of the source's accepted batches, oldest first, for years back."""
        ...

    def published_before(self, staged: StagedBatch, columns: Sequence[str]) -> pa.Table | None:
        """Row numbers (one BIGINT column `row_number`) that equal a published row in `columns`.

        None where the table has no published rows.
        """
        ...

    def customers_known(self, staged: StagedBatch) -> CustomersKnown | None:
        """How many of the batch's customers are known; None where nobody is known yet."""
        ...

    def customers_reused(self, staged: StagedBatch, minimum_days: float) -> pa.Table | None:
        """Row numbers (as above) of customers whose id seems to have been another's before.

        Nothing was heard of the id for `minimum_days` before they begin. None where no customers
        were published.
        """
        ...

    def newest_event_at(self, staged: StagedBatch) -> datetime | None:
        """Time of the newest published event of the table."""
        ...


class NoHistory:
    """Nothing was published yet."""

    def trailing_batches(self, staged: StagedBatch, limit: int) -> Sequence[TrailingBatch]:
        return ()

    def past_volumes(self, staged: StagedBatch) -> Sequence[PastVolume]:
        return ()

    def published_before(self, staged: StagedBatch, columns: Sequence[str]) -> pa.Table | None:
        return None

    def customers_known(self, staged: StagedBatch) -> CustomersKnown | None:
        return None

    def customers_reused(self, staged: StagedBatch, minimum_days: float) -> pa.Table | None:
        return None

    def newest_event_at(self, staged: StagedBatch) -> datetime | None:
        return None


class LakeHistory:
    """The past as the lake knows it. Reads only; staged rows are compared where they lie."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def trailing_batches(self, staged: StagedBatch, limit: int) -> Sequence[TrailingBatch]:
        rows = self._lake.rows(
            Connection.text(SQL / "trailing_figures.sql"),
            {
                "source": staged.raw.delivery.source,
                "table_name": staged.table,
                "batch_name": staged.batch_name,
                "batches": limit,
            },
        )
        figures: dict[int, dict[tuple[str, str], float]] = {}
        for row in rows:
            batch = figures.setdefault(int(row["batch_number"]), {})
            if row["statistic"] is not None:
                batch[row["column_name"], row["statistic"]] = float(row["value"])
        return [TrailingBatch(number, figures[number]) for number in sorted(figures)]

    def past_volumes(self, staged: StagedBatch) -> Sequence[PastVolume]:
        rows = self._lake.rows(
            Connection.text(SQL / "past_volumes.sql"),
            {
                "source": staged.raw.delivery.source,
                "table_name": staged.table,
                "batch_name": staged.batch_name,
                "batches": _VOLUMES,
            },
        )
        return [
            PastVolume(int(row["size_rows"]), float(row["span_days"]), float(row["middle_day"]))
            for row in rows
        ]

    def published_before(self, staged: StagedBatch, columns: Sequence[str]) -> pa.Table | None:
        if self._is_empty(staged.table):
            return None
        event_time = quote(CONTRACTS[staged.table].event_time)
        same = " and ".join(
            f"published.{quote(column)} is not distinct from staged.{quote(column)}"
            for column in columns
        )
        # Bounds as values, not as a subquery: DuckLake then prunes files by them.
        span = self._lake.one(
            f"select min({event_time}) as oldest_at, max({event_time}) as newest_at"
            " from read_parquet($staged)",
            {"staged": str(staged.staged_path)},
        )
        return self._lake.arrow(
            Connection.text(
                SQL / "published_before.sql",
                names={
                    "table": f"lake.main.{quote(staged.table)}",
                    "event_time": event_time,
                    "same": same,
                    "columns": ", ".join(quote(column) for column in columns),
                },
            ),
            {"staged": str(staged.staged_path), "batch_name": staged.batch_name, **span},
        )

    def customers_known(self, staged: StagedBatch) -> CustomersKnown | None:
        others = [table for table in _KNOWN_BY if table != staged.table]
        if all(self._is_empty(table) for table in others):
            return None
        union = " union all ".join(f"select customer_id from lake.main.{table}" for table in others)
        row = self._lake.one(
            Connection.text(SQL / "customers_known.sql", names={"published": union}),
            {"staged": str(staged.staged_path)},
        )
        return CustomersKnown(int(row["customers"]), int(row["known"]))

    def customers_reused(self, staged: StagedBatch, minimum_days: float) -> pa.Table | None:
        if self._is_empty("customers"):
            return None
        activity = "\n    union all\n    ".join(
            f"select customer_id, {contract.event_time} as heard_at from lake.main.{table}"
            " where customer_id in (select customer_id from changed)"
            for table, contract in CONTRACTS.items()
            if table in _HEARD_OF
        )
        return self._lake.arrow(
            Connection.text(SQL / "customers_reused.sql", names={"activity": activity}),
            {
                "staged": str(staged.staged_path),
                "batch_name": staged.batch_name,
                "minimum_days": minimum_days,
            },
        )

    def newest_event_at(self, staged: StagedBatch) -> datetime | None:
        event_time = quote(CONTRACTS[staged.table].event_time)
        newest = self._lake.scalar(f"select max({event_time}) from lake.main.{quote(staged.table)}")
        return newest.astimezone(UTC) if newest is not None else None

    def _is_empty(self, table: str) -> bool:
        return not self._lake.rows(f"select 1 from lake.main.{quote(table)} limit 1")
