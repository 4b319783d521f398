"""Deliveries of which nothing is published: unreadable, in conflict, or stopped.

Each is recorded once with what is wrong; delivered again unchanged, it adds nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tasks.crash import crash_point
from tasks.errors import DataRejected, InternalError
from tasks.handles import Batch, Cause, Delivery, RawBatch, StagedBatch
from tasks.incidents.causes import cause_of_rejection
from tasks.incidents.queue import join_incident, list_incidents, settle_incidents
from tasks.intake.ledger import append_batch, find_batch, read_batch
from tasks.intake.supersession import (
    CHANGED,
    CONFLICT,
    Standing,
    close_retried,
    describe_commit,
    describe_conflict,
    digest_of,
    judge_delivery,
    known_batch,
    open_entry,
)
from tasks.warehouse import Lake


def record_rejection(
    lake: Lake,
    raw: RawBatch,
    *,
    code: str,
    reason: str,
    lines: Sequence[tuple[int, str, str | None]] = (),
    actor: str,
    supersede: bool = False,
    column: str = "",
    found: str = "",
    replays: int | None = None,
) -> Batch:
    """Record a delivery that could not even be read; its raw bytes stay where they are.

    `reason` becomes the item's headline, which is sent out, so it holds no value of a row; `found`
    may hold an example, and stays with the batch.
    `lines` are (line number, reason, raw line) of the lines that were named; they are examples,
    so the batch counts as many received and quarantined rows as it names. The same rejection of
    the same content is recorded once.
    """
    said = f"{reason} {found}".strip()
    digest = digest_of([code, said])
    with lake.writer_lock(f"reject {raw.delivery.batch_name}"):
        standing = judge_delivery(lake, raw, supersede=supersede, replays=replays)
        if standing.kind == "known" or standing.repeats:
            return known_batch(standing)
        retried = standing.retried
        if retried is not None and retried.report.get("digest") == digest:
            return replace(retried, already_known=True)
        number, recorded_at, report = open_entry(lake, standing, ())
        report |= {"digest": digest, "rejection": {"code": code, "reason": said}}
        crash_point("reject.before_begin")
        with lake.publish(actor, f"reject {raw.delivery.batch_name}", describe_commit(number, raw)):
            _append_lines(lake, number, code, lines, recorded_at)
            count = len({number for number, _, _ in lines})
            append_batch(
                lake,
                raw,
                "quarantined",
                batch_number=number,
                recorded_at=recorded_at,
                actor=actor,
                received_rows=count,
                quarantined_rows=count,
                report=report,
            )
            close_retried(lake, standing, number, recorded_at, actor)
            cause = cause_of_rejection(raw.delivery.source, code, column, reason)
            join_incident(
                lake, cause, number, raw.delivery.table, recorded_at=recorded_at, actor=actor
            )
            settle_incidents(lake, recorded_at=recorded_at, actor=actor)
            crash_point("reject.before_commit")
        crash_point("reject.after_commit")
        return read_batch(lake, number)


def record_conflict(
    lake: Lake, raw: RawBatch, standing: Standing, actor: str, staged: StagedBatch | None = None
) -> DataRejected:
    accepted = standing.replaces
    if accepted is None:
        raise InternalError("A conflict without the batch it is with.")
    refusal = describe_conflict(raw, accepted)
    # A part delivered anew is a case of its own: one is right, another wrong.
    cause = cause_of_rejection(raw.delivery.source, CONFLICT, raw.delivery.batch_name, refusal.what)
    notes = staged.notes if staged else ()
    _refuse(lake, raw, standing, actor, cause, refusal, [CONFLICT, accepted.batch_number], notes)
    return refusal


def record_change(lake: Lake, staged: StagedBatch, standing: Standing, actor: str) -> DataRejected:
    """Record that the judged file is not what would be published; the error to raise (65).

    The batch stands aside until it is ingested again, which stages it anew. Hold the writer lock.
    """
    refusal = DataRejected(
        f"batch {staged.batch_name} refused: {CHANGED}",
        found=f"the staged file {staged.staged_path.name} is not what validation has judged",
        next_step="run the same command again; it stages the raw bytes anew",
    )
    if not standing.repeats:
        cause = cause_of_rejection(staged.raw.delivery.source, CHANGED, "", refusal.found)
        _refuse(lake, staged.raw, standing, actor, cause, refusal, [CHANGED], staged.notes)
    return refusal


def _refuse(
    lake: Lake,
    raw: RawBatch,
    standing: Standing,
    actor: str,
    cause: Cause,
    refusal: DataRejected,
    identity: Sequence[object],
    notes: Sequence[str],
) -> None:
    """Set a delivery aside without rows, once for the same `identity`."""
    digest = digest_of(identity)
    if standing.retried is not None and standing.retried.report.get("digest") == digest:
        return
    number, recorded_at, report = open_entry(lake, standing, notes)
    report |= {
        "digest": digest,
        "rejection": {"code": cause.code, "reason": f"{refusal.what} {refusal.found}"},
    }
    crash_point("conflict.before_commit")
    with lake.publish(actor, f"refuse {raw.delivery.batch_name}", describe_commit(number, raw)):
        append_batch(
            lake,
            raw,
            "quarantined",
            batch_number=number,
            recorded_at=recorded_at,
            actor=actor,
            report=report,
        )
        close_retried(lake, standing, number, recorded_at, actor)
        join_incident(lake, cause, number, raw.delivery.table, recorded_at=recorded_at, actor=actor)
        settle_incidents(lake, recorded_at=recorded_at, actor=actor)
    crash_point("conflict.after_commit")


def describe_stop(batch: Batch, called: str) -> DataRejected:
    """The refusal of a stopped or unreadable batch (exit 65), causes and next command in it."""
    causes = batch.report.get("causes") or []
    rejection = batch.report.get("rejection")
    if isinstance(rejection, Mapping):
        what = f"batch {batch.batch_name} refused: {rejection.get('code', 'REJECTED')}"
        causes = [str(rejection.get("reason", ""))]
    else:
        judged = batch.report.get("rules")
        what = f"batch {batch.batch_name} quarantined: {len(causes)} of {judged} rules failed"
    return DataRejected(
        what,
        found="\n  ".join(str(cause) for cause in causes),
        next_step=f"holdfast -d {shlex.quote(called)} quarantine show {batch.batch_name}",
    )


@dataclass(frozen=True, slots=True)
class Refusal:
    """A delivery that was refused: what was said of it, and its batch if the ledger has one."""

    source: str
    error: DataRejected
    batch: Batch | None


def note_refusal(lake: Lake, delivery: Delivery, refused: DataRejected | Batch) -> Refusal:
    """A refusal as it is kept until all deliveries were taken: of a batch that was stopped, or
    of one that could not be read or is in conflict, which is in the ledger by now."""
    if isinstance(refused, Batch):
        return Refusal(delivery.source, describe_stop(refused, lake.settings.called), refused)
    batch = find_batch(lake, batch_name=delivery.batch_name, states=("quarantined",))
    return Refusal(delivery.source, refused, batch)


def sum_up_refusals(lake: Lake, refusals: Sequence[Refusal]) -> DataRejected | None:
    """The one error that ends a taking in, or None where every refused source lets it go on.

    A source lets it go on where it is optional or says `when_refused: degrade`, and only if the
    ledger holds the batch: what is not recorded would be forgotten. The first refusal that stops
    is told in full, the others are counted with their items.
    """
    stopping = [one for one in refusals if one.batch is None or _stops(lake, one.source)]
    if not stopping:
        return None
    first = stopping[0].error
    others = len(refusals) - 1
    if not others:
        return first
    numbers = {one.batch.batch_number for one in refusals if one.batch is not None}
    items = sum(bool(numbers & set(incident.batches)) for incident in list_incidents(lake))
    more = (
        f"and {others:,} more {'batch was' if others == 1 else 'batches were'} refused,"
        f" {items:,} {'item' if items == 1 else 'items'} in all"
    )
    listed = f"holdfast -d {shlex.quote(lake.settings.called)} quarantine list"
    return DataRejected(
        first.what,
        found="\n  ".join(part for part in (first.found, more) if part),
        available=first.available,
        next_step=f"{first.next_step}; all of them: {listed}",
    )


def _stops(lake: Lake, name: str) -> bool:
    source = lake.settings.intake.sources[name]
    return source.when_refused == "stop" and not source.optional


def _append_lines(
    lake: Lake,
    number: int,
    code: str,
    lines: Sequence[tuple[int, str, str | None]],
    recorded_at: datetime,
) -> None:
    for row_number, reason, raw_line in lines:
        lake.execute(
            "insert into lake.ledger.quarantine by name select"
            " $batch_number::integer as batch_number, $row_number::bigint as row_number,"
            " $rule::varchar as rule, $reason::varchar as reason,"
            " $raw_line::varchar as raw_line, $recorded_at::timestamptz as recorded_at",
            {
                "batch_number": number,
                "row_number": row_number,
                "rule": code,
                "reason": reason,
                "raw_line": raw_line,
                "recorded_at": recorded_at,
            },
        )
