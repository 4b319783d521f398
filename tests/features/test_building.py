"""Feature tables in a lake: what is in them, and that they are found again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tasks.errors import DataRejected, UsageError
from tasks.features.building import build_features, feature_drivers, find_features
from tasks.features.declaration import DRIVERS
from tasks.settings import Settings
from tasks.warehouse import Lake, quote
from tests.conftest import MakeSettings
from tests.features.shop import at, order, put

pytestmark = pytest.mark.sql


@pytest.fixture
def shop(lake: Lake) -> Lake:
    put(
        lake,
        "orders",
        [order("ann", 10), order("ann", 40), order("ann", 95), order("bob", 60), order("bob", 150)],
    )
    return lake


def read(lake: Lake, table: str) -> dict[tuple[str, int], dict[str, Any]]:
    rows = lake.rows(f"select *, (epoch(as_of) / 86400)::int - 18262 as day from lake.main.{table}")
    return {(row["customer_id"], row["day"]): row for row in rows}


def test_a_table_of_two_cutoffs(shop: Lake, settings: Settings) -> None:
    table = build_features(
        shop, [at(70), at(100)], [at(70), at(100)], shop.snapshot(), settings.features
    )
    rows = read(shop, table.table)
    assert sorted(rows) == [("ann", 70), ("ann", 100), ("bob", 70), ("bob", 100)]
    assert table.rows == 4
    assert not table.labelled
    ann = rows["ann", 100]
    assert (ann["recency_days"], ann["gap_median_days"], ann["gap_last_days"]) == (5, 42.5, 55)
    assert (rows["ann", 70]["recency_days"], rows["ann", 70]["gap_median_days"]) == (30, 30)
    assert rows["bob", 70]["gap_median_days"] is None
    assert ann["value_amount"] == ann["amount_365"] == 30


def test_outcomes_only_where_the_horizon_has_passed(shop: Lake, settings: Settings) -> None:
    # horizon 90 days: bob's order of day 150 keeps him at the cut-off of day 100, ann leaves
    table = build_features(
        shop,
        [at(100), at(150)],
        [at(100), at(150)],
        shop.snapshot(),
        settings.features,
        labels_as_of=at(200),
    )
    churned = {key: row["churned"] for key, row in read(shop, table.table).items()}
    assert churned == {
        ("ann", 100): True,
        ("bob", 100): False,
        ("ann", 150): None,
        ("bob", 150): None,
    }


def test_a_return_is_no_order(lake: Lake, settings: Settings) -> None:
    put(lake, "orders", [order("ann", 10), order("ann", 120, -10)])
    table = build_features(
        lake, [at(100)], [at(100)], lake.snapshot(), settings.features, labels_as_of=at(200)
    )
    assert read(lake, table.table)["ann", 100]["churned"] is True
    table = build_features(lake, [at(130)], [at(130)], lake.snapshot(), settings.features)
    row = read(lake, table.table)["ann", 130]
    assert (row["recency_days"], row["return_days_365"], row["return_share_365"]) == (120, 1, 1)


def test_no_source_is_null_and_an_empty_one_zero(shop: Lake, settings: Settings) -> None:
    version = shop.snapshot()
    table = build_features(shop, [at(70)], [at(70)], version, settings.features)
    assert "tickets_90" not in table.feature_names
    put(shop, "tickets", [{"customer_id": "ann", "ticket_id": "t1", "opened_at": at(69)}])
    table = build_features(
        shop, [at(60), at(70)], [at(60), at(70)], shop.snapshot(), settings.features
    )
    rows = read(shop, table.table)
    assert rows["ann", 70]["tickets_90"] == 1
    assert rows["ann", 70]["open_ticket_age_days"] == 1
    assert rows["bob", 70]["tickets_90"] == 0
    assert rows["bob", 70]["open_ticket_age_days"] is None
    # Before the first ticket nobody knows whether there was a desk at all.
    assert rows["ann", 60]["tickets_90"] is None


def test_an_end_after_the_cutoff_has_not_happened(shop: Lake, settings: Settings) -> None:
    ticket = {
        "customer_id": "ann",
        "ticket_id": "t1",
        "opened_at": at(50),
        "closed_at": at(80),
        "satisfaction_score": 5.0,
        "is_complaint": True,
    }
    put(shop, "tickets", [ticket])
    contact = {
        "customer_id": "ann",
        "contact_id": "k1",
        "contacted_at": at(50),
        "opened_at": at(51),
        "responded_at": at(90),
    }
    put(shop, "contacts", [contact])
    table = build_features(
        shop, [at(70), at(100)], [at(70), at(100)], shop.snapshot(), settings.features
    )
    rows = read(shop, table.table)
    early, late = rows["ann", 70], rows["ann", 100]
    assert (early["open_tickets"], late["open_tickets"]) == (1, 0)
    assert (early["ticket_closing_days"], late["ticket_closing_days"]) == (None, 30)
    assert (early["satisfaction_median_365"], late["satisfaction_median_365"]) == (None, 5)
    assert (early["contacts_answered_365"], late["contacts_answered_365"]) == (0, 1)
    assert early["contact_opened_share_365"] == 1
    assert rows["bob", 70]["contact_opened_share_365"] is None


def test_events_and_sessions(shop: Lake, settings: Settings) -> None:
    put(
        shop,
        "events",
        [
            {"customer_id": "ann", "occurred_at": at(65), "kind": "visit", "session_id": "s1"},
            {"customer_id": "ann", "occurred_at": at(65.1), "kind": "search", "session_id": "s1"},
            {"customer_id": "ann", "occurred_at": at(20), "kind": "visit", "session_id": "s2"},
            {"customer_id": "ann", "occurred_at": at(70), "kind": "visit", "session_id": "s3"},
        ],
    )
    table = build_features(shop, [at(70)], [at(70)], shop.snapshot(), settings.features)
    row = read(shop, table.table)["ann", 70]
    assert (row["events_7"], row["events_90"], row["sessions_90"]) == (2, 3, 2)
    assert (row["event_recency_days"], row["event_kinds_90"], row["events_trend"]) == (5, 2, 2)


def test_the_same_question_finds_the_same_table(shop: Lake, settings: Settings) -> None:
    version = shop.snapshot()
    first = build_features(shop, [at(70)], [at(70)], version, settings.features)
    again = build_features(shop, [at(70)], [at(70)], version, settings.features)
    assert again == first == find_features(shop, first.table)
    put(shop, "orders", [order("ann", 75), order("ann", 65)], lag_days=20)
    later = build_features(shop, [at(70)], [at(70)], shop.snapshot(), settings.features)
    assert later.table != first.table
    assert later.fingerprint == first.fingerprint
    informed = build_features(shop, [at(70)], [at(90)], shop.snapshot(), settings.features)
    assert informed.fingerprint != first.fingerprint


def test_who_has_cancelled(lake: Lake, make_settings: MakeSettings) -> None:
    settings = make_settings(features={"outcome": "cancellation", "horizon_days": 30})
    put(
        lake,
        "subscriptions",
        [
            {
                "customer_id": "ann",
                "subscription_id": "s1",
                "started_at": at(0),
                "ended_at": at(120),
                "period_amount": 20,
            },
            {
                "customer_id": "bob",
                "subscription_id": "s2",
                "started_at": at(10),
                "ended_at": at(120),
                "period_amount": 30,
            },
            {
                "customer_id": "bob",
                "subscription_id": "s3",
                "started_at": at(20),
                "period_amount": 5,
            },
            {
                "customer_id": "cyd",
                "subscription_id": "s4",
                "started_at": at(0),
                "ended_at": at(50),
            },
            {
                "customer_id": "dan",
                "subscription_id": "s5",
                "started_at": at(0),
                "ended_at": at(140),
            },
        ],
    )
    table = build_features(
        lake, [at(100)], [at(100)], lake.snapshot(), settings.features, labels_as_of=at(130)
    )
    rows = read(lake, table.table)
    assert {key[0]: row["churned"] for key, row in rows.items()} == {
        "ann": True,
        "bob": False,
        "dan": False,
    }
    bob = rows["bob", 100]
    assert (bob["open_contracts"], bob["period_amount"], bob["contract_age_days"]) == (2, 35, 90)


def test_every_feature_has_a_driver(shop: Lake, settings: Settings) -> None:
    table = build_features(shop, [at(70)], [at(70)], shop.snapshot(), settings.features)
    drivers = feature_drivers(shop, table, settings.features)
    assert list(drivers) == list(table.feature_names)
    assert set(drivers.values()) <= set(DRIVERS)
    columns = {row["column_name"] for row in shop.rows(f"describe lake.main.{quote(table.table)}")}
    assert columns == {"customer_id", "as_of", "value_amount", *table.feature_names}


def test_questions_that_make_no_sense(shop: Lake, settings: Settings) -> None:
    version = shop.snapshot()
    for as_of, known_by in (
        ([], []),
        ([at(70)], []),
        ([at(70.5)], [at(71)]),
        ([at(70), at(60)], [at(70), at(60)]),
        ([at(60), at(70)], [at(90), at(80)]),
    ):
        with pytest.raises(UsageError):
            build_features(shop, as_of, known_by, version, settings.features)


def test_history_that_nobody_knew_then(shop: Lake, settings: Settings) -> None:
    with pytest.raises(DataRejected, match="No cut-off sees a row of `orders`"):
        build_features(
            shop, [at(70)], [at(0) - timedelta(days=1)], shop.snapshot(), settings.features
        )
