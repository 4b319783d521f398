"""Policies of actions: which one is in force, which may challenge it, and its share of a list.

A challenger's policy is frozen in the terms of its rollout. Once promoted, it makes the lists until
the settings file's own section `actions` is another than it was planned against, or until a person
takes it back; nothing but the ledger and the settings says so, so that every process knows it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tasks.errors import LockHeld, StoredDataCorrupt, UsageError
from tasks.handles import PolicyInForce
from tasks.offers import ActionsSettings
from tasks.rollout.assignment import bucket_sql
from tasks.rollout.plan import BUCKETS, Contender
from tasks.rollout.recording import (
    SQL,
    FrozenPolicies,
    Rollout,
    list_rollouts,
)
from tasks.rollout.turns import SALT, demand_unmoved, find_turn, record_turn, stage_turn
from tasks.settings import load_settings

if TYPE_CHECKING:
    from tasks.warehouse import Lake

# The decision of a policy that no rollout has promoted.
SETTINGS = "settings"
# What makes an action what it is; its cap, and the guess of what it does, may differ.
_MEANING = ("words", "channel", "contact_cost_amount", "offer_cost_amount")


def find_policy(lake: Lake) -> PolicyInForce:
    """The newest policy promoted against the settings file's section of now, else that section."""
    own = lake.settings.actions
    promoted = [
        one
        for one in list_rollouts(lake, "actions")
        if one.state == "promoted" and _thaw(one, "settings") == own
    ]
    if not promoted:
        frozen = freeze(own)
        return PolicyInForce(own, _version(frozen), _hash(frozen), SETTINGS)
    newest = max(promoted, key=lambda one: (one.decided_at, one.rollout_id))
    challenger = newest.plan.challenger
    return PolicyInForce(
        policy=_thaw(newest, "challenger"),
        version=challenger.version,
        policy_hash=challenger.content_hash,
        decision_id=newest.decision_id,
        rollout_id=newest.rollout_id,
        since=newest.decided_at,
    )


def freeze(policy: ActionsSettings) -> dict[str, Any]:
    """A policy as plain values, for JSON."""
    return policy.model_dump(mode="json")


def read_policy(lake: Lake, path: Path, champion: ActionsSettings) -> ActionsSettings:
    """The section `actions` of a settings file, over the deployment's own, as a challenger.

    Raises ConfigurationError (78) for a wrong file, UsageError (64) for a policy that could not be
    compared with the champion's.
    """
    policy = load_settings(lake.settings.called, home=lake.settings.home, over=path).actions
    held = ("hold_out_salt", "hold_out_share")
    if any(getattr(policy, name) != getattr(champion, name) for name in held):
        raise UsageError(
            "The challenger's policy holds out other customers than the champion's.",
            found="the hold-out is outside of all rollouts, and the same for both policies",
            next_step="leave `actions.hold_out_salt` and `actions.hold_out_share` out of the file",
        )
    if policy.winback != champion.winback:
        raise UsageError(
            "The challenger's policy has another section `winback` than the champion's.",
            found=(
                "a rollout counts customers who may leave; those whom another list wins back would"
                " be among them in one arm more often than in the other"
            ),
            next_step="leave `actions.winback` out of the file",
        )
    for name in sorted(policy.offers.keys() & champion.offers.keys()):
        ours, theirs = policy.offers[name], champion.offers[name]
        differing = [key for key in _MEANING if getattr(ours, key) != getattr(theirs, key)]
        if differing:
            raise UsageError(
                f"The action '{name}' is another one in both policies: {', '.join(differing)}.",
                found="what contacts bring is told by an action's name, over both arms",
                next_step="give the challenger's action a name of its own",
            )
    return policy


def as_contender(deployment: str, policy: Mapping[str, Any]) -> Contender:
    """A frozen policy as a plan names it."""
    return Contender(
        name=f"{deployment}.actions", version=_version(policy), content_hash=_hash(policy)
    )


def say_champion(in_force: PolicyInForce, deployment: str) -> Contender:
    """The policy in force as a plan names it."""
    return Contender(
        name=f"{deployment}.actions",
        version=in_force.version,
        content_hash=in_force.policy_hash,
    )


def champion_decision(lake: Lake, rollout: Rollout) -> str | None:
    """The decision of the policy in force; None where the settings file's section has changed."""
    if _thaw(rollout, "settings") != lake.settings.actions:
        return None
    return find_policy(lake).decision_id


def demand_champion(lake: Lake, rollout: Rollout) -> None:
    """Raise LockHeld (75) unless the policy that a rollout was planned against is in force."""
    if champion_decision(lake, rollout) != rollout.terms.champion_decision_id:
        raise LockHeld(
            "The policy in force has changed since the rollout was planned.",
            next_step="plan another against the policy of now",
        )


def open_policy_arm(lake: Lake, in_force: PolicyInForce, as_of: datetime) -> PolicyArm | None:
    """The challenger's part in tonight's list, if it still stands against this champion."""
    live = find_turn(lake, "actions", in_force.decision_id, as_of)
    if live is None or _thaw(live, "settings") != lake.settings.actions:
        return None
    return PolicyArm(live, _thaw(live, "challenger"), as_of)


@dataclass(slots=True)
class PolicyArm:
    """The challenger's part in a night's list (`tasks.handles.ArmListing`)."""

    rollout: Rollout
    policy: ActionsSettings
    as_of: datetime
    rollout_id: str = field(init=False)
    version: str = field(init=False)
    parts: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        challenger = self.rollout.plan.challenger
        self.rollout_id = self.rollout.rollout_id
        self.version = challenger.version
        self.parts = (self.rollout_id, str(self.rollout.stage), challenger.content_hash)

    def divide(self, lake: Lake, customers: str) -> None:
        """Make `policy_turn` for the list, and `turn` for the ledger."""
        stage_turn(lake, self.rollout, customers)
        lake.run(
            SQL / "policy_turn.sql",
            {"rollout_id": self.rollout_id, "served_below": round(self.rollout.share * BUCKETS)},
            names={"bucket": bucket_sql(SALT, "customer_id"), "customers": customers},
        )

    def record(self, lake: Lake, run_id: str, scoring_id: str) -> None:
        """Enrol who counts from tonight: all who could have been listed, not those who were."""
        demand_unmoved(lake, self.rollout, "act")
        record_turn(
            lake,
            self.rollout,
            self.as_of,
            # A policy answers for everybody: nobody falls back.
            answered="turn",
            enrolled_by=scoring_id,
            served_by=run_id,
        )


def _thaw(rollout: Rollout, which: str) -> ActionsSettings:
    """A policy as the ledger has it. Raises StoredDataCorrupt (74) where it is not what it was."""
    frozen: FrozenPolicies | None = rollout.terms.policies
    values = getattr(frozen, which) if frozen is not None else None
    said = f"The policy of the rollout '{rollout.rollout_id}' in the ledger"
    if values is None:
        raise StoredDataCorrupt(f"{said} is not there.")
    if which == "challenger" and _hash(values) != rollout.plan.challenger.content_hash:
        raise StoredDataCorrupt(
            f"{said} is not the one that was planned.",
            next_step=f"holdfast rollout stop {rollout.rollout_id} --reason TEXT",
        )
    try:
        return ActionsSettings.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise StoredDataCorrupt(
            f"{said} is not of the form that is known here.",
            found=str(error.errors()[0]["loc"]),
            next_step=f"holdfast rollout stop {rollout.rollout_id} --reason TEXT",
        ) from error


def _hash(policy: Mapping[str, Any]) -> str:
    text = json.dumps(dict(policy), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _version(policy: Mapping[str, Any]) -> str:
    """Of a policy, which has no number: the start of its hash."""
    return f"p{_hash(policy)[:8]}"
