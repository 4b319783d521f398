"""What one message or offer sent to one customer must be."""

from __future__ import annotations

from great_expectations import ExpectationSuite

from expectations.vocabulary import Bounds, Phrases

COLUMNS = (
    "customer_id",
    "contact_id",
    "contacted_at",
    "campaign_id",
    "channel",
    "opened_at",
    "clicked_at",
    "responded_at",
    "opted_out_at",
)
RESPONSES = ("opened_at", "clicked_at", "responded_at", "opted_out_at")


def suite(bounds: Bounds) -> ExpectationSuite:
    """The suite of `contacts`: each rule of `bounds` as one expectation."""
    contacts = Phrases("contacts", bounds)
    contacts.rows()
    contacts.exact_columns(*COLUMNS)
    contacts.text_present("customer_id", "contact_id")
    contacts.present("contacted_at")
    contacts.plausible_time("contacted_at", *RESPONSES)
    contacts.in_order("contacted_at", *RESPONSES)
    contacts.distinct("contact_id_repeated", ["contact_id"], unless_null=["contact_id"])
    contacts.distinct("row_repeated", COLUMNS)
    contacts.null_shares()
    contacts.categories()
    contacts.fresh("contacted_at")
    return contacts.suite()
