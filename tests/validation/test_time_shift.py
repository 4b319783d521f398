"""Deliveries whose times were moved: found by their hours of the day, and nothing else is."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.incidents.causes import cause_of_stop, explain_likely
from tasks.settings import Settings
from tasks.validation.backtest import plant
from tasks.validation.history import NoHistory
from tasks.validation.hours import HOURS, describe, distance, find_movement, move
from tasks.validation.judging import validate
from tasks.validation.past import rebuild
from tasks.validation.statistics import HOUR_PREFIX, MOMENTS
from tests.validation.drawing import DrawnHistory, failed, fill, measured, result
from tests.validation.past_days import make_day

NOW = datetime(2024, 4, 1, tzinfo=UTC)
#        00    02    04    06    08    10    12    14    16    18    20    22
SHOP = (0, 0, 0, 0, 0, 0, 0, 1, 4, 8, 9, 9, 7, 6, 8, 9, 9, 6, 3, 1, 0, 0, 0, 0)
# Minutes of one day, from 09:00 to 15:00.
OPEN = "timestamptz '2024-03-15 09:00:00+00' + n * 197 % 360 * interval 1 minute"


def shares(weights: Sequence[float]) -> list[float]:
    return [weight / sum(weights) for weight in weights]


def counts(profile: Sequence[float], moments: int = 10_000) -> list[int]:
    return [round(share * moments) for share in profile]


def drawn(rng: random.Random, weights: Sequence[float], moments: int) -> list[int]:
    hours = rng.choices(range(HOURS), weights, k=moments)
    return [hours.count(hour) for hour in range(HOURS)]


def past(weights: Sequence[float], batches: int = 4) -> list[tuple[list[float], float]]:
    return [(shares(weights), 300.0)] * batches


@pytest.mark.parametrize("hours", [2.0, 5.5, 9.0, 12.0, -8.0, -3.5])
def test_hours_that_were_moved(hours: float) -> None:
    found = find_movement(counts(move(shares(SHOP), hours)), past(SHOP))
    assert found is not None
    assert (found.hours, found.is_clocks) == (hours, False)
    assert found.moved_back < 0.01
    assert found.gain > 0.15


@pytest.mark.parametrize("hours", [1.0, -1.0])
def test_an_hour_is_what_clocks_do(hours: float) -> None:
    found = find_movement(counts(move(shares(SHOP), hours)), past(SHOP))
    assert found is not None
    assert (found.hours, found.is_clocks) == (hours, True)


@pytest.mark.parametrize(
    "weights",
    [
        SHOP,
        # Closed in the morning, a sale until midnight, one hour of a machine.
        (*(0,) * 13, *SHOP[13:]),
        (*SHOP[:19], 20, 30, 30, 20, 10),
        (*(0,) * 3, 1, *(0,) * 20),
    ],
)
def test_another_day_is_no_shift(weights: Sequence[float]) -> None:
    found = find_movement(counts(shares(weights)), past(SHOP))
    assert found is not None
    assert (found.hours, found.gain) == (0.0, 0.0)


def test_days_without_hours_say_nothing() -> None:
    midnight = (1, *(0,) * 23)
    assert find_movement(counts(midnight), past(midnight)) is None
    assert find_movement(counts(shares(SHOP)), past(midnight)) is None
    # Local midnight is one hour of UTC in winter and another in summer.
    summer = [(shares((*(0,) * 22, *halves)), 300.0) for halves in ((0, 1), (1, 1), (1, 0))]
    assert find_movement(counts((*(0,) * 22, 1, 0)), summer) is None


def test_days_that_are_seldom_alike_say_nothing() -> None:
    # A job stamps its rows with the hour in which it runs, which is another one each night.
    nights = [
        (shares([float(h in (run, run + 1)) for h in range(HOURS)]), 300.0) for run in range(9)
    ]
    found = find_movement(counts(shares([float(h in (15, 16)) for h in range(HOURS)])), nights)
    assert found is None or found.hours == 0.0


@st.composite
def shops(draw: st.DrawFn) -> list[float]:
    """The day of a shop that is open for five to ten hours."""
    weights = draw(st.lists(st.integers(1, 3), min_size=5, max_size=10))
    opens = draw(st.integers(0, HOURS - 1))
    return move(shares([*weights, *[0] * (HOURS - len(weights))]), opens)


@given(shop=shops(), halves=st.integers(4, 44), batches=st.integers(3, 12))
@settings(max_examples=60, deadline=None)
def test_any_shift_of_a_day_with_a_peak_is_found(
    shop: list[float], halves: int, batches: int
) -> None:
    hours = halves / 2 if halves <= HOURS else halves / 2 - HOURS
    found = find_movement(counts(move(shop, hours)), past(shop, batches))
    assert found is not None
    assert found.gain > 0.15
    # Half an hour divides hours: a neighbour may fit as well.
    assert abs(found.hours - hours) <= (0.5 if hours % 1 else 0.0)


@given(seed=st.integers(0, 2**32), batches=st.integers(3, 12), moments=st.integers(30, 2_000))
@settings(max_examples=60, deadline=None)
def test_a_flat_day_never_looks_moved(seed: int, batches: int, moments: int) -> None:
    rng = random.Random(seed)
    flat = [1.0] * HOURS
    before = [(shares(drawn(rng, flat, moments)), float(moments)) for _ in range(batches)]
    found = find_movement(drawn(rng, flat, moments), before)
    assert found is None or found.gain < 0.1


@given(shop=shops(), hours=st.integers(-30, 30).map(lambda half: half / 2))
@settings(max_examples=40, deadline=None)
def test_to_move_keeps_all_and_comes_back(shop: list[float], hours: float) -> None:
    moved = move(shop, hours)
    assert sum(moved) == pytest.approx(1.0)
    assert distance(moved, move(shop, hours + HOURS)) == pytest.approx(0.0)
    if hours.is_integer():
        assert move(moved, -hours) == pytest.approx(shop)


def test_words_of_a_shift() -> None:
    assert [describe(hours) for hours in (9.0, -8.0, 5.5, 1.0, -1.0)] == [
        "+9 hours",
        "-8 hours",
        "+5:30 hours",
        "+1 hour",
        "-1 hour",
    ]


def usual(directory: Path) -> DrawnHistory:
    return DrawnHistory(
        *(
            measured(fill(directory, "orders", 300 + day, name=f"orders/{day}", ordered_at=OPEN))
            for day in range(3)
        )
    )


@pytest.mark.sql
@pytest.mark.parametrize(
    ("interval", "level", "said"),
    [
        ("9 hours", "stop", "order times look moved by +9 hours (profile differs by 1.00, by 0.0"),
        ("-8 hours", "stop", "order times look moved by -8 hours"),
        ("330 minutes", "stop", "order times look moved by +5:30 hours"),
        ("1 hour", "warn", "order times look moved by +1 hour, as when clocks are changed"),
        ("0 hours", "", "no shift of the times"),
    ],
)
def test_the_rule(
    tmp_path: Path,
    make_settings: Callable[..., Settings],
    interval: str,
    level: str,
    said: str,
) -> None:
    moved = f"{OPEN} + interval '{interval}'"
    staged = fill(tmp_path, "orders", 300, name="orders/4", ordered_at=moved)
    verdict = validate(staged, usual(tmp_path), make_settings(), now=NOW)
    found = result(verdict, "time_shift")
    assert found.observed.startswith(said)
    assert found.passed == (level == "")
    assert failed(verdict, level or None) == ({"time_shift"} if level else set())
    if level == "stop":
        cause = cause_of_stop("orders", verdict.results)
        assert (cause.code, cause.column) == ("TZ", "ordered_at")
        assert "another time zone" in explain_likely(cause.code)


@pytest.mark.sql
def test_what_is_kept_of_the_hours(tmp_path: Path, make_settings: Callable[..., Settings]) -> None:
    # 400 lines of 40 customers within one hour: forty moments, not 400.
    hour = "timestamptz '2024-03-15 09:00:00+00' + n % 60 * interval 1 minute"
    lines = fill(tmp_path, "orders", 400, customer_id="'c' || n % 40", ordered_at=hour)
    kept = {(s.column, s.statistic): s.value for s in measured(lines)}
    assert kept["ordered_at", MOMENTS] == 40
    assert kept["ordered_at", f"{HOUR_PREFIX}09"] == 1.0
    assert sum(value for (_, name), value in kept.items() if name.startswith(HOUR_PREFIX)) == 1.0
    verdict = validate(lines, NoHistory(), make_settings(), now=NOW)
    assert result(verdict, "time_shift").reason == "not enough history: 0 of 3 batches"
    # Of a few customers it would say when each of them came.
    few = measured(fill(tmp_path, "orders", 29, ordered_at=hour))
    assert not [s for s in few if s.statistic.startswith((HOUR_PREFIX, MOMENTS))]


def test_hours_are_remembered_and_moved_by_a_plant(make_settings: Callable[..., Settings]) -> None:
    day = make_day(1, date(2024, 3, 1), 100)
    assert rebuild(day).moments == ()
    assert "times nine hours later" not in dict(plant(rebuild(day), "orders", 0, make_settings()))
    hours = {("ordered_at", f"{HOUR_PREFIX}{h:02}"): s for h, s in enumerate(shares(SHOP))}
    figures = {**day.figures, **hours, ("ordered_at", MOMENTS): 80.0}
    again = rebuild(replace(day, figures=figures))
    assert again.moments == tuple(counts(shares(SHOP), 80))
    planted = dict(plant(again, "orders", 0, make_settings()))["times nine hours later"]
    assert planted.moments[(10 + 9) % HOURS] == again.moments[10]
