"""The series against a slow count of the same, and what a segment's past may be told from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import DataRejected
from tasks.forecasts.periods import Period, day_of
from tasks.forecasts.series import Collected, Series, collect_series
from tasks.settings import Settings
from tasks.warehouse import Lake
from tests.conftest import MakeSettings
from tests.features.shop import EPOCH, at, order, put, put_random_shop

pytestmark = pytest.mark.sql
WINDOW, HORIZON = 40, 20


def collect(lake: Lake, settings: Settings, as_of: datetime) -> Collected:
    return collect_series(lake, as_of, as_of, lake.snapshot(), settings)


def find(collected: Collected, measure: str, segment: str | None = None) -> Series:
    (found,) = (
        one for one in collected.series if (one.measure, one.segment_id) == (measure, segment)
    )
    return found


@pytest.fixture
def short_windows(lake: Lake, make_settings: MakeSettings) -> Settings:
    return make_settings(
        lake.deployment,
        features={"activity_window_days": WINDOW, "horizon_days": HORIZON},
        forecasts={"minimum_periods": 12},
    )


@given(st.integers(-1000, 40_000), st.sampled_from(["week", "month"]))
def test_periods_hold_their_days(day: int, name: str) -> None:
    period = Period("week" if name == "week" else "month")
    number = period.of_day(day)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)
    assert period.start(number) <= moment < period.start(number + 1)
    assert period.first_from(day) == number + (moment != period.start(number))
    if name == "week":
        assert period.start(number).weekday() == 0


@pytest.mark.parametrize("monthly", [False, True])
def test_they_are_what_a_slow_count_finds(
    lake: Lake, make_settings: MakeSettings, monthly: bool
) -> None:
    months = 6 if monthly else 36
    settings = make_settings(
        lake.deployment,
        features={"activity_window_days": WINDOW, "horizon_days": HORIZON},
        forecasts={"monthly_from_months": months},
    )
    put_random_shop(lake, 60, 400)
    put(lake, "orders", [order("c00001", 200.2, -30), order("late", 100, 7)], lag_days=0)
    put(lake, "orders", [order("unseen", 150)], lag_days=9999)
    as_of = at(380)
    found = collect(lake, settings, as_of)
    assert found.period.name == ("month" if monthly else "week")
    rows = lake.rows(
        "select customer_id, ordered_at, net_amount::double as amount, is_return"
        " from lake.main.orders where ordered_at < $as_of and received_at <= $as_of",
        {"as_of": as_of},
    )
    days: dict[str, set[int]] = {}
    for row in rows:
        if not row["is_return"]:
            days.setdefault(row["customer_id"], set()).add(day_of(row["ordered_at"]))
    base = find(found, "active_customers")
    rate = find(found, "churn_rate")
    for series in (base, rate):
        for place, value in enumerate(series.values):
            cutoff = day_of(series.period.start(series.first + place))
            active = [
                one for one in days.values() if any(cutoff - WINDOW <= day < cutoff for day in one)
            ]
            left = [
                one for one in active if not any(cutoff <= day < cutoff + HORIZON for day in one)
            ]
            expected = len(active) if series is base else len(left) / len(active)
            assert value == pytest.approx(expected), (series.measure, place)
    revenue = find(found, "revenue")
    for place, value in enumerate(revenue.values):
        start = revenue.period.start(revenue.first + place)
        end = revenue.period.start(revenue.first + place + 1)
        spent = sum(row["amount"] for row in rows if start <= row["ordered_at"] < end)
        assert value == pytest.approx(spent)
    # Nothing but complete periods, and nothing that cannot be known yet.
    step = revenue.period
    assert step.start(revenue.first + len(revenue.values)) <= as_of
    assert step.start(base.first + len(base.values) - 1) <= as_of
    assert step.start(rate.first + len(rate.values) - 1) + timedelta(days=HORIZON) <= as_of
    assert step.start(base.first) >= EPOCH + timedelta(days=WINDOW)
    ends = {one.measure: one.first + len(one.values) + one.ahead for one in (base, rate, revenue)}
    assert ends["active_customers"] == ends["churn_rate"] == ends["revenue"] + 1


def put_segments(lake: Lake, members: str) -> None:
    """`members` is SQL of (customer_id, segment_id)."""
    as_of = at(380)
    lake.execute(
        "insert into lake.main.customer_segments by name select customer_id, $as_of as as_of,"
        " $as_of as known_by, 'r' as run_id, 'g' as segmentation_id, segment_id,"
        f" segment_id as segment_name from ({members})",
        {"as_of": as_of},
    )
    lake.execute(
        "insert into lake.ledger.findings values"
        " ('r', 'segments', $as_of, $as_of, 1, $as_of, '{}')",
        {"as_of": as_of},
    )


def test_segments_add_up_where_all_are_in_one(lake: Lake, short_windows: Settings) -> None:
    put_random_shop(lake, 60, 400)
    put_segments(
        lake,
        "select distinct customer_id, if(customer_id < 'c00020', 'small', 'large') as segment_id"
        " from lake.main.orders",
    )
    found = collect(lake, short_windows, at(380))
    assert found.uncovered == ()
    assert found.segments == 2
    for measure in ("active_customers", "revenue"):
        parts = [find(found, measure, segment).values for segment in ("small", "large")]
        assert np.sum(parts, axis=0) == pytest.approx(find(found, measure).values)
    rates = [find(found, "churn_rate", segment).values for segment in ("small", "large")]
    total = find(found, "churn_rate").values
    assert (np.minimum(*rates) <= total + 1e-12).all()
    assert (total <= np.maximum(*rates) + 1e-12).all()


def test_those_who_left_before_segments_were_made_keep_a_segment_from_being_told(
    lake: Lake, short_windows: Settings
) -> None:
    put_random_shop(lake, 60, 400)
    put_segments(
        lake,
        "select distinct customer_id, 'now' as segment_id from lake.main.orders"
        f" where ordered_at >= timestamptz '{at(380 - WINDOW).isoformat()}'",
    )
    found = collect(lake, short_windows, at(380))
    assert "churn_rate" in found.uncovered
    assert [one.measure for one in found.series if one.segment_id] == []


def test_nothing_ordered_is_refused(lake: Lake, settings: Settings) -> None:
    with pytest.raises(DataRejected, match="Nothing was ordered"):
        collect(lake, settings, at(10))
