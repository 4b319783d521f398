"""Holes in a row of periods (FAULTS 20)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from tasks.handles import Batch, BatchState
from tasks.intake.gaps import Gap, find_gaps


def batch(name: str, state: BatchState = "accepted") -> Batch:
    source = name.split("/")[0]
    return Batch(1, name, source, "orders", "", state, 1, 1, 0, datetime(2011, 1, 1, tzinfo=UTC))


def test_a_missing_month_is_named_per_source() -> None:
    batches = [batch(f"orders/{name}") for name in ("2010-11", "2010-12", "2011-02", "2011-04")]
    batches += [batch("events/2011-01"), batch("events/2011-02"), batch("odd/all")]
    batches.append(batch("orders/2011-03", "quarantined"))
    assert find_gaps(batches) == [Gap("orders", ("2011-01", "2011-03"))]


@pytest.mark.parametrize(
    ("skipped", "missing"),
    [
        (lambda day: False, ()),
        (lambda day: day.weekday() == 5, ()),  # never open on Saturdays
        (lambda day: day == date(2011, 3, 9), ("2011-03-09",)),
        (lambda day: day.weekday() == 5 or day == date(2011, 3, 9), ("2011-03-09",)),
    ],
)
def test_a_missing_day_is_one_of_a_weekday_that_delivers(skipped, missing) -> None:  # type: ignore[no-untyped-def]
    days = [date(2011, 1, 1) + timedelta(days=n) for n in range(100)]
    found = find_gaps(batch(f"orders/{day}") for day in days if not skipped(day))
    assert found == ([Gap("orders", missing)] if missing else [])


def test_names_that_are_no_periods_make_no_gap() -> None:
    assert find_gaps([batch("orders/2011-13-45"), batch("orders/a"), batch("orders/2011-01")]) == []
