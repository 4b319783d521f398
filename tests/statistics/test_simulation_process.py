"""Purchases, drop-outs, complaints and seasons of simulated customers follow what was declared."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from scipy import stats

from tests.conftest import MakeSettings
from tests.statistics.population import Population, intervals_agree, make_population

pytestmark = pytest.mark.statistics

CUSTOMERS = 12_000
NO_TICKETS = {"complaint_share": 0.0}
NO_CONTACTS = {"share": 0.0}
FLAT = {
    "yearly_amplitude": 0.0,
    "weekday_factors": [1.0] * 7,
    "holiday_factor": 1.0,
}


@pytest.fixture(scope="module")
def plain(make_settings: MakeSettings, tmp_path_factory: pytest.TempPathFactory) -> Population:
    """Nothing but the Pareto/NBD process, over a calendar without seasons."""
    return make_population(
        make_settings,
        tmp_path_factory.mktemp("plain") / "p",
        customers=CUSTOMERS,
        seasons=FLAT,
        tickets=NO_TICKETS,
        contacts=NO_CONTACTS,
        dropouts={"yearly_mean": 0.9, "shape": 1.5, "hunter_ratio": 1.0},
        purchases={"yearly_mean": 12.0, "shape": 0.8},
    )


@pytest.fixture(scope="module")
def seasonal(make_settings: MakeSettings, tmp_path_factory: pytest.TempPathFactory) -> Population:
    """The default population, with complaints that count and no contacts."""
    return make_population(
        make_settings,
        tmp_path_factory.mktemp("seasonal") / "p",
        customers=CUSTOMERS,
        contacts=NO_CONTACTS,
        purchases={"yearly_mean": 12.0},
        tickets={"yearly_mean": 3.0, "complaint_share": 0.5, "hazard_ratio": 3.0},
    )


def test_rates_are_gamma_distributed(plain: Population) -> None:
    truth = plain.customers()
    purchases = truth["purchase_rate"] * 365.25
    assert stats.kstest(purchases, "gamma", args=(0.8, 0, 12.0 / 0.8)).pvalue > 0.001
    dropouts = truth["dropout_rate"] * 365.25
    assert stats.kstest(dropouts, "gamma", args=(1.5, 0, 0.9 / 1.5)).pvalue > 0.001
    assert abs(stats.spearmanr(purchases, dropouts)[0]) < 4 / np.sqrt(CUSTOMERS)


def test_lifetimes_are_those_of_the_pareto_nbd(plain: Population) -> None:
    truth = plain.customers()
    lived = truth["gone"] - truth["joined"]
    # Given his hazard a customer's lifetime is exponential ...
    share = 1 - np.exp(-truth["dropout_rate"] * lived)
    assert stats.kstest(share, "uniform").pvalue > 0.001
    # ... and over all customers Pareto of the second kind: (b / (b + t))^s.
    scale = 1.5 / 0.9 * 365.25
    assert stats.kstest(lived, "lomax", args=(1.5, 0, scale)).pvalue > 0.001


def test_orders_are_a_poisson_process_while_a_customer_stays(plain: Population) -> None:
    truth = plain.customers()
    counted = plain.read(
        """
        select coalesce(n, 0) as n from {truth} left join (
            select customer_id, count(distinct order_id) - 1 as n from {orders}
            where not is_return group by customer_id
        ) using (customer_id) order by customer_id
        """
    )["n"]
    days = np.minimum(truth["gone"], plain.plan.window_days) - truth["joined"]
    expected = truth["purchase_rate"] * days
    total = expected.sum()
    assert intervals_agree(counted.sum(), total, np.sqrt(total))
    # Variance equal to the mean, customer by customer; fourth moment of a Poisson: m + 3 m^2.
    squares = ((counted - expected) ** 2).sum()
    spread = np.sqrt((expected + 2 * expected**2).sum())
    assert intervals_agree(squares, total, spread)


def test_moments_of_orders_are_spread_evenly_over_a_life(plain: Population) -> None:
    places = plain.read(
        """
        with firsts as (
            select customer_id, order_id, min(days(ordered_at)) as moment
            from {orders} where not is_return group by all
        )
        select (moment - days(joined_at))
            / (least(days(dropped_out_at), 365.0) - days(joined_at)) as place
        from firsts join {truth} using (customer_id)
        where moment > days(joined_at) + 1e-6 and days(dropped_out_at) - days(joined_at) > 30
        """
    )["place"]
    # Within a day more happens in the day than at night, which a life of a year does not see.
    assert len(places) > 50_000
    observed, _ = np.histogram(places, bins=20, range=(0, 1))
    assert stats.chisquare(observed).pvalue > 0.001


def test_nobody_orders_after_leaving(seasonal: Population) -> None:
    late = seasonal.read(
        "select count(*) as n from {orders} join {truth} using (customer_id)"
        " where not is_return and ordered_at > dropped_out_at"
    )
    assert late["n"][0] == 0


def test_a_hazard_that_ages_is_weibull(
    make_settings: MakeSettings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ageing = make_population(
        make_settings,
        tmp_path_factory.mktemp("ageing") / "p",
        customers=4_000,
        months=2,
        tickets=NO_TICKETS,
        contacts=NO_CONTACTS,
        dropouts={"ageing": 1.6, "yearly_mean": 1.0, "shape": 2.0},
    )
    truth = ageing.customers()
    aged = 365.0 * ((truth["gone"] - truth["joined"]) / 365.0) ** 1.6
    share = 1 - np.exp(-truth["dropout_rate"] * aged)
    assert stats.kstest(share, "uniform").pvalue > 0.001


def test_a_complaint_raises_the_hazard_by_its_ratio(seasonal: Population) -> None:
    truth = seasonal.customers()
    window_days = seasonal.plan.window_days
    effect_days = seasonal.plan.population.tickets.effect_days
    # The weeks after each complaint, cut off where the next one begins.
    after = seasonal.read(
        f"""
        with complaints as (
            select customer_id, days(opened_at) as opened,
                lead(days(opened_at)) over (partition by customer_id order by opened_at) as next
            from {{tickets}} where is_complaint
        )
        select dropout_rate, days(dropped_out_at) as gone, opened,
            least(opened + {effect_days}, coalesce(next, 1e9), {window_days}) as closed
        from complaints join {{truth}} using (customer_id)
        """
    )
    stayed = np.minimum(after["closed"], after["gone"]) - after["opened"]
    exposure_after = (after["dropout_rate"] * stayed).sum()
    left_after = (after["gone"] < after["closed"]).sum()
    life = np.minimum(truth["gone"], window_days) - truth["joined"]
    exposure = (truth["dropout_rate"] * life).sum()
    left = (truth["gone"] < window_days).sum()
    ratio = (left_after / exposure_after) / ((left - left_after) / (exposure - exposure_after))
    error = np.sqrt(1 / left_after + 1 / (left - left_after))
    assert left_after > 500
    assert intervals_agree(np.log(ratio), np.log(3.0), error)


def test_tickets_come_at_their_rate(seasonal: Population) -> None:
    truth = seasonal.customers()
    days = (np.minimum(truth["gone"], seasonal.plan.window_days) - truth["joined"]).sum()
    counted = seasonal.read(
        "select count(*) as n, avg(is_complaint::integer) as complaints from {tickets}"
    )
    expected = days * 3.0 / 365.25
    assert intervals_agree(counted["n"][0], expected, np.sqrt(expected))
    assert intervals_agree(counted["complaints"][0], 0.5, 0.5 / np.sqrt(expected))


def test_seasons_move_the_purchase_rates_as_declared(seasonal: Population) -> None:
    truth = seasonal.customers()
    days = np.arange(seasonal.plan.window_days)
    # The rates of those who are there, in the middle of each day.
    alive = (truth["joined"][:, None] < days + 0.5) & (truth["gone"][:, None] > days + 0.5)
    exposure = (truth["purchase_rate"][:, None] * alive).sum(axis=0)
    counted = seasonal.read(
        """
        with placed as (
            select order_id, min(days(ordered_at)) as moment, min(days(joined_at)) as joined
            from {orders} join {truth} using (customer_id) where not is_return group by order_id
        )
        select floor(moment)::integer as day, count(*) as n
        from placed where moment > joined + 1e-6 group by 1 order by 1
        """
    )
    orders = np.zeros(len(days))
    orders[counted["day"]] = counted["n"]
    seasons = seasonal.plan.population.seasons
    dates = [seasonal.plan.start_on + timedelta(days=int(day)) for day in days]
    weekday = np.array(seasons.weekday_factors)[[date.weekday() for date in dates]]
    weekday = weekday / np.mean(seasons.weekday_factors)
    place = np.array([date.timetuple().tm_yday for date in dates])
    wave = 1 + seasons.yearly_amplitude * np.cos(2 * np.pi * (place - seasons.peak_day) / 365.25)
    names = np.array([f"{date:%m-%d}" for date in dates])
    holiday = (names >= seasons.holiday_from) & (names <= seasons.holiday_to)
    factor = weekday * wave * np.where(holiday, seasons.holiday_factor, 1.0)
    # From the third month on: while customers pour in, the middle of a day is not its mean.
    kept = days >= 62
    expected = (exposure * factor)[kept]
    statistic = ((orders[kept] - expected) ** 2 / expected).sum()
    assert intervals_agree(orders[kept].sum(), expected.sum(), np.sqrt(expected.sum()))
    assert stats.chi2.sf(statistic, kept.sum()) > 0.001
    # And a factor by itself: Saturdays over Tuesdays.
    raw = orders / exposure / wave / np.where(holiday, seasons.holiday_factor, 1.0)
    ratio = raw[kept & (weekday == weekday.max())].mean()
    ratio /= raw[kept & (weekday == weekday.min())].mean()
    assert ratio == pytest.approx(1.35 / 0.8, rel=0.05)


def test_baskets_are_as_declared(seasonal: Population) -> None:
    found = seasonal.read(
        """
        select
            count(distinct order_id) as orders,
            count(*) as lines,
            avg((discount_amount > 0)::integer) filter (is_hunter) as hunter_discounts,
            avg((discount_amount > 0)::integer) filter (not is_hunter) as discounts,
            avg(net_amount) as net
        from {orders} join {truth} using (customer_id) where not is_return
        """
    )
    lines, orders = found["lines"][0], found["orders"][0]
    # The geometric distribution of mean m has the variance m (m - 1).
    assert intervals_agree(lines / orders, 2.5, np.sqrt(2.5 * 1.5 / orders))
    assert found["hunter_discounts"][0] == pytest.approx(0.6, abs=0.01)
    assert found["discounts"][0] == pytest.approx(0.12, abs=0.01)
    spent = seasonal.read(
        """
        with orders as (
            select customer_id, order_id, sum(net_amount)::double as paid
            from {orders} where not is_return group by all
        )
        select paid - order_amount_mean / (1 - 0.04) as difference
        from orders join {truth} using (customer_id)
        """
    )["difference"]
    assert intervals_agree(spent.mean(), 0.0, spent.std() / np.sqrt(len(spent)))
    returned = seasonal.read(
        "select avg(is_return::integer) as share from {orders} where ordered_at < '2022-09-01'"
    )["share"][0]
    # A line of the last weeks is not back yet; up to September nearly all are.
    assert returned == pytest.approx(0.04 / 1.04, abs=0.004)
