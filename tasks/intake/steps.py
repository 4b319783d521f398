"""The steps of intake, as a flow calls them: discover, stage, (validate,) publish.

recover_intake(lake, settings)
for delivery in discover_deliveries(lake, settings, actor):
    staged = stage_delivery(lake, delivery, settings, actor, supersede)
    if isinstance(staged, Batch):   # known already, nothing to do
        continue
    verdict = validation.validate(...)
    batch = publish_batch(lake, staged, verdict, actor, supersede)
    if batch.state == "quarantined":
        refusals.append(note_refusal(lake, delivery, batch))
watch_deliveries(lake, settings, actor=actor)
refused = sum_up_refusals(lake, refusals)   # what ends the night, if anything does
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from tasks.contracts import CONTRACTS
from tasks.handles import Batch, Delivery, RawBatch, StagedBatch, Verdict
from tasks.incidents.causes import cause_of_name
from tasks.incidents.queue import list_incidents, raise_incident, resolve_raised
from tasks.intake.corrections import apply_corrections, export_rows, read_corrections
from tasks.intake.degrees import describe_behind, find_hold, judge_sources
from tasks.intake.degrees import watch_deliveries as watch
from tasks.intake.deliveries import discover
from tasks.intake.ledger import (
    UNFINISHED,
    count_batches,
    read_batches,
    show_quarantine,
)
from tasks.intake.publication import Replay, mark_staged, publish, register_delivery
from tasks.intake.raw import find_source, hash_file, keep_raw, raw_path
from tasks.intake.reading import stage
from tasks.intake.refusals import describe_stop, note_refusal, record_rejection, sum_up_refusals
from tasks.intake.rejection import BatchRejected, OfferRefused
from tasks.intake.replay import (
    Case,
    describe_history,
    describe_queue,
    find_case,
    keep_replacement,
    one_batch,
    recall_raw,
)
from tasks.intake.replay import discard_batches as discard
from tasks.intake.staging import clear_staging
from tasks.orchestration import step
from tasks.settings import Settings
from tasks.warehouse import Lake

__all__ = [
    "Case",
    "Replay",
    "count_batches",
    "describe_behind",
    "describe_history",
    "describe_queue",
    "describe_stop",
    "discard_batches",
    "discover_deliveries",
    "export_rows",
    "find_bytes",
    "find_case",
    "find_hold",
    "judge_sources",
    "note_refusal",
    "one_batch",
    "publish_batch",
    "recover_intake",
    "reject_batch",
    "restage_batch",
    "show_quarantine",
    "stage_delivery",
    "sum_up_refusals",
    "watch_deliveries",
]


def _discover(lake: Lake, settings: Settings, actor: str) -> list[Delivery]:
    """Every delivery of every source; a file that is refused by its name is an item until it goes.

    Raises OfferRefused (77) for it, and as `discover` does.
    """
    try:
        found = discover(settings)
    except OfferRefused as refusal:
        cause = cause_of_name(refusal.source, refusal.what)
        table = settings.intake.sources[refusal.source].table
        report = {"found": refusal.found, "next_step": refusal.next_step}
        raise_incident(lake, cause, table=table, actor=actor, report=report)
        raise
    for incident in list_incidents(lake):
        if incident.cause.key == cause_of_name(incident.cause.source).key:
            reason = "there is no such file any more"
            resolve_raised(lake, incident.cause.key, actor=actor, reason=reason)
    return found


def _stage(
    lake: Lake, delivery: Delivery, settings: Settings, actor: str, supersede: bool = False
) -> StagedBatch | Batch:
    """Keep the delivery's bytes and stage its rows; a Batch comes back where it is known.

    Raises BatchRejected (65), after it is in the ledger, for a delivery that cannot be read, and
    DataRejected (65) for other content under an accepted name without `supersede`.
    """
    try:
        raw = keep_raw(delivery, settings)
    except BatchRejected as rejection:
        _reject(lake, _unread(delivery, rejection, settings), rejection, actor, supersede)
        raise
    batch = register_delivery(lake, raw, actor, supersede=supersede)
    if batch.already_known:
        return batch
    staged = _read(lake, raw, settings, actor, supersede)
    mark_staged(lake, staged, actor)
    return staged


def _restage(
    lake: Lake, raw: RawBatch, settings: Settings, actor: str, replay: Replay, supersede: bool
) -> StagedBatch:
    """Stage kept bytes once more, or those that take their place, under the mapping of today.

    Nothing is written to the ledger unless they cannot be read: raises BatchRejected (65) then.
    """
    return _read(lake, raw, settings, actor, supersede, replay.batch_number)


def _read(
    lake: Lake,
    raw: RawBatch,
    settings: Settings,
    actor: str,
    supersede: bool,
    replays: int | None = None,
) -> StagedBatch:
    source = find_source(raw.delivery.source, settings)
    try:
        staged = stage(raw, source, CONTRACTS[source.table], settings)
    except BatchRejected as rejection:
        _reject(lake, raw, rejection, actor, supersede, replays)
        raise
    if not staged.staged_hash:
        staged = replace(staged, staged_hash=hash_file(staged.staged_path)[0])
    return staged


def _unread(delivery: Delivery, rejection: BatchRejected, settings: Settings) -> RawBatch:
    """Stands for bytes that were refused before we kept them: known by what was wrong."""
    named = f"unread {delivery.batch_name} {rejection.code} {rejection.problem}"
    digest = hashlib.sha256(named.encode()).hexdigest()
    return RawBatch(delivery, digest, raw_path(digest, settings), 0)


def _reject(
    lake: Lake,
    raw: RawBatch,
    rejection: BatchRejected,
    actor: str,
    supersede: bool = False,
    replays: int | None = None,
) -> Batch:
    """Put a delivery that could not be read into the ledger, with the lines that were named."""
    return record_rejection(
        lake,
        raw,
        code=rejection.code,
        reason=rejection.problem,
        lines=[(line, rejection.problem, None) for line in rejection.lines],
        actor=actor,
        supersede=supersede,
        column=rejection.column,
        found=rejection.found,
        replays=replays,
    )


def _publish(
    lake: Lake,
    staged: StagedBatch,
    verdict: Verdict,
    actor: str,
    supersede: bool = False,
    replay: Replay | None = None,
) -> Batch:
    """Publish a judged batch, or set it aside if it was stopped (state `quarantined`)."""
    return publish(lake, staged, verdict, actor, supersede=supersede, replay=replay)


def _find_bytes(
    lake: Lake, batch: Batch, file: Path | None = None, corrections: Path | None = None
) -> RawBatch:
    """The bytes of a replay: those kept, a file in their place, or those kept with corrections.

    Raises UsageError (64) for a file that cannot be taken, StoredDataCorrupt (74) where our copy
    has changed.
    """
    if corrections is not None:
        return apply_corrections(lake, batch, read_corrections(lake, batch, corrections))
    if file is not None:
        return keep_replacement(file, batch, lake.settings)
    return recall_raw(batch, lake.settings)


def _recover(lake: Lake, settings: Settings) -> list[Batch]:
    """Clear what killed runs left aside; gives the batches that never ended.

    Those need nothing special: their deliveries are found again, and go on under their numbers.
    """
    clear_staging(lake, settings)
    return read_batches(lake, states=UNFINISHED)


recover_intake = step(_recover, name="recover intake")
discover_deliveries = step(_discover, name="discover deliveries", retries=2)
stage_delivery = step(_stage, name="stage delivery", retries=2)
restage_batch = step(_restage, name="stage batch again", retries=2)
publish_batch = step(_publish, name="publish batch", retries=2)
find_bytes = step(_find_bytes, name="find the bytes", retries=2)
discard_batches = step(discard, name="discard batches", retries=2)
reject_batch = step(_reject, name="record rejection", retries=2)
watch_deliveries = step(watch, name="watch for deliveries that did not come", retries=2)
