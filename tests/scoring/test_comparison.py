"""Two rankings held against each other: who moves, who enters, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tasks.economics import Economics
from tasks.errors import DataRejected
from tasks.handles import Champion, FeatureTable, Predictor
from tasks.registry.integrity import load_predictor
from tasks.scoring.comparison import compare_scores
from tasks.settings import Settings
from tasks.warehouse import Lake
from tests.registry.models import make_model
from tests.scoring.tables import AS_OF, make_champion, make_features

pytestmark = pytest.mark.sql


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Champion:
    return make_champion(make_model(tmp_path_factory.mktemp("champion") / "m").directory)


@pytest.fixture(scope="module")
def predictor(champion: Champion) -> Predictor:
    return load_predictor(champion.directory, champion.files)


@pytest.fixture
def paying(settings: Settings) -> Settings:
    """Economics in which about half of the customers are worth a contact, and 40 are paid for."""
    economics = settings.economics.model_copy(
        update={"budget_amount": Decimal("220"), "margin_share": 0.5, "accept_share": 0.6}
    )
    return settings.model_copy(update={"economics": economics})


def change_features(lake: Lake, before: FeatureTable) -> FeatureTable:
    """The same customers but 30 gone and 20 new ones, some long silent now, some worth more."""
    with lake.writer_lock("test"), lake.publish("test", "changed"):
        lake.execute(
            "create table lake.main.changed as select * replace ("
            " case when hash(customer_id) % 3 = 0 then days_since_order + 80"
            "   else days_since_order end as days_since_order,"
            " case when hash(customer_id) % 7 = 0 then value_amount * 4"
            "   else value_amount end as value_amount)"
            f" from lake.main.{before.table} where customer_id >= 'c000030';"
            "insert into lake.main.changed select * replace ('new' || customer_id as customer_id)"
            f" from lake.main.{before.table} where customer_id between 'c000100' and 'c000119'"
        )
    return replace(before, table="changed", fingerprint="c" * 64)


def rank(
    lake: Lake, table: FeatureTable, predictor: Predictor, settings: Settings
) -> dict[str, Any]:
    """What the comparison is made of, by numpy and the training's own economics."""
    rows = lake.arrow(
        f"select * from lake.main.{table.table} where as_of = $as_of order by customer_id",
        {"as_of": AS_OF},
    )
    probability = predictor.predict(rows)
    value = np.array([np.nan if v is None else v for v in rows["value_amount"].to_pylist()])
    value = np.round(value, 4)
    money = Economics.of(settings.economics)
    customers = rows["customer_id"].to_pylist()
    returns = money.expected_returns(probability, value)
    return {
        "probability": dict(zip(customers, probability.tolist(), strict=True)),
        "at_risk": float((probability * np.nan_to_num(np.maximum(value, 0))).sum()),
        "returns": dict(zip(customers, returns.tolist(), strict=True)),
        "listed": {customers[place] for place in money.choose(probability, value)},
    }


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.3])
def test_it_counts_as_numpy_and_the_trainings_economics_do(
    lake: Lake, paying: Settings, champion: Champion, predictor: Predictor, threshold: float
) -> None:
    features = make_features(lake, 400)
    changed = change_features(lake, features)
    found = compare_scores(
        lake, champion, predictor, features, changed, paying, threshold=threshold
    )
    before, after = (rank(lake, table, predictor, paying) for table in (features, changed))
    both = before["probability"].keys() & after["probability"].keys()
    moves = {who: after["probability"][who] - before["probability"][who] for who in both}
    assert (found.customers_before, found.customers_after, found.customers_both) == (400, 390, 370)
    assert found.scores_moved == sum(abs(move) > threshold for move in moves.values()) > 0
    assert abs(found.largest_change or 0) == max(abs(move) for move in moves.values())
    assert found.list_before == len(before["listed"]) == 40
    assert found.list_after == len(after["listed"]) == 40
    entering, leaving = after["listed"] - before["listed"], before["listed"] - after["listed"]
    assert (found.entering, found.leaving) == (len(entering), len(leaving))
    assert entering
    for amount, expected in (
        (found.at_risk_before_amount, before["at_risk"]),
        (found.at_risk_after_amount, after["at_risk"]),
        (found.list_return_before_amount, sum(before["returns"][w] for w in before["listed"])),
        (found.list_return_after_amount, sum(after["returns"][w] for w in after["listed"])),
        (found.entering_return_amount, sum(after["returns"][w] for w in entering)),
        (found.leaving_return_amount, sum(before["returns"][w] for w in leaving)),
    ):
        assert isinstance(amount, Decimal)
        assert float(amount) == pytest.approx(expected, abs=0.03)
    assert found.currency == paying.economics.currency


def test_the_same_features_move_nothing_and_nothing_is_published(
    lake: Lake, paying: Settings, champion: Champion, predictor: Predictor
) -> None:
    features = make_features(lake, 120)
    version = lake.snapshot()
    found = compare_scores(lake, champion, predictor, features, features, paying)
    assert (found.scores_moved, found.largest_change, found.entering, found.leaving) == (0, 0, 0, 0)
    assert found.at_risk_change_amount == found.list_return_change_amount == 0
    assert lake.snapshot() == version
    assert "scores" not in lake.tables()
    assert not (paying.home / "exports" / paying.deployment).exists()


def test_a_ranking_that_would_be_refused_is_refused(
    lake: Lake, paying: Settings, champion: Champion, predictor: Predictor
) -> None:
    features = make_features(lake, 120)
    with lake.writer_lock("test"), lake.publish("test", "all alike"):
        lake.execute(
            "create table lake.main.alike as select * replace (0::double as days_since_order,"
            " 0::double as orders_90d, 0::double as net_amount_90d, 0::double as gap_ratio)"
            f" from lake.main.{features.table}"
        )
    with pytest.raises(DataRejected, match="not sound"):
        compare_scores(
            lake, champion, predictor, features, replace(features, table="alike"), paying
        )


@pytest.mark.parametrize("budget", ["0.01", "5.49", "5.50", "1000", "123456.78"])
def test_both_families_count_the_same_contacts(settings: Settings, budget: str) -> None:
    economics = settings.economics.model_copy(update={"budget_amount": Decimal(budget)})
    assert economics.affordable_contacts == Economics.of(economics).affordable_contacts
