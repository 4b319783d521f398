"""Which segmentation serves: read from the ledger, changed by compare-and-set.

A promotion is one row of `ledger.decisions` that names the one before it. It is written under the
writer lock and only if that one is still the newest, together with what became of each segment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tasks.crash import crash_point
from tasks.decisions import append_decision
from tasks.errors import LockHeld
from tasks.findings import Contest, SegmentEvent
from tasks.handles import Decision
from tasks.keeping import combine_hashes
from tasks.moments import read_clock
from tasks.segments.model_files import Assigner, open_files

if TYPE_CHECKING:
    from tasks.warehouse import Lake

_SQL = Path(__file__).with_name("sql")


@dataclass(frozen=True, slots=True)
class Segmented:
    """The segmentation that serves, by the ledger. `version` None: not in the registry (yet).

    `fitted_as_of` is the night that fitted it; `used_ids` are all ids that any segmentation had.
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
    name = segments_name(lake.deployment)
    rows = lake.rows(lake.text(_SQL / "champion.sql"), {"subject": name})
    if not rows:
        return None
    row = rows[0]
    evidence = json.loads(row["evidence"])
    return Segmented(
        decision_id=str(row["decision_id"]),
        name=name,
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
    )


def promote(lake: Lake, promotion: Promotion, expected: str | None) -> Segmented:
    """Let a new segmentation serve, and record what became of each segment, in one transaction.

    `expected` is the `decision_id` of the one it was matched with (None: there was none). Raises
    LockHeld (75) if another came in between.
    """
    name = segments_name(lake.deployment)
    with lake.writer_lock("promote segments"):
        found = find_segmented(lake)
        if (found.decision_id if found else None) != expected:
            raise LockHeld(
                "Another fit of the segments came first; this one was matched with older ones.",
                next_step=f"holdfast -d {lake.settings.called} segments",
            )
        crash_point("segments.before_promotion")
        with lake.publish("holdfast", "decision: promotion champion", {"subject": name}):
            for event in promotion.events:
                _insert(lake, promotion, "segment", event.event, _tell(event), event.model_dump())
            evidence = {
                "previous_decision_id": expected,
                "kind": promotion.kind,
                "method": promotion.method,
                "directory": promotion.directory.name,
                "files": dict(promotion.files),
                "fitted_as_of": promotion.fitted_as_of.isoformat(),
                "taught_as_of": promotion.taught_as_of.isoformat(),
                "contest": promotion.contest.model_dump(),
                "measures": promotion.measures,
                "events": [one.model_dump() for one in promotion.events],
                "used_ids": sorted(promotion.used_ids),
            }
            _insert(lake, promotion, "promotion", "champion", promotion.reason, evidence)
    crash_point("segments.promoted")
    promoted = find_segmented(lake)
    assert promoted is not None
    return promoted


def _tell(event: SegmentEvent) -> str:
    related = f" with {', '.join(event.related_ids)}" if event.related_ids else ""
    share = f", {event.overlap_share:.0%} in common" if event.overlap_share is not None else ""
    return f"{event.segment_id} {event.event}{related}{share}"


def _insert(
    lake: Lake,
    promotion: Promotion,
    kind: str,
    outcome: str,
    reason: str,
    evidence: Mapping[str, Any],
) -> None:
    name = segments_name(lake.deployment)
    append_decision(
        lake,
        Decision(
            decision_id=uuid4().hex,
            decided_at=read_clock(),
            kind=kind,
            subject=name,
            outcome=outcome,
            reason=reason,
            evidence=evidence,
            snapshot_id=promotion.snapshot_id,
            model_name=name,
            model_version=promotion.version,
            model_hash=combine_hashes(promotion.files),
            run_id=promotion.run_id,
        ),
    )
