"""What has seen the outcome is named, and the run stops (FAULTS 23)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.errors import DataRejected
from tasks.features import declaration
from tasks.features.audit import audit_features, check_outcomes, measure_separation
from tasks.features.building import build_features
from tasks.handles import FeatureTable
from tasks.incidents.faults import reporting_fault
from tasks.incidents.queue import list_incidents
from tasks.settings import Settings
from tasks.warehouse import Lake, open_lake
from tests.conftest import MakeSettings
from tests.features.shop import at, put_random_shop

pytestmark = [pytest.mark.sql, pytest.mark.faults]


@pytest.fixture(scope="module")
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings()


@pytest.fixture(scope="module")
def lake(settings: Settings) -> Iterator[Lake]:
    with open_lake(settings) as opened:
        put_random_shop(opened, 400, 500)
        yield opened


@pytest.fixture(scope="module")
def table(lake: Lake, settings: Settings) -> FeatureTable:
    cutoffs = [at(day) for day in (200, 260, 320, 380)]
    return build_features(
        lake, cutoffs, cutoffs, lake.snapshot(), settings.features, labels_as_of=at(490)
    )


def test_honest_features_pass(lake: Lake, table: FeatureTable, settings: Settings) -> None:
    separations = audit_features(lake, table, settings.features)
    assert {item.feature for item in separations} == set(table.feature_names)
    assert all(0 <= item.auc <= settings.features.leak_auc_limit for item in separations)


@pytest.mark.parametrize(
    ("expression", "what"),
    [
        ("churned::int", "a copy of the outcome"),
        ("1 - churned::int", "its inverse"),
        ("case when churned then 1 end", "filled in only for who left"),
        ("case when hash(customer_id, as_of) % 20 = 0 then not churned else churned end::int"
         " + (hash(as_of, customer_id) % 1000) / 2000", "a noisy copy: one in twenty is wrong"),
        ("case when churned then hash(customer_id) % 3 * 7"
         " else 1 + hash(customer_id) % 3 * 7 end", "a code without an order"),
        ("select count(*) from lake.main.orders o where o.customer_id = t.customer_id"
         " and o.ordered_at >= t.as_of and o.ordered_at < t.as_of + interval 60 days",
         "a future aggregate"),
    ],
)  # fmt: skip
def test_a_planted_leak_is_named(
    lake: Lake, table: FeatureTable, settings: Settings, expression: str, what: str
) -> None:
    lake.execute(
        "create or replace temporary table source as"
        f" select *, ({expression})::double as planted from lake.main.{table.table} t"
    )
    lake.execute("create or replace table lake.main.planted as from source")
    separation_only = settings.features.model_copy(update={"leak_sample_customers": 0})
    planted = replace(table, table="planted", feature_names=(*table.feature_names, "planted"))
    with pytest.raises(DataRejected, match="LEAK: planted") as caught:
        audit_features(lake, planted, separation_only)
    assert caught.value.exit_code == 65, what
    allowed = separation_only.model_copy(update={"allowed_leaks": ("planted",)})
    audit_features(lake, planted, allowed)


def test_a_leak_is_an_item_until_a_later_training_passes(
    lake: Lake, table: FeatureTable, settings: Settings
) -> None:
    quick = settings.features.model_copy(update={"leak_sample_customers": 0})
    lake.execute(
        "create or replace table lake.main.copied as"
        f" select *, churned::double as planted from lake.main.{table.table}"
    )
    copied = replace(table, table="copied", feature_names=(*table.feature_names, "planted"))
    for _ in range(2):
        with pytest.raises(DataRejected, match="LEAK"), reporting_fault(lake, "LEAK"):
            audit_features(lake, copied, quick)
    [item] = list_incidents(lake)
    assert (item.cause.code, item.cause.level, item.cause.source) == ("LEAK", "fault", "training")
    headline = "LEAK: planted (AUC 1.000) alone tells who leaves, limit 0.90."
    assert item.cause.headline == headline
    assert "allowed_leaks" in item.report["next"]
    with reporting_fault(lake, "LABEL"):
        check_outcomes(lake, table, quick)
    assert len(list_incidents(lake)) == 1  # another check's passing says nothing of this one
    with reporting_fault(lake, "LEAK"):
        audit_features(lake, table, quick)
    assert list_incidents(lake) == []
    [done] = list_incidents(lake, unresolved=False)
    assert (done.resolution, done.reason) == ("recovered", "a later check has passed")


@pytest.mark.parametrize(
    ("churned", "share"),
    [("true", "100.0%"), ("false", "0.0%"), ("as_of = timestamptz '2021-01-15' or churned", "100")],
)
def test_outcomes_that_cannot_be_are_an_item(
    lake: Lake, table: FeatureTable, settings: Settings, churned: str, share: str
) -> None:
    """Inverted, or cut off: at the last cut-off (day 380) nobody has come back yet."""
    lake.execute(
        "create or replace table lake.main.flipped as"
        f" select * replace (({churned}) as churned) from lake.main.{table.table}"
    )
    few = settings.features.model_copy(update={"minimum_customers": 50})
    flipped = replace(table, table="flipped")
    refused = pytest.raises(DataRejected, match=r"LABEL: the share of leavers at \d of 4")
    with refused as caught, reporting_fault(lake, "LABEL"):
        check_outcomes(lake, flipped, few)
    assert share in str(caught.value)
    assert "features.churn_share_limits" in str(caught.value)
    [item] = list_incidents(lake)
    assert item.cause.code == "LABEL"
    with reporting_fault(lake, "LABEL"):
        check_outcomes(lake, table, few)
    assert list_incidents(lake) == []


def test_a_feature_that_looks_ahead_is_named(
    lake: Lake,
    table: FeatureTable,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The number of orders ever, also those after the cut-off: too weak for the first search.
    changed = tmp_path / "sql"
    shutil.copytree(declaration.SQL, changed)
    monkeypatch.setattr(declaration, "SQL", changed)
    cutoffs = list(table.as_of)
    orders = changed / "orders.sql"
    orders.write_text(
        orders.read_text(encoding="utf-8").replace(
            "order_days as order_days_total",
            "order_days + (select count(*) from {lines} l inner join person p using (customer_id)"
            " where p.customer_number = cadence.customer_number) as order_days_total",
        ),
        encoding="utf-8",
    )
    looking = build_features(
        lake, cutoffs, cutoffs, table.snapshot_id, settings.features, labels_as_of=at(490)
    )
    with pytest.raises(DataRejected, match="LEAK: order_days_total uses rows"):
        audit_features(lake, looking, settings.features)


def test_separation_needs_both_outcomes(lake: Lake, table: FeatureTable) -> None:
    lake.execute(
        "create temporary table nobody as select * replace (false as churned)"
        f" from lake.main.{table.table}"
    )
    found = measure_separation(lake, table, relation="nobody")
    assert {item.auc for item in found} == {0.5}
