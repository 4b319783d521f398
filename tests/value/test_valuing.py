"""Value of a whole lake: published once, in agreement with churn, refused where it cannot be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tasks.errors import ConfigurationError, DataRejected
from tasks.findings import ValueFindings
from tasks.settings import PROJECT, Settings
from tasks.value.publishing import Valuation
from tasks.value.steps import render
from tasks.warehouse import Lake, open_lake
from tests.conftest import MakeSettings
from tests.features.shop import at, order, put, put_random_shop
from tests.value.shops import (
    DAYS,
    SMALL,
    UNTAUGHT,
    fingerprint,
    plan,
    put_labelled,
    put_scores,
    put_subscribers,
    value_shop,
    value_subscribers,
)

pytestmark = pytest.mark.sql


@pytest.fixture(scope="module")
def shop(make_settings: MakeSettings) -> Iterator[Lake]:
    """A shop with scores: churn falls with the customer's orders; some are sure, some unscored."""
    with open_lake(make_settings(**SMALL)) as lake:
        put_random_shop(lake, 600, DAYS)
        put_scores(
            lake,
            "case when hash(customer_id) % 10 = 0 then 1.0"
            " when order_days_total < 5 then 0.9 else 0.1 end",
        )
        lake.execute("delete from lake.main.scores where hash(customer_id) % 10 = 1")
        yield lake


@pytest.fixture(scope="module")
def valued(shop: Lake) -> Valuation:
    return value_shop(shop)


def test_everybody_has_one_value(shop: Lake, valued: Valuation) -> None:
    found = valued.found
    row = shop.one(
        "select count(*) as customers, count(distinct customer_id) as different,"
        " sum(value_amount) as total, bool_and(low_amount <= value_amount) as above,"
        " bool_and(value_amount <= high_amount) as below, min(spend_amount) as least,"
        " any_value(method) as method, any_value(horizon_days) as days,"
        " bool_and(run_id = $id) as ours from lake.main.customer_values",
        {"id": valued.run_id},
    )
    assert row["customers"] == row["different"] == found.customers > 300
    assert row["total"] == found.total_amount
    assert found.low_amount <= found.total_amount <= found.high_amount
    assert row["above"]
    assert row["below"]
    assert row["least"] >= 0
    assert (row["method"], row["days"], row["ours"]) == (found.contest.served, 60, True)


def test_all_have_stood(valued: Valuation) -> None:
    found = valued.found
    assert [(one.name, one.kind) for one in found.contenders] == [
        ("last_years_spend", "rule"),
        ("simple_formula", "rule"),
        ("bg_nbd", "model"),
        ("mbg_nbd", "model"),
        ("two_stage", "model"),
        ("tweedie", "model"),
    ]
    assert len(valued.trials) == 4
    assert [trial.number for trial in valued.trials] == [0, 1, 2, 3]
    assert len(found.deciles) == 10
    assert found.coverage_share is not None
    assert 0.85 < found.coverage_share <= 1
    assert {"bg_nbd_r", "mbg_nbd_b", "gamma_gamma_q"} <= set(found.parameters)
    assert any("have no churn probability" in note.en for note in found.notes)
    text = render(found)
    assert "| tweedie |" in text
    assert "c0" not in text  # no customer


def test_value_agrees_with_churn(shop: Lake, valued: Valuation) -> None:
    row = shop.one(
        "select count(*) filter (churn_probability = 1) as sure,"
        " count(*) filter (churn_probability = 1 and (value_amount > 0 or high_amount > 0"
        "   or alive_probability > 0 or expected_orders > 0)) as sure_and_worth,"
        " count(*) filter (alive_probability < 1 - churn_probability - 1e-9) as gone_but_buying,"
        " count(*) filter (churn_probability is null) as unscored,"
        " bool_and(alive_probability between 0 and 1) as shares"
        " from lake.main.customer_values"
    )
    assert row["sure"] > 10
    assert row["sure_and_worth"] == 0
    assert row["gone_but_buying"] == 0
    assert row["unscored"] > 10
    assert row["shares"]


def test_contradictions_are_counted(shop: Lake, valued: Valuation) -> None:
    counted = {
        row["contradiction"]: (row["customers"], row["amount"])
        for row in shop.rows(
            "select contradiction, count(*) as customers, sum(value_amount) as amount"
            " from lake.main.customer_values where contradiction is not null group by all"
        )
    }
    for clash in valued.found.contradictions:
        customers, amount = counted.get(clash.code, (0, Decimal(0)))
        assert (clash.customers, clash.after_amount) == (customers, amount)
        assert clash.words.en
        assert clash.words.ko
    assert counted["leaving_but_valuable"][0] > 0


def test_the_same_night_is_one_run(shop: Lake, valued: Valuation) -> None:
    before = fingerprint(shop)
    again = value_shop(shop)
    assert not again.is_new
    assert again.found == valued.found
    assert fingerprint(shop) == before


def test_new_scores_are_a_new_run_and_its_rows_repeat(make_settings: MakeSettings) -> None:
    with open_lake(make_settings(**UNTAUGHT)) as lake:
        put_random_shop(lake, 200, DAYS)
        first = value_shop(lake)
        assert first.found.unreconciled_amount == first.found.total_amount
        assert len(first.found.contenders) == 4
        assert any("purchase models" in note.en for note in first.found.notes)
        before = fingerprint(lake)
        lake.execute("delete from lake.main.customer_values; delete from lake.ledger.findings")
        assert value_shop(lake).is_new
        assert fingerprint(lake) == before
        put_scores(lake, "0.5", "later")
        second = value_shop(lake)
        assert second.is_new
        assert second.run_id != first.run_id


@pytest.mark.parametrize(
    ("customers", "gap_days", "message"),
    [(10, 20, "cannot be judged on"), (1, 5, "cannot be judged on"), (0, 20, "too short")],
)
def test_too_few_customers(
    make_settings: MakeSettings, customers: int, gap_days: int, message: str
) -> None:
    with open_lake(make_settings(**UNTAUGHT)) as lake:
        put_random_shop(lake, customers, DAYS, gap_days)
        with pytest.raises(DataRejected, match=message) as caught:
            value_shop(lake)
        assert caught.value.found
        assert caught.value.next_step
        assert lake.scalar("select count(*) from lake.main.customer_values") == 0


def test_orders_without_amounts(make_settings: MakeSettings) -> None:
    with open_lake(make_settings(**UNTAUGHT)) as lake:
        put_random_shop(lake, 200, DAYS)
        lake.execute("update lake.main.orders set net_amount = 0")
        with pytest.raises(DataRejected, match="What an order is worth cannot be learnt"):
            value_shop(lake)


def test_nobody_comes_back(make_settings: MakeSettings) -> None:
    with open_lake(make_settings(**UNTAUGHT)) as lake:
        put(lake, "orders", [order(f"c{i}", 270 + i % 60, 10 + i % 7) for i in range(100)])
        put(lake, "orders", [order("first", 1), order("last", 400)])
        with pytest.raises(DataRejected, match="How often customers order"):
            value_shop(lake)


def test_everybody_alike(make_settings: MakeSettings) -> None:
    """Constant columns, one amount, one rhythm: a rule is served, without a warning."""
    with open_lake(make_settings(**UNTAUGHT)) as lake:
        put_random_shop(lake, 1, 1)
        lake.execute(
            "insert into lake.main.orders by name"
            " select 'c' || i as customer_id, 'o' || i || '-' || d as order_id,"
            " $start + to_days(d::integer) as ordered_at, 1 as quantity, 10 as net_amount,"
            " 'GBP' as currency, false as is_return, 1 as batch_number, 1 as row_number,"
            " $start + to_days(d::integer) as received_at"
            " from range(80) c(i), range(0, 400, 10) t(d)",
            {"start": at(0)},
        )
        found = value_shop(lake).found
        assert found.contest.served_kind == "rule"
        assert found.customers == 80


def test_a_horizon_shorter_than_churns(make_settings: MakeSettings) -> None:
    with open_lake(make_settings(value={"horizon_days": 30})) as lake:
        put_random_shop(lake, 50, DAYS)
        with pytest.raises(ConfigurationError, match="less than features"):
            plan(lake)


@pytest.fixture
def subscribers(make_settings: MakeSettings) -> Iterator[Lake]:
    features = {"outcome": "cancellation", "horizon_days": 60}
    with open_lake(make_settings(features=features, economics={"currency": "GBP"})) as lake:
        yield lake


def test_subscribers(subscribers: Lake) -> None:
    put_subscribers(subscribers, 3000)
    put_scores(subscribers, "case when hash(customer_id) % 10 = 0 then 1 else 0.3 end")
    found = value_subscribers(subscribers)
    assert {one.name for one in found.contenders} == {
        "tenure_survival", "flat_hazard", "everybody_stays",
    }  # fmt: skip
    survival = next(one for one in found.contenders if one.name == "tenure_survival")
    assert abs(survival.bias_share) < 0.05
    assert found.coverage_share is not None
    assert found.coverage_share > 0.85
    row = subscribers.one(
        "select count(*) filter (churn_probability = 1 and high_amount > 0) as sure_and_worth,"
        " bool_and(low_amount <= value_amount and value_amount <= high_amount) as inside,"
        " max(spend_amount) as most, sum(value_amount) as total from lake.main.customer_values"
    )
    assert row["sure_and_worth"] == 0
    assert row["inside"]
    assert row["most"] <= 40 * 60 / Decimal("30.4375") + 1
    assert row["total"] == found.total_amount > 0


def test_few_subscribers(subscribers: Lake) -> None:
    put_subscribers(subscribers, 30)
    with pytest.raises(DataRejected, match="cannot be judged on"):
        value_subscribers(subscribers)


@pytest.fixture
def labelled(make_settings: MakeSettings) -> Settings:
    return make_settings(
        features={"outcome": "given"}, value={"contracts": {"tenure_feature": "tenure"}}
    )


def test_a_labelled_set(labelled: Settings) -> None:
    with open_lake(labelled) as lake:
        put_labelled(lake, 3000)
        found: ValueFindings = value_subscribers(lake)
        assert found.contest.served == "tenure_survival"
        assert found.customers < 3000  # those who have left are not valued
        assert found.unreconciled_amount == found.total_amount > 0


def test_a_labelled_set_without_a_tenure(make_settings: MakeSettings) -> None:
    with open_lake(make_settings(features={"outcome": "given"})) as lake:
        put_labelled(lake, 100)
        with pytest.raises(ConfigurationError, match="how long its customers") as caught:
            value_subscribers(lake)
        assert "tenure" in caught.value.available


VALUER = """
import sys
from pathlib import Path
from tasks.settings import load_settings
from tasks.warehouse import open_lake
from tests.value.shops import value_shop

with open_lake(load_settings(sys.argv[1], home=Path(sys.argv[2]))) as lake:
    value_shop(lake)
"""


@pytest.mark.faults
@pytest.mark.parametrize("point", ["value.before_publish", "value.published"])
def test_a_killed_run_is_mended_by_the_next(
    make_settings: MakeSettings, tmp_path: Path, point: str
) -> None:
    settings = make_settings(**UNTAUGHT)
    with open_lake(settings) as lake:
        put_random_shop(lake, 150, DAYS)
    done = subprocess.run(
        [sys.executable, "-c", VALUER, settings.called, str(settings.home)],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "HOLDFAST_CRASH_AT": point},
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    with open_lake(settings) as lake:
        written = lake.scalar("select count(*) from lake.main.customer_values")
        assert (written > 0) is (point == "value.published")
        made = value_shop(lake)
        assert made.is_new is (point == "value.before_publish")
        assert lake.scalar("select count(*) from lake.main.customer_values") == made.found.customers
        assert lake.scalar("select count(*) from lake.ledger.findings") == 1
