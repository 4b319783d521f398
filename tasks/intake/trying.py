"""What a preview asks of intake: which batch, what stopped it, what a try has published."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from tasks.contracts import CONTRACTS
from tasks.errors import DataRejected
from tasks.handles import Batch, Verdict, Waiver
from tasks.impact import DayRows
from tasks.intake.ledger import describe_result
from tasks.intake.refusals import describe_stop
from tasks.warehouse import Lake, quote


def describe_overruled(verdict: Verdict, waiver: Waiver) -> tuple[str, ...]:
    """A line for each rule that would stop the batch without the waiver; only figures."""
    lines = []
    for result in verdict.results:
        figure, low, high = result.figure, result.lower_limit, result.upper_limit
        stops = result.limit.startswith("none") or (
            figure is not None
            and ((high is not None and figure > high) or (low is not None and figure < low))
        )
        if result.passed or result.severity == "stop" or not stops:
            continue
        said = result.reason.replace(waiver.describe(), "").rstrip("; ")
        lines.append(describe_result(replace(result, reason=said)))
    return tuple(lines)


def demand_accepted(batch: Batch, called: str) -> None:
    """Raise DataRejected (65) saying why, unless rows of the batch are published."""
    if batch.state == "quarantined":
        raise describe_stop(batch, called)
    if batch.state != "accepted":
        raise DataRejected(
            f"batch {batch.batch_name}: this content is known, and nothing would be done.",
            found=f"it is {batch.state}, as number {batch.batch_number}",
        )
    if not batch.accepted_rows:
        raise DataRejected(
            f"batch {batch.batch_name}: each of its {batch.received_rows:,} rows is set aside"
            " by itself.",
            found="; ".join(str(cause) for cause in batch.report.get("causes") or ()),
            next_step="correct the file, or waive the rules that set its rows aside",
        )


def find_replaced(lake: Lake, batch: Batch) -> int | None:
    """The number of the accepted batch that a published one has replaced."""
    rows = lake.rows(
        "select supersedes_batch_number as number from lake.ledger.batches"
        " where batch_number = $number and state = 'accepted'"
        " and supersedes_batch_number is not null",
        {"number": batch.batch_number},
    )
    return int(rows[0]["number"]) if rows else None


def known_from(lake: Lake, batch: Batch, as_of: datetime, *, replaces: bool) -> datetime | None:
    """When all rows of a published batch from before `as_of` count, and what it replaces does not.

    None where it has no such row and replaces nothing.
    """
    event_time = quote(CONTRACTS[batch.table].event_time)
    moments = [
        lake.scalar(
            f"select max(received_at) from lake.main.{quote(batch.table)}"
            f" where batch_number = $number and {event_time} < $as_of",
            {"number": batch.batch_number, "as_of": as_of},
        ),
        batch.published_at if replaces else None,
    ]
    known: list[datetime] = [moment.astimezone(UTC) for moment in moments if moment is not None]
    return max(known, default=None)


def count_days(lake: Lake, batch: Batch, replaced: int | None) -> list[DayRows]:
    """Rows by day (UTC) of a published batch and of the one that it replaces, in order."""
    event_time = quote(CONTRACTS[batch.table].event_time)
    rows = lake.rows(
        f"select {event_time}::date as day,"
        " count(*) filter (batch_number = $replaced) as rows_before,"
        " count(*) filter (batch_number = $number) as rows_after"
        f" from lake.main.{quote(batch.table)}"
        " where batch_number = $number or batch_number = $replaced group by day order by day",
        {"number": batch.batch_number, "replaced": replaced},
    )
    return [DayRows(batch.table, row["day"], row["rows_before"], row["rows_after"]) for row in rows]
