"""What a step makes of a night's evidence, and what on-call hears: no models, only the ledger."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tasks.errors import LockHeld
from tasks.incidents.queue import list_incidents
from tasks.rollout.announcing import announce
from tasks.rollout.assignment import assign
from tasks.rollout.recording import Rollout, read_history, read_rollout, record_row
from tasks.rollout.stepping import demand_decision, look
from tasks.warehouse import Lake
from tests.rollout.test_recording import NIGHT, begin
from tests.rollout.village import insert_orders

CUSTOMERS = 600
Orders = list[tuple[str, str, datetime]]


def enrol(lake: Lake, rollout: Rollout) -> dict[str, str]:
    """Everybody on the first night, in the arm of their hash; the arms."""
    ids = [f"c{number:04}" for number in range(CUSTOMERS)]
    assigned = assign(rollout.plan, ids)
    arms = {
        one: "challenger" if is_challenger else "champion"
        for one, is_challenger in zip(ids, assigned.is_challenger, strict=True)
    }
    # One statement, read from a list of pairs.
    lake.execute(
        "insert into lake.ledger.enrolments"
        " select unnest($ids), $rollout_id, unnest($arms), 0, 0, $night, true, false, 's0'",
        {
            "ids": list(arms),
            "arms": list(arms.values()),
            "rollout_id": rollout.rollout_id,
            "night": NIGHT,
        },
    )
    lake.execute(
        "create table lake.main.scores as select customer_id, scoring_id, entered_at as as_of,"
        " case when arm = 'challenger' then $challenger else 'a' end as model_hash"
        " from lake.ledger.enrolments",
        {"challenger": rollout.plan.challenger.content_hash},
    )
    return arms


def order_weekly(arms: dict[str, str], until: dict[str, int]) -> Orders:
    """An order a week of everybody, up to a day by arm."""
    return [
        (customer, f"{customer}-{week}", NIGHT + timedelta(days=7 * week + number % 7, hours=9))
        for number, (customer, arm) in enumerate(arms.items())
        for week in range(-6, 4)
        if 7 * week + number % 7 < until[arm]
    ]


@pytest.fixture
def running(lake: Lake) -> tuple[Rollout, dict[str, str]]:
    rollout = begin(lake, stages=(0.5,), guardrails=())
    return rollout, enrol(lake, rollout)


def step(lake: Lake, day: int) -> Rollout | None:
    """One step of the night, and what is told of it."""
    rollout = read_rollout(lake)
    as_of = NIGHT + timedelta(days=day)
    row = look(lake, rollout, as_of, as_of + timedelta(days=1))
    moved = rollout if row is None else record_row(lake, row)
    announce(lake, moved)
    return None if row is None else moved


def items(lake: Lake) -> list[str]:
    return [item.cause.code for item in list_incidents(lake)]


@pytest.mark.faults(74)
def test_missing_orders_of_one_arm_hold_it_until_they_come(
    lake: Lake, running: tuple[Rollout, dict[str, str]]
) -> None:
    """FAULTS 74."""
    _, arms = running
    every = order_weekly(arms, {"champion": 30, "challenger": 30})
    late = [row for row in every if arms[row[0]] == "challenger" and row[2] > NIGHT]
    insert_orders(lake, [row for row in every if row not in set(late)])
    held = step(lake, 6)
    assert held is not None
    assert (held.state, held.share) == ("held", 0.5)
    assert "orders of the challenger's arm end with 2026-03-01" in held.reason
    with pytest.raises(LockHeld) as stopped:
        demand_decision(held)
    assert stopped.value.exit_code == 75
    assert items(lake) == ["ROLLOUT_INCOMPLETE"]
    # The same look again writes nothing.
    assert step(lake, 6) is None
    assert len(read_history(lake, held.rollout_id)) == 3
    # They have come, and nobody was moved meanwhile.
    insert_orders(lake, late)
    moved = step(lake, 6)
    assert moved is not None
    assert moved.state == "running"
    assert items(lake) == []
    assert step(lake, 6) is None


@pytest.mark.faults(69)
def test_a_broken_split_locks_the_analysis(
    lake: Lake, running: tuple[Rollout, dict[str, str]]
) -> None:
    """FAULTS 69."""
    _, arms = running
    insert_orders(lake, order_weekly(arms, {"champion": 30, "challenger": 30}))
    lake.execute(
        "delete from lake.ledger.enrolments where arm = 'challenger'"
        " and right(customer_id, 1) in ('1', '2', '4', '6', '7', '8')"
    )
    held = step(lake, 7)
    assert held is not None
    assert held.state == "held"
    assert items(lake) == ["SAMPLE_RATIO"]
    broken = [one for one in held.evidence["verdict"]["ratios"] if one["is_broken"]]
    assert broken[0]["p_value"] < 0.001
    assert broken[0]["challenger"] < broken[0]["champion"]


@pytest.mark.faults(72)
def test_who_is_in_both_arms_is_left_out(
    lake: Lake, running: tuple[Rollout, dict[str, str]]
) -> None:
    """FAULTS 72: a few are left out and told of, more than 1 % hold the rollout."""
    _, arms = running
    insert_orders(lake, order_weekly(arms, {"champion": 30, "challenger": 30}))

    def cross(customers: int) -> None:
        lake.execute(
            "insert into lake.ledger.enrolments"
            " select * replace ('challenger' as arm) from lake.ledger.enrolments"
            " where arm = 'champion' order by customer_id limit $customers",
            {"customers": customers},
        )

    cross(2)
    moved = step(lake, 1)
    assert moved is not None
    assert moved.state == "running"
    assert items(lake) == ["BOTH_ARMS"]
    assert moved.evidence["crossed"] == 2
    counted = moved.evidence["arms"]
    assert counted["champion"]["assigned"] + counted["challenger"]["assigned"] == CUSTOMERS - 2
    cross(30)
    held = step(lake, 2)
    assert held is not None
    assert "were in both arms, more than 1.0%" in held.reason


def test_a_stage_is_widened_when_it_has_lasted(lake: Lake) -> None:
    rollout = begin(lake, stages=(0.05, 0.5), guardrails=())
    insert_orders(lake, order_weekly(enrol(lake, rollout), {"champion": 30, "challenger": 30}))
    states: list[Any] = []
    for day in (1, 6, 7, 8):
        moved = step(lake, day)
        assert moved is not None
        states.append((moved.row_kind, moved.share, len(moved.stages_since)))
    assert states == [
        ("continue", 0.05, 1),
        ("continue", 0.05, 1),
        ("advance", 0.5, 2),
        ("continue", 0.5, 2),
    ]
