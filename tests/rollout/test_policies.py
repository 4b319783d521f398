"""Which policy is in force, which may challenge it, and who is enrolled; only the ledger."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.errors import ConfigurationError, LockHeld, StoredDataCorrupt, UsageError
from tasks.offers import ActionsSettings
from tasks.rollout.policies import (
    SETTINGS,
    champion_decision,
    demand_champion,
    find_policy,
    open_policy_arm,
    read_policy,
)
from tasks.rollout.recording import Terms, read_history, read_rollout, record_row
from tasks.rollout.stepping import stop_row
from tasks.settings import Settings
from tasks.warehouse import Lake
from tests.conftest import MakeSettings
from tests.rollout.made_up import make_plan
from tests.rollout.policies import (
    NOTE,
    NOTES,
    begin_policy,
    plan_policy,
    promote_policy,
    write_policy,
)
from tests.rollout.test_recording import NIGHT, planned


@pytest.fixture
def notes(make_settings: MakeSettings) -> ActionsSettings:
    return make_settings(actions=NOTES).actions


def stop(lake: Lake, rollout_id: str) -> None:
    row = stop_row(read_rollout(lake, rollout_id), "by hand", "ann")
    assert row is not None
    record_row(lake, row)


def test_a_promoted_policy_is_in_force_until_it_is_stopped(
    lake: Lake, notes: ActionsSettings
) -> None:
    own = find_policy(lake)
    assert (own.policy, own.decision_id, own.since) == (lake.settings.actions, SETTINGS, None)
    first = promote_policy(lake, notes, "first")
    found = find_policy(lake)
    assert found.policy == notes
    assert (found.rollout_id, found.since) == ("first", first.decided_at)
    assert found.decision_id == first.decision_id
    decided = lake.rows("select kind, outcome from lake.ledger.decisions order by decision_id")
    assert [row["outcome"] for row in decided] == ["plan", "start", "promote"]
    # A second one was planned against the first.
    longer = notes.model_copy(update={"worth_days": 400})
    second = promote_policy(lake, longer, "second")
    assert second.plan.champion.content_hash == first.plan.challenger.content_hash
    assert find_policy(lake).policy == longer
    stop(lake, "second")
    assert find_policy(lake) == found
    stop(lake, "first")
    assert find_policy(lake) == own
    assert stop_row(read_rollout(lake, "first"), "again", "ann") is None
    assert read_rollout(lake, "first").state == "rolled_back"


def test_another_section_in_the_settings_file_has_the_word(
    lake: Lake,
    notes: ActionsSettings,
    make_settings: MakeSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    promote_policy(lake, notes, "first")
    running = begin_policy(lake, notes.model_copy(update={"worth_days": 400}), "second")
    assert champion_decision(lake, running) == running.terms.champion_decision_id
    assert open_policy_arm(lake, find_policy(lake), NIGHT) is not None
    # Other sections change nothing.
    same = make_settings(lake.deployment, economics={"budget_amount": "5"})
    monkeypatch.setattr(lake, "settings", same)
    assert find_policy(lake).rollout_id == "first"
    changed = make_settings(lake.deployment, actions={"worth_days": 200})
    monkeypatch.setattr(lake, "settings", changed)
    assert find_policy(lake).policy == changed.actions
    # What runs has lost its champion: it lists nobody any more, and is void at its next step.
    assert champion_decision(lake, running) is None
    assert open_policy_arm(lake, find_policy(lake), NIGHT) is None


def test_promoted_only_against_the_policy_that_it_was_planned_against(
    lake: Lake, notes: ActionsSettings
) -> None:
    """Compare-and-set: what it was compared with was taken back after the look."""
    promote_policy(lake, notes, "first")
    running = begin_policy(lake, notes.model_copy(update={"worth_days": 400}), "second")
    row = running.next("promote", "promoted", "better")
    stop(lake, "first")
    with pytest.raises(LockHeld, match="policy in force has changed"):
        record_row(lake, row, demand=partial(demand_champion, lake, row))
    assert read_rollout(lake, "second") == running
    assert find_policy(lake).decision_id == SETTINGS
    # And of two who saw the same row, one.
    other = plan_policy(lake, notes, "third")
    record_row(lake, other.next("stop", "rolled_back", "one"))
    with pytest.raises(LockHeld, match="moved the rollout"):
        record_row(lake, other.next("stop", "rolled_back", "other"))
    assert len(read_history(lake, "third")) == 2


@pytest.mark.faults
def test_a_policy_that_is_not_what_was_planned_serves_nobody(
    lake: Lake, notes: ActionsSettings
) -> None:
    promote_policy(lake, notes, "first")
    lake.execute(
        "update lake.ledger.rollouts set terms = replace(terms::varchar, 'Note', 'Nope')::json"
    )
    with pytest.raises(StoredDataCorrupt, match="not the one that was planned"):
        find_policy(lake)
    stop(lake, "first")
    assert find_policy(lake).decision_id == SETTINGS


@pytest.mark.parametrize(
    ("actions", "error", "said"),
    [
        ({"hold_out_share": 0.2}, UsageError, "holds out other customers"),
        ({"hold_out_salt": "other"}, UsageError, "holds out other customers"),
        ({"winback": {"enabled": False}}, UsageError, "another section `winback`"),
        ({"offers": {"voucher": {"offer_cost_amount": "9"}}}, UsageError, "offer_cost_amount"),
        ({"rules": [{"action": "vouchers"}]}, ConfigurationError, "is not among"),
        ({"offers": {"note": {**NOTE, "accept_share": 2}}}, ConfigurationError, "accept_share"),
    ],
)
def test_what_could_not_be_compared_is_refused(
    lake: Lake, tmp_path: Path, actions: dict[str, Any], error: type[Exception], said: str
) -> None:
    path = write_policy(tmp_path / "other.yaml", actions)
    with pytest.raises(error, match=said):
        read_policy(lake, path, lake.settings.actions)


def test_a_policy_may_differ_in_guesses_caps_rules_and_bands(lake: Lake, tmp_path: Path) -> None:
    differing = {
        "offers": {"voucher": {"accept_share": 0.5, "maximum_contacts": 7}, "note": NOTE},
        "rules": NOTES["rules"],
        "risk_bands": {"low": 0.0, "medium": 0.1, "high": 0.9},
    }
    path = write_policy(tmp_path / "other.yaml", differing)
    policy = read_policy(lake, path, lake.settings.actions)
    assert policy.offers["voucher"].maximum_contacts == 7


def test_those_contacted_are_no_random_split_of_policies() -> None:
    with pytest.raises(ValidationError, match="no random split"):
        make_plan(subject="actions", exposure="contacted")
    with pytest.raises(ValidationError, match=r"of segments .* no random split"):
        make_plan(subject="segments", exposure="contacted")
    assert make_plan(subject="churn", exposure="contacted").exposure == "contacted"


def test_terms_without_policies_are_written_as_before() -> None:
    text = planned().terms.to_json()
    assert "policies" not in text
    assert Terms.model_validate_json(text) == planned().terms


def test_who_could_have_been_listed_is_enrolled_with_the_list(
    lake: Lake, notes: ActionsSettings, settings: Settings
) -> None:
    from tasks.actions.listing import list_actions
    from tasks.rollout.assignment import assign
    from tests.actions.made_up import put_scores
    from tests.actions.test_listing import is_held_out

    running = begin_policy(lake, notes, "first")
    people = [
        # No policy lists those of low risk.
        {
            "customer_id": f"c{number:03}",
            "probability": 0.7 if number % 4 else 0.1,
            "value_amount": 300,
        }
        for number in range(400)
    ]
    put_scores(lake, people, as_of=NIGHT)
    in_force = find_policy(lake)
    arm = open_policy_arm(lake, in_force, NIGHT)
    found, _ = list_actions(lake, NIGHT, NIGHT, settings, in_force=in_force, challenger=arm)
    ids = [one["customer_id"] for one in people if not is_held_out(one["customer_id"])]
    assigned = assign(running.plan, ids)
    counted = {
        one: "challenger" if is_challenger else "champion"
        for one, is_challenger, stage in zip(
            ids, assigned.is_challenger, assigned.stage, strict=True
        )
        if stage == 0
    }
    rows = lake.rows("select * from lake.ledger.enrolments")
    assert {row["customer_id"]: row["arm"] for row in rows} == counted
    assert all(row["exposed"] and not row["fell_back"] for row in rows)
    assert {(row["entered_at"], row["scoring_id"]) for row in rows} == {(NIGHT, "s1")}
    # More than were listed: whom a policy leaves alone counts for it, too.
    assert 0 < found.customers < len(ids)
    by_note = {
        row["customer_id"]
        for row in lake.rows(
            "select customer_id from lake.main.customer_actions"
            " where action = 'note' and not held_out"
        )
    }
    assert by_note
    assert by_note <= {one for one, of in counted.items() if of == "challenger"}
    served = lake.rows("select arm, assigned, fell_back from lake.ledger.servings order by arm")
    assert [row["arm"] for row in served] == ["challenger", "champion"]
    assert sum(row["assigned"] for row in served) == len(ids)


def test_a_list_is_not_published_by_a_stage_that_is_over(
    lake: Lake, notes: ActionsSettings, settings: Settings
) -> None:
    from tasks.actions.listing import list_actions
    from tests.actions.made_up import put_scores

    running = begin_policy(lake, notes, "first")
    put_scores(lake, [{"customer_id": "c1", "probability": 0.7, "value_amount": 300}], as_of=NIGHT)
    in_force = find_policy(lake)
    arm = open_policy_arm(lake, in_force, NIGHT)
    record_row(lake, running.next("advance", "running", "wider", stage=1, as_of=NIGHT))
    with pytest.raises(LockHeld, match="meanwhile"):
        list_actions(lake, NIGHT, NIGHT, settings, in_force=in_force, challenger=arm)
    assert lake.scalar("select count(*) from lake.ledger.enrolments") == 0
    assert lake.scalar("select count(*) from lake.main.customer_actions") == 0
