"""The clock of a replay: it holds within its block, nests, and wants a time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tasks.clock import PointInTime
from tasks.moments import read_clock, standing_at


def test_the_wall_clock_is_told_outside_of_a_replay() -> None:
    assert abs(read_clock() - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_replay_stands_at_its_moment_and_leaves_it() -> None:
    moment = datetime(2011, 3, 1, 12, tzinfo=timezone(timedelta(hours=9)))
    with standing_at(moment):
        assert read_clock() == datetime(2011, 3, 1, 3, tzinfo=UTC)
        with standing_at(moment + timedelta(days=7)):
            assert read_clock().day == 8
        assert read_clock().day == 1
    assert read_clock() > datetime(2020, 1, 1, tzinfo=UTC)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"), standing_at(datetime(2011, 3, 1)):
        raise AssertionError("the block must not be entered")


def test_a_running_clock_goes_on_from_its_moment() -> None:
    moment = datetime(2011, 3, 1, tzinfo=UTC)
    with standing_at(moment, running=True):
        first = read_clock()
        second = read_clock()
        assert moment <= first <= second < moment + timedelta(minutes=1)


def test_a_night_learns_the_same_however_long_its_steps_took() -> None:
    as_of = datetime(2022, 9, 5, tzinfo=UTC)
    past = (datetime(2022, 8, 8, tzinfo=UTC), datetime(2022, 8, 22, tzinfo=UTC))
    quick = PointInTime(as_of, as_of + timedelta(hours=23, minutes=4, seconds=19))
    slow = PointInTime(as_of, as_of + timedelta(hours=23, minutes=6, seconds=14))
    full = tuple(cutoff + timedelta(hours=24) for cutoff in past)
    assert quick.known_at(past) == slow.known_at(past) == full
    # A whole number of hours stays what it is, and no lag is none.
    assert PointInTime(as_of, as_of + timedelta(hours=24)).known_at(past) == full
    assert PointInTime(as_of, as_of).known_at(past) == past
