"""What a preview asks of intake: the kept bytes of a batch, or a file's, and rows by day."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from tasks.branch import Branch
from tasks.contracts import CONTRACTS
from tasks.errors import DataRejected, UsageError
from tasks.handles import Batch, Delivery, RawBatch, StagedBatch, Verdict
from tasks.impact import DayRows
from tasks.intake.deliveries import check_name
from tasks.intake.disk import aside, demand_space, disk_failures, private_directory, settle
from tasks.intake.ledger import (
    describe_failure,
    find_batch,
    read_batch,
    read_batches,
    record_state,
)
from tasks.intake.raw import find_source, hash_file, raw_path
from tasks.intake.reading import stage
from tasks.intake.refusals import describe_stop
from tasks.intake.rejection import BatchRejected
from tasks.settings import Settings
from tasks.sources import FilesSource, Source
from tasks.warehouse import Lake, quote


def find_numbered(lake: Lake, asked: str | int) -> Batch:
    """The batch of that number, or the newest of that name. Raises UsageError (64)."""
    batches = read_batches(lake)
    text = str(asked)
    if text.isascii() and text.isdigit():
        found = [batch for batch in batches if batch.batch_number == int(text)]
    else:
        found = [batch for batch in batches if batch.batch_name == text]
    if not found:
        raise UsageError(
            f"The ledger knows no batch '{text}'.",
            available=[b.batch_name for b in batches if b.state == "quarantined"][:10],
        )
    return found[-1]


def recall_raw(batch: Batch, settings: Settings) -> RawBatch:
    """The delivery of a batch as its bytes were kept. Staging verifies them."""
    path = raw_path(batch.content_hash, settings)
    source = find_source(batch.source, settings)
    size = path.stat().st_size if path.is_file() else 0
    delivery = Delivery(batch.batch_name, batch.source, batch.table, _location(batch, source))
    return RawBatch(delivery, batch.content_hash, path, size)


def _location(batch: Batch, source: Source) -> str:
    """A file name that tells the dialect; the ledger keeps none, and the file may be gone."""
    if not isinstance(source, FilesSource) or source.pattern is None:
        return batch.batch_name
    _, part = check_name(batch.batch_name)
    names = [f"{part}{suffix}" for suffix in (".tsv", ".tsv.gz")]
    there = [name for name in names if (source.folder / name).is_file()]
    return (there or [source.pattern])[0]


def borrow_file(path: Path, batch: Batch, settings: Settings) -> RawBatch:
    """A file as other content of the batch, copied below `settings.home` and known by its hash.

    Raises UsageError (64) for what is no file, BatchRejected LIMIT (65), DiskFailure (73).
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    size = path.stat().st_size
    limit = settings.intake.limits.maximum_file_mb
    if size > limit * 1e6:
        raise BatchRejected(
            "LIMIT", batch.batch_name, f"{size / 1e6:,.1f} MB, allowed are {limit:,.1f} MB"
        )
    folder = private_directory(settings.home / "raw")
    demand_space(folder, size)
    with aside(folder) as written:
        with disk_failures(f"copying {path.name}"):
            shutil.copyfile(path, written)
        digest, size = hash_file(written)
        final = raw_path(digest, settings)
        settle(written, final, "preview.raw")
    delivery = Delivery(batch.batch_name, batch.source, batch.table, str(path))
    return RawBatch(delivery, digest, final, size)


def stage_again(raw: RawBatch, settings: Settings) -> StagedBatch:
    """Read kept bytes as their source is declared now. Raises BatchRejected (65)."""
    source = find_source(raw.delivery.source, settings)
    return stage(raw, source, CONTRACTS[source.table], settings)


def reopen(branch: Branch, raw: RawBatch) -> Batch | None:
    """Let an accepted content be published anew, on a branch; the batch that it then replaces.

    Its rows stop counting from now on, and the ledger takes its content for one never finished.
    None where the content is not accepted.
    """
    batch = find_batch(
        branch, content_hash=raw.content_hash, source=raw.delivery.source, states=("accepted",)
    )
    if batch is None:
        return None
    with branch.publish("preview", f"reopen {batch.batch_name}"):
        record_state(branch, batch, "superseded", actor="preview")
        record_state(
            branch,
            read_batch(branch, batch.batch_number),
            "discarded",
            actor="preview",
            report={"abandoned": True},
        )
    return batch


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


def describe_stops(verdict: Verdict) -> tuple[str, ...]:
    """A line for each rule that stops a batch; no data values, only figures."""
    return tuple(
        describe_failure(
            {
                "rule": result.rule,
                "column_name": result.column,
                "failed_rows": result.failed_rows,
                "checked_rows": result.checked_rows,
                "limit_text": result.limit,
                "observed_text": result.observed,
                "reason": result.reason,
            }
        )
        for result in verdict.results
        if not result.passed and result.severity == "stop"
    )


def demand_accepted(batch: Batch, called: str) -> None:
    """Raise DataRejected (65) saying why, unless the batch has just been taken in."""
    if batch.state == "quarantined":
        raise describe_stop(batch, called)
    if batch.already_known:
        raise DataRejected(
            f"batch {batch.batch_name}: this content is known, and nothing would be done.",
            found=f"it is {batch.state}, as number {batch.batch_number}",
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
