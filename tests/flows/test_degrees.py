"""Degrees: what a refused, missing or late delivery does to a night, and what outputs say of it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import nightly as night_module
from flows import showing
from flows.ingest import ingest
from flows.nightly import nightly
from flows.score import score
from flows.standing import describe_standing
from flows.train import train
from tasks.errors import ConfigurationError, DataRejected, LockHeld
from tasks.handles import Incident, ScoreTable
from tasks.incidents.queue import list_incidents
from tasks.intake.degrees import judge_sources
from tasks.settings import HOME_VARIABLE
from tasks.warehouse import open_lake

from .street import Street

pytestmark = pytest.mark.flow

Open = Callable[..., Street]
MONTHS = ("2011-01", "2011-02", "2011-03", "2011-04")


@pytest.fixture
def street(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    return lambda **sources: Street(tmp_path, home, **sources)


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Nights whose training is not run but counted: here it is asked whether, not how."""
    asked: list[Any] = []

    def stand_in(flow: Any, *arguments: Any) -> Any:
        if flow is night_module.train:
            asked.append(arguments)
            return None
        return flow.fn(*arguments)

    monkeypatch.setattr(night_module, "run_flow", stand_in)
    return asked


def items(shop: Street) -> list[Incident]:
    with open_lake(shop.settings) as lake:
        return list_incidents(lake)


def stamps(table: ScoreTable) -> set[tuple[str, str]]:
    assert table.csv_path is not None
    with table.csv_path.open(encoding="utf-8-sig", newline="") as file:
        return {(row["stale_days"], row["stale_sources"]) for row in csv.DictReader(file)}


def test_a_refused_batch_keeps_no_other_out_and_is_told_with_the_rest(street: Open) -> None:
    shop = street(orders={}, events={})
    shop.deliver("orders/2011-01", "orders/2011-03", "events/2011-01")
    shop.deliver_empty("orders/2011-02", "events/2011-02")
    with pytest.raises(DataRejected) as stop:
        ingest.fn(shop.path, "test")
    text = str(stop.value)
    assert text.startswith("batch orders/2011-02 rejected, EMPTY:")
    assert "and 1 more batch was refused, 2 items in all" in text
    assert text.endswith("quarantine list")
    standing = describe_standing(shop.settings)
    assert standing["batches"]["states"] == {"accepted": 3, "quarantined": 2}
    # What stands in quarantine has its own item, and is not missed a second time.
    assert [item.cause.level for item in items(shop)] == ["stop", "stop"]

    shop.deliver("orders/2011-02")
    with pytest.raises(DataRejected, match=r"events/2011-02") as again:
        ingest.fn(shop.path, "test")
    assert "more" not in str(again.value)


def test_a_degraded_night_scores_with_the_last_good_data_and_says_so(
    street: Open, untrained: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    shop = street(orders={}, events={"when_refused": "degrade"})
    shop.deliver(*(f"orders/{month}" for month in MONTHS), "events/2011-01", "events/2011-02")
    shop.deliver_empty("events/2011-03")
    taken = ingest.fn(shop.path, "test")
    assert [batch.batch_name for batch in taken.refused] == ["events/2011-03"]
