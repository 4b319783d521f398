"""What one contract of one customer must be."""

from __future__ import annotations

from great_expectations import ExpectationSuite

from expectations.vocabulary import Bounds, Phrases

COLUMNS = (
    "customer_id",
    "subscription_id",
    "started_at",
    "ended_at",
    "plan",
    "period_amount",
    "currency",
)


def suite(bounds: Bounds) -> ExpectationSuite:
    """The suite of `subscriptions`: each rule of `bounds` as one expectation."""
    subscriptions = Phrases("subscriptions", bounds)
    subscriptions.rows()
    subscriptions.exact_columns(*COLUMNS)
    subscriptions.text_present("customer_id", "subscription_id")
    subscriptions.present("started_at")
    subscriptions.plausible_time("started_at")
    subscriptions.in_order("started_at", "ended_at")
    subscriptions.in_range("period_amount")
    subscriptions.currency()
    subscriptions.distinct(
        "subscription_id_repeated", ["subscription_id"], unless_null=["subscription_id"]
    )
    subscriptions.distinct("row_repeated", COLUMNS)
    subscriptions.null_shares()
    subscriptions.distributions()
    subscriptions.categories()
    subscriptions.one_currency()
    subscriptions.fresh("started_at")
    return subscriptions.suite()
