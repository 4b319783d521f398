"""Each verdict, and which goes before which."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest

from tasks.rollout.evidence import DayCounts, Evidence, GuardrailCounts
from tasks.rollout.judging import judge
from tasks.rollout.plan import Plan
from tasks.rollout.verdict import Look, Verdict
from tests.rollout.made_up import make_plan

_START = date(2026, 1, 5)
_PLAN = make_plan(
    minimum_effect=0.02, horizon_days=14, stages=(0.5,), maximum_days=60, guardrails=()
)


def _days(
    last: int, as_of: int, champion: float, challenger: float, *, each: int = 200, horizon: int = 14
) -> list[DayCounts]:
    """Days 0 to `last`, `each` customers an arm, of whom so many shares lapse."""
    rows = []
    for number in range(last + 1):
        due = each if number + horizon <= as_of else 0
        for arm, share in (("champion", champion), ("challenger", challenger)):
            day = _START + timedelta(days=number)
            rows.append(DayCounts(day, arm, each, each, each, due, due, round(due * share)))  # type: ignore[arg-type]
    return rows


def _evidence(as_of: int, days: list[DayCounts], **more: object) -> Evidence:
    return Evidence(
        as_of=_START + timedelta(days=as_of),
        started_on=_START,
        stage=0,
        stage_started_on=_START,
        days=days,
        **more,  # type: ignore[arg-type]
    )


def _follow(plan: Plan, champion: float, challenger: float, last: int = 20) -> list[Verdict]:
    """Every night's verdict until it ends."""
    looks: list[Look] = []
    verdicts = []
    for as_of in range(1, plan.maximum_days + 1):
        days = _days(min(last, as_of - 1), as_of, champion, challenger)
        verdict = judge(plan, _evidence(as_of, days), looks)
        verdicts.append(verdict)
        if verdict.look:
            looks.append(verdict.look)
        if verdict.outcome != "continue":
            break
    return verdicts


def test_a_better_challenger_is_promoted_with_its_interval() -> None:
    verdicts = _follow(_PLAN, 0.15, 0.10)
    last = verdicts[-1]
    assert last.outcome == "promote"
    assert last.look is not None
    assert last.look.z >= last.look.upper
    assert last.estimate is not None
    assert last.estimate.method == "stagewise"
    assert 0 < last.estimate.low < 0.05 < last.estimate.high
    assert "fewer lapses" in last.reasons[0]
    assert len(verdicts) > 14  # no win before two weeks


def test_looks_are_a_week_apart() -> None:
    looks = [verdict.look for verdict in _follow(_PLAN, 0.10, 0.095) if verdict.look]
    assert [look.number for look in looks] == list(range(1, len(looks) + 1))
    gaps = [(b.on - a.on).days for a, b in pairwise(looks) if not b.is_last]
    assert min(gaps) >= 7
    spent = [look.alpha_spent for look in looks]
    assert spent == sorted(spent)
    assert looks[-1].is_last
    assert looks[-1].alpha_spent == pytest.approx(_PLAN.alpha)


def test_no_difference_ends_inconclusive_and_says_what_was_learnt() -> None:
    last = _follow(_PLAN, 0.10, 0.10)[-1]
    assert last.outcome == "inconclusive"
    assert last.estimate is not None
    assert last.estimate.low < 0 < last.estimate.high
    assert "no difference is shown" in last.reasons[0]


def test_a_worse_challenger_is_rolled_back() -> None:
    last = _follow(_PLAN, 0.10, 0.14)[-1]
    assert last.outcome == "roll_back"


def test_one_sided_plan_waits_for_harm_instead_of_a_loss() -> None:
    plan = make_plan(
        minimum_effect=0.02, horizon_days=14, stages=(0.5,), maximum_days=60, guardrails=(), sides=1
    )
    last = _follow(plan, 0.10, 0.115)[-1]
    assert last.outcome == "inconclusive"
    assert last.look is not None
    assert last.look.lower is None


def test_harm_goes_before_missing_data_and_needs_no_maturity() -> None:
    plan = make_plan(stages=(0.5,), maximum_days=60)
    day = _START + timedelta(days=1)
    evidence = _evidence(
        2,
        _days(1, 2, 0, 0),
        guardrails=(GuardrailCounts("complaints", day, 400, 400, 1, 25),),
        missing=("the orders of yesterday",),
    )
    verdict = judge(plan, evidence, [])
    assert verdict.outcome == "roll_back"
    assert "complaints" in verdict.reasons[0]
    assert [harm.is_harm for harm in verdict.harms] == [True, False, False]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"missing": ("the complaints could not be read",)}, "could not be read"),
        ({"drop": "logged"}, "logs"),
        ({"drop": "matured"}, "outcomes"),
    ],
)
def test_missing_evidence_holds_and_spends_nothing(change: dict[str, object], says: str) -> None:
    days = _days(20, 50, 0.15, 0.05)
    if "drop" in change:
        name = str(change["drop"])
        days = [
            replace(row, **{name: row.assigned * 9 // 10}) if row.arm == "challenger" else row
            for row in days
        ]
        change = {}
    verdict = judge(_PLAN, _evidence(50, days, **change), [])
    assert verdict.outcome == "hold"
    assert verdict.look is None
    assert not verdict.may_widen
    assert any(says in reason for reason in verdict.reasons)


def test_a_broken_split_holds() -> None:
    days = [
        replace(row, assigned=150, exposed=150, logged=150, due=150, matured=150, events=5)
        if row.arm == "challenger"
        else row
        for row in _days(20, 50, 0.15, 0.05)
    ]
    verdict = judge(_PLAN, _evidence(50, days), [])
    assert verdict.outcome == "hold"
    assert "not as planned" in verdict.reasons[0]


@pytest.mark.faults(73)
def test_no_win_before_two_weeks_however_clear() -> None:
    plan = make_plan(
        minimum_effect=0.02, horizon_days=3, stages=(0.5,), maximum_days=60, guardrails=()
    )
    days = _days(9, 13, 0.3, 0.1, horizon=3)
    assert judge(plan, _evidence(13, days), []).outcome == "continue"
    assert judge(plan, _evidence(14, days), []).outcome == "promote"


def test_too_few_outcomes_end_without_a_look() -> None:
    days = _days(2, 60, 0.01, 0.01, each=100)
    verdict = judge(_PLAN, _evidence(60, days), [])
    assert verdict.outcome == "inconclusive"
    assert verdict.look is None
    assert "smaller arm" in verdict.reasons[0]


def test_nothing_at_all_is_nothing_yet() -> None:
    assert judge(_PLAN, _evidence(0, []), []).outcome == "continue"
    assert judge(_PLAN, _evidence(60, []), []).outcome == "inconclusive"


def test_the_next_stage_may_begin_when_this_one_has_lasted() -> None:
    plan = make_plan(stages=(0.05, 0.5), minimum_stage_days=7, maximum_days=90)
    assert not judge(plan, _evidence(6, _days(5, 6, 0, 0)), []).may_widen
    assert judge(plan, _evidence(7, _days(0, 7, 0, 0, each=0)), []).may_widen
    last = replace(_evidence(70, []), stage=1)
    assert not judge(plan, last, []).may_widen


def test_a_look_of_the_same_customers_is_one_with_the_last() -> None:
    """Nothing has matured since: the last look must not fail, nor spend alpha twice."""
    days = _days(11, 59, 0.10, 0.099, each=100)
    first = judge(_PLAN, _evidence(30, days), [])
    assert first.look is not None
    assert not first.look.is_last
    last = judge(_PLAN, _evidence(60, days), [first.look])
    assert last.look is not None
    assert last.look.is_last
    assert last.look.upper == pytest.approx(1.96, abs=0.001)
    # Erased customers leave less than there was.
    fewer = judge(_PLAN, _evidence(60, days[:-4]), [first.look])
    assert fewer.outcome == "inconclusive"
    # And looks whose information fell in between are no stumbling block later.
    shrunk = replace(first.look, number=2, variance=first.look.variance * 0.9)
    more = judge(_PLAN, _evidence(60, _days(20, 59, 0.10, 0.099)), [first.look, shrunk])
    assert more.outcome == "inconclusive"


def test_the_same_evidence_is_the_same_verdict() -> None:
    evidence = _evidence(50, _days(20, 50, 0.15, 0.10))
    verdict = judge(_PLAN, evidence, [])
    assert judge(_PLAN, Evidence.from_json(evidence.to_json()), []) == verdict
    assert Verdict.from_json(verdict.to_json()) == verdict
