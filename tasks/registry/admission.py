"""From a finished training to a decision: show it, keep it, ask the gate, promote or not.

The order is what makes a kill harmless. MLflow gets the run and the version first, our own copy
second, the ledger's decision third, and the alias last; until the third, nothing that serves has
changed, and whatever is missing after it is mirrored by the next run.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tasks.errors import HoldfastError, Refused
from tasks.handles import Candidate, Champion, Decision, FinalCustomers, TrainingRecord
from tasks.registry.candidates import admit_candidate, decides_by_rollout
from tasks.registry.champion import (
    KeptModel,
    find_champion,
    keep_model,
    mirror_champion,
    promote,
    record_decision,
)
from tasks.registry.gate import decision_tags, gate
from tasks.registry.gathering import gather_evidence
from tasks.registry.story import tell_decision, write_story

if TYPE_CHECKING:
    from tasks.audits import LeakAudit
    from tasks.registry.sheet import Sheet
    from tasks.tracking.tracker import Registered, Tracker
    from tasks.warehouse import Lake

_LOG = logging.getLogger("holdfast.registry")


@dataclass(frozen=True, slots=True)
class Admission:
    """What came of a training: the gate's decision and who serves now (None: nobody yet)."""

    decision: Decision
    champion: Champion | None
    run_id: str
    served: Literal["model", "rule", "champion", "nobody"]


def admit(
    lake: Lake,
    tracker: Tracker,
    record: TrainingRecord,
    final: FinalCustomers,
    audit: LeakAudit | None,
) -> Admission:
    """Log a training, let the gate decide, and carry the decision out.

    `audit` is that of the features; without one the gate blocks. Ends with the decision in the
    ledger and as pages and tags of the MLflow run, whatever it is. Raises ServiceDown (69) if
    MLflow does not answer, LockHeld (75) if another promotion came between.
    """
    settings = lake.settings
    run_id = tracker.log_training(record)
    finished = False
    try:
        registered = tracker.register(record.model, run_id)
        champion = find_champion(lake)
        kept, failure = _keep(lake, record.model, registered)
        model = replace(record.model, run_id=run_id, version=registered.version)
        if kept is not None:
            model = replace(model, model_hash=kept.model_hash)
        evidence = gather_evidence(
            lake, tracker, record, final, champion, audit=audit, kept=kept, load_failure=failure
        )
        decision = gate(model, champion, evidence, settings.registry, run_id=run_id)
        _show(tracker, decision, record, evidence.sheet)
        expected = champion.decision_id if champion else None
        version = registered.version
        served: Literal["model", "rule", "champion", "nobody"] = (
            "champion" if champion else "nobody"
        )
        replaces = decision.outcome == "serve_rule" and not _serves(champion, record)
        if replaces:
            rule = tracker.register(record.rule, run_id)
            admitted: KeptModel | None = keep_model(settings, record.rule, rule)
        else:
            admitted = kept if decision.outcome == "promote" else None
        if admitted is None:
            decision = replace(decision, subject=tracker.model_name)
            record_decision(
                lake,
                replace(decision, model_name=tracker.model_name, model_version=version),
            )
        elif decides_by_rollout(lake, champion):
            version = admitted.registered.version
            decision = admit_candidate(lake, admitted, decision, champion)
        else:
            champion = promote(lake, admitted, decision, expected)
            served = "rule" if replaces else "model"
        tags = {**decision_tags(decision), "served": served}
        if served in ("model", "rule") and champion is not None:
            tags["promotion_id"] = champion.decision_id
        tracker.tag_decision(tags, run_id=run_id, version=version)
        tracker.describe_run(run_id, tell_decision(decision, record))
        if served == "rule" and champion is not None:
            tracker.tag_decision(tags, version=champion.version)
        mirror_champion(lake, tracker)
        finished = True
    finally:
        if not finished:
            _close_failed(tracker, run_id)
    tracker.finish_run(run_id)
    return Admission(decision, champion, run_id, served)


def _keep(lake: Lake, candidate: Candidate, registered: Registered) -> tuple[KeptModel | None, str]:
    """The challenger in our keeping, or None and why it does not load: then the gate blocks it."""
    try:
        return keep_model(lake.settings, candidate, registered), ""
    except Refused as error:
        failure = " ".join(str(error).split())
        _LOG.error("The challenger does not load: %s", failure)
        return None, failure


def _show(
    tracker: Tracker, decision: Decision, record: TrainingRecord, sheet: Sheet | None
) -> None:
    """Put the pages of the decision into the training's run."""
    assert decision.run_id is not None
    with tempfile.TemporaryDirectory() as temporary:
        write_story(Path(temporary), decision, record, sheet)
        tracker.add_files(decision.run_id, Path(temporary))


def _serves(champion: Champion | None, record: TrainingRecord) -> bool:
    return champion is not None and champion.model_hash == record.rule.model_hash


def _close_failed(tracker: Tracker, run_id: str) -> None:
    """Mark the run failed on the way out of another error, which is the one to be told."""
    try:
        tracker.finish_run(run_id, failed=True)
    except HoldfastError as error:
        _LOG.warning("The MLflow run stays open: %s", error.what)
