"""What one question or complaint to the service desk must be."""

from __future__ import annotations

from great_expectations import ExpectationSuite

from expectations.vocabulary import Bounds, Phrases

COLUMNS = (
    "customer_id",
    "ticket_id",
    "opened_at",
    "closed_at",
    "topic",
    "is_complaint",
    "satisfaction_score",
)


def suite(bounds: Bounds) -> ExpectationSuite:
    """The suite of `tickets`: each rule of `bounds` as one expectation."""
    tickets = Phrases("tickets", bounds)
    tickets.rows()
    tickets.exact_columns(*COLUMNS)
    tickets.text_present("customer_id", "ticket_id")
    tickets.present("opened_at")
    tickets.plausible_time("opened_at", "closed_at")
    tickets.in_order("opened_at", "closed_at")
    tickets.finite("satisfaction_score")
    tickets.in_range("satisfaction_score")
    tickets.distinct("ticket_id_repeated", ["ticket_id"], unless_null=["ticket_id"])
    tickets.distinct("row_repeated", COLUMNS)
    tickets.null_shares()
    tickets.distributions()
    tickets.categories()
    tickets.fresh("opened_at")
    return tickets.suite()
