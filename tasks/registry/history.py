"""The registry's memory: who was champion when and why, back to an earlier one, and is all there.

Each reign is a row of `ledger.decisions` that names the one before it. A rollback is one more link
of that chain: nothing is taken back, an earlier champion serves again. All of it works without
MLflow, from the ledger and our own copies.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tasks.audits import Kept, Verified
from tasks.crash import crash_point
from tasks.decisions import find_head
from tasks.errors import HoldfastError, Refused, UsageError
from tasks.handles import Champion
from tasks.keeping import describe_damage
from tasks.registry.champion import (
    append_reign,
    decide_about,
    demand_head,
    find_champion,
    find_copy,
    read_champion,
    read_evidence,
    verify_copy,
)
from tasks.registry.integrity import check_golden
from tasks.tracking.tracker import CHAMPION, model_name

if TYPE_CHECKING:
    from tasks.tracking.tracker import Tracker
    from tasks.warehouse import Lake

_SQL = Path(__file__).with_name("sql")


@dataclass(frozen=True, slots=True)
class Reign:
    """A champion's time: from `champion.promoted_at` to `ended_at`; None: it serves now."""

    champion: Champion
    kind: Literal["promotion", "rollback"]
    reason: str
    actor: str
    ended_at: datetime | None
    snapshot_id: int | None
    previous_decision_id: str | None


def list_reigns(lake: Lake) -> list[Reign]:
    """All reigns, the present one first; none before the first promotion."""
    name = model_name(lake.deployment)
    head = find_head(lake, name)
    if head is None:
        return []
    rows = lake.rows(lake.text(_SQL / "reigns.sql"), {"subject": name, "head": head["decision_id"]})
    reigns: list[Reign] = []
    ended: datetime | None = None
    for row in rows:
        champion = read_champion(lake, row)
        reigns.append(
            Reign(
                champion=champion,
                kind="rollback" if row["kind"] == "rollback" else "promotion",
                reason=str(row["reason"]),
                actor=str(row["actor"]),
                ended_at=ended,
                snapshot_id=row["snapshot_id"],
                previous_decision_id=row["previous_decision_id"],
            )
        )
        ended = champion.promoted_at
    return reigns


def find_reign(lake: Lake, at: datetime) -> Reign | None:
    """Who served at a moment: the newest reign of the chain that had begun by then."""
    return next((one for one in list_reigns(lake) if one.champion.promoted_at <= at), None)


def describe_reign(reign: Reign) -> dict[str, Any]:
    """A reign as plain values, ready for JSON."""
    champion = reign.champion
    return {
        "name": champion.name,
        "version": champion.version,
        "kind": champion.kind,
        "candidate": champion.candidate,
        "model_hash": champion.model_hash,
        "since": champion.promoted_at.isoformat(),
        "until": reign.ended_at.isoformat() if reign.ended_at else None,
        "by": reign.kind,
        "reason": reign.reason,
        "actor": reign.actor,
        "decision_id": champion.decision_id,
        "run_id": champion.run_id,
        "snapshot_id": reign.snapshot_id,
    }


def roll_back(lake: Lake, *, version: int | None, actor: str, reason: str) -> Champion:
    """Let an earlier champion serve again: `version`, or the one before the present.

    MLflow may be down. Its copy is verified and its golden predictions are made again in a
    throw-away process before the pointer moves. The same rollback again does nothing. Raises
    UsageError (64) for a version that never served, Refused (77) or StoredDataCorrupt (74) for a
    damaged copy, LockHeld (75) if somebody else moved the pointer meanwhile.
    """
    reigns = list_reigns(lake)
    if not reigns:
        raise UsageError(
            "There is no champion yet, so there is nothing to go back to.",
            next_step=f"holdfast -d {shlex.quote(lake.settings.called)} train",
        )
    present = reigns[0].champion
    target = _choose(reigns, version)
    if target.champion.model_hash == present.model_hash and version is not None:
        return present
    champion = target.champion
    directory = verify_copy(lake, champion)
    check_golden(
        directory,
        champion.feature_names,
        champion.golden,
        lake.settings.registry.load_timeout_seconds,
    )
    return _move_pointer(lake, present, replace(champion, directory=directory), actor, reason)


def rolled_back_hashes(lake: Lake) -> frozenset[str]:
    """Hashes of the models that a rollback has taken from serving and that did not return since."""
    return _rolled_back(list_reigns(lake))


def verify_registry(lake: Lake, tracker: Tracker | None) -> list[Verified]:
    """Of every version that the ledger names: is our copy whole, does it predict the same?

    And does the store still have it; `tracker` None: it does not answer. Newest first.
    """
    seen: dict[str, Verified] = {}
    for place, reign in enumerate(list_reigns(lake)):
        champion = reign.champion
        if champion.model_hash not in seen:
            seen[champion.model_hash] = _verify(lake, champion, tracker, serves=place == 0)
    return list(seen.values())


def _choose(reigns: Sequence[Reign], version: int | None) -> Reign:
    present = reigns[0].champion
    if version is None:
        # Not to one that was itself rolled back: going back twice goes back two steps.
        passed_over = {present.model_hash, *_rolled_back(reigns)}
        earlier = [one for one in reigns if one.champion.model_hash not in passed_over]
        if not earlier:
            raise UsageError(
                f"There is no champion before version {present.version} to go back to.",
                available=list(dict.fromkeys(str(one.champion.version) for one in reigns)),
                next_step="name one with --to, or train, so that there is another",
            )
        return earlier[0]
    found = [one for one in reigns if one.champion.version == version]
    if not found:
        served = dict.fromkeys(str(one.champion.version) for one in reigns)
        raise UsageError(
            f"Version {version} has never been champion; only what served can serve again.",
            available=list(served),
        )
    return found[0]


def _rolled_back(reigns: Sequence[Reign]) -> frozenset[str]:
    gone: set[str] = set()
    oldest_first = list(reversed(reigns))
    for before, after in itertools.pairwise(oldest_first):
        gone.discard(after.champion.model_hash)
        if after.kind == "rollback":
            gone.add(before.champion.model_hash)
    return frozenset(gone)


def _move_pointer(
    lake: Lake, present: Champion, champion: Champion, actor: str, reason: str
) -> Champion:
    evidence = {
        **read_evidence(lake, champion.decision_id),
        "directory": champion.directory.name,
        "previous_decision_id": present.decision_id,
        "restored_decision_id": champion.decision_id,
        "rolled_back_version": present.version,
    }
    decision = decide_about(champion, "rollback", CHAMPION, reason, evidence)
    with lake.writer_lock("roll back"):
        demand_head(
            lake,
            champion.name,
            present.decision_id,
            "Somebody else has changed the champion meanwhile; nothing was rolled back.",
            "look at it (holdfast champion), then decide again",
        )
        crash_point("rollback.before_decision")
        append_reign(lake, decision, actor=actor)
    crash_point("rollback.after_decision")
    served = find_champion(lake)
    assert served is not None
    return served


def _verify(lake: Lake, champion: Champion, tracker: Tracker | None, *, serves: bool) -> Verified:
    files: Kept = "right"
    predictions: Kept = "not asked"
    details: list[str] = []
    try:
        verify_copy(lake, champion)
    except HoldfastError as error:
        files, said = describe_damage(error)
        details.append(said)
    if files == "right":
        try:
            check_golden(
                find_copy(champion),
                champion.feature_names,
                champion.golden,
                lake.settings.registry.load_timeout_seconds,
            )
            predictions = "right"
        except Refused as error:
            predictions = "changed"
            details.append(error.found or error.what)
    store, said = _ask_store(champion, tracker, serves=serves)
    if said:
        details.append(said)
    return Verified(
        name=champion.name,
        version=champion.version,
        candidate=champion.candidate,
        serves=serves,
        files=files,
        predictions=predictions,
        store=store,
        detail="; ".join(details),
    )


def _ask_store(champion: Champion, tracker: Tracker | None, *, serves: bool) -> tuple[Kept, str]:
    if tracker is None:
        return "no answer", ""
    found = tracker.version_hash(champion.version)
    if found is None:
        return "missing", f"version {champion.version} was deleted from MLflow"
    if found != champion.model_hash:
        return "changed", f"version {champion.version} in MLflow is another model"
    if serves and tracker.alias_version(CHAMPION) != champion.version:
        return "changed", f"MLflow's alias '{CHAMPION}' points elsewhere"
    return "right", ""
