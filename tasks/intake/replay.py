"""Batches that stand aside, taken up again: with their own bytes, corrected ones, or a new file.

Nothing here publishes: it finds or makes the bytes, which then go the way that every delivery
goes. Discarding writes a state and keeps the bytes, so that it can be undone by a replay.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from typing import Any

from tasks.crash import crash_point
from tasks.errors import DiskFailure, UsageError
from tasks.handles import Batch, Delivery, Incident, RawBatch
from tasks.incidents.decisions import append_decision
from tasks.incidents.queue import (
    PREFIX,
    change_state,
    incidents_of,
    list_incidents,
    parse_name,
    read_history,
    read_incident,
    settle_incidents,
)
from tasks.intake.deliveries import REPLAYED
from tasks.intake.disk import aside, demand_space, disk_failures, private_directory, settle
from tasks.intake.ledger import find_asked, ledger_time, read_batches, record_states
from tasks.intake.raw import hash_file, raw_path, verify_raw
from tasks.intake.rejection import BatchRejected
from tasks.settings import Settings
from tasks.warehouse import Lake

_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Case:
    """What somebody asks about: an item, and those of its batches that stand aside."""

    incident: Incident
    batches: tuple[Batch, ...]


def find_case(lake: Lake, asked: str) -> Case:
    """The item `item-7`, or the newest item of a batch, by its name or number.

    Asked for a batch, only that batch is in the case. The batches are those that a decision can
    still be about: refused or discarded ones of a stop, published ones with rows held back. Of an
    item with refused ones, those that somebody has discarded by name stay out.
    Raises UsageError (64) for what is not there.
    """
    if parse_name(asked) is not None:
        incident = read_incident(lake, asked)
        pending = _pending(lake, incident, incident.batches)
        undecided = tuple(batch for batch in pending if batch.state != "discarded")
        return Case(incident, undecided or pending)
    batch = find_asked(lake, asked)
    # Of what a name stands for now, nothing may be aside, and of an earlier try of it all done.
    tries = [one for one in read_batches(lake) if one.batch_name == batch.batch_name]
    incidents = incidents_of(lake, batch.batch_number) or [
        incident for one in tries for incident in incidents_of(lake, one.batch_number)
    ]
    if not incidents:
        raise UsageError(
            f"Batch {batch.batch_name}, number {batch.batch_number}, is {batch.state}:"
            " nothing of it stands aside.",
            next_step=f"holdfast -d {shlex.quote(lake.settings.called)} quarantine list",
        )
    # A stop before rows held back, what is open before what is done, the newest first.
    incident = max(
        incidents,
        key=lambda one: (one.state != "resolved", one.cause.level == "stop", one.incident_number),
    )
    return Case(incident, _pending(lake, incident, (batch.batch_number,)))


def _pending(lake: Lake, incident: Incident, numbers: Sequence[int]) -> tuple[Batch, ...]:
    wanted = set(numbers)
    found = [batch for batch in read_batches(lake) if batch.batch_number in wanted]
    if incident.cause.level == "held":
        return tuple(b for b in found if b.state == "accepted" and b.quarantined_rows)
    return tuple(b for b in found if b.state in ("quarantined", "discarded"))


def one_batch(lake: Lake, asked: str) -> Batch:
    """The only batch that stands aside in what is asked about. Raises UsageError (64) for more."""
    case = find_case(lake, asked)
    if len(case.batches) != 1:
        raise UsageError(
            f"{asked} has {len(case.batches)} batches that stand aside.",
            available=[batch.batch_name for batch in case.batches[:10]],
            next_step="name one of them",
        )
    return case.batches[0]


def describe_queue(lake: Lake, *, everything: bool = False) -> list[dict[str, Any]]:
    """The items for `quarantine list`, what stops first, then the newest; ready for JSON.

    Each: `item`, `code`, `level`, `source`, `table`, `state`, `resolution`, `headline`,
    `opened_at`, `recorded_at`, `actor`, `batches` (batch_number, batch_name, state, received_rows,
    quarantined_rows), `rows_aside` and `review`, the next command.
    """
    batches = {batch.batch_number: batch for batch in read_batches(lake)}
    called = shlex.quote(lake.settings.called)
    found = list_incidents(lake, unresolved=not everything)
    order = ("stop", "gap", "fault", "held")
    found.sort(key=lambda one: (order.index(one.cause.level), -one.incident_number))
    items = []
    for incident in found:
        members = [batches[n] for n in incident.batches if n in batches]
        aside = [b for b in members if b.state in ("quarantined", "discarded", "accepted")]
        items.append(
            {
                "item": incident.name,
                "code": incident.cause.code,
                "level": incident.cause.level,
                "source": incident.cause.source,
                "table": incident.table,
                "state": incident.state,
                "resolution": incident.resolution,
                "headline": incident.cause.headline,
                "opened_at": incident.opened_at.isoformat(),
                "recorded_at": incident.recorded_at.isoformat(),
                "actor": incident.actor,
                "batches": [
                    {
                        "batch_number": batch.batch_number,
                        "batch_name": batch.batch_name,
                        "state": batch.state,
                        "received_rows": batch.received_rows,
                        "quarantined_rows": batch.quarantined_rows,
                    }
                    for batch in members
                ],
                "rows_aside": _count_aside(lake, incident, aside),
                "review": f"holdfast -d {called} quarantine show {incident.name}",
            }
        )
    return items


def _count_aside(lake: Lake, incident: Incident, aside: Sequence[Batch]) -> int:
    """Rows that stand aside for the item: those of its rule, or whole batches that were stopped."""
    if incident.cause.level != "held":
        return sum(batch.quarantined_rows for batch in aside)
    return int(
        lake.scalar(
            "select coalesce(sum(failed_rows), 0) from lake.ledger.rule_results"
            " where rule = $rule and list_contains($numbers::integer[], batch_number)",
            {
                "rule": incident.cause.key.rpartition("|")[2],
                "numbers": [batch.batch_number for batch in aside],
            },
        )
    )


def describe_history(lake: Lake, asked: str | None = None) -> list[dict[str, Any]]:
    """What happened to an item, a batch's items, or all, oldest first; ready for JSON.

    Each: `item`, `at`, `what`, `actor`, `reason`.
    """
    numbers = (
        [find_case(lake, asked).incident.incident_number]
        if asked is not None
        else [one.incident_number for one in list_incidents(lake, unresolved=False)]
    )
    entries = [
        {
            "item": f"{PREFIX}{number}",
            "at": row["recorded_at"].astimezone(UTC).isoformat(),
            "what": row["what"],
            "actor": row["actor"],
            "reason": row["reason"],
        }
        for number in numbers
        for row in read_history(lake, number)
    ]
    return sorted(entries, key=lambda entry: str(entry["at"]))


def recall_raw(batch: Batch, settings: Settings) -> RawBatch:
    """The bytes that we kept of a batch, verified.

    Raises StoredDataCorrupt (74) where they have changed, UsageError (64) for a batch of which
    none were kept, because it was refused before they were copied.
    """
    path = raw_path(batch.content_hash, settings)
    raw = RawBatch(_deliver(batch), batch.content_hash, path, 0)
    if not path.is_file() and _was_never_kept(batch):
        raise UsageError(
            f"Of batch {batch.batch_name} no bytes were kept: it was refused before.",
            next_step="give the corrected file with --file, or discard it",
        )
    verify_raw(raw)
    return replace(raw, size_bytes=path.stat().st_size)


def keep_replacement(path: Path, batch: Batch, settings: Settings) -> RawBatch:
    """Copy a file that takes a batch's place into our keeping; the file itself is left alone.

    Raises UsageError (64) for no such file, BatchRejected LIMIT (65), DiskFailure (73).
    """
    try:
        size = path.stat().st_size
        source = path.open("rb")
    except OSError as error:
        raise UsageError(
            f"The file {path} cannot be read.", found=error.strerror or type(error).__name__
        ) from None
    with source:
        _check_size(size, batch.batch_name, settings)
        demand_space(private_directory(settings.home / "raw"), size)

        def copy(written: Path) -> None:
            with disk_failures(f"copying {path.name}"), written.open("xb") as target:
                shutil.copyfileobj(source, target, _COPY_BYTES)

        return keep_written(batch, settings, copy)


def keep_written(batch: Batch, settings: Settings, write: Callable[[Path], None]) -> RawBatch:
    """Keep what `write` writes to the path that it is given, under its hash, for this batch."""
    with aside(private_directory(settings.home / "raw")) as written:
        write(written)
        digest, size = hash_file(written)
        _check_size(size, batch.batch_name, settings)
        final = raw_path(digest, settings)
        settle(written, final, "intake.replacement")
    return RawBatch(_deliver(batch), digest, final, size)


def discard_batches(
    lake: Lake,
    numbers: Sequence[int],
    *,
    incident_number: int,
    actor: str,
    reason: str,
    decision: Mapping[str, Any],
    report: Mapping[str, Any] | None = None,
    ends_item: bool = True,
) -> list[Batch]:
    """Set batches aside for good, in one transaction with the decision; what is kept is kept.

    A stopped batch becomes `discarded`; of a published one the rows that are held back stay so.
    With `ends_item` the item is resolved even if other batches of it remain. Twice is once.
    """
    with lake.writer_lock(f"discard {decision['subject']}"):
        moment, _ = ledger_time(lake)
        crash_point("discard.before_begin")
        with lake.publish(actor, f"discard {decision['subject']}", {"batches": list(numbers)}):
            refused = {one.batch_number for one in read_batches(lake, states=("quarantined",))}
            record_states(
                lake,
                sorted(refused.intersection(numbers)),
                "discarded",
                actor=actor,
                recorded_at=moment,
                report={"discarded_because": reason},
            )
            append_decision(lake, **decision, decided_at=moment)
            settled = settle_incidents(
                lake, recorded_at=moment, actor=actor, closing="discarded", reason=reason
            )
            if ends_item and incident_number not in settled:
                change_state(
                    lake,
                    incident_number,
                    "resolved",
                    resolution="discarded",
                    recorded_at=moment,
                    actor=actor,
                    reason=reason,
                    report=report,
                )
            crash_point("discard.before_commit")
        crash_point("discard.after_commit")
        known = {batch.batch_number: batch for batch in read_batches(lake)}
        return [known[number] for number in numbers]


def demand_new(path: Path) -> None:
    """Refuse (64) to write over a file."""
    if path.exists():
        raise UsageError(f"{path} is there already.", next_step="name another file with --out")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all; never over another.

    Raises UsageError (64) where one is there, DiskFailure (73).
    """
    demand_new(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):  # the folder itself may be none
            partial.unlink(missing_ok=True)
        raise DiskFailure(f"{path} cannot be written.", found=error.strerror or "") from error


def _deliver(batch: Batch) -> Delivery:
    return Delivery(batch.batch_name, batch.source, batch.table, REPLAYED)


def _check_size(size_bytes: int, batch_name: str, settings: Settings) -> None:
    limit = settings.intake.limits.maximum_file_mb
    if size_bytes > limit * 1e6:
        raise BatchRejected(
            "LIMIT", batch_name, f"{size_bytes / 1e6:,.1f} MB, allowed are {limit:,.1f} MB"
        )


def _was_never_kept(batch: Batch) -> bool:
    return isinstance(batch.report.get("rejection"), Mapping)
