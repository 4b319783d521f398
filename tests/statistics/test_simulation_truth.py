"""What is told as true holds: probabilities are met, and the lots of contacts show their effect."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from tasks.errors import UsageError
from tasks.simulation.truth import reveal, write_truth
from tests.conftest import MakeSettings
from tests.statistics.population import Population, intervals_agree, make_population

pytestmark = pytest.mark.statistics

AS_OF = date(2022, 9, 1)
HORIZON_DAYS = 60
CAMPAIGNS = (1, 2, 3)


@pytest.fixture(scope="module")
def population(make_settings: MakeSettings, tmp_path_factory: pytest.TempPathFactory) -> Population:
    """Few campaigns with a strong effect, none of which reaches into the next."""
    return make_population(
        make_settings,
        tmp_path_factory.mktemp("truth") / "p",
        customers=15_000,
        purchases={"yearly_mean": 10.0},
        dropouts={"yearly_mean": 1.5, "shape": 2.0},
        contacts={"every_days": 90, "effect_days": 60, "share": 0.5, "holdout_share": 0.1},
        tickets={"yearly_mean": 2.0},
    )


@pytest.fixture(scope="module")
def revealed(population: Population) -> dict[str, Any]:
    """The truth at AS_OF beside what then came about, one entry a customer."""
    table = reveal(population.plan, AS_OF, HORIZON_DAYS)
    truth = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
    end = AS_OF + timedelta(days=HORIZON_DAYS)
    outcome = population.read(
        f"""
        with later as (
            select customer_id, count(distinct order_id) as orders, sum(net_amount)::double as spend
            from {{orders}}
            where not is_return and ordered_at >= '{AS_OF} 00:00:00+00'
                and ordered_at < '{end} 00:00:00+00'
            group by customer_id
        )
        select customer_id, coalesce(orders, 0) as orders, coalesce(spend, 0) as spend,
            dropped_out_at < '{end} 00:00:00+00' as gone,
            dropped_out_at >= '{AS_OF} 00:00:00+00' as alive
        from {{truth}} left join later using (customer_id)
        where joined_at < '{AS_OF} 00:00:00+00' order by customer_id
        """
    )
    assert list(truth["customer_id"]) == list(outcome.pop("customer_id"))
    return truth | outcome


@pytest.fixture(scope="module")
def told_effects(population: Population) -> dict[date, dict[str, float]]:
    """By day of a campaign and customer: what a contact changes in leaving within 60 days."""
    effects = {}
    for campaign in CAMPAIGNS:
        # Campaigns go out in the morning of day (n + 1/2) * 90.
        sent_on = population.plan.start_on + timedelta(days=int((campaign + 0.5) * 90))
        table = reveal(population.plan, sent_on, 60)
        effects[sent_on] = dict(
            zip(
                table["customer_id"].to_pylist(),
                table["contact_effect_on_dropout"].to_pylist(),
                strict=True,
            )
        )
    return effects


def test_who_has_left_is_known(revealed: dict[str, Any]) -> None:
    assert (revealed["is_alive"] == revealed["alive"]).all()
    left = ~revealed["alive"]
    assert left.sum() > 1000
    assert (revealed["lapse_probability"][left] == 1).all()
    assert (revealed["orders"][left] == 0).all()


@pytest.mark.parametrize("kind", ["dropout", "lapse"])
def test_probabilities_are_met_in_every_tenth(revealed: dict[str, Any], kind: str) -> None:
    alive = revealed["alive"]
    told = revealed[f"{kind}_probability"][alive]
    came = (revealed["gone"] if kind == "dropout" else revealed["orders"] == 0)[alive]
    edges = np.quantile(told, np.linspace(0, 1, 11)[1:-1])
    tenth = np.searchsorted(edges, told)
    for number in range(10):
        chosen = tenth == number
        error = np.sqrt((told[chosen] * (1 - told[chosen])).sum())
        assert intervals_agree(came[chosen].sum(), told[chosen].sum(), error), number
    assert told.std() > 0.05


def test_orders_and_spend_come_as_told(revealed: dict[str, Any]) -> None:
    alive = revealed["alive"]
    count = alive.sum()
    difference = (revealed["orders"] - revealed["orders_mean"])[alive]
    assert intervals_agree(difference.mean(), 0, difference.std() / np.sqrt(count))
    # Without returns, which the truth has taken off at 4 %.
    difference = (revealed["spend"] - revealed["spend_mean"] / 0.96)[alive]
    assert intervals_agree(difference.mean(), 0, difference.std() / np.sqrt(count))


@pytest.mark.parametrize("kind", ["persuadable", "indifferent", "do_not_disturb"])
def test_the_lots_of_the_campaigns_show_the_effect(
    population: Population, told_effects: dict[date, dict[str, float]], kind: str
) -> None:
    differences, told, errors = [], [], []
    for campaign, sent_on in zip(CAMPAIGNS, told_effects, strict=True):
        rows = population.read(
            f"""
            with contacted as (
                select distinct customer_id from {{contacts}}
                where campaign_id = 'campaign_{campaign:03d}'
            ),
            opted_out as (
                select distinct customer_id from {{contacts}} where opted_out_at < '{sent_on}'
            )
            select customer_id, contacted.customer_id is not null as treated,
                days(dropped_out_at) < {(campaign + 0.5) * 90 + 60} as gone
            from {{truth}}
            left join contacted using (customer_id)
            anti join opted_out using (customer_id)
            where contact_kind = '{kind}' and not is_held_out
                and joined_at < '{sent_on} 00:00:00+00'
                and dropped_out_at >= '{sent_on} 12:00:00+00'
            order by customer_id
            """
        )
        treated, gone = rows["treated"], rows["gone"]
        differences.append(gone[treated].mean() - gone[~treated].mean())
        errors.append(gone[treated].var() / treated.sum() + gone[~treated].var() / (~treated).sum())
        effects = told_effects[sent_on]
        told.append(np.mean([effects[customer] for customer in rows["customer_id"]]))
    assert intervals_agree(np.mean(differences), np.mean(told), np.sqrt(np.sum(errors)) / 3)
    # And it can be seen: the interval of each kind's difference lies where the kind says.
    interval = 1.96 * np.sqrt(np.sum(errors)) / 3
    expected_sign = {"persuadable": -1, "indifferent": 0, "do_not_disturb": 1}[kind]
    if expected_sign == 0:
        assert np.mean(told) == 0
    else:
        assert expected_sign * np.mean(differences) > interval


def test_only_the_living_answer_and_the_held_out_get_nothing(population: Population) -> None:
    found = population.read(
        """
        select
            count(*) filter (is_held_out) as held_out,
            count(*) filter (opened_at is not null and contacted_at > dropped_out_at) as dead,
            count(*) filter (clicked_at < opened_at or responded_at < clicked_at) as backwards,
            count(*) filter (responded_at is not null) as answers
        from {contacts} join {truth} using (customer_id)
        """
    )
    assert found["held_out"][0] == found["dead"][0] == found["backwards"][0] == 0
    assert found["answers"][0] > 100
    after = population.read(
        """
        with ends as (
            select customer_id, min(opted_out_at) as ended from {contacts} group by customer_id
        )
        select count(*) as n from {contacts} join ends using (customer_id)
        where contacted_at > ended
        """
    )
    assert after["n"][0] == 0


def test_the_truth_is_written_as_it_is_told(population: Population, tmp_path: Any) -> None:
    import pyarrow.parquet as pq

    path = write_truth(population.plan, AS_OF, 30, tmp_path / "truth.parquet")
    assert pq.read_table(path).equals(reveal(population.plan, AS_OF, 30))


@pytest.mark.parametrize(
    ("as_of", "horizon_days"), [(date(2021, 12, 31), 30), (date(2023, 2, 1), 30), (AS_OF, 900)]
)
def test_a_moment_outside_is_refused(
    population: Population, as_of: date, horizon_days: int
) -> None:
    with pytest.raises(UsageError):
        reveal(population.plan, as_of, horizon_days)
