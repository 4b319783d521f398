"""Which features there are: their names, what they mean, and what drives them.

To add one: declare it here in plain words and compute it in `sql/<source>.sql`. To add a source:
declare its features with the new source's name and write `sql/<source>.sql`, which makes a
temporary table or view `<source>_features` by (customer_number, cutoff_number).

Every feature is a number or NULL. NULL says that nothing is known (no such source, no second
order to measure a gap by); 0 says that the source is there and held nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SQL = Path(__file__).parent / "sql"

Driver = Literal[
    "cadence",
    "spend",
    "price",
    "service",
    "engagement",
    "contacts",
    "assortment",
    "tenure",
    "season",
    "profile",
]

# What a person reads where the model says why.
DRIVERS: dict[Driver, str] = {
    "cadence": "how often and how recently they order",
    "spend": "what they spend",
    "price": "price and discounts",
    "service": "returns, tickets and complaints",
    "engagement": "visits to the web and the app",
    "contacts": "messages sent and answered",
    "assortment": "breadth of what, when and where they buy",
    "tenure": "how long they have been a customer",
    "season": "the time of the year",
    "profile": "what is recorded of the customer",
}


@dataclass(frozen=True, slots=True)
class Feature:
    """One column. `least` and `most` are bounds that no right value leaves; None: unbounded."""

    name: str
    meaning: str
    driver: Driver
    unit: str
    source: str
    least: float | None = None
    most: float | None = None


def _feature(
    source: str,
    driver: Driver,
    name: str,
    unit: str,
    meaning: str,
    least: float | None = 0,
    most: float | None = None,
) -> Feature:
    return Feature(name, meaning, driver, unit, source, least, most)


FEATURES: tuple[Feature, ...] = (
    _feature("orders", "cadence", "recency_days", "days", "since the last order", 1),
    _feature("orders", "cadence", "gap_median_days", "days", "their median gap between orders", 1),
    _feature("orders", "cadence", "gap_mean_days", "days", "their mean gap between orders", 1),
    _feature("orders", "cadence", "gap_deviation_days", "days", "how uneven their gaps are"),
    _feature("orders", "cadence", "gap_last_days", "days", "the gap before the last order", 1),
    _feature("orders", "cadence", "gap_longest_days", "days", "their longest gap so far", 1),
    _feature("orders", "cadence", "gap_now_to_median", "ratio", "gap now against their median"),
    _feature("orders", "cadence", "gap_now_to_usual", "ratio", "gap now against their usual range"),
    _feature("orders", "cadence", "gap_last_to_median", "ratio", "last gap against their median"),
    _feature("orders", "cadence", "order_days_7", "days", "order days in the last 7", 0, 7),
    _feature("orders", "cadence", "order_days_30", "days", "order days in the last 30", 0, 30),
    _feature("orders", "cadence", "order_days_90", "days", "order days in the last 90", 0, 90),
    _feature("orders", "cadence", "order_days_180", "days", "order days in the last 180", 0, 180),
    _feature("orders", "cadence", "order_days_365", "days", "order days in the last 365", 0, 365),
    _feature(
        "orders",
        "cadence",
        "active_months_365",
        "months",
        "calendar months with an order",
        0,
        13,
    ),
    _feature(
        "orders",
        "cadence",
        "order_days_decayed",
        "days",
        "order days, recent ones weighing more",
    ),
    _feature("orders", "cadence", "order_days_a_month", "days", "order days a month so far"),
    _feature(
        "orders",
        "cadence",
        "order_days_trend",
        "ratio",
        "order days: 90 against the 90 before",
    ),
    _feature(
        "orders", "cadence", "order_days_share_90", "share", "last 90 days' part of a year's", 0, 1
    ),
    _feature("orders", "spend", "amount_7", "currency", "spent in the last 7 days", None),
    _feature("orders", "spend", "amount_30", "currency", "spent in the last 30 days", None),
    _feature("orders", "spend", "amount_90", "currency", "spent in the last 90 days", None),
    _feature("orders", "spend", "amount_365", "currency", "spent in the last 365 days", None),
    _feature("orders", "spend", "amount_total", "currency", "spent so far", None),
    _feature("orders", "spend", "amount_an_order_day", "currency", "spent on an order day", None),
    _feature(
        "orders", "spend", "amount_last_to_usual", "ratio", "last order against their usual", None
    ),
    _feature("orders", "spend", "amount_trend", "ratio", "90 days against the 90 before", None),
    _feature("orders", "price", "discount_share_365", "share", "of list price, last year", None),
    _feature("orders", "price", "discount_share_90", "share", "of list price, 90 days", None),
    _feature("orders", "service", "return_share_365", "share", "of spending given back", None),
    _feature("orders", "service", "return_days_365", "days", "days with a return", 0, 365),
    _feature("orders", "assortment", "categories_total", "count", "categories ever bought", 1),
    _feature(
        "orders", "assortment", "categories_new_90", "count", "categories first bought in 90 days"
    ),
    _feature("orders", "assortment", "channels_total", "count", "channels ever used", 1),
    _feature("orders", "assortment", "weekdays_365", "days", "weekdays they order on", 0, 7),
    _feature("orders", "assortment", "lines_an_order_day_365", "lines", "lines on an order day"),
    _feature("orders", "assortment", "lines_trend", "ratio", "lines a day, 90 days against 365"),
    _feature("orders", "tenure", "tenure_days", "days", "since the first order", 1),
    _feature("orders", "tenure", "order_days_total", "days", "order days so far", 1),
    _feature("orders", "season", "order_days_year_ago", "days", "same horizon a year ago", 0, 365),
    _feature("orders", "season", "amount_year_ago", "currency", "spent then, a year ago", None),
    _feature(
        "orders",
        "season",
        "order_days_year_ago_share",
        "share",
        "that horizon's part of the year",
        0,
        1,
    ),
    _feature(
        "orders", "season", "season_index", "ratio", "how busy the coming horizon was a year ago"
    ),
    _feature("orders", "season", "year_sine", "number", "day of the year, as a circle", -1, 1),
    _feature("orders", "season", "year_cosine", "number", "day of the year, as a circle", -1, 1),
    _feature("events", "engagement", "event_recency_days", "days", "since the last event"),
    _feature("events", "engagement", "events_7", "count", "events in the last 7 days"),
    _feature("events", "engagement", "events_30", "count", "events in the last 30 days"),
    _feature("events", "engagement", "events_90", "count", "events in the last 90 days"),
    _feature("events", "engagement", "event_days_90", "days", "days with an event, of 90", 0, 90),
    _feature("events", "engagement", "sessions_30", "count", "sessions in the last 30 days"),
    _feature("events", "engagement", "sessions_90", "count", "sessions in the last 90 days"),
    _feature("events", "engagement", "event_kinds_90", "count", "kinds of events in 90 days"),
    _feature("events", "engagement", "events_trend", "ratio", "30 days against the 30 before"),
    _feature("tickets", "service", "ticket_recency_days", "days", "since the last ticket"),
    _feature("tickets", "service", "tickets_30", "count", "tickets in the last 30 days"),
    _feature("tickets", "service", "tickets_90", "count", "tickets in the last 90 days"),
    _feature("tickets", "service", "tickets_365", "count", "tickets in the last 365 days"),
    _feature("tickets", "service", "open_tickets", "count", "tickets not closed"),
    _feature("tickets", "service", "open_ticket_age_days", "days", "age of the oldest open ticket"),
    _feature("tickets", "service", "complaint_share_365", "share", "of tickets complaining", 0, 1),
    _feature("tickets", "service", "ticket_closing_days", "days", "median time to close a ticket"),
    _feature(
        "tickets", "service", "satisfaction_median_365", "score", "median score of tickets", None
    ),
    _feature("contacts", "contacts", "contact_recency_days", "days", "since the last message"),
    _feature("contacts", "contacts", "contacts_30", "count", "messages in the last 30 days"),
    _feature("contacts", "contacts", "contacts_90", "count", "messages in the last 90 days"),
    _feature("contacts", "contacts", "contacts_365", "count", "messages in the last 365 days"),
    _feature("contacts", "contacts", "contact_opened_share_365", "share", "messages opened", 0, 1),
    _feature(
        "contacts", "contacts", "contact_clicked_share_365", "share", "messages clicked", 0, 1
    ),
    _feature(
        "contacts", "contacts", "contact_answered_share_365", "share", "messages answered", 0, 1
    ),
    _feature("contacts", "contacts", "contacts_answered_365", "count", "messages answered"),
    _feature(
        "contacts", "contacts", "contact_answered_recency_days", "days", "since one was answered"
    ),
    _feature("contacts", "contacts", "opted_out", "yes or no", "asked for no more messages", 0, 1),
    _feature("subscriptions", "tenure", "open_contracts", "count", "contracts open"),
    _feature("subscriptions", "tenure", "ended_contracts", "count", "contracts ended before"),
    _feature("subscriptions", "tenure", "contract_age_days", "days", "age of the oldest open one"),
    _feature("subscriptions", "tenure", "customer_age_days", "days", "since the first contract"),
    _feature("subscriptions", "spend", "period_amount", "currency", "paid a period", None),
    _feature("customers", "tenure", "registered_days", "days", "since they registered"),
)

SOURCES: tuple[str, ...] = tuple(dict.fromkeys(feature.source for feature in FEATURES))


def declared(sources: Collection[str]) -> tuple[Feature, ...]:
    """The features of these sources, in the order of declaration."""
    return tuple(feature for feature in FEATURES if feature.source in sources)


def feature_set_hash() -> str:
    """sha256 over the declarations and the SQL that computes them: changes when a feature does."""
    digest = hashlib.sha256(repr(FEATURES).encode())
    for path in sorted(SQL.glob("*.sql")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
