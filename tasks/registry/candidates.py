"""Whom the gate lets in, and who takes over only by a rollout: candidates beside the champion.

A candidate is a row of `ledger.decisions` with all that a promotion needs, so that the rollout's
own decision can let it serve later, in one transaction, without the training or MLflow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tasks.crash import crash_point
from tasks.decisions import append_decision
from tasks.errors import UsageError
from tasks.handles import Champion, Decision
from tasks.keeping import verify_model
from tasks.moments import read_clock
from tasks.registry.champion import (
    KeptModel,
    decide_about,
    demand_head,
    describe_kept,
    find_champion,
    read_champion,
    read_evidence,
    verify_copy,
)
from tasks.tracking.tracker import CHAMPION, model_name

if TYPE_CHECKING:
    from tasks.warehouse import Lake

_SQL = Path(__file__).with_name("sql")
ADMIT = "admit"


def decides_by_rollout(lake: Lake, champion: Champion | None) -> bool:
    """Whether a challenger that is let in waits for a rollout rather than serve at once.

    So it is by `registry.promotion: rollout`, and while a rollout of a model is running, whose
    champion must not change under it. The first champion never waits.
    """
    if champion is None:
        return False
    if lake.settings.registry.promotion == "rollout":
        return True
    return bool(lake.scalar(lake.text(_SQL / "has_rollout.sql")))


def admit_candidate(
    lake: Lake, kept: KeptModel, gate_decision: Decision, champion: Champion | None
) -> Decision:
    """Make a kept model a candidate, together with the gate's decision, which it gives back."""
    verify_model(kept.directory, kept.files)
    registered = kept.registered
    reason = f"a candidate, until a rollout has shown it. {gate_decision.reason}"
    decided = replace(
        gate_decision,
        outcome=ADMIT,
        subject=registered.name,
        reason=reason,
        model_name=registered.name,
        model_version=registered.version,
        model_hash=kept.model_hash,
    )
    candidate = replace(
        decided,
        decision_id=uuid4().hex,
        decided_at=read_clock(),
        kind="candidate",
        evidence={
            "gate_decision_id": gate_decision.decision_id,
            "gate_outcome": gate_decision.outcome,
            "champion_decision_id": champion.decision_id if champion else None,
            "against_champion": gate_decision.evidence.get("against_champion"),
            **describe_kept(lake, kept),
        },
        snapshot_id=kept.candidate.snapshot_id,
        run_id=registered.run_id,
    )
    with lake.writer_lock("admit a candidate"):
        crash_point("registry.before_admit")
        note = {"decision": decided.decision_id, "outcome": ADMIT}
        with lake.publish("holdfast", "decision: gate admit", note):
            append_decision(lake, decided)
            append_decision(lake, candidate)
    crash_point("registry.after_admit")
    return decided


def list_candidates(lake: Lake) -> list[Champion]:
    """Every model that was let in as a candidate, the newest first; who serves is none."""
    present = find_champion(lake)
    rows = lake.rows(lake.text(_SQL / "candidates.sql"), {"subject": model_name(lake.deployment)})
    found = [read_champion(lake, row) for row in rows]
    return [one for one in found if present is None or one.model_hash != present.model_hash]


def find_candidate(
    lake: Lake, version: int | None = None, model_hash: str | None = None
) -> Champion:
    """The candidate of that version or hash, or the newest. Raises UsageError (64) for none."""
    known = list_candidates(lake)
    for one in known:
        if version in (None, one.version) and model_hash in (None, one.model_hash):
            return one
    asked = "There is no candidate" if version is None else f"Version {version} is no candidate"
    raise UsageError(
        f"{asked}: only a model that the gate let in for a rollout can be rolled out.",
        available=[str(one.version) for one in known],
        next_step="" if known else "set `registry.promotion: rollout` and train",
    )


def offline_difference(lake: Lake, candidate: Champion) -> dict[str, Any]:
    """What the gate found of it against the champion on past customers; empty if it did not."""
    return dict(read_evidence(lake, candidate.decision_id).get("against_champion") or {})


def promote_candidate(
    lake: Lake,
    candidate: Champion,
    *,
    expected: str,
    decision_id: str,
    reason: str,
    alongside: Callable[[], None],
) -> Champion:
    """Let a candidate serve, with its rollout's own rows, in one transaction.

    `expected` is the `decision_id` of the champion that it was compared with, `decision_id` the
    rollout's decision; `alongside` writes the rollout's rows and may refuse. Raises LockHeld (75)
    if the champion has changed since, Refused (77) or StoredDataCorrupt (74) for files that are
    not those let in.
    """
    directory = verify_copy(lake, candidate)
    promotion = decide_about(
        candidate,
        "promotion",
        CHAMPION,
        reason,
        {
            **read_evidence(lake, candidate.decision_id),
            "previous_decision_id": expected,
            "rollout_decision_id": decision_id,
            "directory": directory.name,
        },
    )
    with lake.writer_lock("promote a candidate"):
        demand_head(
            lake,
            candidate.name,
            expected,
            "The champion has changed since the rollout began; nothing was promoted.",
            "stop the rollout, then plan another against the champion of now",
        )
        crash_point("rollout.before_promote")
        note = {"decision": promotion.decision_id, "outcome": CHAMPION}
        with lake.publish("holdfast", "decision: promotion by rollout", note):
            alongside()
            append_decision(lake, promotion)
    crash_point("rollout.after_promote")
    champion = find_champion(lake)
    assert champion is not None
    return champion
