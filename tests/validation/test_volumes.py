"""A day's rows beside its weekday and its season; months beside their season."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tasks.handles import Statistic
from tasks.sections import ValidationSettings
from tasks.settings import Settings
from tasks.validation.batch_checks import list_checks
from tasks.validation.history import PastVolume, volume_of
from tasks.validation.judging import validate
from tasks.validation.past import rebuild, surround
from tasks.validation.rules import table_rules
from tasks.validation.statistics import Figures
from tasks.validation.volumes import Usual, expect_rows
from tests.validation.drawing import DrawnHistory, fill, measured, result
from tests.validation.past_days import make_day

MONDAY = date(2023, 1, 2)
# Of a shop that is open all week and sleeps on Sundays.
WEEK = (100, 100, 100, 100, 140, 180, 30)
Rows = Callable[[date], int]


@pytest.fixture(scope="module")
def chosen(make_settings: Callable[..., Settings]) -> ValidationSettings:
    return make_settings().validation


def weekly(day: date) -> int:
    return WEEK[day.weekday()]


def seasonal(day: date) -> int:
    """Twice and a half as much in the four weeks before Christmas."""
    return round(weekly(day) * (2.5 if (11, 27) <= (day.month, day.day) <= (12, 24) else 1.0))


def expect(
    day: date, days: int, rows: Rows, settings: ValidationSettings, middle: Callable[[date], float]
) -> Usual | None:
    """What the calendar says of a day after so many days of history."""
    history = [day - timedelta(days=back) for back in range(days, 0, -1)]
    volumes = [
        volume_of(make_day(1, past, rows(past), middle_hour=middle(past)).figures)
        for past in history
    ]
    figures = rebuild(make_day(1, day, rows(day), middle_hour=middle(day)))
    return expect_rows(figures, [v for v in volumes if v is not None], settings)


def at_noon(_: date) -> float:
    return 12.0


def straddling(day: date) -> float:
    """A shop in California: the middle of its day is now before, now after midnight UTC."""
    return 23.5 if day.toordinal() % 3 else 25.0


@pytest.mark.parametrize("middle", [at_noon, straddling])
@pytest.mark.parametrize("weekday", range(7))
def test_each_weekday_is_expected_to_be_itself(
    chosen: ValidationSettings, weekday: int, middle: Callable[[date], float]
) -> None:
    usual = expect(MONDAY + timedelta(days=70 + weekday), 70, weekly, chosen, middle)
    assert usual is not None
    assert usual.rows == pytest.approx(WEEK[weekday])


def test_three_weeks_are_needed(chosen: ValidationSettings) -> None:
    day = MONDAY + timedelta(days=70)
    assert expect(day, 20, weekly, chosen, at_noon) is None
    assert expect(day, 21, weekly, chosen, at_noon) is not None


def test_a_level_that_rises_is_followed_within_two_weeks(chosen: ValidationSettings) -> None:
    day = MONDAY + timedelta(days=100)
    since = day - timedelta(days=14)

    def doubled(past: date) -> int:
        return weekly(past) * (2 if past >= since else 1)

    usual = expect(day, 90, doubled, chosen, at_noon)
    assert usual is not None
    assert usual.rows == pytest.approx(2 * weekly(day), rel=0.1)


def test_december_is_expected_where_the_year_before_had_one(chosen: ValidationSettings) -> None:
    # Two weeks into the rush the level of the last batches is still that of November.
    day = date(2024, 11, 29)
    alone = expect(day, 300, seasonal, chosen, at_noon)
    known = expect(day, 420, seasonal, chosen, at_noon)
    assert alone is not None
    assert known is not None
    assert alone.rows == pytest.approx(weekly(day), rel=0.1)
    # Half of the season in logarithms.
    assert known.rows == pytest.approx(weekly(day) * math.sqrt(2.5), rel=0.1)
    assert "season 1.5" in known.detail


def test_a_broken_week_of_last_year_excuses_at_most_fourfold(chosen: ValidationSettings) -> None:
    day = date(2024, 6, 12)

    def broken(past: date) -> int:
        return (
            100 * weekly(past) if date(2023, 6, 11) <= past <= date(2023, 6, 25) else weekly(past)
        )

    usual = expect(day, 420, broken, chosen, at_noon)
    assert usual is not None
    assert usual.rows == pytest.approx(4 * weekly(day))


def test_months_have_a_season_but_no_weekday(chosen: ValidationSettings) -> None:
    rows = {11: 300.0, 12: 200.0}

    def month(number: int) -> PastVolume:
        year, part = divmod(number, 12)
        middle = date(2022 + year, part + 1, 15) - date(1970, 1, 1)
        return PastVolume(int(rows.get(part + 1, 100.0)), 27.0, middle.days)

    november = month(22)
    middle_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=november.middle_day)
    times = tuple(middle_at + timedelta(days=apart) for apart in (-13, -7, 7, 14))
    figures = Figures(rows=300, times=times, middle_at=middle_at)  # type: ignore[arg-type]
    usual = expect_rows(figures, [month(number) for number in range(22)], chosen)
    assert usual is not None
    assert usual.rows == pytest.approx(100 * math.sqrt(3), rel=0.01)
    # Without the year before there is nothing to say beyond the trailing median.
    assert expect_rows(figures, [month(number) for number in range(12, 22)], chosen) is None


LIMITS = {"warn_below": 0.6, "stop_below": 0.5, "warn_above": 1.8, "stop_above": 2.5}


@pytest.mark.sql
def test_great_expectations_agrees_on_a_sunday_and_on_a_monday_at_its_level(
    tmp_path: Path, with_rules: Callable[..., Settings]
) -> None:
    settings = with_rules(batch={"volume": LIMITS})
    past = [MONDAY - timedelta(days=back) for back in range(28, 0, -1)]
    history = DrawnHistory(
        *(
            [Statistic(*key, value) for key, value in make_day(1, day, weekly(day)).figures.items()]
            for day in past
        )
    )
    for day, outcome in ((MONDAY, "stopped"), (MONDAY + timedelta(days=6), "accepted")):
        at = f"timestamptz '{day} 10:00:00+00' + n * interval 1 minute"
        staged = fill(tmp_path, "orders", 30, name=f"orders/{day}", ordered_at=at)
        verdict = validate(staged, history, settings, now=datetime(2023, 2, 1, tzinfo=UTC))
        volume = result(verdict, "volume")
        assert (volume.passed, volume.severity) == (outcome == "accepted", "stop")
        assert "the usual by the calendar" in volume.observed


def test_the_calendar_can_be_left_out(with_rules: Callable[..., Settings]) -> None:
    past = [
        make_day(number, day, weekly(day))
        for number in range(28)
        for day in [MONDAY + timedelta(days=number)]
    ]
    sunday = past.pop()
    found = {}
    for compare in ("calendar", "trailing"):
        settings = with_rules(batch={"volume": LIMITS | {"compare": compare}})
        volume = settings.validation.tables["orders"].batch["volume"]
        around = surround(sunday, past, rebuild(sunday), settings)
        [check] = list_checks(table_rules("orders"), {"volume": volume}, around)
        found[compare] = check
    assert found["calendar"].level == ""
    assert "weekday 0.3" in found["calendar"].observed
    assert found["trailing"].level == "stop"
    assert found["trailing"].observed == "0.3 times the trailing median (30; 100)"


@pytest.mark.sql
def test_the_place_in_the_calendar_is_kept_to_a_quarter_of_an_hour(tmp_path: Path) -> None:
    at = "timestamptz '2024-03-15 12:02:00+00' + n * interval 1 second"
    kept = {
        (s.column, s.statistic): s.value
        for s in measured(fill(tmp_path, "orders", 60, ordered_at=at))
    }
    day = (date(2024, 3, 15) - date(1970, 1, 1)).days
    assert kept["", "middle_day"] == day + 0.5
    assert kept["", "late_day"] == day
