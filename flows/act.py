"""Whom to contact with what, within the budget: the action list, win-back and the hold-out."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from prefect import flow

from tasks.actions import steps as actions
from tasks.clock import find_time
from tasks.findings import ActionFindings
from tasks.rollout import steps as rollouts
from tasks.settings import load_settings
from tasks.warehouse import open_lake


@flow(name="act")
def act(deployment: str | Path, budget_amount: Decimal | None = None) -> ActionFindings:
    """List, publish and export; the same night, budget and policy twice are one run.

    The policy is the settings file's, or the one that a rollout has promoted; while a rollout of
    policies is running, its challenger lists its share.

    Raises DataRejected (65) where nobody has been scored as of this night.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        now = find_time(lake, settings)
        in_force = rollouts.find_policy(lake)
        challenger = rollouts.open_policy_arm(lake, in_force, now.as_of)
        return actions.propose_actions(
            lake, now.as_of, now.known_by, budget_amount, in_force, challenger
        )
