"""What differs between rollouts of models, of segmentations and of policies: who is compared, which
decision the champion goes by, and how a winner comes to serve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import DataRejected, LockHeld, UsageError
from tasks.registry import steps as registry
from tasks.rollout import steps as rollouts
from tasks.rollout.plan import Contender
from tasks.segments import steps as segments

if TYPE_CHECKING:
    from tasks.handles import Champion
    from tasks.rollout.plan import Subject
    from tasks.rollout.steps import FrozenPolicies, Rollout
    from tasks.segments.steps import Segmented
    from tasks.warehouse import Lake


@dataclass(frozen=True, slots=True)
class Pair:
    """Champion and challenger of a rollout, before there is a plan.

    `offline` is what is known of their difference on past customers.
    """

    subject: Subject
    champion: Contender
    champion_decision_id: str
    challenger: Contender
    challenger_run_id: str | None = None
    offline: Mapping[str, Any] | None = None
    policies: FrozenPolicies | None = None


def find_challenger(lake: Lake, subject: Subject) -> Contender:
    """The newest model or segmentation that may be rolled out. Raises UsageError (64) for none."""
    if subject == "segments":
        return _name_segments(segments.find_challenger(lake))
    return _name_model(registry.find_candidate(lake))


def find_pair(
    lake: Lake, subject: Subject, *, version: int | None = None, policy: Path | None = None
) -> Pair:
    """The champion of a subject and its challenger: a version, the newest, or a file's policy.

    Raises UsageError (64) for a challenger that is none, DataRejected (65) where nobody serves yet,
    ConfigurationError (78) for a wrong file, and Refused (77) or StoredDataCorrupt (74) for
    segments whose files are not those that were found.
    """
    rollouts.demand_supported(lake.settings)
    if subject == "churn":
        return _pair_models(lake, version)
    if subject == "segments":
        return _pair_segments(lake, version)
    if policy is None:
        raise UsageError("A rollout of actions needs the challenger's policy.")
    return _pair_policies(lake, policy)


def find_decision(lake: Lake, rollout: Rollout) -> str | None:
    """The decision of the champion that a rollout is about, as of now."""
    subject = rollout.plan.subject
    if subject == "actions":
        return rollouts.champion_decision(lake, rollout)
    found = registry.find_champion(lake) if subject == "churn" else segments.find_segmented(lake)
    return found.decision_id if found else None


def demand_champion(lake: Lake, rollout: Rollout) -> None:
    """Raise LockHeld (75) unless the champion is still the one that the plan was made against."""
    if rollout.plan.subject == "actions":
        rollouts.demand_champion(lake, rollout)
    elif find_decision(lake, rollout) != rollout.terms.champion_decision_id:
        raise LockHeld(
            "The champion has changed since the rollout was planned.",
            next_step="plan another against the champion of now",
        )


def write_row(lake: Lake, row: Rollout) -> Rollout:
    """A row into the ledger; with a promotion, the champion's pointer in the same transaction."""
    write = _PROMOTE[row.plan.subject] if row.row_kind == "promote" else rollouts.record_row
    write(lake, row)
    return rollouts.read_rollout(lake, row.rollout_id)


def write_stop(lake: Lake, rollout: Rollout, row: Rollout) -> Rollout:
    """The row with which a person ends a rollout; a promoted segmentation is taken back with it."""
    if rollout.state != "promoted" or row.plan.subject != "segments":
        return rollouts.record_row(lake, row)
    assert row.as_of is not None
    segments.take_back(
        lake,
        rollout.decision_id,
        reason=row.reason,
        as_of=row.as_of,
        actor=row.actor,
        alongside=partial(rollouts.append_row, lake, row),
    )
    return rollouts.read_rollout(lake, row.rollout_id)


def mirror(lake: Lake, subject: Subject) -> None:
    """Make MLflow's alias say who serves; the ledger stands where it does not answer."""
    if subject == "churn":
        registry.mirror_registry(lake)
    elif subject == "segments":
        segments.mirror(lake)


def _pair_models(lake: Lake, version: int | None) -> Pair:
    champion = registry.find_champion(lake)
    if champion is None:
        raise DataRejected(
            f"'{lake.deployment}' has no champion yet, so there is nothing to compare with.",
            next_step="train: the first champion needs no rollout",
        )
    challenger = registry.find_candidate(lake, version)
    return Pair(
        "churn",
        _name_model(champion),
        champion.decision_id,
        _name_model(challenger),
        challenger.run_id,
        registry.offline_difference(lake, challenger),
    )


def _pair_segments(lake: Lake, version: int | None) -> Pair:
    champion = segments.require_segmented(lake)
    if version is not None and version == champion.version:
        raise UsageError(
            f"Version {version} serves already; there is nothing to find out.",
            next_step="rollout plan --subject segments, without --challenger: the newest",
        )
    challenger = segments.find_challenger(lake, version)
    challenger.open()
    return Pair(
        "segments",
        _name_segments(champion),
        champion.decision_id,
        _name_segments(challenger),
        challenger.run_id,
    )


def _pair_policies(lake: Lake, path: Path) -> Pair:
    in_force = rollouts.find_policy(lake)
    policy = rollouts.freeze(rollouts.read_policy(lake, path, in_force.policy))
    return Pair(
        "actions",
        rollouts.say_champion(in_force, lake.deployment),
        in_force.decision_id,
        rollouts.as_contender(lake.deployment, policy),
        policies=rollouts.FrozenPolicies(
            challenger=policy, settings=rollouts.freeze(lake.settings.actions)
        ),
    )


def _promote_model(lake: Lake, row: Rollout) -> None:
    candidate = registry.find_candidate(lake, model_hash=row.plan.challenger.content_hash)
    registry.promote_candidate(
        lake,
        candidate,
        expected=row.terms.champion_decision_id,
        decision_id=row.decision_id,
        reason=row.reason,
        alongside=partial(rollouts.append_row, lake, row),
    )


def _promote_segments(lake: Lake, row: Rollout) -> None:
    demand_champion(lake, row)
    assert row.as_of is not None
    segments.promote_challenger(
        lake,
        segments.find_challenger(lake, model_hash=row.plan.challenger.content_hash),
        expected=row.terms.champion_decision_id,
        decision_id=row.decision_id,
        reason=row.reason,
        as_of=row.as_of,
        alongside=partial(rollouts.append_row, lake, row),
    )


def _promote_policy(lake: Lake, row: Rollout) -> None:
    # The row is the pointer: who makes the lists is read from it.
    rollouts.record_row(lake, row, demand=partial(demand_champion, lake, row))


_PROMOTE: Mapping[Subject, Callable[[Lake, Rollout], Any]] = {
    "churn": _promote_model,
    "segments": _promote_segments,
    "actions": _promote_policy,
}


def _name_model(model: Champion) -> Contender:
    return Contender(name=model.name, version=str(model.version), content_hash=model.model_hash)


def _name_segments(found: Segmented) -> Contender:
    return Contender(name=found.name, version=found.label, content_hash=found.model_hash)
