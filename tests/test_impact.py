"""What a preview says to a person and to a program, from the same values."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tasks.impact import DayRows, FeatureMove, FeatureMoves, Preview, ScoreMoves, render_preview

AS_OF = datetime(2011, 11, 30, tzinfo=UTC)
SCORES = ScoreMoves(
    champion="rule recency version 3",
    currency="GBP",
    threshold=0.05,
    customers_before=100,
    customers_after=104,
    customers_both=99,
    scores_moved=12,
    largest_change=-0.25,
    at_risk_before_amount=Decimal("1000.5000"),
    at_risk_after_amount=Decimal("99999999999999.9900"),
    list_before=10,
    list_after=9,
    entering=2,
    leaving=3,
    entering_return_amount=Decimal("20.0000"),
    leaving_return_amount=Decimal("30.1000"),
    list_return_before_amount=Decimal("300.1000"),
    list_return_after_amount=Decimal("200.2000"),
)
PREVIEW = Preview(
    deployment="shop",
    batch_number=24,
    batch_name="orders/2011-11",
    table="orders",
    how="waived",
    content_hash="ab" * 32,
    received_rows=1_100,
    accepted_rows=1_000,
    quarantined_rows=100,
    overruled=("net_amount shift: found trailing ratio 94",),
    days=tuple(
        DayRows("orders", date(2011, 11, 1) + timedelta(days=day), 0, 40) for day in range(25)
    ),
    as_of=AS_OF,
    known_by=AS_OF + timedelta(days=1),
    features=FeatureMoves(100, 104, 99, 50, 45, 2, (FeatureMove("amount_30", 50, 1.5, None),)),
    scores=SCORES,
    notes=("a note",),
    seconds=3.14,
)


def test_every_figure_is_told() -> None:
    text = render_preview(PREVIEW)
    for said in (
        "batch orders/2011-11 (number 24) let in",
        "1,100 rows received: 1,000 accepted, 100 set aside",
        "passed over: net_amount shift",
        "Rows of orders by day: +1,000, 25 days, 2011-11-01 to 2011-11-25",
        "... 13 days more",
        "as of 2011-11-30, with what is known by 2011-12-01 00:00 UTC",
        "2 of 45 move, for 50 of 99 customers; customers 100 to 104",
        "150.0%",
        "12 of 99 move by more than 0.05, the largest -0.250",
        "10 to 9 customers: 2 enter, 3 leave",
        "-99.90",
        "Note: a note",
        "3.1 s",
    ):
        assert said in text
    # Each day is there or counted, the last one always.
    assert text.count("#" * 30) == 12
    assert "2011-11-25  " in text


@pytest.mark.parametrize("count", [0, 1, 11, 12, 13])
def test_no_day_is_lost(count: int) -> None:
    lines = render_preview(replace(PREVIEW, days=PREVIEW.days[:count])).splitlines()
    shown = sum(line.startswith("    2011-") for line in lines)
    more = [int(line.split()[1]) for line in lines if "days more" in line]
    assert shown + sum(more) == count


def test_a_refusal_says_why_and_no_figure() -> None:
    refused = Preview(
        "shop", 24, "orders/2011-11", "orders", "judged again", "", refused=("it is empty",)
    )
    assert not refused.possible
    text = render_preview(refused)
    assert "It would not be taken in:\n  it is empty" in text
    assert "rows received" not in text
    assert refused.as_dictionary()["possible"] is False


def test_json_keeps_amounts_exact() -> None:
    plain = json.loads(json.dumps(PREVIEW.as_dictionary()))
    assert plain["possible"] is True
    assert plain["scores"]["at_risk_after_amount"] == "99999999999999.9900"
    assert plain["scores"]["at_risk_change_amount"] == "99999999998999.4900"
    assert plain["as_of"] == "2011-11-30T00:00:00+00:00"
    assert plain["days"][0] == {
        "table": "orders",
        "day": "2011-11-01",
        "rows_before": 0,
        "rows_after": 40,
    }
