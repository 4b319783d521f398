"""What a score table must be before anybody acts on it: one row a customer."""

from __future__ import annotations

from great_expectations import ExpectationSuite

from expectations.vocabulary import Bounds, Phrases


def suite(bounds: Bounds) -> ExpectationSuite:
    """The suite of the scores: each rule of `bounds` as one expectation."""
    scores = Phrases("scores", bounds)
    scores.rows()
    scores.exact_columns(system=())
    scores.text_present("customer_id")
    scores.present("probability", "percentile", "rank")
    scores.each_finite()
    scores.each_in_range()
    scores.distinct("customer_repeated", ["customer_id"])
    # Ranks are the numbers from 1 to the number of customers, each once.
    scores.distinct("rank_repeated", ["rank"])
    # A constant ranks nobody.
    scores.not_constant("probability")
    scores.null_shares()
    return scores.suite()
