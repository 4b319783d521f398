"""The knapsack: budget and caps are kept, and little is lost against the best list there is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.actions.choosing import Choice, choose_actions
from tasks.warehouse import Connection, scratch

pytestmark = pytest.mark.sql

# action -> (contact cost, offer cost, accept share, cap)
Offers = dict[str, tuple[str, str, float, int | None]]


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with scratch(threads=1) as opened:
        yield opened


def stage(
    connection: Connection,
    people: Sequence[tuple[float, float, bool]],
    offers: Offers,
) -> None:
    """People as (probability, value, held out); every action is allowed to everybody."""
    amount = pa.decimal128(18, 4)
    tables = {
        "person": pa.table(
            {
                "person_number": pa.array(range(len(people)), pa.int64()),
                "customer_id": [f"c{number}" for number in range(len(people))],
                "tie": [f"{number:03d}" for number in range(len(people))],
                "probability": pa.array([p for p, _, _ in people], pa.float64()),
                "value_amount": pa.array([Decimal(str(v)) for _, v, _ in people], amount),
                "held_out": [held for *_, held in people],
            }
        ),
        "policy_offer": pa.table(
            {
                "action": list(offers),
                "contact_cost_amount": pa.array([Decimal(o[0]) for o in offers.values()], amount),
                "offer_cost_amount": pa.array([Decimal(o[1]) for o in offers.values()], amount),
                "accept_share": [o[2] for o in offers.values()],
                "maximum_contacts": pa.array([o[3] for o in offers.values()], pa.int64()),
            }
        ),
        "policy_rule": pa.table({"action": list(offers)}),
    }
    for name, rows in tables.items():
        connection.load_arrow("rows", rows)
        connection.execute(f"create or replace temporary table {name} as from rows")
        connection.drop_arrow("rows")
    connection.execute(
        "alter table person add column segment_id varchar;"
        "alter table person add column segment_name varchar;"
        "alter table person add column driver varchar;"
        "alter table person add column risk_band varchar default 'high';"
        "alter table person add column value_band varchar default 'high';"
        "alter table person add column silent_days integer;"
        "alter table person add column opted_out boolean default false;"
        "alter table person add column contacted_lately boolean default false;"
        "alter table policy_rule add column segments varchar[] default [];"
        "alter table policy_rule add column risk varchar[] default [];"
        "alter table policy_rule add column reasons varchar[] default [];"
        "alter table policy_rule add column value varchar[] default [];"
        "alter table policy_rule add column longest_silence_days integer;"
        "create or replace temporary table own_uplift (customer_id varchar, action varchar,"
        " gain_share double, gain_amount double);"
        "create or replace temporary table policy_effect (action varchar, segment_id varchar,"
        " driver varchar, level integer, gain_share double, gain_amount double)"
    )


def gain(person: tuple[float, float, bool], offer: tuple[str, str, float, int | None]) -> float:
    probability, value, _ = person
    contact, cost, accept = float(offer[0]), float(offer[1]), offer[2]
    return probability * (accept * (value - cost) - contact) - (1 - probability) * (cost + contact)


def cost(offer: tuple[str, str, float, int | None]) -> Decimal:
    return Decimal(offer[0]) + Decimal(offer[1])


def best_by_trying(
    people: Sequence[tuple[float, float, bool]], offers: Offers, budget: Decimal
) -> float:
    """The best list there is, by looking at every one."""
    best = 0.0
    for plan in itertools.product([None, *offers], repeat=len(people)):
        taken = [(one, offers[a]) for one, a in zip(people, plan, strict=True) if a is not None]
        if sum((cost(offer) for _, offer in taken), Decimal(0)) > budget:
            continue
        if any(
            offer[3] is not None and plan.count(name) > offer[3] for name, offer in offers.items()
        ):
            continue
        best = max(best, sum(gain(one, offer) for one, offer in taken))
    return best


def check(connection: Connection, choice: Choice, offers: Offers, budget: Decimal) -> None:
    """What holds of every list."""
    assert choice.cost_amount <= budget
    taken = connection.rows("select action, cost, gain, held_out from chosen")
    assert all(row["gain"] > 0 for row in taken)
    contacted = [row["action"] for row in taken if not row["held_out"]]
    assert choice.customers == len(contacted)
    for name, offer in offers.items():
        assert offer[3] is None or contacted.count(name) <= offer[3]
    people = int(connection.scalar("select count(*) from person"))
    assert choice.customers + sum(choice.left_alone.values()) == people


def test_a_dearer_action_goes_where_it_brings_more(connection: Connection) -> None:
    offers: Offers = {"mail": ("1", "0", 0.1, None), "call": ("10", "0", 0.3, None)}
    stage(connection, [(1.0, 1000, False), (1.0, 100, False), (1.0, 40, False)], offers)
    choice = choose_actions(connection, Decimal(13))
    rows = connection.rows("select person_number, action from chosen order by person_number")
    assert [row["action"] for row in rows] == ["call", "mail", "mail"]
    check(connection, choice, offers, Decimal(13))
    assert choice.cost_amount == 12
    assert choice.gain_amount == Decimal("290") + 9 + 3


def test_a_full_action_keeps_its_best_and_the_others_fall_back(connection: Connection) -> None:
    offers: Offers = {"mail": ("1", "0", 0.1, None), "call": ("10", "0", 0.3, 1)}
    people = [(1.0, 500, False), (1.0, 900, False), (1.0, 700, False)]
    stage(connection, people, offers)
    choice = choose_actions(connection, Decimal(100))
    rows = connection.rows("select person_number, action from chosen order by person_number")
    assert [row["action"] for row in rows] == ["mail", "call", "mail"]
    check(connection, choice, offers, Decimal(100))


def test_what_the_first_choice_is_too_dear_for_pays_for_cheaper_ones(
    connection: Connection,
) -> None:
    offers: Offers = {"call": ("10", "0", 0.5, None)}
    stage(connection, [(1.0, 1000, False), (1.0, 900, False)], offers)
    assert choose_actions(connection, Decimal("9.99")).customers == 0
    offers = {"mail": ("3", "0", 0.001, None), "call": ("10", "0", 0.5, None)}
    people = [(1.0, 1000, False), (1.0, 900, False), (1.0, 5000, False)]
    stage(connection, people, offers)
    choice = choose_actions(connection, Decimal(13))
    check(connection, choice, offers, Decimal(13))
    assert choice.gain_amount == 2490


def test_held_out_customers_take_places_in_the_order_and_cost_nothing(
    connection: Connection,
) -> None:
    offers: Offers = {"mail": ("1", "4", 0.3, 3)}
    people = [(0.9, 1000 - 10 * number, number % 3 == 0) for number in range(12)]
    stage(connection, people, offers)
    choice = choose_actions(connection, Decimal(15))
    rows = connection.rows("select person_number from chosen order by person_number")
    # Three are paid for (1, 2, 4), and of those held out the ones who stand among or beside them.
    assert [row["person_number"] for row in rows] == [0, 1, 2, 3, 4]
    assert (choice.customers, choice.held_out) == (3, 2)
    check(connection, choice, offers, Decimal(15))


AMOUNT = st.integers(0, 12).map(str)
OFFERS = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.tuples(
        st.integers(1, 8).map(str),
        AMOUNT,
        st.sampled_from([0.05, 0.2, 0.5, 0.9]),
        st.one_of(st.none(), st.integers(1, 3)),
    ),
    min_size=1,
)
PEOPLE = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 0.5, 0.5, 1.0]),
        st.sampled_from([0.0, 5.0, 20.0, 20.0, 55.5, 300.0]),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(people=PEOPLE, offers=OFFERS, budget=st.integers(1, 60))
def test_against_every_list_there_is(
    connection: Connection,
    people: list[tuple[float, float, bool]],
    offers: Offers,
    budget: int,
) -> None:
    money = Decimal(budget)
    stage(connection, people, offers)
    choice = choose_actions(connection, money)
    check(connection, choice, offers, money)
    asked = [one for one in people if not one[2]]
    best = best_by_trying(asked, offers, money)
    assert float(choice.gain_amount) <= best + 1e-3
    assert float(choice.bound_amount) >= best - 1e-3
    if all(offer[3] is None for offer in offers.values()):
        # What is lost is less than the last step.
        steps = [gain(one, offer) for one in asked for offer in offers.values()]
        assert float(choice.gain_amount) >= best - max([0.0, *steps]) - 1e-3
    again = choose_actions(connection, money)
    assert again == choice
