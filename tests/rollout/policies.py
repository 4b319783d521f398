"""A challenger among policies: only notes; as a file, and as a rollout in the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tasks.offers import ActionsSettings
from tasks.rollout.policies import as_contender, find_policy, freeze, say_champion
from tasks.rollout.recording import FrozenPolicies, Rollout, record_row
from tasks.rollout.stepping import start_row
from tasks.warehouse import Lake
from tests.actions.made_up import put_scores
from tests.rollout.test_recording import NIGHT, planned
from tests.rollout.village import Village, open_village

NOTE = {
    "words": {"en": "Note", "ko": "쪽지"},
    "channel": "post",
    "contact_cost_amount": "1.00",
    "offer_cost_amount": "1.00",
    "accept_share": 0.3,
}
NOTES: dict[str, Any] = {
    "offers": {"note": NOTE},
    "rules": [{"action": "note", "risk": ["medium", "high"]}],
}


def write_policy(path: Path, actions: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump({"actions": actions}), encoding="utf-8")
    return path


def plan_policy(lake: Lake, policy: ActionsSettings, rollout_id: str) -> Rollout:
    """The plan in the ledger, against the policy in force."""
    champion = find_policy(lake)
    frozen = freeze(policy)
    row = planned(
        rollout_id=rollout_id,
        subject="actions",
        champion=say_champion(champion, lake.deployment),
        challenger=as_contender(lake.deployment, frozen),
        guardrails=(),
    )
    terms = row.terms.model_copy(
        update={
            "champion_decision_id": champion.decision_id,
            "policies": FrozenPolicies(challenger=frozen, settings=freeze(lake.settings.actions)),
        }
    )
    return record_row(lake, Rollout(row.plan, terms, "planned", "plan", 1))


def begin_policy(lake: Lake, policy: ActionsSettings, rollout_id: str) -> Rollout:
    row = start_row(plan_policy(lake, policy, rollout_id), NIGHT, NIGHT, "ann")
    assert row is not None
    return record_row(lake, row)


def promote_policy(lake: Lake, policy: ActionsSettings, rollout_id: str) -> Rollout:
    running = begin_policy(lake, policy, rollout_id)
    return record_row(lake, running.next("promote", "promoted", "better"))


def score_night(village: Village, day: int) -> None:
    """Go to a night on which everybody is scored."""
    as_of = village.go_to(day)
    people = [
        {"customer_id": one, "probability": 0.6, "value_amount": 300} for one in village.ids()
    ]
    with open_village(village) as lake:
        put_scores(lake, people, f"night-{day}", as_of)
