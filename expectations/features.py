"""What a feature table must be before a model sees it: one row a customer and cut-off."""

from __future__ import annotations

from great_expectations import ExpectationSuite

from expectations.vocabulary import Bounds, Phrases


def suite(bounds: Bounds) -> ExpectationSuite:
    """The suite of a feature table: each rule of `bounds` as one expectation."""
    features = Phrases("features", bounds)
    features.rows()
    features.exact_columns(system=())
    features.text_present("customer_id")
    features.present("as_of")
    features.distinct("customer_repeated", ["customer_id", "as_of"])
    features.each_finite()
    features.each_in_range()
    features.null_shares()
    return features.suite()
