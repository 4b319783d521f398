"""Which segmentation serves: read from the ledger, changed by compare-and-set.

A promotion is one row of `ledger.decisions` that names the one before it. It is written under the
writer lock and only if that one is still the newest, together with what became of each segment; so
is a promotion by a rollout, and the way back from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tasks.crash import crash_point
from tasks.decisions import append_decision, find_head
from tasks.errors import LockHeld
from tasks.findings import Contest, SegmentEvent
from tasks.handles import Decision
from tasks.keeping import combine_hashes
from tasks.moments import read_clock
from tasks.segments.model_files import Assigner, open_files

if TYPE_CHECKING:
    from tasks.groups import SegmentsSettings
    from tasks.warehouse import Lake


@dataclass(frozen=True, slots=True)
class Segmented:
    """A segmentation by the ledger: one that serves, or a candidate. `version` None: not in the
    registry (yet).

    `fitted_as_of` is the night that fitted it, `serves_as_of` the first on which it serves;
    `matched_with` is the decision before it, whose segments the `events` speak of. `used_ids` are
    all ids that any segmentation had.
    """

    decision_id: str
    name: str
    version: int | None
    directory: Path
    files: Mapping[str, str]
    model_hash: str
    kind: str
    method: str
    reason: str
    fitted_as_of: datetime
    taught_as_of: datetime
    contest: Contest
    measures: dict[str, dict[str, float]]
    events: tuple[SegmentEvent, ...]
    used_ids: tuple[str, ...]
    run_id: str | None
    serves_as_of: datetime
    matched_with: str | None

    @property
    def label(self) -> str:
        """What people call it by: the registry's version, or the start of its hash."""
        return f"s{self.model_hash[:8]}" if self.version is None else str(self.version)

    @property
    def segmentation_id(self) -> str:
        """How rows of `customer_segments` name it."""
        return self.model_hash[:16]

    def open(self) -> Assigner:
        """Verified and opened from our own copy. Raises Refused (77), StoredDataCorrupt (74)."""
        return open_files(self.directory, self.files)


@dataclass(frozen=True, slots=True)
class Promotion:
    """What is to be written of a new segmentation."""

    files: Mapping[str, str]
    directory: Path
    kind: str
    method: str
    reason: str
    fitted_as_of: datetime
    taught_as_of: datetime
    contest: Contest
    measures: Mapping[str, Mapping[str, float]]
    events: Sequence[SegmentEvent]
    used_ids: Sequence[str]
    snapshot_id: int
    version: int | None
    run_id: str | None


def segments_name(deployment: str) -> str:
    """The registered name of a deployment's segmentation."""
    return f"{deployment}.segments"


def models_directory(home: Path, deployment: str) -> Path:
    """Where our own copies are."""
    return home / "models" / segments_name(deployment)


def find_segmented(lake: Lake) -> Segmented | None:
    """The segmentation that serves, None before the first. Asks no other store."""
    row = find_head(lake, segments_name(lake.deployment))
    return None if row is None else read_segmented(lake, row)


def read_segmented(lake: Lake, row: Mapping[str, Any]) -> Segmented:
    """The segmentation of a promotion, rollback or candidate: a row of `ledger.decisions`."""
    evidence = json.loads(row["evidence"])
    return Segmented(
        decision_id=str(row["decision_id"]),
        name=segments_name(lake.deployment),
        version=None if row["model_version"] is None else int(row["model_version"]),
        directory=models_directory(lake.settings.home, lake.deployment)
        / Path(evidence["directory"]).name,
        files=dict(evidence["files"]),
        model_hash=str(row["model_hash"]),
        kind=str(evidence["kind"]),
        method=str(evidence["method"]),
        reason=str(row["reason"]),
        fitted_as_of=datetime.fromisoformat(evidence["fitted_as_of"]),
        taught_as_of=datetime.fromisoformat(evidence["taught_as_of"]),
        contest=Contest.model_validate_json(json.dumps(evidence["contest"])),
        measures=evidence["measures"],
        events=tuple(
            SegmentEvent.model_validate_json(json.dumps(one)) for one in evidence["events"]
        ),
        used_ids=tuple(evidence["used_ids"]),
        run_id=row["run_id"],
        # Before there were rollouts of them, they served at once.
        serves_as_of=datetime.fromisoformat(
            evidence.get("serves_as_of") or evidence["fitted_as_of"]
        ),
        matched_with=evidence["previous_decision_id"],
    )


def due_on(
    segmented: Segmented, settings: SegmentsSettings, looked_as_of: datetime | None = None
) -> datetime:
    """From which night on groups are looked for anew; `looked_as_of` last found others beside."""
    last = max(segmented.serves_as_of, looked_as_of or segmented.serves_as_of)
    return last + timedelta(days=settings.refit_after_days)


def promote(lake: Lake, promotion: Promotion, expected: str | None) -> Segmented:
    """Let a new segmentation serve, and record what became of each segment, in one transaction.

    `expected` is the `decision_id` of the one it was matched with (None: there was none). Raises
    LockHeld (75) if another came in between.
    """
    decision = decide(lake, promotion, "promotion", "champion", promotion.reason, expected)
    return crown(lake, decision, promotion.events, expected)


def crown(
    lake: Lake,
    decision: Decision,
    events: Sequence[SegmentEvent],
    expected: str | None,
    *,
    actor: str = "holdfast",
    alongside: Callable[[], None] | None = None,
) -> Segmented:
    """Make the segmentation of a decision the one that serves, if `expected` still does.

    `alongside` writes a rollout's rows in the same transaction, and may refuse. Raises LockHeld
    (75) if another came in between.
    """
    with lake.writer_lock("promote segments"):
        demand_head(lake, expected)
        crash_point("segments.before_promotion")
        message = f"decision: {decision.kind} {decision.outcome}"
        with lake.publish(actor, message, {"subject": decision.subject}):
            if alongside is not None:
                alongside()
                crash_point("segments.before_pointer")
            for event in events:
                told = replace(
                    decision,
                    decision_id=uuid4().hex,
                    kind="segment",
                    outcome=event.event,
                    reason=_tell(event),
                    evidence=event.model_dump(),
                )
                append_decision(lake, told, actor=actor)
            append_decision(lake, decision, actor=actor)
    crash_point("segments.promoted")
    promoted = find_segmented(lake)
    assert promoted is not None
    return promoted


def demand_head(lake: Lake, expected: str | None) -> None:
    """Raise LockHeld (75) unless the segmentation of that decision serves; hold the writer lock."""
    found = find_segmented(lake)
    if (found.decision_id if found else None) != expected:
        raise LockHeld(
            "Another segmentation came first; this one was matched with the one before it.",
            next_step=f"holdfast -d {lake.settings.called} segments",
        )


def decide(
    lake: Lake,
    promotion: Promotion,
    kind: str,
    outcome: str,
    reason: str,
    previous: str | None,
) -> Decision:
    """A decision about a new segmentation, with all that a later promotion needs of it."""
    name = segments_name(lake.deployment)
    return Decision(
        decision_id=uuid4().hex,
        decided_at=read_clock(),
        kind=kind,
        subject=name,
        outcome=outcome,
        reason=reason,
        evidence={
            "previous_decision_id": previous,
            "kind": promotion.kind,
            "method": promotion.method,
            "directory": promotion.directory.name,
            "files": dict(promotion.files),
            "fitted_as_of": promotion.fitted_as_of.isoformat(),
            "serves_as_of": promotion.fitted_as_of.isoformat(),
            "taught_as_of": promotion.taught_as_of.isoformat(),
            "contest": promotion.contest.model_dump(),
            "measures": promotion.measures,
            "events": [one.model_dump() for one in promotion.events],
            "used_ids": sorted(promotion.used_ids),
        },
        snapshot_id=promotion.snapshot_id,
        model_name=name,
        model_version=promotion.version,
        model_hash=combine_hashes(promotion.files),
        run_id=promotion.run_id,
    )


def _tell(event: SegmentEvent) -> str:
    related = f" with {', '.join(event.related_ids)}" if event.related_ids else ""
    share = f", {event.overlap_share:.0%} in common" if event.overlap_share is not None else ""
    return f"{event.segment_id} {event.event}{related}{share}"
