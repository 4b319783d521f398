"""Before a rollout starts: what its customers can answer, how long it takes, and when to say no."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.errors import UsageError
from tasks.rollout.judging import LEAST_EXPECTED
from tasks.rollout.plan import Metric, Plan, normal_reach

# No rollout is planned for longer than three years.
_LONGEST_DAYS = 1_095


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the metric looks like without a challenger.

    `lapse_share`: `base_share` of the customers lapse in a horizon. `margin_amount`: the amounts of
    a horizon have `standard_deviation`, of whose square the period before explains
    `explained_share` (the squared correlation, which CUPED takes out).
    """

    metric: Metric
    base_share: float | None = None
    standard_deviation: float | None = None
    explained_share: float = 0.0

    @property
    def variance(self) -> float:
        """Of one customer's outcome, as far as it is not known before. Raises UsageError (64)."""
        if self.metric == "lapse_share":
            if self.base_share is None or not 0 < self.base_share < 1:
                raise UsageError(
                    "The planner needs the share of customers who lapse, between 0 and 1.",
                    next_step="Train or score once: the report says which share lapses.",
                )
            return self.base_share * (1 - self.base_share)
        if self.standard_deviation is None or self.standard_deviation <= 0:
            raise UsageError(
                "The planner needs the standard deviation of a customer's margin, above 0.",
                next_step="Take it from the last matured horizon.",
            )
        return self.standard_deviation**2 * (1 - self.explained_share)


@dataclass(frozen=True, slots=True)
class CustomerBase:
    """Who can be enrolled: `customers` now, outside the hold-out, and `new_daily` more a day.

    `exposed_daily` is how many of all are scored or contacted in a day; None: everybody every day.
    """

    customers: int
    new_daily: float = 0.0
    exposed_daily: float | None = None


@dataclass(frozen=True, slots=True)
class Feasibility:
    """What the planner says. `days` until the last outcome is judged, None if that never comes."""

    can_answer: bool
    sentence: str
    needed_customers: int
    smallest_effect: float
    days: int | None
    expected_in_smaller_arm: float


def needed_customers(
    effect: float,
    variance: float,
    challenger_share: float,
    *,
    alpha: float = 0.05,
    sides: Literal[1, 2] = 2,
    power: float = 0.8,
) -> int:
    """Of both arms together, by the normal formula of a fixed test, `alpha` over all sides.

    As many are planned for a sequential test, whose power is then about a point less.
    """
    reach = normal_reach(alpha / sides, power)
    spread = variance / (challenger_share * (1 - challenger_share))
    return math.ceil(reach**2 * spread / effect**2)


def smallest_effect(
    customers: int,
    variance: float,
    challenger_share: float,
    *,
    alpha: float = 0.05,
    sides: Literal[1, 2] = 2,
    power: float = 0.8,
) -> float:
    """The effect that so many customers detect; the reverse of `needed_customers`."""
    spread = variance / (challenger_share * (1 - challenger_share))
    return normal_reach(alpha / sides, power) * math.sqrt(spread / customers)


def assess(
    outlook: Outlook,
    base: CustomerBase,
    *,
    minimum_effect: float,
    horizon_days: int,
    stages: Sequence[float],
    minimum_stage_days: int,
    alpha: float = 0.05,
    sides: Literal[1, 2] = 2,
    power: float = 0.8,
    look_every_days: int = 7,
    earliest_decision_days: int = 14,
    arrival_days: int = 0,
    longest_days: int = _LONGEST_DAYS,
) -> Feasibility:
    """Whether the base can show an effect, and when; `arrival_days` is how late outcomes come.

    `longest_days` is the longest that anybody would wait. Raises UsageError (64) if the outlook
    lacks what its metric needs.
    """
    share = stages[-1]
    variance = outlook.variance
    needed = needed_customers(
        minimum_effect, variance, share, alpha=alpha, sides=sides, power=power
    )
    last_entry = longest_days - horizon_days - arrival_days
    by_day = [
        _enrolled(base, stages, minimum_stage_days, day) for day in range(max(last_entry, 0) + 1)
    ]
    reachable = max(by_day[-1], 1.0)
    detectable = smallest_effect(
        int(reachable), variance, share, alpha=alpha, sides=sides, power=power
    )
    entered = next((day for day, number in enumerate(by_day) if number >= needed), None)
    days = None
    if entered is not None:
        matured = max(entered + horizon_days + arrival_days, earliest_decision_days)
        # Looks are made every so many days: the last one is that which sees everybody.
        days = look_every_days * math.ceil((matured + 1) / look_every_days)
    rarest = 1.0
    if outlook.metric == "lapse_share" and outlook.base_share is not None:
        rarest = min(outlook.base_share, 1 - outlook.base_share)
    smaller = min(needed, reachable) * min(share, 1 - share) * rarest
    enough = smaller >= LEAST_EXPECTED
    return Feasibility(
        can_answer=days is not None and enough,
        sentence=_sentence(
            outlook, int(reachable), detectable, minimum_effect, needed, days, smaller
        ),
        needed_customers=needed,
        smallest_effect=detectable,
        days=days,
        expected_in_smaller_arm=smaller,
    )


def require_feasible(found: Feasibility) -> Feasibility:
    """The same, or UsageError (64) that says what could be answered instead."""
    if not found.can_answer:
        raise UsageError(
            "This rollout could not be answered.",
            found=found.sentence,
            next_step="Ask for a larger effect, a larger final share, or wait for more customers.",
        )
    return found


def assess_plan(
    plan: Plan, outlook: Outlook, base: CustomerBase, *, arrival_days: int = 0
) -> Feasibility:
    """As `assess`, of a plan that is written already and of its `maximum_days`."""
    return assess(
        outlook,
        base,
        minimum_effect=plan.minimum_effect,
        horizon_days=plan.horizon_days,
        stages=plan.stages,
        minimum_stage_days=plan.minimum_stage_days,
        alpha=plan.alpha,
        sides=plan.sides,
        power=plan.power,
        look_every_days=plan.look_every_days,
        earliest_decision_days=plan.earliest_decision_days,
        arrival_days=arrival_days,
        longest_days=plan.maximum_days,
    )


def _enrolled(
    base: CustomerBase, stages: Sequence[float], minimum_stage_days: int, day: int
) -> float:
    """Customers of both arms who have entered the analysis by the end of a day, from 0 on."""
    total = 0.0
    former = 0.0
    known = base.customers + base.new_daily * day
    for number, share in enumerate(stages):
        since = day - number * minimum_stage_days
        part = (share - former) / stages[-1]
        former = share
        if since < 0:
            break
        seen = known
        if base.exposed_daily is not None:
            seen = min(known, base.exposed_daily * (since + 1))
        total += part * seen
    return total


def _sentence(
    outlook: Outlook,
    reachable: int,
    detectable: float,
    effect: float,
    needed: int,
    days: int | None,
    smaller: float,
) -> str:
    """`8,000 customers at 6 % churn detect 1.5 points; 0.5 points need about 71,000.`"""
    who = f"{reachable:,} customers"
    if outlook.metric == "lapse_share" and outlook.base_share is not None:
        who += f" at {100 * outlook.base_share:.3g} % churn"
    # Where two digits say the same of both, a third tells them apart.
    digits = 2 if f"{detectable:.2g}" != f"{effect:.2g}" else 3
    said = (
        f"{who} detect {_effect(outlook, detectable, digits)};"
        f" {_effect(outlook, effect, digits)} need about {_about(needed):,}"
    )
    if smaller < LEAST_EXPECTED:
        return (
            f"{said}, of whom {smaller:.1f} outcomes are expected in the smaller arm"
            f" where {LEAST_EXPECTED:g} are needed."
        )
    if days is None:
        return f"{said}."
    return f"{said}: judged on day {days}."


def _effect(outlook: Outlook, value: float, digits: int) -> str:
    if outlook.metric == "lapse_share":
        return f"{100 * value:.{digits}g} points"
    return f"{value:.3g} a customer"


def _about(number: int) -> int:
    """Two digits are enough of a forecast."""
    return round(number, 2 - len(str(number))) if number >= 100 else number
