"""The feature table and the scores are judged before a model or a person sees them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from tasks.errors import DataRejected, InternalError
from tasks.settings import Settings
from tasks.validation.outputs import check_features, check_scores, demand_kept

pytestmark = pytest.mark.sql

ROWS = 60
AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
NAMES = ("recency_days", "contact_opened_share_365", "order_days_30", "spend_30d_amount")


def features(**changed: dict[int, Any]) -> pa.Table:
    columns: dict[str, list[Any]] = {
        "customer_id": [f"c{n}" for n in range(ROWS)],
        "as_of": [AS_OF] * ROWS,
        "recency_days": [float(n) for n in range(ROWS)],
        "contact_opened_share_365": [n / ROWS for n in range(ROWS)],
        "order_days_30": list(range(ROWS)),
        "spend_30d_amount": [None if n % 2 else 10.0 * n for n in range(ROWS)],
    }
    for name, values in changed.items():
        for row, value in values.items():
            columns[name][row] = value
    return pa.table(columns)


def broken(results: Any) -> set[str]:
    return {f"{r.rule}:{r.column}".rstrip(":") for r in results if not r.passed}


def test_a_feature_table_that_keeps_every_rule(settings: Settings) -> None:
    results = check_features(features(), NAMES, settings)
    assert broken(results) == set()
    demand_kept("The features are", results)


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"recency_days": {3: -1.0}}, "range:recency_days"),  # an order after the cut-off
        ({"contact_opened_share_365": {3: 1.01}}, "range:contact_opened_share_365"),
        ({"order_days_30": {3: -1}}, "range:order_days_30"),
        ({"spend_30d_amount": {4: math.inf}}, "finite:spend_30d_amount"),
        ({"spend_30d_amount": {4: math.nan}}, "finite:spend_30d_amount"),
        ({"customer_id": {4: "c5"}}, "customer_repeated"),
        ({"customer_id": {4: ""}}, "customer_id_present"),
        ({"as_of": {4: None}}, "as_of_present"),
    ],
)
def test_what_breaks_a_feature_table(
    settings: Settings, changed: dict[str, dict[int, Any]], rule: str
) -> None:
    assert broken(check_features(features(**changed), NAMES, settings)) == {rule}


def test_a_customer_may_stand_at_several_cut_offs(settings: Settings) -> None:
    later = datetime(2024, 4, 1, tzinfo=UTC)
    table = features(customer_id={4: "c5"}, as_of={4: later})
    assert broken(check_features(table, NAMES, settings)) == set()


def test_ceilings_of_missing_values_by_feature(make_settings: Any) -> None:
    chosen = {"features": {"null_shares": {"spend_30d_amount": 0.4, "recency_days": 0.0}}}
    results = check_features(features(), NAMES, make_settings(validation=chosen))
    assert broken(results) == {"null_share:spend_30d_amount"}
    with pytest.raises(DataRejected, match="1 of") as caught:
        demand_kept("The features are", results)
    assert "spend_30d_amount: 30 of 60 rows (50.0%) (limit 40.0%)" in str(caught.value)


def test_too_few_or_no_customers(settings: Settings) -> None:
    assert broken(check_features(features().slice(0, 9), NAMES, settings)) == {"rows"}
    assert broken(check_features(features().slice(0, 0), NAMES, settings)) == {"rows"}


def test_a_feature_that_is_not_there_is_our_fault(settings: Settings) -> None:
    with pytest.raises(InternalError, match="lack columns: visits"):
        check_features(features(), (*NAMES, "visits"), settings)


def scores(**changed: dict[int, Any]) -> pa.Table:
    columns: dict[str, list[Any]] = {
        "customer_id": [f"c{n}" for n in range(ROWS)],
        "probability": [1 - n / ROWS for n in range(ROWS)],
        "percentile": [100 * (1 - n / ROWS) for n in range(ROWS)],
        "rank": list(range(1, ROWS + 1)),
        "reason_1": ["gap longer than usual"] * ROWS,
    }
    for name, values in changed.items():
        for row, value in values.items():
            columns[name][row] = value
    return pa.table(columns)


def test_scores_that_keep_every_rule(settings: Settings) -> None:
    assert broken(check_scores(scores(), settings)) == set()


@pytest.mark.parametrize(
    ("changed", "rules"),
    [
        ({"probability": {3: 1.5}}, {"range:probability"}),
        ({"probability": {3: None}}, {"probability_present"}),
        ({"probability": {3: math.nan}}, {"finite:probability", "range:probability"}),
        ({"percentile": {3: -1.0}}, {"range:percentile"}),
        ({"rank": {3: 5}}, {"rank_repeated"}),
        ({"rank": {3: 61}}, {"range:rank"}),
        ({"rank": {3: None}}, {"rank_present"}),
        ({"customer_id": {3: "c4"}}, {"customer_repeated"}),
        ({"reason_1": {3: None}}, {"null_share:reason_1"}),
        ({"probability": dict.fromkeys(range(ROWS), 0.2)}, {"distinct_values:probability"}),
    ],
)
def test_what_breaks_the_scores(
    settings: Settings, changed: dict[str, dict[int, Any]], rules: set[str]
) -> None:
    assert broken(check_scores(scores(**changed), settings)) == rules


def test_nothing_of_a_check_stays_on_the_disk(settings: Settings) -> None:
    check_scores(scores(), settings)
    assert list((settings.home / "spill").glob("check-*")) == []
