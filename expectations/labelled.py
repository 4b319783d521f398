"""What one customer of a static set, with the outcome given, must be."""

from __future__ import annotations

from great_expectations import ExpectationSuite

from expectations.vocabulary import Bounds, Phrases

COLUMNS = (
    "customer_id",
    "observed_at",
    "churned",
    "period_amount",
    "currency",
    "numbers",
    "categories",
)


def suite(bounds: Bounds) -> ExpectationSuite:
    """The suite of `labelled`: each rule of `bounds` as one expectation."""
    labelled = Phrases("labelled", bounds)
    labelled.rows()
    labelled.exact_columns(*COLUMNS)
    labelled.text_present("customer_id")
    labelled.present("observed_at", "churned", "numbers", "categories")
    labelled.plausible_time("observed_at")
    labelled.holds(
        "numbers_finite",
        "numbers",
        "len(list_filter(map_values(numbers), lambda number: NOT isfinite(number))) = 0",
    )
    labelled.in_range("period_amount")
    labelled.currency()
    labelled.distinct("customer_id_repeated", ["customer_id"], unless_null=["customer_id"])
    labelled.distinct("row_repeated", COLUMNS)
    labelled.null_shares()
    labelled.distributions()
    labelled.one_currency()
    labelled.base_rate("churned")
    labelled.fresh("observed_at")
    return labelled.suite()
