"""A list in two arms: each by its policy, with its part of the money and of the caps."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tasks.actions.arms import Part
from tasks.actions.listing import list_actions
from tasks.actions.steps import say_policy
from tasks.errors import LockHeld
from tasks.findings import ActionFindings
from tasks.handles import PolicyInForce
from tasks.offers import ActionsSettings
from tasks.settings import Settings
from tasks.warehouse import Lake
from tests.actions.made_up import AS_OF, KNOWN_BY, put_scores
from tests.actions.test_listing import is_held_out, scored
from tests.conftest import MakeSettings

pytestmark = pytest.mark.sql

NOTE = {
    "words": {"en": "Note", "ko": "쪽지"},
    "channel": "post",
    "contact_cost_amount": "1.00",
    "offer_cost_amount": "1.00",
    "accept_share": 0.3,
}


@dataclass
class Fourth:
    """Lists every fourth customer; fails at recording if told so."""

    policy: ActionsSettings
    parts: tuple[str, ...] = ("r1", "0", "h2")
    rollout_id: str = "r1"
    version: str = "p2"
    fails: bool = False
    recorded: list[tuple[str, str]] = field(default_factory=list)

    def divide(self, lake: Lake, customers: str) -> None:
        lake.execute(
            "create or replace temporary table policy_turn as select customer_id,"
            f" customer_id[2:]::integer % 4 = 0 as is_challenger from {customers}"
        )

    def record(self, lake: Lake, run_id: str, scoring_id: str) -> None:
        if self.fails:
            raise LockHeld("moved", next_step="again")
        self.recorded.append((run_id, scoring_id))


def is_fourth(customer: str) -> bool:
    return int(customer[1:]) % 4 == 0


@pytest.fixture
def policy(make_settings: MakeSettings) -> ActionsSettings:
    """A challenger that only sends notes."""
    rules = [{"action": "note", "risk": ["medium", "high"]}]
    return make_settings(actions={"offers": {"note": NOTE}, "rules": rules}).actions


def run(
    lake: Lake, settings: Settings, challenger: Any, budget: str = "200"
) -> tuple[ActionFindings, bool]:
    return list_actions(
        lake,
        AS_OF,
        KNOWN_BY,
        settings,
        budget_amount=Decimal(budget),
        in_force=PolicyInForce(settings.actions, "p1", "h1", "settings"),
        challenger=challenger,
    )


def test_each_arm_is_listed_by_its_policy_with_its_part_of_the_money(
    lake: Lake, settings: Settings, policy: ActionsSettings
) -> None:
    put_scores(lake, scored(400))
    arm = Fourth(policy)
    found, is_new = run(lake, settings, arm)
    assert is_new
    rows = lake.rows("select * from lake.main.customer_actions")
    for row in rows:
        # Who is held out keeps the place of their hash, so each action has a fair hold-out.
        assert (row["action"] == "note") == is_fourth(row["customer_id"])
        assert row["held_out"] == is_held_out(row["customer_id"])
    champion, challenger = found.arms
    free = [one["customer_id"] for one in scored(400) if not is_held_out(one["customer_id"])]
    assert challenger.customers == sum(map(is_fourth, free))
    assert champion.customers + challenger.customers == len(free)
    share = Decimal(challenger.customers) / len(free)
    assert abs(challenger.budget_amount - 200 * share) < Decimal("0.001")
    assert champion.budget_amount + challenger.budget_amount == 200
    for one in found.arms:
        listed = [
            row
            for row in rows
            if not row["held_out"] and is_fourth(row["customer_id"]) == (one.arm == "challenger")
        ]
        assert one.listed_customers == len(listed) > 5
        spent = sum(row["planned_cost_amount"] for row in listed)
        assert one.planned_cost_amount == spent <= one.budget_amount
    assert found.customers == champion.listed_customers + challenger.listed_customers
    assert found.customers + sum(found.left_alone.values()) == found.scored_customers == 400
    ranks = sorted(row["rank"] for row in rows if not row["held_out"])
    assert ranks == list(range(1, len(ranks) + 1))
    assert len(arm.recorded) == 1
    assert arm.recorded[0] == (rows[0]["run_id"], "s1")
    assert "challenger's arm: policy p2 lists" in say_policy(found)[2]


def test_a_run_is_named_by_rollout_stage_and_both_policies(
    lake: Lake, settings: Settings, policy: ActionsSettings
) -> None:
    put_scores(lake, scored(60))
    plain, _ = run(lake, settings, None)
    assert plain.arms == ()
    ids = set()
    for parts in (("r1", "0", "h2"), ("r1", "1", "h2"), ("r2", "0", "h2")):
        arm = Fourth(policy, parts)
        assert run(lake, settings, arm)[1]
        ids.add(arm.recorded[0][0])
    other = Fourth(policy.model_copy(update={"worth_days": 30}))
    assert run(lake, settings, other)[1]
    assert len(ids | {other.recorded[0][0]}) == 4
    again = Fourth(policy)
    assert not run(lake, settings, again)[1]
    assert again.recorded == []
    # Taken back: the list without arms is the newest again.
    assert run(lake, settings, None) == (plain, False)


def test_what_cannot_be_recorded_is_not_published(
    lake: Lake, settings: Settings, policy: ActionsSettings
) -> None:
    put_scores(lake, scored(60))
    with pytest.raises(LockHeld, match="moved"):
        run(lake, settings, Fourth(policy, fails=True))
    assert lake.scalar("select count(*) from lake.main.customer_actions") == 0
    assert lake.scalar("select count(*) from lake.ledger.findings") == 0
    assert not [
        path for path in Path(settings.home).rglob("actions*") if settings.deployment in str(path)
    ]


def test_caps_are_divided_and_an_arm_of_nobody_costs_nothing(
    lake: Lake, make_settings: MakeSettings
) -> None:
    capped = {"offers": {"note": {**NOTE, "maximum_contacts": 10}}}
    rules = [{"action": "note", "risk": ["medium", "high"]}]
    settings = make_settings(actions={**capped, "rules": rules})
    from tasks.warehouse import open_lake

    with open_lake(settings) as own:
        put_scores(own, scored(400))
        found, _ = run(own, settings, Fourth(settings.actions), "5000")
        champion, challenger = found.arms
        assert 8 <= champion.listed_customers + challenger.listed_customers <= 10
        assert challenger.listed_customers == 10 * challenger.customers // (
            champion.customers + challenger.customers
        )
        own.execute("delete from lake.main.scores where customer_id[2:]::integer % 4 = 0")
        nobody, _ = run(own, settings, Fourth(settings.actions), "5000")
        assert nobody.arms[1].customers == nobody.arms[1].listed_customers == 0
        assert nobody.arms[0].listed_customers == 10


def test_parts_never_exceed_the_whole() -> None:
    one, other = Part(1, 3), Part(2, 3)
    assert one.of_money(Decimal("100")) == Decimal("33.3333")
    assert one.of_count(10) + other.of_count(10) == 9
    assert Part(0, 0).of_money(Decimal(5)) == Part(0, 0).of_count(5) == 0


def test_it_says_since_when_a_policy_is_in_force(lake: Lake, settings: Settings) -> None:
    from dataclasses import replace
    from datetime import timedelta

    own = PolicyInForce(settings.actions, "p1", "h1", "settings")
    promoted = replace(own, version="p2", rollout_id="r1", since=AS_OF + timedelta(hours=5))
    said = []
    for day, in_force in enumerate((own, own, promoted, own)):
        as_of = AS_OF + timedelta(days=day)
        put_scores(lake, scored(20), f"s{day}", as_of)
        found, _ = list_actions(lake, as_of, as_of + timedelta(days=1), settings, in_force=in_force)
        assert found.policy is not None
        said.append((found.policy.since - AS_OF).total_seconds() / 86400)
        assert ("promoted by the rollout r1" in say_policy(found)[0]) is (day == 2)
    assert said == [0, 0, 5 / 24, 3]
