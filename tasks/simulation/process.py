"""The process behind simulated customers, made chunk by chunk with DuckDB.

A customer comes on a day, orders, and leaves for good on another. Nobody is told the latter.

- **Orders** are a Poisson process whose rate is gamma distributed over customers. It runs in
  operational time, which passes faster in season: the calendar's factors move all rates alike.
- **Leaving** has a hazard that is gamma distributed over customers, so that without the rest this
  is the Pareto/NBD model (Schmittlein, Morrison and Colombo 1987). It may age (Weibull), is higher
  for bargain hunters, and is multiplied for some weeks after a complaint and after a contact.
- **Complaints** and other tickets come evenly. They raise the hazard by a declared ratio.
- **Contacts** go by lot to customers who are not held out. What they do to the hazard depends on
  the kind of customer: less (persuadable), nothing (indifferent), more (do not disturb).

Every draw is a pure function of seed, customer and stream, so that the first N customers of a
larger population are the population of N, and neither threads nor chunks change a byte.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from tasks.errors import UsageError
from tasks.populations import KINDS, SimulationSettings
from tasks.warehouse import Connection

SQL = Path(__file__).parent / "sql"

# How far beyond the last month complaints and contacts are known, so that what is true of the
# last day can be told for a horizon ahead.
MARGIN_DAYS = 180

MAXIMUM_CUSTOMERS = 50_000_000

# Faults that a single order line can carry, one at a time, each as often as the others. The first
# line of all with a fault of the fifth kind, a wrong unit, is a whole month.
LINE_FAULTS = (
    "customer_missing",
    "delivered_twice",
    "wrong_currency",
    "arrived_late",
    "future_stamp",
)
UNIT_FAULT = "unit_hundredfold"

# Streams of draws under a customer's key; SQL files use small numbers of their own below them.
_ORDER_STREAM = 1_000_000
_SESSION_STREAM = 4_000_000_000
_FAULT_STREAM = 77


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated: how many customers of which kind, for how long, from which seed."""

    customers: int
    months: int
    seed: int
    dirty_share: float
    population: SimulationSettings

    @property
    def start_on(self) -> date:
        return self.population.start_on

    @property
    def end_on(self) -> date:
        """The first day after the last month."""
        return add_months(self.start_on, self.months)

    @property
    def window_days(self) -> int:
        return (self.end_on - self.start_on).days

    @property
    def unit_month(self) -> str | None:
        """The month in which amounts are written a hundredfold: the last but one, if dirty."""
        if self.dirty_share == 0:
            return None
        return f"{add_months(self.start_on, self.months - 2):%Y-%m}"

    def month_names(self) -> list[str]:
        """The months written, as in the names of files: 2022-01."""
        return [f"{add_months(self.start_on, n):%Y-%m}" for n in range(self.months)]


def make_plan(
    population: SimulationSettings,
    *,
    customers: int,
    months: int | None = None,
    seed: int | None = None,
    dirty_share: float = 0.0,
) -> Plan:
    """A plan within bounds. Raises UsageError (64) for one that cannot be."""
    plan = Plan(
        customers=customers,
        months=population.months if months is None else months,
        seed=population.seed if seed is None else seed,
        dirty_share=dirty_share,
        population=population,
    )
    if not 1 <= plan.customers <= MAXIMUM_CUSTOMERS:
        raise UsageError(
            "The number of customers is out of bounds.",
            found=f"found {plan.customers:,}, from 1 to {MAXIMUM_CUSTOMERS:,} are possible",
        )
    if not 2 <= plan.months <= 120:
        raise UsageError(
            "The number of months is out of bounds.",
            found=f"found {plan.months}, from 2 to 120 are possible",
        )
    if not 0 <= plan.seed <= 2**62:
        raise UsageError("The seed is out of bounds.", found=f"found {plan.seed}")
    if not 0 <= plan.dirty_share <= 0.5:
        raise UsageError(
            "The share of dirty lines is out of bounds.",
            found=f"found {plan.dirty_share}, from 0 to 0.5 are possible",
        )
    if plan.start_on.day != 1:
        raise UsageError(
            "`simulation.start_on` is not the first day of a month.", found=str(plan.start_on)
        )
    return plan


def add_months(day: date, months: int) -> date:
    """The first of the month so many months later."""
    number = day.year * 12 + day.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


def geometric_scale(mean: float) -> float:
    """The scale s with 1 + floor(Exponential(s)) of the given mean: m - 1 = 1/(e^(1/s) - 1)."""
    return 1.0 / math.log(mean / (mean - 1.0))


def bind_values(plan: Plan) -> dict[str, Any]:
    """Every `$name` of the SQL files but those of a chunk."""
    p = plan.population
    kinds = [p.contacts.kinds[kind] for kind in KINDS]
    start = datetime(p.start_on.year, p.start_on.month, p.start_on.day, tzinfo=UTC)
    return {
        "seed": plan.seed,
        "start_on": p.start_on,
        "start_epoch": start.timestamp(),
        "window_days": float(plan.window_days),
        "horizon_day": float(plan.window_days + MARGIN_DAYS),
        # One day more than can be asked for, since a cell of the clockwork names its next day.
        "calendar_days": plan.window_days + MARGIN_DAYS + 2,
        "last_month_day": float(
            (add_months(p.start_on, plan.months - 1) - p.start_on) / timedelta(days=1)
        ),
        "first_share": p.arrivals.first_share,
        "first_days": float(min(p.arrivals.first_days, plan.window_days)),
        "purchases_a_year": p.purchases.yearly_mean,
        "purchase_shape": p.purchases.shape,
        "dropouts_a_year": p.dropouts.yearly_mean,
        "dropout_shape": p.dropouts.shape,
        "ageing": p.dropouts.ageing,
        "hunter_ratio": p.dropouts.hunter_ratio,
        "lines_mean": p.baskets.lines_mean,
        "lines_scale": geometric_scale(p.baskets.lines_mean),
        "quantity_scale": geometric_scale(p.baskets.quantity_mean),
        "categories": p.baskets.categories,
        "products": p.baskets.products,
        "favourite_share": p.baskets.favourite_share,
        "return_share": p.baskets.return_share,
        "hunter_share": p.baskets.hunter_share,
        "discount_share": p.baskets.discount_share,
        "hunter_discount_share": p.baskets.hunter_discount_share,
        "currency": p.baskets.currency,
        "yearly_amplitude": p.seasons.yearly_amplitude,
        "peak_day": p.seasons.peak_day,
        "weekday_factors": list(p.seasons.weekday_factors),
        "holiday_from": p.seasons.holiday_from,
        "holiday_to": p.seasons.holiday_to,
        "holiday_factor": p.seasons.holiday_factor,
        "tickets_a_year": p.tickets.yearly_mean,
        "complaint_share": p.tickets.complaint_share,
        "complaint_ratio": p.tickets.hazard_ratio,
        "complaint_effect_days": float(p.tickets.effect_days),
        "campaign_every_days": p.contacts.every_days,
        "contact_share": p.contacts.share,
        "holdout_share": p.contacts.holdout_share,
        "contact_effect_days": float(p.contacts.effect_days),
        "kinds": list(KINDS),
        "kind_shares": [kind.share for kind in kinds],
        "kind_hazard_ratios": [kind.hazard_ratio for kind in kinds],
        "kind_open_shares": [kind.open_share for kind in kinds],
        "kind_click_shares": [kind.click_share for kind in kinds],
        "kind_response_shares": [kind.response_share for kind in kinds],
        "kind_opt_out_shares": [kind.opt_out_share for kind in kinds],
        "events_scale": geometric_scale(p.sessions.events_mean),
        "dirty_share": plan.dirty_share,
        "fault_kinds": list(LINE_FAULTS),
        "fault_stream": _FAULT_STREAM,
        "unit_month": plan.unit_month,
    }


def make_world(connection: Connection, plan: Plan) -> dict[str, Any]:
    """Make the macros and the small tables that all chunks share; returns the values to bind."""
    values = bind_values(plan)
    for name in ("macros", "calendar", "clockwork", "contact_kinds", "products"):
        connection.run(SQL / f"{name}.sql", values)
    values["cell_width"] = connection.scalar("select 0.9 * min(mass) from calendar")
    return values


def make_lives(
    connection: Connection, values: Mapping[str, Any], first: int, last: int
) -> dict[str, Any]:
    """Make the customers numbered [first, last): tables `lives`, `hazard_pieces`, `potential_*`.

    Returns the values to bind for what is made of them.
    """
    chunk = {**values, "first": first, "last": last}
    for name in ("population", "potential_tickets", "potential_contacts", "hazard_pieces", "lives"):
        connection.run(SQL / f"{name}.sql", chunk)
    return chunk


def make_orders(connection: Connection, values: Mapping[str, Any]) -> None:
    """Make `order_lines` of the customers in `lives`, returns with them."""
    connection.run(
        SQL / "arrivals.sql",
        {**values, "rate_factor": 1.0, "block_stream": _ORDER_STREAM},
        names={"table": "order_arrivals"},
    )
    for name in ("first_orders", "order_lines", "returns"):
        connection.run(SQL / f"{name}.sql", values)
    connection.execute("drop table order_arrivals")


def make_sessions(
    connection: Connection, values: Mapping[str, Any], sessions_per_order: float
) -> None:
    """Make `session_arrivals` of the customers in `lives`."""
    connection.run(
        SQL / "arrivals.sql",
        {**values, "rate_factor": sessions_per_order, "block_stream": _SESSION_STREAM},
        names={"table": "session_arrivals"},
    )
