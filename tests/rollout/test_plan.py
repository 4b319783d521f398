"""A plan is frozen, is the same after a journey through JSON, and is refused where it can't run."""

from __future__ import annotations

from datetime import date

import pytest
from pydantic import ValidationError

from tasks.rollout.evidence import DayCounts, Evidence, GuardrailCounts
from tasks.rollout.plan import Guardrail, Plan
from tasks.rollout.verdict import Estimate, Look, Verdict
from tests.rollout.made_up import make_plan


def test_plan_survives_json_with_its_hash() -> None:
    plan = make_plan()
    read = Plan.from_json(plan.to_json())
    assert read == plan
    assert read.to_json() == plan.to_json()


def test_hash_changes_with_anything_in_the_plan() -> None:
    plan = make_plan()
    assert make_plan(alpha=0.01).to_json() != plan.to_json()
    assert make_plan(guardrails=()).to_json() != plan.to_json()


def test_plan_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        make_plan().alpha = 0.5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"stages": (0.2, 0.05)}, "must grow"),
        ({"stages": (0.5, 1.0)}, "between 0 and 1"),
        ({"stages": (0.00001, 0.5)}, "0.0001"),
        ({"guardrails": (Guardrail(name="errors"), Guardrail(name="errors"))}, "twice"),
        ({"minimum_effect": 1.5}, "1.5 points"),
        ({"maximum_days": 20}, "mature after 42 days"),
        ({"earliest_decision_days": 7}, "14"),
    ],
)
def test_plan_that_cannot_run_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        make_plan(**changes)


def test_planned_information_is_that_of_the_standard_formula() -> None:
    # (1.959964 + 0.841621)^2 / 0.015^2
    assert make_plan().information == pytest.approx(34_883.9, rel=1e-4)


def test_evidence_and_verdict_survive_json() -> None:
    day = date(2026, 1, 5)
    evidence = Evidence(
        as_of=date(2026, 2, 5),
        started_on=day,
        stage=1,
        stage_started_on=day,
        days=(DayCounts(day, "champion", 10, 9, 9, 9, 9, 1, 2.5),),
        guardrails=(GuardrailCounts("errors", day, 9, 10, 0, 1),),
    )
    read = Evidence.from_json(evidence.to_json())
    assert tuple(read.days) == evidence.days
    assert tuple(read.guardrails) == evidence.guardrails
    look = Look(1, day, 0.5, 12.0, 1.2, 2.9, None, 0.001, 0.01, 0.008, 0.02, None)
    verdict = Verdict(
        "continue", ("Because.",), look=look,
        estimate=Estimate(0.01, -0.01, 0.03, 0.95, 0.01, "repeated"),
    )  # fmt: skip
    assert Verdict.from_json(verdict.to_json()) == verdict
