"""The schema of `simulation`: what kind of customers a simulated population is made of.

Rates are per customer and year, times in days, shares between 0 and 1. The process behind the
numbers is described in `tasks/simulation/process.py`.
"""

from __future__ import annotations

from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.errors import suggest
from tasks.sections import Section

ContactKind = Literal["persuadable", "indifferent", "do_not_disturb"]
KINDS: tuple[ContactKind, ...] = ("persuadable", "indifferent", "do_not_disturb")


class Arrivals(Section):
    """When customers come."""

    first_share: float = Field(
        0.5, ge=0, le=1, description="Share of customers that come in the first days."
    )
    first_days: int = Field(
        60, ge=1, le=365, description="The first days; the others come evenly until the end."
    )


class Purchases(Section):
    """How often a living customer orders: a Poisson process, its rate gamma distributed."""

    yearly_mean: float = Field(
        24.0, gt=0, le=400, description="Mean of the orders a year, before the seasons."
    )
    shape: float = Field(
        1.2, ge=0.1, le=50, description="Shape of the gamma distribution; small: very unequal."
    )


class Dropouts(Section):
    """When a customer leaves for good: a hazard, its rate gamma distributed."""

    yearly_mean: float = Field(
        0.7, gt=0, le=50, description="Mean of the customers' hazards a year, without multipliers."
    )
    shape: float = Field(
        1.2, ge=0.1, le=50, description="Shape of the gamma distribution of the hazards."
    )
    ageing: float = Field(
        1.0,
        ge=0.3,
        le=3,
        description="Weibull exponent of a customer's age: 1 leaves the hazard constant.",
    )
    hunter_ratio: float = Field(
        1.5, ge=0.1, le=10, description="Hazard of bargain hunters over that of the others."
    )


class Baskets(Section):
    """What an order holds."""

    lines_mean: float = Field(2.5, gt=1, le=50, description="Mean lines of an order; geometric.")
    quantity_mean: float = Field(
        1.6, gt=1, le=50, description="Mean quantity of a line; geometric, varies by customer."
    )
    categories: int = Field(10, ge=1, le=90, description="Categories of products.")
    products: int = Field(200, ge=1, le=9_999, description="Products of a category.")
    favourite_share: float = Field(
        0.5, ge=0, le=1, description="Share of lines from the customer's favourite category."
    )
    return_share: float = Field(0.04, ge=0, le=0.5, description="Share of lines sent back.")
    hunter_share: float = Field(
        0.2, ge=0, le=1, description="Share of customers that hunt bargains."
    )
    discount_share: float = Field(
        0.12, ge=0, le=1, description="Share of lines with a discount (10, 20 or 30 %)."
    )
    hunter_discount_share: float = Field(
        0.6, ge=0, le=1, description="The same for bargain hunters."
    )
    currency: str = Field("EUR", pattern=r"^[A-Z]{3}$", description="Currency of every line.")


class Seasons(Section):
    """How the calendar moves all purchase rates."""

    yearly_amplitude: float = Field(
        0.25, ge=0, le=0.9, description="Amplitude of the wave of a year."
    )
    peak_day: int = Field(330, ge=1, le=366, description="Day of the year on which it peaks.")
    weekday_factors: tuple[float, float, float, float, float, float, float] = Field(
        (0.85, 0.8, 0.9, 1.0, 1.2, 1.35, 0.9),
        description="Factors of Monday to Sunday, each above 0.1; divided by their mean.",
    )
    holiday_from: str = Field(
        "11-20", pattern=r"^\d\d-\d\d$", description="First day (month-day) of the holiday season."
    )
    holiday_to: str = Field("12-23", pattern=r"^\d\d-\d\d$", description="Its last day.")
    holiday_factor: float = Field(
        1.6, ge=0.2, le=10, description="Factor of the purchase rate in the holiday season."
    )

    @model_validator(mode="after")
    def _stays_positive(self) -> Self:
        if min(self.weekday_factors) < 0.1 or max(self.weekday_factors) > 10:
            raise ValueError("`weekday_factors` lie between 0.1 and 10")
        for day in (self.holiday_from, self.holiday_to):
            date.fromisoformat(f"2024-{day}")
        return self


class TicketsProcess(Section):
    """Questions and complaints; a complaint raises the hazard of leaving for a while."""

    yearly_mean: float = Field(1.2, gt=0, le=50, description="Tickets of a customer a year.")
    complaint_share: float = Field(0.4, ge=0, le=1, description="Share that are complaints.")
    hazard_ratio: float = Field(
        3.0, ge=0.1, le=20, description="Hazard after a complaint over the hazard without one."
    )
    effect_days: int = Field(60, ge=1, le=365, description="How long a complaint raises it.")


class ContactEffect(Section):
    """What contacts do to one kind of customer."""

    share: float = Field(ge=0, le=1, description="Share of customers of this kind.")
    hazard_ratio: float = Field(
        ge=0.05, le=20, description="Hazard after a contact over the hazard without one."
    )
    open_share: float = Field(ge=0, le=1, description="Share of contacts opened, while alive.")
    click_share: float = Field(ge=0, le=1, description="Share of the opened ones clicked.")
    response_share: float = Field(ge=0, le=1, description="Share of the clicked ones answered.")
    opt_out_share: float = Field(
        ge=0, le=1, description="Share of contacts after which no more are wanted."
    )


class ContactsProcess(Section):
    """Campaigns that reach customers at random, so that their effect can be known."""

    every_days: int = Field(28, ge=1, le=365, description="Days between two campaigns.")
    share: float = Field(
        0.3, ge=0, le=1, description="Share of the customers that a campaign contacts, by lot."
    )
    holdout_share: float = Field(
        0.1, ge=0, le=1, description="Share of customers never contacted, by lot."
    )
    effect_days: int = Field(45, ge=1, le=365, description="How long a contact has its effect.")
    kinds: dict[str, ContactEffect] = Field(
        default_factory=lambda: {
            "persuadable": ContactEffect(
                share=0.3,
                hazard_ratio=0.4,
                open_share=0.5,
                click_share=0.4,
                response_share=0.5,
                opt_out_share=0.002,
            ),
            "indifferent": ContactEffect(
                share=0.55,
                hazard_ratio=1.0,
                open_share=0.3,
                click_share=0.3,
                response_share=0.4,
                opt_out_share=0.005,
            ),
            "do_not_disturb": ContactEffect(
                share=0.15,
                hazard_ratio=1.8,
                open_share=0.15,
                click_share=0.15,
                response_share=0.3,
                opt_out_share=0.05,
            ),
        },
        description="The three kinds of customers: persuadable, indifferent, do_not_disturb.",
    )

    @model_validator(mode="after")
    def _has_the_kinds(self) -> Self:
        for name in self.kinds:
            if name not in KINDS:
                raise ValueError(f"`kinds` has no '{name}'. {suggest(name, KINDS)}".rstrip())
        if set(self.kinds) != set(KINDS):
            raise ValueError(f"`kinds` names all of {', '.join(KINDS)}")
        if abs(sum(kind.share for kind in self.kinds.values()) - 1) > 1e-9:
            raise ValueError("the shares of `kinds` add up to 1")
        return self


class SessionsProcess(Section):
    """Visits of a living customer to the web shop or app."""

    per_order: float = Field(0.6, gt=0, le=10, description="Sessions per order, on average.")
    events_mean: float = Field(2.0, gt=1, le=50, description="Mean events of a session.")


class SimulationSettings(Section):
    """Customers with known truth."""

    start_on: date = Field(date(2022, 1, 1), description="The first day, UTC.")
    months: int = Field(24, ge=2, le=120, description="Months written.")
    seed: int = Field(20_220_101, ge=0, le=2**62, description="The same seed, the same bytes.")
    chunk_customers: int = Field(
        20_000,
        ge=100,
        le=1_000_000,
        description="Customers made at a time, and of one Parquet file; bounds the memory.",
    )
    arrivals: Arrivals = Field(default_factory=Arrivals)
    purchases: Purchases = Field(default_factory=Purchases)
    dropouts: Dropouts = Field(default_factory=Dropouts)
    baskets: Baskets = Field(default_factory=Baskets)
    seasons: Seasons = Field(default_factory=Seasons)
    tickets: TicketsProcess = Field(default_factory=TicketsProcess)
    contacts: ContactsProcess = Field(default_factory=ContactsProcess)
    sessions: SessionsProcess = Field(default_factory=SessionsProcess)
