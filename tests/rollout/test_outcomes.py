"""From tables of facts to a rollout's evidence, each drawn as text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.rollout.evidence import DayCounts
from tasks.rollout.outcomes import count
from tasks.rollout.recording import SQL
from tasks.warehouse import Connection, scratch

pytestmark = pytest.mark.sql

START = datetime(2026, 3, 1, tzinfo=UTC)
TYPES = {
    "enrolments": "customer_id varchar, rollout_id varchar, arm varchar, stage integer,"
    " bucket integer, entered_at timestamptz, exposed boolean, fell_back boolean,"
    " scoring_id varchar",
    "servings": "rollout_id varchar, scoring_id varchar",
    "scores": "customer_id varchar, scoring_id varchar, model_hash varchar, as_of timestamptz",
    "orders": "customer_id varchar, ordered_at timestamptz, net_amount double, is_return boolean",
    "tickets": "customer_id varchar, opened_at timestamptz, is_complaint boolean",
    "contacts": "customer_id varchar, contacted_at timestamptz, opted_out_at timestamptz",
}


def at(day: float) -> datetime:
    return START + timedelta(days=day)


@pytest.fixture
def facts() -> Iterator[Connection]:
    with scratch() as connection:
        for name, columns in TYPES.items():
            connection.execute(f"create table {name} ({columns})")
        connection.execute("insert into servings values ('r', 's0'), ('r', 's1')")
        yield connection


def draw(connection: Connection, table: str, text: str) -> None:
    """Insert rows drawn as text; `d3.5` is a time, `-` is NULL."""
    for line in text.strip().splitlines():
        cells = [_read(cell) for cell in line.split()]
        places = ", ".join(f"$p{number}" for number in range(len(cells)))
        connection.execute(
            f"insert into {table} values ({places})",
            {f"p{number}": cell for number, cell in enumerate(cells)},
        )


def _read(cell: str) -> Any:
    if cell == "-":
        return None
    if cell[0] == "d" and cell[1:].replace(".", "").replace("-", "").isdigit():
        return at(float(cell[1:]))
    return {"yes": True, "no": False}.get(cell, cell)


def look(
    connection: Connection,
    day: float,
    exposure: str = "scored",
    relations: dict[str, str] | None = None,
    **values: Any,
) -> Any:
    bound = {
        "rollout_id": "r",
        "as_of": at(day),
        "known_by": at(day),
        "horizon_days": 10,
        "early_days": 3,
        "margin_share": 0.5,
        "challenger_hash": "new",
        "rate_days": 28,
        **values,
    }
    names = {name: name for name in TYPES}
    return count(connection, {**names, **(relations or {})}, bound, exposure=exposure)


def arm(days: tuple[DayCounts, ...], name: str, day: int = 0) -> DayCounts:
    return next(one for one in days if one.arm == name and one.day == at(day).date())


ENROLMENTS = """
ann  r challenger 0 10   d0 yes no s0
bob  r challenger 0 11   d0 yes no s0
cleo r champion   0 9000 d0 yes no s0
dora r champion   0 9001 d1 yes no s1
eve  q champion   0 9002 d0 yes no s0
"""
SCORES = """
ann  s0 new d0
bob  s0 old d0
cleo s0 old d0
dora s1 old d1
"""


@pytest.mark.faults(73)
def test_only_whose_horizon_has_ended_counts(facts: Connection) -> None:
    """FAULTS 73: nobody a minute sooner, and returns are no orders."""
    draw(facts, "enrolments", ENROLMENTS)
    draw(facts, "scores", SCORES)
    draw(
        facts,
        "orders",
        """
        ann  d-3   8  no
        ann  d-11  99 no
        ann  d9.9  20 no
        ann  d10   40 no
        bob  d5    -5 yes
        cleo d-1   6  no
        dora d0.5  7  no
        dora d10.5 30 no
        """,
    )
    days, _ = look(facts, 9.9)
    assert [one.matured for one in days] == [0, 0, 0]
    assert sum(one.assigned for one in days) == 4
    days, _ = look(facts, 10)
    challenger = arm(days, "challenger")
    assert (challenger.assigned, challenger.logged, challenger.matured) == (2, 2, 2)
    # Bob has only sent something back: lapsed, and it cost us.
    assert challenger.events == 1
    assert challenger.amount_sum == pytest.approx(0.5 * (20 - 5))
    assert challenger.covariate_sum == pytest.approx(0.5 * 8)
    assert challenger.cross_sum == pytest.approx(10 * 4)
    assert arm(days, "champion").events == 1
    assert arm(days, "champion", day=1).matured == 0
    days, _ = look(facts, 11)
    dora = arm(days, "champion", day=1)
    assert (dora.matured, dora.events) == (1, 0)
    # What she ordered on the day before she came in is of before.
    assert (dora.amount_sum, dora.covariate_sum) == (15.0, 3.5)


def test_first_events_of_guardrails(facts: Connection) -> None:
    draw(facts, "enrolments", ENROLMENTS)
    draw(facts, "scores", SCORES)
    draw(facts, "orders", "ann d2.5 8 no\ncleo d0.5 8 no\ndora d3.9 8 no")
    draw(
        facts,
        "tickets",
        """
        ann  d-1  yes
        ann  d2.2 yes
        ann  d2.9 yes
        bob  d2.5 no
        bob  d3   -
        cleo d8   yes
        """,
    )
    draw(facts, "contacts", "cleo d1 d1.5\ncleo d1 -\nbob d0 d9")
    _, guardrails = look(facts, 6)
    found = {
        (one.guardrail, (one.day - START.date()).days): (
            one.champion_at_risk,
            one.challenger_at_risk,
            one.champion_events,
            one.challenger_events,
        )
        for one in guardrails
    }
    assert found == {
        # Ann's before she came in is none, her second is no first one; Cleo's is still to come.
        ("complaints", 2): (2, 2, 0, 1),
        ("opt_outs", 1): (2, 2, 1, 0),
        # Bob was to be served by the challenger and has the champion's score.
        ("errors", 0): (1, 2, 0, 1),
        # Bob has not ordered three days after he came in.
        ("early_signs", 3): (2, 2, 0, 1),
    }


@pytest.mark.faults(72)
def test_who_strayed_into_the_other_arm_is_left_out(facts: Connection) -> None:
    """FAULTS 72."""
    draw(facts, "enrolments", ENROLMENTS + "ann r champion 0 10 d0 yes no s0")
    draw(facts, "scores", SCORES + "cleo s1 new d1")
    days, _ = look(facts, 6)
    assert {(one.arm, one.assigned) for one in days} == {("challenger", 1), ("champion", 1)}
    crossed = facts.rows("select customer_id from enrolled where is_crossed order by 1")
    assert [row["customer_id"] for row in crossed] == ["ann", "cleo"]


def test_an_exposure_that_cannot_be_read_back_is_not_logged(facts: Connection) -> None:
    draw(facts, "enrolments", ENROLMENTS)
    draw(facts, "scores", "ann s0 new d0\ncleo s0 old d0")
    days, _ = look(facts, 2)
    assert [(one.arm, one.assigned, one.logged) for one in days] == [
        ("challenger", 2, 1),
        ("champion", 1, 1),
        ("champion", 1, 0),
    ]
    draw(facts, "contacts", "dora d1.5 -")
    days, _ = look(facts, 2, exposure="contacted")
    assert [one.logged for one in days] == [0, 0, 1]


@pytest.mark.faults(74)
def test_a_feed_that_ends_for_one_arm(facts: Connection) -> None:
    """FAULTS 74: how many should have ordered since, by the arm's own rate."""
    for number in range(40):
        side = "challenger" if number % 2 else "champion"
        draw(facts, "enrolments", f"c{number} r {side} 0 1 d0 yes no s0")
        for day in range(-28, 20):
            if (number + day) % 10 < 2 and not (side == "challenger" and day >= 12):
                draw(facts, "orders", f"c{number} d{day}.5 5 no")
    look(facts, 20)
    names = {name: name for name in TYPES}
    rows = facts.rows(
        facts.text(SQL / "arm_feed.sql", names=names), {"as_of": at(20), "rate_days": 28}
    )
    silent = {row["arm"]: row["orders_a_day"] * row["silent_days"] for row in rows}
    assert silent["champion"] == 0
    assert silent["challenger"] == pytest.approx(8 * 4, rel=0.2)


@pytest.mark.faults(72)
def test_groups_are_served_by_the_start_of_a_hash(facts: Connection) -> None:
    """Who fell back counts as an error of the challenger, who strayed is left out."""
    new, old = "ab" * 32, "cd" * 32
    facts.execute(
        "create table groups (customer_id varchar, run_id varchar, segmentation_id varchar,"
        " as_of timestamptz)"
    )
    draw(facts, "enrolments", ENROLMENTS)
    draw(
        facts,
        "groups",
        f"""
        ann  s0 {new[:16]} d0
        bob  s0 {old[:16]} d0
        cleo s0 {old[:16]} d0
        dora s1 {new[:16]} d1
        dora s1 {old[:16]} d1
        eve  s9 {new[:16]} d1
        """,
    )
    served = f"({facts.text(SQL / 'served_groups.sql', names={'groups': 'groups'})})"
    days, guardrails = look(facts, 10, relations={"scores": served}, challenger_hash=new)
    # Dora is the champion's by the hash, and was grouped by the challenger: she is left out.
    assert {(one.arm, one.assigned, one.logged) for one in days} == {
        ("challenger", 2, 2),
        ("champion", 1, 1),
    }
    errors = [one for one in guardrails if one.guardrail == "errors"]
    assert [(one.challenger_events, one.champion_events) for one in errors] == [(1, 0)]
