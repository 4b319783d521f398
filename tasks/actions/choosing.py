"""Who gets which action: the multiple-choice knapsack, solved greedily in SQL.

Each customer may get one action; each action costs (worst case: everybody takes the offer) and is
expected to bring something. Of a customer's actions only those on the upper hull of (cost, gain)
matter; all steps up those hulls, of all customers, are taken in order of what they bring for the
money until it is spent (Sinha and Zoltners 1979). So a dearer action goes only to whom it brings
more than a first contact would bring elsewhere. The list falls short of the best fractional one by
less than the step at which the money ended; what is left then pays for cheaper first contacts.

An action that more customers were given than its cap allows keeps the best of them, the others
choose again without it; after at most as many rounds as there are actions, all caps hold. Equal
steps are ordered by a hash of the id: the list is the same each time and favours nobody by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import InternalError
from tasks.offers import LEAVE_ALONE

if TYPE_CHECKING:
    from tasks.warehouse import Connection

_SQL = Path(__file__).with_name("sql")


@dataclass(frozen=True, slots=True)
class Choice:
    """What one list came to; amounts without those held out.

    `bound_amount` is what no list within the budget can exceed: the best fractional, without caps.

    `left_alone` counts the customers who are not contacted, by the first reason that holds.
    """

    customers: int
    held_out: int
    cost_amount: Decimal
    gain_amount: Decimal
    bound_amount: Decimal
    left_alone: dict[str, int]


def choose_actions(connection: Connection, budget_amount: Decimal) -> Choice:
    """Choose for the customers of `person` by `policy_offer`, `policy_rule` and `policy_effect`.

    Leaves the temporary tables `chosen`: (person_number, held_out, action, cost, gain, ...), one
    row a customer who is contacted or held out, and `evidence`, what each gain rests on. Never
    spends more than the budget, keeps every cap and takes nothing that is not expected to bring
    more than it costs.
    """
    values = {"leave_alone": LEAVE_ALONE, "money": budget_amount}
    connection.run(_SQL / "fitting.sql")
    connection.run(_SQL / "evidence.sql")
    connection.run(_SQL / "candidate.sql", values)
    connection.execute(
        "create or replace temporary table candidate_left as"
        " select * from candidate where cost <= $money::decimal(38, 4)",
        values,
    )
    actions = int(connection.scalar("select count(*) from policy_offer"))
    bound: Decimal | None = None
    for _ in range(actions + 1):
        _spend(connection, budget_amount)
        if bound is None:
            # Before caps bind, so that no list whatever brings more.
            bound = Decimal(connection.scalar(connection.text(_SQL / "bound.sql"), values))
        full = [row["action"] for row in connection.rows(connection.text(_SQL / "over_cap.sql"))]
        if not full:
            break
        connection.run(_SQL / "keep_to_cap.sql", {"full_actions": full})
    else:
        raise InternalError("The caps of the actions could not be kept.", found=", ".join(full))
    left = connection.rows(connection.text(_SQL / "left_alone.sql"), values)
    found = connection.one(
        "select count(*) filter (not held_out) as customers,"
        " count(*) filter (held_out) as held_out,"
        " coalesce(sum(cost) filter (not held_out), 0)::decimal(18, 4) as cost_amount,"
        " coalesce(sum(gain) filter (not held_out), 0)::decimal(18, 4) as gain_amount from chosen"
    )
    return Choice(
        **found,
        bound_amount=max(bound or Decimal(0), found["gain_amount"]),
        left_alone={row["reason"]: int(row["customers"]) for row in left},
    )


def _spend(connection: Connection, budget_amount: Decimal) -> None:
    """Take steps while the money lasts; then first steps that the rest still pays for."""
    connection.run(_SQL / "step_up.sql")
    connection.run(_SQL / "taken.sql")
    connection.run(_SQL / "take.sql", {"money": budget_amount, "filling": False})
    before = -1
    while (contacted := _count_contacted(connection)) > before:
        before = contacted
        spent = connection.scalar(
            "select coalesce(sum(step_cost), 0) from taken where not held_out"
        )
        connection.run(
            _SQL / "take.sql", {"money": budget_amount - Decimal(spent), "filling": True}
        )
    connection.run(_SQL / "chosen.sql")


def _count_contacted(connection: Connection) -> int:
    return int(connection.scalar("select count(*) from taken where not held_out"))
