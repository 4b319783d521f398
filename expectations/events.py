"""What one thing that a customer did on the web or in the app must be."""

from __future__ import annotations

from great_expectations import ExpectationSuite

from expectations.vocabulary import Bounds, Phrases

COLUMNS = (
    "customer_id",
    "event_id",
    "occurred_at",
    "kind",
    "session_id",
    "channel",
    "value",
)


def suite(bounds: Bounds) -> ExpectationSuite:
    """The suite of `events`: each rule of `bounds` as one expectation."""
    events = Phrases("events", bounds)
    events.rows()
    events.exact_columns(*COLUMNS)
    events.text_present("customer_id", "kind")
    events.present("occurred_at")
    events.plausible_time("occurred_at")
    events.finite("value")
    events.in_range("value")
    events.distinct("event_id_repeated", ["event_id"], unless_null=["event_id"])
    events.distinct("row_repeated", COLUMNS)
    events.null_shares()
    events.distributions()
    events.categories()
    events.fresh("occurred_at")
    return events.suite()
