"""What a delivery is to the ledger: new, known, resumed, in conflict, or a correction.

A batch's identity is the hash of its content within its source. Its name says which part of the
source it is, and one name has one accepted content at a time: another content under the name is
refused until somebody says that it supersedes the first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from tasks.errors import DataRejected, InternalError
from tasks.handles import Batch, BatchState, RawBatch
from tasks.intake.ledger import (
    SKEW_ALLOWANCE,
    UNFINISHED,
    find_batch,
    ledger_time,
    next_batch_number,
    read_batch,
    read_batches,
    record_state,
)
from tasks.warehouse import Lake

CONFLICT = "CONFLICT"
CHANGED = "CHANGED"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a delivery stands to the ledger.

    `known`: its content was published, or superseded, or set aside for good; nothing is done.
    `conflict`: another content is accepted under its name and nobody said to supersede it.
    `open`: it may be published; `batch` is then the unfinished or quarantined batch of the same
    content, if there is one, and `replaces` the accepted batch that it supersedes, if it does.
    `replays` is the batch that a person has asked to be replayed, if one has.
    """

    kind: Literal["known", "conflict", "open"]
    batch: Batch | None = None
    replaces: Batch | None = None
    replays: Batch | None = None

    @property
    def resumed(self) -> Batch | None:
        """The unfinished batch whose number goes on."""
        return self.batch if self.batch and self.batch.state in UNFINISHED else None

    @property
    def repeats(self) -> bool:
        """Whether the accepted batch is judged again with the very content that it has."""
        same = self.replays and self.replaces
        return bool(same) and self.replays == self.replaces

    @property
    def retried(self) -> Batch | None:
        """The quarantined batch of the same content that is tried again."""
        return self.batch if self.batch and self.batch.state == "quarantined" else None


def judge_delivery(
    lake: Lake, raw: RawBatch, *, supersede: bool = False, replays: int | None = None
) -> Standing:
    """Look the delivery up by content, then by name. Certain only under the writer lock.

    `replays` is the number of the batch that a person has asked to replay, with these bytes.
    """
    delivery = raw.delivery
    same = find_batch(lake, content_hash=raw.content_hash, source=delivery.source)
    current = find_batch(lake, batch_name=delivery.batch_name, states=("accepted",))
    other = current if current and current.content_hash != raw.content_hash else None
    if replays is not None:
        return _judge_replay(read_batch(lake, replays), same, other, supersede=supersede)
    if same is not None:
        if same.state == "superseded" and supersede and other is not None:
            # An old content is asked back by name: a correction like any other.
            return Standing("open", None, other)
        abandoned = same.state == "discarded" and bool(same.report.get("abandoned"))
        if not abandoned and same.state not in (*UNFINISHED, "quarantined"):
            return Standing("known", same)
        if abandoned:
            same = None
    if other is not None and not supersede:
        return Standing("conflict", same, other)
    return Standing("open", same, other)


def _judge_replay(
    asked: Batch, same: Batch | None, other: Batch | None, *, supersede: bool
) -> Standing:
    """Twice is once: what was published by an earlier replay, with this content, is known."""
    if same is not None and same.state == "accepted":
        if same.batch_number == asked.batch_number:
            # Judged anew under other bounds, another mapping or a waiver.
            return Standing("open", None, same, asked)
        return Standing("known", same)
    if asked.state not in (*UNFINISHED, "quarantined", "discarded", "accepted"):
        return Standing("known", asked)
    if other is not None and other.batch_number != asked.batch_number and not supersede:
        return Standing("conflict", same, other, asked)
    is_pending = same is not None and same.state in (*UNFINISHED, "quarantined")
    return Standing("open", same if is_pending else None, other, asked)


def describe_conflict(raw: RawBatch, accepted: Batch) -> DataRejected:
    """The refusal of another content under an accepted name (exit 65)."""
    return DataRejected(
        f"Batch {raw.delivery.batch_name} was published with other content.",
        found=(
            f"accepted {accepted.recorded_at:%Y-%m-%d %H:%M} UTC as number"
            f" {accepted.batch_number}, sha256 {accepted.content_hash[:12]}...; delivered now"
            f" {raw.content_hash[:12]}..."
        ),
        next_step=(
            "if the new content corrects the old one, ingest it again with --supersede;"
            " otherwise deliver it under a name of its own"
        ),
    )


def retire_predecessors(
    lake: Lake,
    raw: RawBatch,
    batch_number: int,
    *,
    replaces: Batch | None,
    recorded_at: datetime,
    actor: str,
    replays: Batch | None = None,
    closing: BatchState = "replayed",
) -> None:
    """Close what the newly accepted batch makes obsolete, inside its own transaction.

    The accepted batch that it corrects becomes `superseded` from `recorded_at` on. Quarantined
    tries of its name or content become `closing`, and so does a discarded one that somebody asked
    to replay; unfinished ones become `discarded` (abandoned: should that content come once more,
    it is judged anew).
    """
    if replaces is not None:
        record_state(
            lake,
            replaces,
            "superseded",
            actor=actor,
            recorded_at=recorded_at,
            report={"superseded_by": batch_number},
        )
    for batch in read_batches(lake, states=("quarantined", *UNFINISHED)):
        same_name = batch.batch_name == raw.delivery.batch_name
        same_content = (
            batch.content_hash == raw.content_hash and batch.source == raw.delivery.source
        )
        if batch.batch_number == batch_number or not (same_name or same_content):
            continue
        if batch.state == "quarantined":
            record_state(
                lake,
                batch,
                closing,
                actor=actor,
                recorded_at=recorded_at,
                report={"replayed_by": batch_number},
            )
        else:
            record_state(
                lake,
                batch,
                "discarded",
                actor=actor,
                recorded_at=recorded_at,
                report={"abandoned": True, "replaced_by": batch_number},
            )
    if replays is not None and replays.state == "discarded":
        record_state(
            lake,
            replays,
            closing,
            actor=actor,
            recorded_at=recorded_at,
            report={"replayed_by": batch_number},
        )


def known_batch(standing: Standing) -> Batch:
    """The batch of a delivery that needs nothing more, marked as such."""
    if standing.batch is None:
        raise InternalError("A known delivery without its batch.")
    return replace(standing.batch, already_known=True)


def open_entry(
    lake: Lake, standing: Standing, notes: Sequence[str]
) -> tuple[int, datetime, dict[str, Any]]:
    """Number, time and first report of what is about to be recorded."""
    resumed = standing.resumed
    number = resumed.batch_number if resumed is not None else next_batch_number(lake)
    recorded_at, lag = ledger_time(lake)
    report: dict[str, Any] = {"notes": list(notes)}
    if lag > SKEW_ALLOWANCE:
        report["clock_behind_seconds"] = lag / timedelta(seconds=1)
    return number, recorded_at, report


def close_retried(
    lake: Lake, standing: Standing, number: int, recorded_at: datetime, actor: str
) -> None:
    """A try that ended anew, and differently, replaces the quarantined one of that content."""
    if standing.retried is not None:
        record_state(
            lake,
            standing.retried,
            "replayed",
            actor=actor,
            recorded_at=recorded_at,
            report={"replayed_by": number},
        )


def describe_commit(number: int, raw: RawBatch) -> dict[str, Any]:
    """What the commit message carries, so that the lake can be asked which batch it was."""
    return {
        "batch_number": number,
        "batch_name": raw.delivery.batch_name,
        "content_hash": raw.content_hash,
    }


def digest_of(value: object) -> str:
    """A hash of causes, to tell whether a delivery was refused for the same ones before."""
    return hashlib.sha256(json.dumps(value, default=str).encode()).hexdigest()
