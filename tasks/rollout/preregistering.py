"""A plan from the settings and the facts: what is compared, on what, and for how long it takes.

The figures that a plan rests on (how many customers, how many of them lapse, what they spend) are
those of customers who were active a horizon ago. What cannot be answered with them is refused,
before anybody is moved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tasks.errors import ConfigurationError, UsageError
from tasks.rollout.plan import Contender, Guardrail, Metric, Plan, Subject
from tasks.rollout.planning import (
    CustomerBase,
    Feasibility,
    Outlook,
    assess_plan,
    require_feasible,
)
from tasks.rollout.recording import SQL, FrozenPolicies, Rollout, Terms, list_rollouts
from tasks.visibility import supersessions, visible

if TYPE_CHECKING:
    from tasks.settings import Settings
    from tasks.warehouse import Lake

# Customers may come slower than was forecast: the last look waits so many times as long, and no
# longer, for what comes after that would hardly move it.
_WAIT_RATIO = 1.25
# What a guardrail is counted in; one whose table no source brings could never be seen to break.
_GUARDRAIL_TABLES = {"complaints": "tickets", "opt_outs": "contacts"}


@dataclass(frozen=True, slots=True)
class BaseRates:
    """What customers active a horizon ago have done since; amounts are margins a customer.

    `customers` are active now, held out or not, and `new_daily` more come a day.
    """

    customers: int
    new_daily: float
    lapse_share: float
    amount_mean: float
    amount_deviation: float
    correlation: float


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks of a plan other than the settings say; None: as they say."""

    name: str | None = None
    metric: Metric | None = None
    minimum_effect: float | None = None
    stages: tuple[float, ...] | None = None


def read_rates(lake: Lake, as_of: datetime, known_by: datetime) -> BaseRates:
    """The figures of a plan, of customers held out and not."""
    settings = lake.settings
    snapshot = lake.snapshot()
    row = lake.one(
        lake.text(
            SQL / "base_rates.sql",
            names={"orders": visible("orders", snapshot, supersessions(lake, snapshot, "orders"))},
        ),
        {
            "as_of": as_of,
            "begin": as_of - timedelta(days=settings.features.horizon_days),
            "known_by": known_by,
            "horizon_days": settings.features.horizon_days,
            "activity_window_days": settings.features.activity_window_days,
            "margin_share": settings.economics.margin_share,
        },
    )
    return BaseRates(**row)


def make_plan(
    lake: Lake, subject: Subject, champion: Contender, challenger: Contender, wish: Wish
) -> Plan:
    """The plan as the settings and the wish have it. Raises ConfigurationError (78)."""
    settings = lake.settings
    rollout = settings.rollout
    demand_supported(settings)
    if champion.content_hash == challenger.content_hash:
        raise UsageError("Champion and challenger are the same; there is nothing to find out.")
    try:
        return Plan(
            rollout_id=wish.name or _name(lake, subject, challenger),
            subject=subject,
            champion=champion,
            challenger=challenger,
            metric=wish.metric or rollout.metric,
            minimum_effect=wish.minimum_effect or rollout.minimum_effect,
            alpha=rollout.alpha,
            sides=rollout.sides,
            power=rollout.power,
            horizon_days=settings.features.horizon_days,
            stages=wish.stages or rollout.stages,
            minimum_stage_days=rollout.minimum_stage_days,
            exposure=rollout.exposure,
            guardrails=_guardrails(settings, subject),
            harm_alpha=rollout.harm_alpha,
            sample_ratio_alpha=rollout.sample_ratio_alpha,
            minimum_complete_share=rollout.minimum_complete_share,
            look_every_days=rollout.look_every_days,
            maximum_days=rollout.maximum_days,
        )
    except ValidationError as error:
        first = error.errors()[0]
        said = str(first["msg"]).removeprefix("Value error, ")
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"The plan cannot be made{f': `{where}`' if where else ''}: {said}.",
            next_step="change the section `rollout`, or what the command asks for",
        ) from None


def judge_feasible(lake: Lake, plan: Plan, rates: BaseRates) -> Feasibility:
    """How long the plan takes with these customers. Raises UsageError (64) where they are too few.

    The refusal says how many customers it would need, and what so many can show.
    """
    settings = lake.settings
    share = 1 - settings.actions.hold_out_share
    outlook = Outlook(
        metric=plan.metric,
        base_share=rates.lapse_share if plan.metric == "lapse_share" else None,
        standard_deviation=rates.amount_deviation or None,
        explained_share=rates.correlation**2,
    )
    base = CustomerBase(int(rates.customers * share), rates.new_daily * share)
    arrival = math.ceil(settings.clock.known_lag_hours / 24)
    return require_feasible(assess_plan(plan, outlook, base, arrival_days=arrival))


def plan_row(
    lake: Lake,
    plan: Plan,
    rates: BaseRates,
    *,
    champion_decision_id: str,
    offline: Mapping[str, Any] | None,
    challenger_run_id: str | None,
    feasible: Feasibility,
    actor: str,
    policies: FrozenPolicies | None = None,
) -> Rollout:
    """The first row of a rollout, with all that it freezes. `offline` is what the gate found.

    The day of the last look, too, is frozen: a quarter after the day on which the planned customers
    are forecast to be judged, or the settings' `maximum_days`, whichever comes first.
    """
    settings = lake.settings
    plan = plan.model_copy(update={"maximum_days": last_day(plan, feasible.days)})
    found = offline or {}
    terms = Terms(
        champion_decision_id=champion_decision_id,
        hold_out_salt=settings.actions.hold_out_salt,
        hold_out_share=settings.actions.hold_out_share,
        early_days=settings.rollout.early_days,
        margin_share=settings.economics.margin_share,
        currency=settings.economics.currency,
        offline_difference_amount=_number(found.get("difference_amount")),
        offline_low_amount=_number(found.get("low_amount")),
        offline_high_amount=_number(found.get("high_amount")),
        planned_days=feasible.days,
        base_rate=rates.lapse_share if plan.metric == "lapse_share" else rates.amount_mean,
        challenger_run_id=challenger_run_id,
        policies=policies,
    )
    return Rollout(
        plan=plan,
        terms=terms,
        state="planned",
        row_kind="plan",
        row_number=1,
        reason=f"{feasible.sentence.removesuffix('.')}, on day {plan.maximum_days} at the latest.",
        actor=actor,
        evidence={
            "rates": asdict(rates),
            "needed_customers": feasible.needed_customers,
            "smallest_effect": feasible.smallest_effect,
            "days": feasible.days,
        },
    )


def last_day(plan: Plan, planned_days: int | None) -> int:
    """The day of the last look of a plan whose customers are forecast for day `planned_days`."""
    if planned_days is None:
        return plan.maximum_days
    looks = math.ceil(_WAIT_RATIO * planned_days / plan.look_every_days)
    forecast = max(plan.earliest_possible_days, looks * plan.look_every_days)
    return min(plan.maximum_days, forecast)


def demand_supported(settings: Settings) -> None:
    """Raise UsageError (64) for what could not be served or judged here."""
    if settings.features.outcome != "lapse":
        raise UsageError(
            "A rollout cannot be judged here.",
            found=(
                f"`features.outcome: {settings.features.outcome}`: outcomes of a rollout are read"
                " from orders"
            ),
            available=["lapse"],
        )


def _guardrails(settings: Settings, subject: Subject) -> tuple[Guardrail, ...]:
    delivered = {source.table for source in settings.intake.sources.values()}
    return tuple(
        Guardrail(name=name, tolerance_ratio=ratio)
        for name, ratio in settings.rollout.guardrails.items()
        if (name not in _GUARDRAIL_TABLES or _GUARDRAIL_TABLES[name] in delivered)
        and (name != "errors" or subject != "actions")
    )


def _name(lake: Lake, subject: Subject, challenger: Contender) -> str:
    """`churn-v5`, or `churn-v5-2` where that was used: an id is a salt, and never used twice."""
    used = {one.rollout_id for one in list_rollouts(lake)}
    mark = "v" if challenger.version.isdecimal() else ""
    plain = f"{subject}-{mark}{challenger.version.lower()}"
    number = 2
    name = plain
    while name in used:
        name, number = f"{plain}-{number}", number + 1
    return name


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float | Decimal) else None
