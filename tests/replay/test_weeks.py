"""The steps of a replay: even, in order, and none too many."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import UsageError
from tasks.replay.weeks import plan_weeks, read_every

DAY = timedelta(days=1)


@given(st.dates(date(2000, 1, 1), date(2030, 1, 1)), st.integers(0, 900), st.integers(1, 30))
def test_steps_are_even_and_end_in_time(since: date, days: int, every: int) -> None:
    until = since + timedelta(days=days)
    weeks = plan_weeks(since, until, every, DAY)
    assert weeks[0].as_of == datetime(since.year, since.month, since.day, tzinfo=UTC)
    assert weeks[-1].as_of.date() <= until < (weeks[-1].as_of + every * DAY).date()
    assert {b.as_of - a.as_of for a, b in itertools.pairwise(weeks)} <= {every * DAY}
    assert all(week.moment - week.as_of == DAY for week in weeks)
    assert [week.number for week in weeks] == list(range(len(weeks)))


@pytest.mark.parametrize(("text", "days"), [("1w", 7), ("2w", 14), ("10d", 10), (" 1d ", 1)])
def test_distances(text: str, days: int) -> None:
    assert read_every(text) == days


@pytest.mark.parametrize("text", ["", "0w", "w", "1m", "-1w", "1.5w", "1000d"])
def test_what_is_no_distance(text: str) -> None:
    with pytest.raises(UsageError, match="no distance of time"):
        read_every(text)


def test_spans_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="lies before"):
        plan_weeks(date(2020, 2, 1), date(2020, 1, 1), 7, DAY)
    with pytest.raises(UsageError, match="too many"):
        plan_weeks(date(1900, 1, 1), date(2020, 1, 1), 1, DAY)
