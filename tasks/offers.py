"""What is offered to whom, and how far ahead is looked: the sections `actions` and `forecasts`.

All amounts are in `economics.currency`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Self

from pydantic import Field, model_validator

from tasks.sections import Section

# The action of a rule that leaves customers alone, whatever another rule offers them.
LEAVE_ALONE = "none"
_DIGITS = 15
_OF = 16**_DIGITS
_NAME = r"^[a-z][a-z0-9_]{0,39}$"


def is_held_out(customer_id: str, salt: str, share: float) -> bool:
    """Whether a customer is never contacted: so for ever, by salt and id alone.

    >>> is_held_out("c1", "holdfast", 1.0), is_held_out("c1", "holdfast", 0.0)
    (True, False)
    """
    digest = hashlib.sha256(f"{salt}/{customer_id}".encode()).hexdigest()
    place: float = int(digest[:_DIGITS], 16) / _OF
    return place < share


def held_out_sql(customer_id: str) -> str:
    """`is_held_out` as SQL of a column; binds `$hold_out_salt` and `$hold_out_share`."""
    return (
        f"(('0x' || sha256($hold_out_salt || '/' || {customer_id})[1:{_DIGITS}])::bigint"
        f" / {_OF} < $hold_out_share::double)"
    )


class LabelSettings(Section):
    """How something is called in both languages."""

    en: str = Field(min_length=1, max_length=80, description="In English.")
    ko: str = Field(min_length=1, max_length=80, description="In Korean.")


class OfferSettings(Section):
    """One action: what it is called, costs and is expected to do."""

    words: LabelSettings
    channel: str = Field(pattern=_NAME, description="Through what it reaches the customer.")
    contact_cost_amount: Decimal = Field(
        gt=0, le=1_000_000, decimal_places=4, description="Reaching one customer."
    )
    offer_cost_amount: Decimal = Field(
        ge=0, le=1_000_000, decimal_places=4, description="The offer, paid when it is taken."
    )
    accept_share: float = Field(
        gt=0, lt=1, description="Of those about to leave (or gone), how many it keeps; a guess."
    )
    maximum_contacts: int | None = Field(
        None, ge=1, le=100_000_000, description="Most customers a list; null: no limit."
    )


class PolicyRuleSettings(Section):
    """Who may be offered an action; an empty condition holds for everybody."""

    action: str = Field(
        pattern=_NAME, description="A name in `offers`; `none` leaves who fits alone."
    )
    segments: tuple[str, ...] = Field((), description="Ids or names of segments.")
    risk: tuple[str, ...] = Field((), description="Names in `risk_bands`.")
    reasons: tuple[str, ...] = Field((), description="Drivers that lead, as `reasons` names them.")
    value: tuple[str, ...] = Field((), description="Names in `value_bands`.")


class WinbackRuleSettings(Section):
    """Who of those gone may be offered an action; an empty condition holds for everybody."""

    action: str = Field(pattern=_NAME, description="A name in `winback.offers`.")
    value: tuple[str, ...] = Field((), description="Names in `value_bands`, among those gone.")
    longest_silence_days: int | None = Field(
        None, ge=1, le=36_500, description="Not after so long a silence; null: no limit."
    )


class WinbackSettings(Section):
    """The list of those who are gone already: its own offers, costs and part of the budget."""

    enabled: bool = Field(True, description="Whether such a list is made.")
    longest_lapse_days: int = Field(
        730, ge=1, le=36_500, description="Whose last order is older is not asked any more."
    )
    budget_share: float = Field(
        0.20, ge=0, lt=1, description="Of the budget, what this list may cost."
    )
    kept_value_share: float = Field(
        0.50,
        gt=0,
        le=1,
        description="Of a year's spending before the lapse, what who comes back spends; a guess.",
    )
    return_share: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="Who comes back unasked within the horizon, where too few lapsed to count it.",
    )
    minimum_customers: int = Field(
        100, ge=10, le=10_000_000, description="Lapsed customers from whom that share is counted."
    )
    offers: dict[str, OfferSettings] = Field(default_factory=dict, description="By name.")
    rules: tuple[WinbackRuleSettings, ...] = Field((), description="Any order: the best counts.")

    @model_validator(mode="after")
    def _names_what_it_has(self) -> Self:
        for number, rule in enumerate(self.rules):
            _check_known(f"winback.rules[{number}].action", [rule.action], self.offers)
        return self


class ActionsSettings(Section):
    """The policy: segment x risk x reason x value gives the actions that a customer may get."""

    maximum_contacts: int = Field(
        2, ge=1, le=1000, description="Most contacts a customer in `contact_window_days`."
    )
    contact_window_days: int = Field(
        30, ge=1, le=3650, description="The days in which contacts and listings are counted."
    )
    worth_days: int = Field(
        365,
        ge=1,
        le=3650,
        description=(
            "Over how long a kept customer's worth counts; a lifetime value that looks less far is"
            " carried on at the average rate of leaving."
        ),
    )
    hold_out_share: float = Field(
        0.10,
        ge=0.01,
        le=0.5,
        description="Customers who are never contacted, so that what contacts bring can be told.",
    )
    hold_out_salt: str = Field(
        "holdfast",
        min_length=1,
        max_length=80,
        description="Who they are depends on it and on the id alone. Change it: others are.",
    )
    risk_bands: dict[str, float] = Field(
        default_factory=lambda: {"low": 0.0, "medium": 0.25, "high": 0.5},
        description="From which probability of leaving a band begins; one begins at 0.",
    )
    value_bands: dict[str, float] = Field(
        default_factory=lambda: {"low": 0.0, "middle": 0.5, "high": 0.9},
        description="From which share of customers worth less a band begins; one begins at 0.",
    )
    offers: dict[str, OfferSettings] = Field(default_factory=dict, description="By name.")
    rules: tuple[PolicyRuleSettings, ...] = Field((), description="Any order: the best counts.")
    winback: WinbackSettings = Field(
        default_factory=lambda: WinbackSettings.model_validate({}),
        description="The list of those who are gone already.",
    )

    @model_validator(mode="after")
    def _names_what_it_has(self) -> Self:
        for name, bands in (("risk_bands", self.risk_bands), ("value_bands", self.value_bands)):
            starts = sorted(bands.values())
            if not starts or starts[0] != 0 or starts[-1] >= 1 or len(set(starts)) < len(starts):
                raise ValueError(f"`{name}` must begin at 0, each at its own share below 1")
        for number, rule in enumerate(self.rules):
            where = f"rules[{number}]"
            _check_known(f"{where}.action", [rule.action], [*self.offers, LEAVE_ALONE])
            _check_known(f"{where}.risk", rule.risk, self.risk_bands)
            _check_known(f"{where}.value", rule.value, self.value_bands)
        for number, one in enumerate(self.winback.rules):
            _check_known(f"winback.rules[{number}].value", one.value, self.value_bands)
        if LEAVE_ALONE in (*self.offers, *self.winback.offers):
            raise ValueError(f"`{LEAVE_ALONE}` cannot be the name of an offer")
        return self


class ForecastsSettings(Section):
    """How far ahead churn, active base and revenue are told, and from how much history."""

    monthly_from_months: int = Field(
        36, ge=6, le=600, description="With so many complete months the period is a month."
    )
    ahead_weeks: int = Field(8, ge=1, le=52, description="How far ahead, in weeks.")
    ahead_months: int = Field(3, ge=1, le=24, description="How far ahead, in months.")
    minimum_periods: int = Field(
        16, ge=12, le=500, description="Shorter series are not forecast, and a note says so."
    )
    maximum_periods: int = Field(
        156, ge=16, le=2000, description="Of a longer history, the newest periods are looked at."
    )
    origins: int = Field(
        20, ge=2, le=200, description="Past moments from which each method must have told the rest."
    )
    minimum_gain_share: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="By how much of a rule's error a model's must be smaller to be served.",
    )
    confidence: float = Field(0.90, gt=0.5, lt=1, description="Of every interval.")
    minimum_coverage_share: float = Field(
        0.90,
        gt=0,
        le=1,
        description="Of a total, what must be in some segment for segments to be forecast.",
    )
    maximum_segments: int = Field(
        8, ge=0, le=100, description="The largest segments get forecasts of their own."
    )


def _check_known(
    where: str, named: Sequence[str], known: Mapping[str, object] | Sequence[str]
) -> None:
    for name in named:
        if name not in known:
            available = ", ".join(sorted(known)) or "none"
            raise ValueError(f"`{where}`: '{name}' is not among {available}")
