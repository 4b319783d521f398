"""From a finished training to a decision: show it, keep it, ask the gate, promote or not.

The order is what makes a kill harmless. MLflow gets the run and the version first, our own copy
second, the ledger's decision third, and the alias last; until the third, nothing that serves has
changed, and whatever is missing after it is mirrored by the next run.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from tasks.errors import HoldfastError
from tasks.handles import Champion, Decision, FinalCustomers, TrainingRecord
from tasks.registry.candidates import admit_candidate, decides_by_rollout
from tasks.registry.champion import (
    find_champion,
    keep_model,
    mirror_champion,
    open_champion,
    promote,
    record_decision,
)
from tasks.registry.gate import GateEvidence, decision_tags, gate
from tasks.registry.history import rolled_back_hashes

if TYPE_CHECKING:
    from tasks.tracking.tracker import Tracker
    from tasks.warehouse import Lake

_LOG = logging.getLogger("holdfast.registry")


@dataclass(frozen=True, slots=True)
class Admission:
    """What came of a training: the gate's decision and who serves now (None: nobody yet)."""

    decision: Decision
    champion: Champion | None
    run_id: str
    served: Literal["model", "rule", "champion", "nobody"]


def admit(lake: Lake, tracker: Tracker, record: TrainingRecord, final: FinalCustomers) -> Admission:
    """Log a training, let the gate decide, and carry the decision out.

    Ends with the decision in the ledger and as tags of the MLflow run, whatever it is. Raises
    ServiceDown (69) if MLflow does not answer, LockHeld (75) if another promotion came between.
    """
    settings = lake.settings
    run_id = tracker.log_training(record)
    finished = False
    try:
        registered = tracker.register(record.model, run_id)
        champion = find_champion(lake)
        kept = keep_model(settings, record.model, registered)
        model = replace(
            record.model, run_id=run_id, version=registered.version, model_hash=kept.model_hash
        )
        evidence = gather_evidence(lake, tracker, record, final, champion)
        decision = gate(model, champion, evidence, settings.registry, run_id=run_id)
        expected = champion.decision_id if champion else None
        version = registered.version
        served: Literal["model", "rule", "champion", "nobody"] = (
            "champion" if champion else "nobody"
        )
        replaces = decision.outcome == "serve_rule" and not _serves(champion, record)
        if decides_by_rollout(lake, champion) and (replaces or decision.outcome == "promote"):
            if replaces:
                rule = tracker.register(record.rule, run_id)
                kept, version = keep_model(settings, record.rule, rule), rule.version
            decision = admit_candidate(lake, kept, decision, champion)
        elif decision.outcome == "promote":
            champion, served = promote(lake, kept, decision, expected), "model"
        elif replaces:
            rule = tracker.register(record.rule, run_id)
            kept_rule = keep_model(settings, record.rule, rule)
            champion, served = promote(lake, kept_rule, decision, expected), "rule"
        else:
            decision = replace(decision, subject=tracker.model_name)
            record_decision(
                lake,
                replace(decision, model_name=tracker.model_name, model_version=version),
            )
        tags = {**decision_tags(decision), "served": served}
        tracker.tag_decision(tags, run_id=run_id, version=version)
        if served == "rule" and champion is not None:
            tracker.tag_decision(tags, version=champion.version)
        mirror_champion(lake, tracker)
        finished = True
    finally:
        if not finished:
            _close_failed(tracker, run_id)
    tracker.finish_run(run_id)
    return Admission(decision, champion, run_id, served)


def gather_evidence(
    lake: Lake,
    tracker: Tracker,
    record: TrainingRecord,
    final: FinalCustomers,
    champion: Champion | None,
) -> GateEvidence:
    """Let the champion score the final customers, and put the three side by side.

    A champion that cannot score them (damaged, or a feature is gone) leaves its column empty,
    which blocks: the gate says so, and on-call hears of it.
    """
    returns: np.ndarray | None = None
    if champion is not None:
        try:
            predictor = open_champion(lake, champion, tracker)
            returns = final.expected_returns(predictor.predict(final.features))
        except (HoldfastError, ValueError) as error:
            _LOG.error("The champion cannot score: %s", " ".join(str(error).split()))
    return GateEvidence(
        churned=np.asarray(final.churned, dtype=np.float64),
        contact_gain_amount=final.contact_gain_amount,
        challenger_probability=final.model_probability,
        challenger_return_amount=final.model_return_amount,
        rule_return_amount=final.rule_return_amount,
        champion_return_amount=returns,
        challenger_customers=final.fingerprint,
        champion_customers=None if returns is None else final.fingerprint,
        rule_name=record.rule.name,
        budget_contacts=final.budget_contacts,
        currency=record.currency,
        rolled_back_hashes=rolled_back_hashes(lake),
    )


def _serves(champion: Champion | None, record: TrainingRecord) -> bool:
    return champion is not None and champion.model_hash == record.rule.model_hash


def _close_failed(tracker: Tracker, run_id: str) -> None:
    """Mark the run failed on the way out of another error, which is the one to be told."""
    try:
        tracker.finish_run(run_id, failed=True)
    except HoldfastError as error:
        _LOG.warning("The MLflow run stays open: %s", error.what)
