"""Degrees: what a refused, missing or late delivery does to a night, and what outputs say of it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from flows import showing
from flows.ingest import ingest
from flows.nightly import nightly
from flows.score import score
from flows.standing import describe_standing
from flows.train import train
from tasks.errors import ConfigurationError, DataRejected, LockHeld
from tasks.handles import ScoreTable, StagedBatch, Verdict
from tasks.incidents.queue import list_incidents
from tasks.settings import HOME_VARIABLE, Settings
from tasks.warehouse import Lake, open_lake

from .street import CUSTOMERS, Street

pytestmark = pytest.mark.flow

Open = Callable[..., Street]


class Lenient:
    """Stands for validation where a night is asked about something else: every row is good."""

    @staticmethod
    def validate_batch(_lake: Lake, staged: StagedBatch, _settings: Settings) -> Verdict:
        rows = staged.received_rows
        return Verdict("accepted", rows, rows, 0, None, ())

    @staticmethod
    def validate_features(*_arguments: object) -> None:
        return

    @staticmethod
    def validate_scores(_path: object, settings: Settings) -> None:
        return


@pytest.fixture
def street(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    for name in ("flows.ingest", "flows.score", "flows.train"):
        monkeypatch.setattr(import_module(name), "validation", Lenient)
    return lambda **sources: Street(tmp_path, home, **sources)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Nights whose training is not run but noted: here it is asked whether, not how."""
    asked: list[Any] = []
    night = import_module("flows.nightly")
    training = night.train

    def stand_in(flow: Any, *arguments: Any) -> Any:
        if flow is training:
            asked.append(arguments)
            return None
        return flow.fn(*arguments)

    monkeypatch.setattr(night, "run_flow", stand_in)
    return asked


def items(shop: Street) -> list[str]:
    with open_lake(shop.settings) as lake:
        return [f"{item.cause.level} {item.cause.source}" for item in list_incidents(lake)]


def stamps(table: ScoreTable) -> set[tuple[str, str]]:
    """What every row of the exported list says of its age; the lake's rows say the same."""
    assert table.csv_path is not None
    with table.csv_path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == CUSTOMERS
    assert list(rows[0])[-2:] == ["stale_days", "stale_sources"]
    return {(row["stale_days"], row["stale_sources"]) for row in rows}


def test_a_refused_batch_keeps_no_other_out_and_is_told_with_the_rest(street: Open) -> None:
    shop = street(orders={}, events={})
    shop.deliver("orders/2011-02")
    shop.deliver_empty("orders/2011-01", "events/2011-02")
    with pytest.raises(DataRejected) as stop:
        ingest.fn(shop.path, "test")
    text = str(stop.value)
    assert text.startswith("batch orders/2011-01 rejected, EMPTY:")
    assert "\n  and 1 more batch was refused, 2 items in all\n" in text
    assert text.endswith(f"; all of them: holdfast -d {shop.path} quarantine list")
    standing = describe_standing(shop.settings)
    assert standing["batches"]["states"] == {"accepted": 1, "quarantined": 2}
    assert [one["text"] for one in standing["sources"]] == [
        "1 in quarantine: 2011-01",
        "1 in quarantine: 2011-02",
    ]
    # What stands in quarantine has its own item, and is not missed a second time.
    assert items(shop) == ["stop orders", "stop events"]

    (shop.directory / "events" / "2011-02.csv").unlink()
    with pytest.raises(DataRejected, match=r"orders/2011-01") as again:
        ingest.fn(shop.path, "test")
    assert "more" not in str(again.value)


def test_degraded_nights_score_with_the_last_good_data_and_say_so(
    street: Open, trainings: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    # The folder of the tickets is not there at all.
    shop = street(orders={}, events={"when_refused": "degrade"}, tickets={"optional": True})
    shop.deliver("orders/2011-02", "orders/2011-03", "events/2011-02")
    shop.promote()
    night = nightly.fn(shop.path, "test")
    assert (night.held, night.refused, len(trainings)) == ("", (), 1)
    assert stamps(night.scores) == {("0", "tickets (left out)")}

    # They come, and a month of the events is refused.
    shop.deliver("tickets/2011-02")
    shop.deliver_empty("events/2011-03")
    night = nightly.fn(shop.path, "test")
    assert len(trainings) == 1
    assert [batch.batch_name for batch in night.refused] == ["events/2011-03"]
    assert night.held == "GAP: training waits for 1 delivery of events."
    [(days, sources)] = stamps(night.scores)
    # From the end of February, to which the events reach, to that of March.
    assert (float(days), sources) == (pytest.approx(32, abs=1), "events")
    assert score.fn(shop.path).scoring_id == night.scores.scoring_id  # the same night is one run

    showing.show_night(night, shop.settings)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("events/2011-03 stands in quarantine; its") for line in lines)
    listed = night.scores.csv_path
    assert listed is not None
    assert f"Whom to contact: {listed.with_name('actions.csv')}" in lines
    assert lines[-1] == f"Degraded night: {night.held} The champion scored."
    assert any(line.startswith(f"STALE: events behind by {float(days):.4g}") for line in lines)
    standing = describe_standing(shop.settings)
    assert standing["last_scores"]["stale_days"] == float(days)
    assert standing["last_scores"]["stale_sources"] == "events"
    showing.show_standing(standing)
    out = capsys.readouterr().out
    assert "behind: events: 1 in quarantine: 2011-03" in out
    assert f"last scores: stale by {float(days):.4g} days: events" in out
    assert items(shop) == ["stop events"]

    # A month of the tickets is refused too: half of them would look like fewer complaints.
    shop.deliver_empty("tickets/2011-03")
    night = nightly.fn(shop.path, "test")
    assert night.held == "GAP: training waits for 2 deliveries of events, tickets."
    assert stamps(night.scores) == {(days, "events; tickets (left out)")}


def test_a_gap_lets_the_champion_score_and_ends_the_night_of_a_source_that_stops(
    street: Open, trainings: list[Any]
) -> None:
    shop = street(orders={}, tickets={"optional": True}, events={"optional": True})
    shop.deliver("orders/2011-01", "orders/2011-03")
    with pytest.raises(LockHeld, match=r"orders: 2011-02 did not come"):
        nightly.fn(shop.path, "test")  # nobody to score with
    assert items(shop) == ["gap orders"]
    shop.promote()
    with pytest.raises(LockHeld, match=r"train --allow-gaps"):
        nightly.fn(shop.path, "test")
    assert trainings == []
    with open_lake(shop.settings) as lake:
        [stamp] = lake.rows("select distinct stale_days, stale_sources from lake.main.scores")
    sources = "orders; events (left out); tickets (left out)"
    assert stamp == {"stale_days": 0.0, "stale_sources": sources}

    shop.deliver("orders/2011-02")
    assert ingest.fn(shop.path, "test").refused == ()
    assert items(shop) == []


def test_a_training_refuses_a_gap_before_it_builds_anything(
    street: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = import_module("flows.train")
    for name in ("require_tracking", "mirror_registry"):
        monkeypatch.setattr(flow.registry, name, lambda _: None)
    shop = street(orders={})
    shop.deliver("orders/2011-01", "orders/2011-03")
    ingest.fn(shop.path, "test")
    with pytest.raises(LockHeld, match=r"GAP: training waits for 1 delivery of orders"):
        train.fn(shop.path)
    with pytest.raises(DataRejected, match="not enough to learn from"):
        train.fn(shop.path, allow_gaps=True)


def test_who_is_a_customer_cannot_be_optional(street: Open) -> None:
    shop = street(orders={"optional": True})
    with pytest.raises(ConfigurationError, match="'orders' cannot be `optional`"):
        _ = shop.settings
