"""Who serves: read from the ledger, changed by compare-and-set, mirrored in MLflow's alias.

A promotion is one row of `ledger.decisions` that names the promotion before it. It is written
under the writer lock and only if that one is still the newest, so of two promoters one wins. The
alias `champion` is set afterwards and repaired from the ledger whenever the two differ.
"""

from __future__ import annotations

import json
import logging
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from tasks.crash import crash_point
from tasks.decisions import append_decision, find_head
from tasks.errors import LockHeld, Refused, ServiceDown, StoredDataCorrupt
from tasks.handles import Candidate, Champion, Decision, Interval, Predictor
from tasks.keeping import combine_hashes, hash_files, keep_copy, second_place, verify_model
from tasks.moments import read_clock
from tasks.registry.integrity import TrialLoad, check_golden, load_predictor, try_apart
from tasks.registry.signing import sign_model, verify_signature
from tasks.tracking.tracker import CHALLENGER, CHAMPION, Registered, model_name

if TYPE_CHECKING:
    from tasks.settings import Settings
    from tasks.tracking.tracker import Tracker
    from tasks.warehouse import Lake

_SQL = Path(__file__).with_name("sql")
_ACTOR = "holdfast"
_LOG = logging.getLogger("holdfast.registry")

MirrorState = Literal["right", "repaired", "version gone", "no champion"]


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A candidate's files in our keeping: hashed, copied, and loaded once in its own process."""

    candidate: Candidate
    registered: Registered
    directory: Path
    files: Mapping[str, str]
    model_hash: str
    trial: TrialLoad


def keep_model(settings: Settings, candidate: Candidate, registered: Registered) -> KeptModel:
    """Copy a registered candidate to `models/<name>/<version>` and try it out.

    Raises Refused (77) if it does not load or predict in a throw-away process, DiskFailure (73).
    """
    files = hash_files(candidate.directory, ignore_bytecode=True)
    target = settings.home / "models" / registered.name / str(registered.version)
    crash_point("registry.before_copy")
    directory = keep_copy(candidate.directory, target, files)
    trial = try_apart(directory, candidate.feature_names, settings.registry.load_timeout_seconds)
    _mark_tried(directory, files)
    return KeptModel(candidate, registered, directory, files, combine_hashes(files), trial)


def record_decision(lake: Lake, decision: Decision) -> None:
    """Append a decision to the ledger."""
    crash_point("registry.before_verdict")
    with lake.writer_lock("record a decision"), _publish(lake, decision):
        append_decision(lake, decision)
    crash_point("registry.after_verdict")


def promote(lake: Lake, kept: KeptModel, gate_decision: Decision, expected: str | None) -> Champion:
    """Make the kept model the champion, together with the gate's decision, in one transaction.

    `expected` is the `decision_id` of the champion that the gate compared with (None: there was
    none). Raises LockHeld (75) if another promotion came in between, Refused (77) if the gate did
    not say so or the files have changed since.
    """
    if gate_decision.outcome not in ("promote", "serve_rule"):
        raise Refused(
            "A model is promoted only by the gate.",
            found=f"The gate says '{gate_decision.outcome}': {gate_decision.reason}",
        )
    verify_model(kept.directory, kept.files)
    candidate, registered = kept.candidate, kept.registered
    promotion = Decision(
        decision_id=uuid4().hex,
        decided_at=read_clock(),
        kind="promotion",
        subject=registered.name,
        outcome=CHAMPION,
        reason=gate_decision.reason,
        evidence={
            "previous_decision_id": expected,
            "gate_decision_id": gate_decision.decision_id,
            **describe_kept(lake, kept),
        },
        model_name=registered.name,
        model_version=registered.version,
        model_hash=kept.model_hash,
        snapshot_id=candidate.snapshot_id,
        run_id=registered.run_id,
    )
    decided = replace(
        gate_decision,
        subject=registered.name,
        model_name=registered.name,
        model_version=registered.version,
        model_hash=kept.model_hash,
    )
    with lake.writer_lock("promote a model"):
        demand_head(
            lake,
            registered.name,
            expected,
            "Another promotion came first; this one compared with a champion that is no more.",
            "train or compare again",
        )
        crash_point("registry.before_decision")
        with _publish(lake, promotion):
            append_decision(lake, decided)
            append_decision(lake, promotion)
    crash_point("registry.after_decision")
    champion = find_champion(lake)
    assert champion is not None
    return champion


def describe_kept(lake: Lake, kept: KeptModel) -> dict[str, Any]:
    """What the ledger must know of a kept model to let it serve: its files, signed, and figures."""
    candidate, registered = kept.candidate, kept.registered
    return {
        "kind": candidate.kind,
        "candidate": candidate.name,
        "directory": kept.directory.name,
        "files": dict(kept.files),
        "signature": sign_model(lake.settings, registered.name, registered.version, kept.files),
        "golden": list(kept.trial.golden),
        "feature_names": list(candidate.feature_names),
        "features_fingerprint": candidate.features_fingerprint,
        "metrics": {
            name: [_json_number(value) for value in values]
            for name, values in candidate.metrics.items()
        },
    }


def append_reign(lake: Lake, decision: Decision, *, actor: str) -> None:
    """Append a rollback in one transaction; hold the writer lock and compare the head before."""
    with _publish(lake, decision):
        append_decision(lake, decision, actor=actor)


def demand_head(lake: Lake, name: str, expected: str | None, what: str, next_step: str) -> None:
    """Raise LockHeld (75) unless the head of the chain is `expected`; hold the writer lock."""
    found = find_head(lake, name)
    if (found["decision_id"] if found else None) != expected:
        raise LockHeld(
            what,
            found=f"Version {found['model_version']} serves now." if found else "",
            next_step=next_step,
        )


def decide_about(
    model: Champion, kind: str, outcome: str, reason: str, evidence: Mapping[str, Any]
) -> Decision:
    """A new decision about a model that the ledger knows."""
    return Decision(
        decision_id=uuid4().hex,
        decided_at=read_clock(),
        kind=kind,
        subject=model.name,
        outcome=outcome,
        reason=reason,
        evidence=evidence,
        model_name=model.name,
        model_version=model.version,
        model_hash=model.model_hash,
        snapshot_id=model.snapshot_id,
        run_id=model.run_id,
    )


def read_evidence(lake: Lake, decision_id: str) -> dict[str, Any]:
    """What a decision was made by."""
    row = lake.one(
        "select evidence from lake.ledger.decisions where decision_id = $id", {"id": decision_id}
    )
    return dict(json.loads(row["evidence"]))


def find_copy(model: Champion) -> Path:
    """Where its files are: beside the damaged ones, where they were fetched again."""
    beside = second_place(model.directory, model.files)
    return beside if beside.is_dir() else model.directory


def verify_copy(lake: Lake, model: Champion) -> Path:
    """Where its files are, signed and whole. Raises Refused (77), StoredDataCorrupt (74)."""
    verify_signature(lake.settings, model.name, model.version, model.files, model.signature)
    directory = find_copy(model)
    verify_model(directory, model.files)
    return directory


def find_champion(lake: Lake) -> Champion | None:
    """The champion by the ledger, None before the first promotion. Asks no other store."""
    row = find_head(lake, model_name(lake.deployment))
    return None if row is None else read_champion(lake, row)


def read_champion(lake: Lake, row: Mapping[str, Any]) -> Champion:
    """The champion of a promotion or rollback: a row of `ledger.decisions` with its evidence."""
    name = str(row["model_name"])
    evidence = json.loads(row["evidence"])
    return Champion(
        name=name,
        version=int(row["model_version"]),
        kind="rule" if evidence["kind"] == "rule" else "model",
        candidate=str(evidence["candidate"]),
        directory=lake.settings.home / "models" / name / Path(evidence["directory"]).name,
        model_hash=str(row["model_hash"]),
        files=dict(evidence["files"]),
        feature_names=tuple(evidence["feature_names"]),
        metrics={key: _read_interval(values) for key, values in evidence["metrics"].items()},
        golden=tuple(float(value) for value in evidence["golden"]),
        decision_id=str(row["decision_id"]),
        promoted_at=row["decided_at"].astimezone(UTC),
        features_fingerprint=str(evidence["features_fingerprint"]),
        snapshot_id=int(row["snapshot_id"]),
        run_id=row["run_id"],
        signature=str(evidence.get("signature", "")),
    )


def open_champion(lake: Lake, champion: Champion, tracker: Tracker | None = None) -> Predictor:
    """The champion, verified and loaded from our own copy; MLflow may be down.

    A copy that was lost or changed is fetched again from the tracking store, if there is one that
    answers, and held to the same checksums; what happened goes into the ledger. Else Refused (77)
    or StoredDataCorrupt (74).
    """
    settings = lake.settings
    verify_signature(settings, champion.name, champion.version, champion.files, champion.signature)
    try:
        verify_model(champion.directory, champion.files)
        directory = champion.directory
    except (Refused, StoredDataCorrupt) as error:
        directory = second_place(champion.directory, champion.files)
        if not directory.is_dir():
            _restore(lake, champion, tracker, error)
    if not _was_tried(directory, champion.files):
        check_golden(
            directory,
            champion.feature_names,
            champion.golden,
            settings.registry.load_timeout_seconds,
        )
        _mark_tried(directory, champion.files)
    return load_predictor(directory, champion.files)


def mirror_champion(lake: Lake, tracker: Tracker) -> MirrorState:
    """Make MLflow's alias `champion` say what the ledger says; what had to be done."""
    champion = find_champion(lake)
    if champion is None:
        return "no champion"
    if tracker.alias_version(CHAMPION) == champion.version:
        return "right"
    if tracker.version_hash(champion.version) != champion.model_hash:
        _LOG.warning(
            "Version %s is not in MLflow any more; it goes on serving from our own copy.",
            champion.version,
        )
        return "version gone"
    crash_point("registry.before_alias")
    tracker.set_alias(CHAMPION, champion.version)
    if tracker.alias_version(CHALLENGER) == champion.version:
        tracker.set_alias(CHALLENGER, None)
    crash_point("registry.after_alias")
    return "repaired"


def champion_status(lake: Lake) -> dict[str, Any]:
    """What `status --json` says of the model: who serves, how good it is, what was decided last.

    Ages are days up to now. Values are ready for JSON.
    """
    now = read_clock()
    subject = {"subject": model_name(lake.deployment)}
    champion = find_champion(lake)
    decisions = lake.rows(lake.text(_SQL / "last_decision.sql"), subject)
    exported = lake.rows(lake.text(_SQL / "last_scores.sql"))
    scored = exported[0]["exported_at"] if exported else None
    status: dict[str, Any] = {"champion": None, "last_decision": None, "last_scores": None}
    if champion is not None:
        status["champion"] = {
            "name": champion.name,
            "version": champion.version,
            "kind": champion.kind,
            "candidate": champion.candidate,
            "model_hash": champion.model_hash,
            "promoted_at": champion.promoted_at.isoformat(),
            "age_days": _age_days(champion.promoted_at, now),
            "run_id": champion.run_id,
            "snapshot_id": champion.snapshot_id,
            "metrics": {
                name: {
                    "estimate": _json_number(estimate),
                    "low": _json_number(low),
                    "high": _json_number(high),
                }
                for name, (estimate, low, high) in sorted(champion.metrics.items())
            },
        }
    if decisions:
        last = decisions[0]
        status["last_decision"] = {
            "kind": last["kind"],
            "outcome": last["outcome"],
            "reason": last["reason"],
            "decided_at": last["decided_at"].astimezone(UTC).isoformat(),
            "age_days": _age_days(last["decided_at"], now),
            "model_version": last["model_version"],
            "run_id": last["run_id"],
        }
    if scored is not None:
        status["last_scores"] = {
            "exported_at": scored.astimezone(UTC).isoformat(),
            "age_days": _age_days(scored, now),
            **_find_stamp(lake, exported[0]["export_id"]),
        }
    return status


def _find_stamp(lake: Lake, scoring_id: str) -> dict[str, Any]:
    """What the rows of a scoring run say of their age."""
    if "scores" not in lake.tables():
        return {"stale_days": None, "stale_sources": None}
    rows = lake.rows(
        "select stale_days, stale_sources from lake.main.scores"
        " where scoring_id = $scoring_id limit 1",
        {"scoring_id": scoring_id},
    )
    return rows[0] if rows else {"stale_days": None, "stale_sources": None}


def _publish(lake: Lake, decision: Decision) -> Any:
    extra = {"decision": decision.decision_id, "outcome": decision.outcome}
    return lake.publish(_ACTOR, f"decision: {decision.kind} {decision.outcome}", extra)


def _restore(
    lake: Lake,
    champion: Champion,
    tracker: Tracker | None,
    cause: Refused | StoredDataCorrupt,
) -> None:
    _LOG.error("INTEGRITY: %s", " ".join(str(cause).split()))
    if tracker is None:
        raise cause
    with tempfile.TemporaryDirectory() as temporary:
        try:
            fetched = tracker.fetch_model(champion.version, Path(temporary))
            verify_model(fetched, champion.files)
        except (ServiceDown, Refused, StoredDataCorrupt):
            raise cause from None
        # Beside the damaged one, which is kept for whoever looks into it.
        directory = keep_copy(fetched, champion.directory, champion.files)
    record_decision(
        lake,
        decide_about(
            champion,
            "integrity",
            "restored",
            " ".join(str(cause).split()),
            {"directory": directory.name},
        ),
    )


def _tried_mark(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.tried")


def _mark_tried(directory: Path, files: Mapping[str, str]) -> None:
    _tried_mark(directory).write_text(combine_hashes(files), encoding="utf-8")


def _was_tried(directory: Path, files: Mapping[str, str]) -> bool:
    mark = _tried_mark(directory)
    return mark.is_file() and mark.read_text(encoding="utf-8") == combine_hashes(files)


def _json_number(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return float(value) if math.isfinite(value) else None


def _read_interval(values: Sequence[float | None]) -> Interval:
    estimate, low, high = (math.nan if value is None else value for value in values)
    return estimate, low, high


def _age_days(moment: datetime, now: datetime) -> float:
    return round((now - moment).total_seconds() / 86_400, 3)
