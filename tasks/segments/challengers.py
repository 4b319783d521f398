"""Segmentations that do not serve at once: candidates for a rollout beside the one that serves.

A candidate is a row of `ledger.decisions` with all that a promotion needs. Its segments were
matched with those of one champion, so it can challenge no other. Ids that any candidate has given
are used: two groups never bear the same one, whichever of them come to serve.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tasks.crash import crash_point
from tasks.decisions import append_decision
from tasks.errors import DataRejected, UsageError
from tasks.handles import Decision
from tasks.moments import read_clock
from tasks.segments.champion import (
    Promotion,
    Segmented,
    crown,
    decide,
    demand_head,
    find_segmented,
    read_segmented,
    segments_name,
)

if TYPE_CHECKING:
    from tasks.warehouse import Lake

_SQL = Path(__file__).with_name("sql")
ADMIT, KEEP = "admit", "keep"


@dataclass(frozen=True, slots=True)
class Found:
    """All that was found beside what serves, the newest first; `admitted` may be rolled out."""

    admitted: tuple[Segmented, ...]
    used_ids: frozenset[str]
    newest_as_of: datetime | None

    def lend_ids(self, segmented: Segmented) -> Segmented:
        """The segmentation that serves, knowing of the ids that others have used beside it."""
        return replace(segmented, used_ids=tuple(sorted({*segmented.used_ids, *self.used_ids})))


def find_all(lake: Lake) -> Found:
    """Candidates for a rollout against the segmentation of now, and what all of them have used."""
    present = find_segmented(lake)
    read = _read(lake)
    admitted: dict[str, Segmented] = {}
    for outcome, one in read:
        if outcome == ADMIT and present is not None and one.matched_with == present.decision_id:
            admitted.setdefault(one.model_hash, one)
    return Found(
        admitted=tuple(admitted.values()),
        used_ids=frozenset(segment_id for _, one in read for segment_id in one.used_ids),
        newest_as_of=max((one.fitted_as_of for _, one in read), default=None),
    )


def find_challenger(
    lake: Lake, version: int | None = None, model_hash: str | None = None
) -> Segmented:
    """The candidate of that version or hash, or the newest. Raises UsageError (64) for none."""
    known = find_all(lake).admitted
    for one in known:
        if version in (None, one.version) and model_hash in (None, one.model_hash):
            return one
    asked = "There is no candidate" if version is None else f"Version {version} is no candidate"
    raise UsageError(
        f"{asked}: only segments that were found beside those that serve can be rolled out.",
        available=[one.label for one in known],
        next_step=""
        if known
        else "set `registry.promotion: rollout` and wait until they are looked for anew",
    )


def require_segmented(lake: Lake) -> Segmented:
    """The segmentation that serves. Raises DataRejected (65) before the first."""
    found = find_segmented(lake)
    if found is None:
        raise DataRejected(
            f"'{lake.deployment}' has no segments yet, so there is nothing to compare with.",
            next_step=f"holdfast -d {lake.settings.called} segments: the first need no rollout",
        )
    return found


def admit(lake: Lake, promotion: Promotion, champion: Segmented) -> Segmented:
    """Make a new segmentation a candidate against the one that it was matched with.

    The same groups found again are no candidate: that they were looked for is all that is written.
    Raises LockHeld (75) if another segmentation has come to serve meanwhile.
    """
    said = f"a candidate, until a rollout has shown it. {promotion.reason}"
    decision = decide(lake, promotion, "candidate", ADMIT, said, champion.decision_id)
    if decision.model_hash == champion.model_hash:
        decision = replace(decision, outcome=KEEP, reason="the same groups were found again")
    with lake.writer_lock("admit segments"):
        demand_head(lake, champion.decision_id)
        crash_point("segments.before_admit")
        message = f"decision: candidate {decision.outcome}"
        with lake.publish("holdfast", message, {"subject": decision.subject}):
            append_decision(lake, decision)
    crash_point("segments.after_admit")
    return next(one for _, one in _read(lake) if one.decision_id == decision.decision_id)


def promote_challenger(
    lake: Lake,
    challenger: Segmented,
    *,
    expected: str,
    decision_id: str,
    reason: str,
    as_of: datetime,
    alongside: Callable[[], None],
) -> Segmented:
    """Let a candidate serve from the night `as_of`, with its rollout's rows, in one transaction.

    `expected` is the `decision_id` of the segmentation that it was compared with, `decision_id` the
    rollout's decision; `alongside` writes the rollout's rows and may refuse. Raises LockHeld (75)
    if another has come to serve since, Refused (77) or StoredDataCorrupt (74) for files that are
    not those let in.
    """
    challenger.open()
    promotion = _decide_again(
        lake,
        challenger.decision_id,
        "promotion",
        reason,
        {
            "previous_decision_id": expected,
            "rollout_decision_id": decision_id,
            "serves_as_of": as_of.isoformat(),
        },
    )
    return crown(lake, promotion, challenger.events, expected, alongside=alongside)


def take_back(
    lake: Lake,
    rollout_decision_id: str,
    *,
    reason: str,
    as_of: datetime,
    actor: str,
    alongside: Callable[[], None],
) -> Segmented:
    """Let the segmentation serve again that a rollout's promotion replaced, with the rollout's row.

    Raises UsageError (64) where another has come to serve since that promotion, Refused (77) or
    StoredDataCorrupt (74) for files that are not what they were.
    """
    present = require_segmented(lake)
    evidence = _read_decision(lake, present.decision_id)["evidence"]
    if json.loads(evidence).get("rollout_decision_id") != rollout_decision_id:
        raise UsageError(
            "Other segments serve since; there is nothing to take back.",
            found=f"version {present.label} serves since {present.serves_as_of:%Y-%m-%d}",
        )
    assert present.matched_with is not None
    read_segmented(lake, _read_decision(lake, present.matched_with)).open()
    rollback = _decide_again(
        lake,
        present.matched_with,
        "rollback",
        reason,
        {
            "previous_decision_id": present.decision_id,
            "serves_as_of": as_of.isoformat(),
            "events": [],
            "used_ids": list(find_all(lake).lend_ids(present).used_ids),
        },
    )
    return crown(lake, rollback, (), present.decision_id, actor=actor, alongside=alongside)


def _read(lake: Lake) -> list[tuple[str, Segmented]]:
    """Every candidate that there ever was with its outcome, the newest first."""
    rows = lake.rows(
        lake.text(_SQL / "candidates.sql"), {"subject": segments_name(lake.deployment)}
    )
    return [(str(row["outcome"]), read_segmented(lake, row)) for row in rows]


def _read_decision(lake: Lake, decision_id: str) -> dict[str, Any]:
    return lake.one(
        "select * from lake.ledger.decisions where decision_id = $id", {"id": decision_id}
    )


def _decide_again(
    lake: Lake, decision_id: str, kind: str, reason: str, changed: Mapping[str, Any]
) -> Decision:
    """A decision that lets the segmentation of an earlier one serve."""
    row = _read_decision(lake, decision_id)
    return Decision(
        decision_id=uuid4().hex,
        decided_at=read_clock(),
        kind=kind,
        subject=str(row["subject"]),
        outcome="champion",
        reason=reason,
        evidence={**json.loads(row["evidence"]), **changed},
        snapshot_id=row["snapshot_id"],
        model_name=row["model_name"],
        model_version=row["model_version"],
        model_hash=row["model_hash"],
        run_id=row["run_id"],
    )
