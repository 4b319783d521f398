"""Nights of monitoring on a small shop: quiet, with a broken promise, and what follows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.monitor import monitor
from tasks.errors import UsageError
from tasks.handles import Decision, Incident
from tasks.incidents.queue import list_incidents
from tasks.moments import standing_at
from tasks.monitoring.alerts import ASKS_FOR_TRAINING, list_alerts
from tasks.monitoring.retraining import close_answered, find_due
from tasks.registry.champion import record_decision
from tasks.tracking.tracker import model_name
from tasks.warehouse import Lake, open_lake
from tests.features.shop import at

from .watched_shop import NAMES, Watched, make_watched

pytestmark = pytest.mark.flow


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", str(home))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")


def list_drift(lake: Lake) -> list[Incident]:
    """Items of monitoring; beside them stands that Prefect does not answer."""
    return [one for one in list_incidents(lake) if one.cause.code == "DRIFT"]


def test_a_quiet_night_says_how_it_is_and_raises_nothing(watched: Watched) -> None:
    with watched.night(345) as path:
        report = monitor.fn(path)
        again = monitor.fn(path)
    assert again.found == report.found
    found = report.found
    assert [one.as_of for one in found.weeks if one.population == "all"] == [at(312)]
    assert found.estimate is not None
    assert found.estimate.auc[1] < found.estimate.auc[0] < found.estimate.auc[2]
    # What the champion asks for, and beside it what customers are worth.
    assert {one.name for one in found.inputs} == {*NAMES, "value_amount"}
    # The rule looks at one of them: nothing can be lost by the others.
    assert {one.name for one in found.inputs if one.lost_amount} <= {"recency_days", "value_amount"}
    assert report.alerts == ()
    assert report.precision.share is None
    text = report.path.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "://" not in text
    assert "c00001" not in text
    # Money has its currency, in the sentence and over the column.
    assert found.currency
    assert text.count(f") {found.currency} and") == 1
    assert f"profit at the budget, {found.currency}<" in text
    with open_lake(watched.settings) as lake:
        assert (
            lake.scalar("select count(*) from lake.ledger.findings where kind = 'reference'") == 1
        )
        assert (
            lake.scalar("select count(*) from lake.ledger.findings where kind = 'monitoring'") == 1
        )
        assert list_drift(lake) == []


def test_the_command_shows_it(watched: Watched) -> None:
    run = CliRunner()
    with watched.night(345) as path:
        said = run.invoke(app, ["-d", str(path), "monitor"])
        assert said.exit_code == 0, said.output
        assert "The pager was right 0 of 0 times" in said.output
        told = json.loads(run.invoke(app, ["-d", str(path), "monitor", "--json"]).stdout)
        assert told["precision"] == {"right": 0, "wrong": 0, "unmarked": 0, "share": None}
        assert "No alert" not in run.invoke(app, ["-d", str(path), "monitor", "alerts"]).output
        wrong = run.invoke(app, ["-d", str(path), "monitor", "mark", "x", "maybe", "--reason", "r"])
        assert isinstance(wrong.exception, UsageError)


@pytest.mark.faults(25)
def test_fault_25_a_wrong_batch_and_a_broken_promise_are_an_item_each(
    tmp_path: Path, home: Path
) -> None:
    watched = make_watched(tmp_path, home, "wrong_shop", customers=200, promised=0.99)
    with open_lake(watched.settings) as lake:
        # Weekly batches; those of the last three weeks before the night came in cents.
        lake.execute(
            "update lake.main.orders set batch_number = 10 + (epoch_us(ordered_at)"
            " // 86400000000 // 7)::integer, net_amount = net_amount"
            " * case when ordered_at >= $since then 100 else 1 end",
            {"since": at(323)},
        )
    with watched.night(345) as path:
        report = monitor.fn(path)
    (fault,) = [one for one in report.found.causes if one.looks_like == "data_fault"]
    assert fault.subject == "orders.net_amount"
    assert "amount_90" in fault.inputs
    assert any("change of unit" in line for line in fault.evidence)
    with open_lake(watched.settings) as lake:
        items = list_drift(lake)
        assert len(items) == len(list_alerts(lake))
        assert "net_amount" in {one.cause.column for one in items}
        assert not any("c00" in one.cause.headline for one in items)
        asking = [one for one in list_alerts(lake) if one.kind in ASKS_FOR_TRAINING]
        # The champion is fresh yet; later the alert asks, and the fault does not: it is no lesson.
        with standing_at(at(347)):
            due = find_due(lake)
        assert due.is_due
        assert set(due.alert_ids) == {one.alert_id for one in asking}
        # The training says 'keep the champion': that is an answer, and ends it.
        with standing_at(at(348)):
            record_decision(lake, keep_champion(lake.deployment))
            closed = close_answered(lake)
            assert not find_due(lake).alert_ids
            assert close_answered(lake) == []
        assert {one.alert_id for one in closed} == {one.alert_id for one in asking}
        assert "the champion was kept" in closed[0].reason


def keep_champion(deployment: str) -> Decision:
    """What the gate says of a training that brings nothing better."""
    return Decision(
        decision_id="keep",
        decided_at=at(348),
        kind="gate",
        subject=model_name(deployment),
        outcome="keep",
        reason="the champion stays. It earns as much.",
        evidence={"criteria": []},
    )
