"""Holes in a row of periods (FAULTS 20)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from tasks.handles import Batch, BatchState
from tasks.intake.gaps import Gap, find_gaps, find_overdue, period_end
from tasks.sources import Due


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


def test_a_discarded_part_is_decided_and_rows_without_a_time_are_no_period() -> None:
    batches = [batch("orders/2011-01"), batch("orders/2011-03"), batch("orders/undated")]
    assert find_gaps(batches) == [Gap("orders", ("2011-02",))]
    assert find_gaps([*batches, batch("orders/2011-02", "discarded")]) == []


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("names", "every", "now", "overdue"),
    [
        (["2011-11", "2011-12"], "month", "2012-01-31T23:59", ()),
        (["2011-11", "2011-12"], "month", "2012-02-02T00:00", ("2012-01",)),
        (["2011-12"], "month", "2012-03-02T00:00", ("2012-01", "2012-02")),
        (["2011-02-28"], "day", "2011-03-02T23:59", ()),
        (["2011-02-28"], "day", "2011-03-03T00:00", ("2011-03-01",)),
        # Names that are no periods, or of another rhythm: the last arrival says it.
        (["part-1"], "day", "2011-03-02T11:59", ()),
        (["part-1"], "day", "2011-03-02T12:00", ("after 2011-02-28",)),
        (["2011-02"], "day", "2011-03-02T12:00", ("after 2011-02-28",)),
        (["part-1"], "month", "2011-04-01T12:00", ("after 2011-02-28",)),
    ],
)
def test_what_is_overdue(names: list[str], every: str, now: str, overdue: tuple[str, ...]) -> None:
    due = Due.model_validate({"every": every, "grace_hours": 24.0})
    assert find_overdue(names, moment("2011-02-28T12:00"), due, moment(now)) == overdue


def test_a_weekday_that_never_delivers_is_not_due() -> None:
    days = [date(2011, 1, 3) + timedelta(days=n) for n in range(60)]  # Monday to Thursday
    names = [str(day) for day in days if day.weekday() != 4]
    due = Due(every="day", grace_hours=0)
    overdue = find_overdue(names, None, due, moment("2011-03-07T00:00"))
    assert overdue == ("2011-03-05", "2011-03-06")  # Saturday and Sunday, not the Friday
    assert find_overdue([], None, due, moment("2011-03-07")) == ("the first delivery",)


@pytest.mark.parametrize(
    ("part", "end"),
    [("2011-12", "2012-01-01"), ("2011-12-31", "2012-01-01"), ("2011-13", None), ("a", None)],
)
def test_when_a_period_ends(part: str, end: str | None) -> None:
    assert period_end(part) == (moment(end) if end else None)


def test_names_that_are_no_periods_make_no_gap() -> None:
    assert find_gaps([batch("orders/2011-13-45"), batch("orders/a"), batch("orders/2011-01")]) == []
