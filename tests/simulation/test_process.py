"""The macros of chance and time, and the bounds of a plan."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import pytest
from scipy import stats

from tasks.errors import UsageError
from tasks.populations import SimulationSettings
from tasks.simulation.process import (
    add_months,
    geometric_scale,
    make_lives,
    make_orders,
    make_plan,
    make_world,
)
from tasks.warehouse import Connection, scratch

DRAWS = 40_000


@pytest.fixture
def world() -> Iterator[Connection]:
    with scratch(threads=1) as connection:
        make_world(connection, make_plan(SimulationSettings(), customers=100))
        yield connection


def draw(connection: Connection, expression: str, rows: int = DRAWS) -> np.ndarray:
    table = connection.arrow(
        f"select {expression} as value from"
        f" (select customer_key(7, range) as key from range({rows}))"
    )
    return table["value"].to_numpy()


@pytest.mark.sql
def test_draws_are_the_same_for_ever(world: Connection) -> None:
    # If an upgrade of the database changes its hash, every simulated population changes; say so.
    row = world.one("select customer_key(1, 2) as key, uniform(customer_key(1, 2), 3) as draw")
    assert row == {"key": 2779574480651568302, "draw": pytest.approx(0.32151126439711825)}


@pytest.mark.sql
def test_draws_are_uniform_and_unrelated(world: Connection) -> None:
    first = draw(world, "uniform(key, 1)")
    second = draw(world, "uniform(key, 2)")
    assert stats.kstest(first, "uniform").pvalue > 0.001
    assert stats.kstest(second, "uniform").pvalue > 0.001
    # Neighbours by stream and by number.
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(DRAWS)
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 4 / np.sqrt(DRAWS)
    assert stats.kstest(draw(world, "uniform_16(key, 48)"), "uniform").pvalue > 0.001


@pytest.mark.sql
@pytest.mark.parametrize("shape", [0.3, 1.0, 1.2, 6.0])
def test_gamma_draws(world: Connection, shape: float) -> None:
    values = draw(world, f"gamma_draw(key, 100, {shape}::double)")
    assert stats.kstest(values, "gamma", args=(shape,)).pvalue > 0.001


@pytest.mark.sql
def test_normal_draws(world: Connection) -> None:
    assert stats.kstest(draw(world, "normal(key, 5)"), "norm").pvalue > 0.001


@pytest.mark.sql
def test_the_poisson_of_four_has_its_probabilities(world: Connection) -> None:
    for count in range(24):
        edge = float(stats.poisson.cdf(count, 4))
        below = world.scalar(f"select poisson_four({edge!r} - 1e-13)")
        above = world.scalar(f"select poisson_four({edge!r} + 1e-13)")
        assert (below, above) == (count, count + 1)


@pytest.mark.sql
@pytest.mark.parametrize("mean", [1.2, 2.5, 7.0])
def test_geometric_draws_have_their_mean(world: Connection, mean: float) -> None:
    scale = geometric_scale(mean)
    assert world.scalar(f"select 1 + geometric_mean({scale!r})") == pytest.approx(mean)
    values = 1 + draw(world, f"geometric(uniform(key, 1), {scale!r})")
    assert values.mean() == pytest.approx(mean, abs=4 * values.std() / np.sqrt(DRAWS))


@pytest.mark.sql
def test_the_clockwork_turns_the_calendar_back(world: Connection) -> None:
    # Moments of operational time, to a day and a share of it, and back.
    worst = world.one(
        """
        with moments as (
            select range / 20000.0 * (select max(passed) - 2 from calendar) as passed
            from range(20000)
        ),
        turned as (
            select
                moments.passed,
                case
                    when moments.passed < clockwork.next_passed
                        then clockwork.day + fraction_of_day(
                            (moments.passed - clockwork.passed) / clockwork.mass)
                    else clockwork.day + 1 + fraction_of_day(
                        (moments.passed - clockwork.next_passed) / clockwork.next_mass)
                end as at_day
            from moments
            join clockwork on clockwork.cell
                = floor(moments.passed / (select 0.9 * min(mass) from calendar))::integer
        )
        select
            count(*) as rows,
            max(abs(calendar.passed + calendar.mass * share_of_day(turned.at_day - calendar.day)
                - turned.passed)) as error
        from turned join calendar on calendar.day = floor(turned.at_day)::integer
        """
    )
    assert worst["rows"] == 20_000
    assert worst["error"] < 1e-9


@pytest.mark.sql
def test_longer_months_of_a_leap_year_are_in_the_calendar(world: Connection) -> None:
    plan = make_plan(SimulationSettings(start_on=date(2024, 1, 1)), customers=1, months=2)
    assert plan.window_days == 31 + 29
    assert plan.month_names() == ["2024-01", "2024-02"]


@pytest.mark.sql
def test_first_customers_do_not_depend_on_how_many_follow() -> None:
    frames = []
    for last in (50, 200):
        plan = make_plan(SimulationSettings(), customers=last, months=6)
        with scratch(threads=1) as connection:
            values = make_lives(connection, make_world(connection, plan), 0, last)
            make_orders(connection, values)
            frames.append(
                connection.rows(
                    "select * from order_lines where number < 50"
                    " order by number, at_day, arrival, line, quantity"
                )
            )
    assert frames[0] == frames[1]
    assert len(frames[0]) > 500


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"customers": 0}, "customers is out of bounds"),
        ({"customers": 10, "months": 1}, "months is out of bounds"),
        ({"customers": 10, "seed": -1}, "seed is out of bounds"),
        ({"customers": 10, "dirty_share": 0.9}, "dirty lines is out of bounds"),
    ],
)
def test_a_plan_out_of_bounds_is_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_plan(SimulationSettings(), **options)


def test_a_population_starts_with_a_month() -> None:
    with pytest.raises(UsageError, match="first day of a month"):
        make_plan(SimulationSettings(start_on=date(2022, 1, 2)), customers=10)


def test_months_are_added_over_the_turn_of_a_year() -> None:
    assert add_months(date(2022, 11, 1), 3) == date(2023, 2, 1)
