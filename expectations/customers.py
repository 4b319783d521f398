"""What was known of one customer at one time, and what that must be."""

from __future__ import annotations

from great_expectations import ExpectationSuite

from expectations.vocabulary import Bounds, Phrases

COLUMNS = ("customer_id", "registered_at", "recorded_at", "attributes")


def suite(bounds: Bounds) -> ExpectationSuite:
    """The suite of `customers`: each rule of `bounds` as one expectation."""
    customers = Phrases("customers", bounds)
    customers.rows()
    customers.exact_columns(*COLUMNS)
    customers.text_present("customer_id")
    customers.present("recorded_at")
    customers.plausible_time("recorded_at", "registered_at")
    customers.in_order("registered_at", "recorded_at")
    # One customer may stand in a batch several times, but once for a time.
    customers.distinct(
        "customer_id_repeated", ["customer_id", "recorded_at"], unless_null=["customer_id"]
    )
    customers.distinct("row_repeated", COLUMNS)
    customers.null_shares()
    customers.fresh("recorded_at")
    return customers.suite()
