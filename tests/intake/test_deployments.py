"""The deployments of `conf/` on their real data, against the published counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import CONTRACTS
from tasks.handles import StagedBatch
from tasks.intake.deliveries import discover
from tasks.intake.raw import keep_raw
from tasks.intake.reading import stage
from tasks.settings import Settings, load_settings
from tasks.warehouse import scratch

Whole = Callable[..., Settings]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Settings of a deployment with its sources unsplit, so that each is one quick batch."""

    def load(name: str) -> Settings:
        settings = load_settings(name, home=tmp_path_factory.mktemp(name))
        sources = {
            key: source.model_copy(update={"split": None})
            for key, source in settings.intake.sources.items()
        }
        intake = settings.intake.model_copy(update={"sources": sources})
        return settings.model_copy(update={"intake": intake})

    return load


def stage_source(settings: Settings, name: str) -> StagedBatch:
    [delivery] = [d for d in discover(settings) if d.source == name]
    source = settings.intake.sources[name]
    return stage(keep_raw(delivery, settings), source, CONTRACTS[source.table], settings)


def count(staged: StagedBatch, **figures: str) -> dict[str, Any]:
    listed = ", ".join(f"{sql} as {name}" for name, sql in figures.items())
    with scratch() as connection:
        return connection.one(
            f"select {listed} from read_parquet($path)", {"path": str(staged.staged_path)}
        )


def demand(shared_data: Path, *parts: str) -> None:
    path = shared_data.joinpath(*parts)
    if not path.is_file():
        pytest.skip(f"{path} is not there: set HOLDFAST_DATA")  # licences keep it out of here


def test_online_retail(shared_data: Path, whole: Whole) -> None:
    demand(shared_data, "online_retail_II", "online_retail_II.parquet")
    parts = [d.batch_name for d in discover(load_settings("online_retail"))]
    assert len(parts) == 25
    assert (parts[0], parts[-1]) == ("orders/2009-12", "orders/2011-12")
    staged = stage_source(whole("online_retail"), "orders")
    assert count(
        staged,
        lines="count(*)",
        customers="count(distinct customer_id)",
        nobody="count(*) filter (customer_id is null)",
        cancelled="count(*) filter (order_id like 'C%')",
        returned="count(*) filter (is_return)",
        twice="count(*) - count(distinct (customer_id, order_id, ordered_at, product_id,"
        " quantity, net_amount, raw_line))",
        first="min(ordered_at)",
        last="max(ordered_at)",
        known="min(received_at)",
    ) == {
        "lines": 1_067_370,
        "customers": 5_942,
        "nobody": 243_007,
        "cancelled": 19_494,
        "returned": 22_951,
        "twice": 34_335,
        "first": datetime(2009, 12, 1, 7, 45, tzinfo=UTC),
        "last": datetime(2011, 12, 9, 12, 50, tzinfo=UTC),
        "known": datetime(2009, 12, 2, 7, 45, tzinfo=UTC),
    }


def test_cdnow(shared_data: Path, whole: Whole) -> None:
    demand(shared_data, "cdnow", "cdnow_master.parquet")
    assert len(discover(load_settings("cdnow"))) == 18
    staged = stage_source(whole("cdnow"), "orders")
    assert count(
        staged,
        lines="count(*)",
        customers="count(distinct customer_id)",
        amount="sum(net_amount)",
        equal="count(*) - count(distinct line_id)",
    ) == {
        "lines": 69_659,
        "customers": 23_570,
        "amount": Decimal("2500315.6300"),
        "equal": 0,
    }


def test_telco(shared_data: Path, whole: Whole) -> None:
    demand(shared_data, "telco_ibm", "telco_7043.parquet")
    settings = whole("telco")
    staged = stage_source(settings, "labelled")
    assert count(
        staged,
        customers="count(distinct customer_id)",
        churned="count(*) filter (churned)",
        new="count(*) filter (numbers['total_charges'] is null)",
        contracts="count(distinct categories['contract'])",
        leaks="count(*) filter (raw_line like '%Competitor%')",
    ) == {"customers": 7_043, "churned": 1_869, "new": 11, "contracts": 3, "leaks": 841}
    mapped = " ".join(settings.intake.sources["labelled"].map.values()).lower()
    for leak in ("score", "cltv", "reason", "churn category", "status"):
        assert leak not in mapped
    assert stage_source(settings, "customers").received_rows == 7_043


def test_complete_journey(whole: Whole) -> None:
    settings = whole("completejourney")
    assert [d.batch_name for d in discover(load_settings("completejourney"))] == [
        *(f"orders/2017-{month:02}" for month in range(1, 13)),
        "contacts/2017",
        "customers/2017",
    ]
    assert count(
        stage_source(settings, "orders"),
        lines="count(*)",
        households="count(distinct customer_id)",
        baskets="count(distinct order_id)",
        sales="sum(net_amount)",
        discounted="count(*) filter (discount_amount > 0)",
        short="count(*) filter (currency <> 'USD' or is_return)",
    ) == {
        "lines": 1_469_307,
        "households": 2_469,
        "baskets": 155_848,
        "sales": Decimal("4596039.5800"),
        "discounted": 746_184,
        "short": 0,
    }
    assert count(
        stage_source(settings, "contacts"),
        contacts="count(*)",
        answered="count(responded_at)",
        early="count(*) filter (responded_at < contacted_at)",
    ) == {"contacts": 6_589, "answered": 792, "early": 0}
    assert stage_source(settings, "customers").received_rows == 801
