"""The commands `champion`, `rollback` and `registry verify`, as a person types them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from flows import cli
from tasks import orchestration
from tasks.registry.history import list_reigns
from tasks.settings import Settings
from tasks.warehouse import Lake
from tests.registry.test_history import go_back, promote_in_turn


@pytest.fixture
def ask(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Run a command for this deployment in this process; its code and what it has printed."""
    path = tmp_path / f"{settings.deployment}.yaml"
    path.write_text(yaml.safe_dump({"deployment": settings.deployment}), encoding="utf-8")
    monkeypatch.setenv("HOLDFAST_HOME", str(settings.home))
    # A night on which Prefect's server is down: the flow runs as a plain function.
    monkeypatch.setattr(orchestration, "prefect_answers", lambda: False)
    return SimpleNamespace(run=lambda *words: cli.run(["-d", str(path), *words]))


def test_champion_at_a_date(
    lake: Lake, tmp_path: Path, ask: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask.run("champion") == 0
    assert "nobody was champion yet" in capsys.readouterr().out
    promote_in_turn(lake, tmp_path, 2)
    second, first = list_reigns(lake)
    between = (second.champion.promoted_at - timedelta(microseconds=1)).isoformat()
    assert ask.run("champion", "--at", between, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["champion"]["version"] == 1
    assert told["champion"]["until"] == second.champion.promoted_at.isoformat()
    assert len(told["reigns"]) == 1
    # A date is its whole day.
    day = f"{second.champion.promoted_at:%Y-%m-%d}"
    assert ask.run("champion", "--at", day) == 0
    said = capsys.readouterr().out
    assert ".churn version 2 (" in said
    assert "why: the test says promote" in said
    assert "before: " in said
    before = (first.champion.promoted_at - timedelta(days=1)).isoformat()
    assert ask.run("champion", "--at", before, "--json") == 0
    assert json.loads(capsys.readouterr().out)["champion"] is None


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-05-01T99:00"])
def test_no_date_is_usage(
    ask: SimpleNamespace, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask.run("champion", "--at", text) == 64
    said = capsys.readouterr().err
    assert f"'{text}' is no date." in said
    assert "2026-05-01T12:00Z" in said


def test_rollback_switches_although_there_is_nothing_to_score(
    lake: Lake, tmp_path: Path, ask: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    promote_in_turn(lake, tmp_path, 2)
    assert ask.run("rollback", "--reason", " ") == 64
    assert "needs a reason" in capsys.readouterr().err
    assert ask.run("rollback", "--reason", "complaints", "--author", "ann") == 0
    said = capsys.readouterr().out
    assert "version 1 (" in said
    assert "No new list: " in said
    assert list_reigns(lake)[0].actor == "ann"
    assert ask.run("rollback", "--reason", "more", "--to", "7") == 64
    refused = capsys.readouterr().err
    assert "Version 7 has never been champion" in refused
    assert "Available: 1, 2" in refused


def test_verify_ends_with_74_where_a_copy_was_changed(
    lake: Lake, tmp_path: Path, ask: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask.run("registry", "verify") == 0
    assert "No version has ever served." in capsys.readouterr().out
    promote_in_turn(lake, tmp_path, 2)
    go_back(lake)
    served = list_reigns(lake)[0].champion
    (served.directory / "added.txt").write_text("?", encoding="utf-8")
    assert ask.run("registry", "verify", "--json") == 74
    printed = capsys.readouterr()
    told = {one["version"]: one for one in json.loads(printed.out)}
    assert told[1]["files"] == "changed"
    assert told[1]["serves"]
    assert "version 1: added: added.txt" in printed.err
