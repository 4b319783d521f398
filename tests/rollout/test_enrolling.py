"""Who comes into a rollout of contacts, and when: the customers and their contacts as text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.rollout.recording import SQL
from tasks.warehouse import Connection, scratch
from tests.rollout.test_outcomes import TYPES, at, draw

pytestmark = pytest.mark.sql

TURN = """
ann  challenger 0 10   yes
bob  champion   0 9000 yes
cleo challenger 1 900  yes
dora champion   1 9001 yes
eve  challenger 2 4000 no
"""
CONTACTS = (
    "customer_id varchar, contact_id varchar, contacted_at timestamptz, received_at timestamptz,"
    " batch_number integer, row_number bigint"
)


@pytest.fixture
def rollout() -> Iterator[Connection]:
    with scratch() as connection:
        connection.execute("attach ':memory:' as lake")
        connection.execute("create schema lake.ledger")
        connection.execute(f"create table lake.ledger.enrolments ({TYPES['enrolments']})")
        connection.execute(
            "create temporary table turn"
            " (customer_id varchar, arm varchar, stage integer, bucket integer, is_counted boolean)"
        )
        connection.execute(f"create table contacts ({CONTACTS})")
        draw(connection, "turn", TURN)
        yield connection


def contact(connection: Connection, text: str) -> None:
    """Lines of `customer contact contacted [received]`; a later line is a later batch."""
    for number, line in enumerate(text.strip().splitlines()):
        cells = line.split()
        received = cells[3] if len(cells) > 3 else cells[2]
        draw(connection, "contacts", f"{' '.join(cells[:3])} {received} {number} {number}")


def enrol(connection: Connection, day: float) -> None:
    """The night of a day; stages begin on days 0, 10 and 20."""
    values: dict[str, Any] = {
        "rollout_id": "r",
        "as_of": at(day),
        "stages_since": [at(0), at(10), at(20)],
    }
    connection.run(SQL / "enrol_contacted.sql", values, names={"contacts": "contacts"})


def read(connection: Connection) -> dict[str, datetime]:
    return {
        row["customer_id"]: row["entered_at"].astimezone(UTC)
        for row in connection.rows(
            "select customer_id, entered_at from lake.ledger.enrolments where rollout_id = 'r'"
        )
    }


def test_one_comes_in_on_the_day_of_the_first_contact_of_ones_stage(rollout: Connection) -> None:
    contact(
        rollout,
        """
        ann  k1 d-2
        ann  k2 d3.6
        ann  k3 d5
        bob  k4 d-1
        cleo k5 d9
        cleo k6 d12.2
        eve  k7 d25
        """,
    )
    enrol(rollout, 30)
    # Ann's first of the rollout, not of before; Bob's was too early and Dora had none; Cleo's
    # counts from her own stage on, and Eve's turn has not come.
    assert read(rollout) == {"ann": at(3), "cleo": at(12)}
    (row,) = rollout.rows("from lake.ledger.enrolments where customer_id = 'cleo'")
    assert (row["arm"], row["stage"], row["bucket"]) == ("challenger", 1, 900)
    assert (row["exposed"], row["fell_back"], row["scoring_id"]) == (True, False, None)


def test_the_moment_of_a_stage_counts_and_that_of_the_night_does_not(rollout: Connection) -> None:
    contact(rollout, "ann k1 d0\nbob k2 d8\ncleo k3 d10\ndora k4 d8")
    enrol(rollout, 8)
    assert read(rollout) == {"ann": at(0)}
    enrol(rollout, 10.5)
    assert read(rollout) == {"ann": at(0), "bob": at(8), "cleo": at(10)}


def test_once_in_one_stays_as_one_came(rollout: Connection) -> None:
    contact(rollout, "ann k1 d4")
    enrol(rollout, 5)
    # A contact of before comes in late: it moves nobody, and nobody comes in twice.
    contact(rollout, "ann k0 d2 d6\nbob k9 d6")
    enrol(rollout, 7)
    enrol(rollout, 7)
    assert read(rollout) == {"ann": at(4), "bob": at(6)}
    assert rollout.scalar("select count(*) from lake.ledger.enrolments") == 2


def test_another_rollouts_customers_come_in_as_well(rollout: Connection) -> None:
    draw(rollout, "lake.ledger.enrolments", "ann q champion 0 10 d1 yes no -")
    contact(rollout, "ann k1 d4")
    enrol(rollout, 5)
    assert read(rollout) == {"ann": at(4)}


def test_of_a_contact_sent_again_the_newest_version_counts(rollout: Connection) -> None:
    contact(rollout, "ann k1 d-1 d0\nann k1 d2 d3\nbob k2 d4 d4\nbob k2 d-4 d5")
    enrol(rollout, 6)
    assert read(rollout) == {"ann": at(2)}
