"""The steps of the registry, as a flow calls them."""

from __future__ import annotations

import shlex

from tasks.audits import LeakAudit, Verified
from tasks.errors import DataRejected, Refused, ServiceDown, StoredDataCorrupt
from tasks.handles import Champion, FinalCustomers, Predictor, TrainingRecord
from tasks.orchestration import publish_markdown, step
from tasks.registry.admission import Admission, admit
from tasks.registry.candidates import (
    find_candidate,
    offline_difference,
    promote_candidate,
)
from tasks.registry.champion import (
    champion_status,
    find_champion,
    mirror_champion,
    open_champion,
    verify_copy,
)
from tasks.registry.history import (
    describe_reign,
    find_reign,
    list_reigns,
    roll_back,
    verify_registry,
)
from tasks.registry.story import tell_decision
from tasks.settings import Settings
from tasks.tracking.tracker import open_tracker
from tasks.warehouse import Lake

__all__ = [
    "admit_training",
    "champion_status",
    "describe_reign",
    "find_candidate",
    "find_champion",
    "find_reign",
    "list_reigns",
    "load_champion",
    "mirror_registry",
    "offline_difference",
    "promote_candidate",
    "require_tracking",
    "switch_back",
    "verify_copy",
    "verify_versions",
]


def _require_tracking(settings: Settings) -> None:
    """Raise ServiceDown (69) now rather than after a training that could not be shown.

    Also closes the runs of trainings that were killed, which MLflow would show as running for ever.
    """
    with open_tracker(settings) as tracker:
        tracker.close_abandoned()


def _admit_training(
    lake: Lake, record: TrainingRecord, final: FinalCustomers, audit: LeakAudit
) -> Admission:
    """Log the training, let the gate decide, promote or keep; the whole story is the artifact."""
    with open_tracker(lake.settings) as tracker:
        admission = admit(lake, tracker, record, final, audit)
    publish_markdown(
        f"gate {lake.deployment}",
        tell_decision(admission.decision, record),
        "What the gate decided, and why",
    )
    return admission


def _load_champion(lake: Lake) -> tuple[Champion, Predictor]:
    """The champion, verified and open. MLflow is asked only if our own copy is damaged.

    Raises DataRejected (65) before the first training.
    """
    champion = find_champion(lake)
    if champion is None:
        raise DataRejected(
            f"'{lake.deployment}' has no champion yet, so nothing can be scored.",
            next_step=f"holdfast -d {shlex.quote(lake.settings.called)} train",
        )
    try:
        return champion, open_champion(lake, champion)
    except (Refused, StoredDataCorrupt) as error:
        try:
            with open_tracker(lake.settings) as tracker:
                return champion, open_champion(lake, champion, tracker)
        except ServiceDown:
            raise error from None


def _switch_back(lake: Lake, version: int | None, actor: str, reason: str) -> Champion:
    """Let an earlier champion serve again; who did it and why is the artifact."""
    champion = roll_back(lake, version=version, actor=actor, reason=reason)
    publish_markdown(
        f"rollback {lake.deployment}",
        f"**Version {champion.version}** (`{champion.candidate}`) serves again, by {actor}.",
        "Who serves after the rollback",
    )
    return champion


def verify_versions(lake: Lake) -> list[Verified]:
    """Every version that the ledger names; a store that does not answer is said, not raised."""
    try:
        with open_tracker(lake.settings) as tracker:
            return verify_registry(lake, tracker)
    except ServiceDown:
        return verify_registry(lake, None)


def _mirror_registry(lake: Lake) -> str:
    """Make MLflow's alias say what the ledger says; 'store down' where MLflow does not answer."""
    try:
        with open_tracker(lake.settings) as tracker:
            return mirror_champion(lake, tracker)
    except ServiceDown:
        return "store down"


require_tracking = step(_require_tracking, name="reach MLflow", retries=1)
admit_training = step(_admit_training, name="gate")
load_champion = step(_load_champion, name="load champion")
switch_back = step(_switch_back, name="roll back")
mirror_registry = step(_mirror_registry, name="mirror registry")
