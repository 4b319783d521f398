"""The policy of `conf/` as tables that SQL can join: offers, rules, bands of risk and of value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from tasks.offers import LEAVE_ALONE as LEAVE_ALONE

if TYPE_CHECKING:
    from tasks.offers import ActionsSettings, OfferSettings
    from tasks.warehouse import Connection

ListName = Literal["retention", "winback"]


def load_bands(connection: Connection, settings: ActionsSettings) -> None:
    """Make the tables `risk_band` and `value_band`: (name, start)."""
    import pyarrow as pa

    for table, bands in (
        ("risk_band", settings.risk_bands),
        ("value_band", settings.value_bands),
    ):
        _replace(
            connection,
            table,
            pa.table(
                {
                    "name": pa.array(list(bands), pa.string()),
                    "start": pa.array(list(bands.values()), pa.float64()),
                }
            ),
        )


def _all_of(count: int) -> int:
    return count


def load_policy(
    connection: Connection,
    settings: ActionsSettings,
    listed_for: ListName,
    divide: Callable[[int], int] = _all_of,
) -> None:
    """Make the tables `policy_offer`, one row an action, and `policy_rule` of one of the lists.

    `divide` tells how much of an action's cap this list may use.
    """
    if listed_for == "winback":
        _load_offers(connection, settings.winback.offers, divide)
        rules = [
            {
                "action": rule.action,
                "segments": [],
                "risk": [],
                "reasons": [],
                "value": list(rule.value),
                "longest_silence_days": rule.longest_silence_days,
            }
            for rule in settings.winback.rules
        ]
    else:
        _load_offers(connection, settings.offers, divide)
        rules = [
            {
                "action": rule.action,
                "segments": list(rule.segments),
                "risk": list(rule.risk),
                "reasons": list(rule.reasons),
                "value": list(rule.value),
                "longest_silence_days": None,
            }
            for rule in settings.rules
        ]
    import pyarrow as pa

    texts = pa.list_(pa.string())
    _replace(
        connection,
        "policy_rule",
        pa.Table.from_pylist(
            rules,
            pa.schema(
                [
                    ("action", pa.string()),
                    ("segments", texts),
                    ("risk", texts),
                    ("reasons", texts),
                    ("value", texts),
                    ("longest_silence_days", pa.int32()),
                ]
            ),
        ),
    )


def _load_offers(
    connection: Connection, offers: Mapping[str, OfferSettings], divide: Callable[[int], int]
) -> None:
    import pyarrow as pa

    amount = pa.decimal128(18, 4)
    _replace(
        connection,
        "policy_offer",
        pa.Table.from_pylist(
            [
                {
                    "action": name,
                    "action_name": offer.words.en,
                    "action_name_ko": offer.words.ko,
                    "channel": offer.channel,
                    "contact_cost_amount": offer.contact_cost_amount,
                    "offer_cost_amount": offer.offer_cost_amount,
                    "accept_share": offer.accept_share,
                    "maximum_contacts": (
                        None if offer.maximum_contacts is None else divide(offer.maximum_contacts)
                    ),
                }
                for name, offer in offers.items()
            ],
            pa.schema(
                [
                    ("action", pa.string()),
                    ("action_name", pa.string()),
                    ("action_name_ko", pa.string()),
                    ("channel", pa.string()),
                    ("contact_cost_amount", amount),
                    ("offer_cost_amount", amount),
                    ("accept_share", pa.float64()),
                    ("maximum_contacts", pa.int64()),
                ]
            ),
        ),
    )


def _replace(connection: Connection, table: str, rows: object) -> None:
    connection.load_arrow("policy_rows", rows)
    try:
        connection.execute(f"create or replace temporary table {table} as from policy_rows")
    finally:
        connection.drop_arrow("policy_rows")
