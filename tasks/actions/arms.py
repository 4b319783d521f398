"""A list in two arms: the challenger's customers by its policy, the others by the champion's.

Each arm is a list of its own: money and the caps of actions are divided in proportion to the
customers who may be contacted, so that neither arm is starved and people at the phones get no more
calls than they can make. Only the list of those who may leave is divided. Who is gone has one list
for all, else who comes back would be counted more often in one arm than in the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.actions.choosing import Choice
from tasks.findings import ListArm

if TYPE_CHECKING:
    from tasks.handles import ArmListing
    from tasks.warehouse import Lake

_SQL = Path(__file__).with_name("sql")
_CENT = Decimal("0.0001")
CHALLENGERS = "challenger_person"


@dataclass(frozen=True, slots=True)
class Part:
    """What one arm has: `customers` who may be contacted, of `of_customers` in both."""

    customers: int
    of_customers: int

    def of_money(self, amount: Decimal) -> Decimal:
        """This part of an amount, never more."""
        if not self.of_customers:
            return Decimal(0)
        return (amount * self.customers / self.of_customers).quantize(_CENT, ROUND_DOWN)

    def of_count(self, count: int) -> int:
        """This part of a number of contacts, never more."""
        return count * self.customers // self.of_customers if self.of_customers else 0


@dataclass(frozen=True, slots=True)
class ArmChoice:
    """What one arm had, and what it came to."""

    part: Part
    budget_amount: Decimal
    choice: Choice


def divide_customers(lake: Lake, challenger: ArmListing, champions: str) -> tuple[Part, Part]:
    """Leave each customer in the table of their arm: the champion's part, and the challenger's.

    Both tables hold everybody, as each policy sees them: bands are those of all customers.
    """
    challenger.divide(lake, champions)
    names = {"champions": champions, "challengers": CHALLENGERS}
    lake.run(_SQL / "divide.sql", names=names)
    counted = lake.one(lake.text(_SQL / "arm_sizes.sql", names=names))
    total = int(counted["champions"]) + int(counted["challengers"])
    return Part(int(counted["champions"]), total), Part(int(counted["challengers"]), total)


def rank_anew(lake: Lake) -> None:
    """One order over both arms' rows of `action_row`."""
    lake.run(_SQL / "rank_anew.sql")


def add_choices(one: Choice, other: Choice) -> Choice:
    """Both arms as one list."""
    reasons = sorted({*one.left_alone, *other.left_alone})
    return Choice(
        customers=one.customers + other.customers,
        held_out=one.held_out + other.held_out,
        cost_amount=one.cost_amount + other.cost_amount,
        gain_amount=one.gain_amount + other.gain_amount,
        bound_amount=one.bound_amount + other.bound_amount,
        left_alone={
            reason: one.left_alone.get(reason, 0) + other.left_alone.get(reason, 0)
            for reason in reasons
        },
    )


def describe_arms(
    challenger: ArmListing, champion_version: str, arms: tuple[ArmChoice, ArmChoice]
) -> tuple[ListArm, ...]:
    """Both arms as the findings have them, the champion's first."""
    return tuple(
        ListArm(
            arm="challenger" if place else "champion",
            rollout_id=challenger.rollout_id,
            policy_version=challenger.version if place else champion_version,
            customers=one.part.customers,
            listed_customers=one.choice.customers,
            budget_amount=one.budget_amount,
            planned_cost_amount=one.choice.cost_amount,
            expected_return_amount=one.choice.gain_amount,
        )
        for place, one in enumerate(arms)
    )
