"""Who was champion when; an earlier one serves again in one step; what is lost or changed is told.

The models here are rules of different centres, promoted one after another: 1, 2, 3.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from tasks.errors import LockHeld, Refused, StoredDataCorrupt, UsageError
from tasks.registry import history
from tasks.registry.champion import find_champion, open_champion, promote
from tasks.registry.history import (
    describe_reign,
    find_reign,
    list_reigns,
    roll_back,
    rolled_back_hashes,
    verify_registry,
)
from tasks.settings import PROJECT, Settings
from tasks.tracking.tracker import Tracker, open_tracker
from tasks.warehouse import Lake
from tests.registry.models import make_rule
from tests.registry.promotions import keep_unregistered, say
from tests.registry.test_champion import register


def promote_in_turn(lake: Lake, folder: Path, versions: int = 3) -> None:
    for version in range(1, versions + 1):
        present = find_champion(lake)
        rule = make_rule(folder / f"rule-{version}", centre_days=10.0 * version)
        kept = keep_unregistered(lake, rule, version)
        promote(lake, kept, say("promote"), present.decision_id if present else None)


def serving(lake: Lake) -> int:
    champion = find_champion(lake)
    assert champion is not None
    open_champion(lake, champion)
    return champion.version


def go_back(lake: Lake, version: int | None = None) -> int:
    return roll_back(lake, version=version, actor="ann", reason="complaints").version


def test_nobody_before_the_first_promotion(lake: Lake) -> None:
    assert list_reigns(lake) == []
    assert rolled_back_hashes(lake) == frozenset()
    assert verify_registry(lake, None) == []
    with pytest.raises(UsageError, match="no champion yet"):
        go_back(lake)


def test_any_moment_has_its_champion(lake: Lake, tmp_path: Path) -> None:
    promote_in_turn(lake, tmp_path)
    reigns = list_reigns(lake)
    assert [one.champion.version for one in reigns] == [3, 2, 1]
    assert [one.ended_at for one in reigns] == [
        None,
        reigns[0].champion.promoted_at,
        reigns[1].champion.promoted_at,
    ]
    for reign in reigns:
        begun = reign.champion.promoted_at
        assert find_reign(lake, begun) == reign
        assert find_reign(lake, begun + timedelta(microseconds=1)) == reign
    first = reigns[-1].champion.promoted_at
    assert find_reign(lake, first - timedelta(microseconds=1)) is None
    told = json.loads(json.dumps(describe_reign(reigns[1])))
    assert (told["version"], told["by"], told["reason"]) == (
        2,
        "promotion",
        "the test says promote",
    )
    assert told["until"] == reigns[0].champion.promoted_at.isoformat()


def test_back_one_step_then_another_and_to_any_that_served(lake: Lake, tmp_path: Path) -> None:
    promote_in_turn(lake, tmp_path)
    before = os.times()
    assert go_back(lake) == 2
    # Of processors, those of the throw-away process included: the clock belongs to the machine.
    assert sum(os.times()[:4]) - sum(before[:4]) < 5
    # Going back again goes on back: 3 was rolled back, so it is not what came before 2.
    assert go_back(lake) == 1
    assert serving(lake) == 1
    with pytest.raises(UsageError, match="no champion before version 1"):
        go_back(lake)
    assert go_back(lake, 3) == 3
    assert serving(lake) == 3
    assert [one.kind for one in list_reigns(lake)] == ["rollback"] * 3 + ["promotion"] * 3
    assert list_reigns(lake)[0].actor == "ann"
    with pytest.raises(UsageError) as unknown:
        go_back(lake, 9)
    assert unknown.value.available == ("3", "1", "2")


def test_the_same_rollback_again_does_nothing(lake: Lake, tmp_path: Path) -> None:
    promote_in_turn(lake, tmp_path, 2)
    assert [go_back(lake, 1), go_back(lake, 1)] == [1, 1]
    assert len(list_reigns(lake)) == 3


def test_what_was_rolled_back_is_remembered_until_it_serves_again(
    lake: Lake, tmp_path: Path
) -> None:
    promote_in_turn(lake, tmp_path)
    hashes = {one.champion.version: one.champion.model_hash for one in list_reigns(lake)}
    go_back(lake)
    assert rolled_back_hashes(lake) == {hashes[3]}
    go_back(lake)
    assert rolled_back_hashes(lake) == {hashes[3], hashes[2]}
    go_back(lake, 3)
    assert rolled_back_hashes(lake) == {hashes[2], hashes[1]}


def test_a_promotion_between_refuses_the_rollback(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote_in_turn(lake, tmp_path, 2)
    reigns = list_reigns(lake)
    # What the one who decides has seen is a step older than what is there now.
    monkeypatch.setattr(history, "list_reigns", lambda _lake: reigns)
    roll_back(lake, version=1, actor="ann", reason="first")
    with pytest.raises(LockHeld) as late:
        roll_back(lake, version=1, actor="ben", reason="second")
    assert late.value.exit_code == 75
    assert "nothing was rolled back" in str(late.value)


@pytest.mark.faults(68)
def test_a_damaged_copy_does_not_serve_again(lake: Lake, tmp_path: Path) -> None:
    promote_in_turn(lake, tmp_path)
    second, first = list_reigns(lake)[1].champion, list_reigns(lake)[2].champion
    code = second.directory / "model_code.py"
    code.write_text(code.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    shutil.rmtree(first.directory)
    with pytest.raises(Refused):
        go_back(lake, 2)
    with pytest.raises(StoredDataCorrupt):
        go_back(lake, 1)
    assert serving(lake) == 3
    told = {one.version: one for one in verify_registry(lake, None)}
    assert {version: (one.files, one.is_right) for version, one in told.items()} == {
        3: ("right", True),
        2: ("changed", False),
        1: ("missing", False),
    }
    assert "model_code.py" in told[2].detail
    assert told[3].store == "no answer"
    assert [told[3].serves, told[2].serves] == [True, False]


@pytest.fixture
def tracker(settings: Settings) -> Iterator[Tracker]:
    with open_tracker(settings) as opened:
        yield opened


@pytest.mark.faults(66)
def test_a_version_deleted_from_mlflow_is_noticed(
    lake: Lake, tracker: Tracker, tmp_path: Path
) -> None:
    kept = register(tracker, lake, make_rule(tmp_path / "a"))
    champion = promote(lake, kept, say("promote"), None)
    (told,) = verify_registry(lake, tracker)
    assert (told.store, told.detail) == ("changed", "MLflow's alias 'champion' points elsewhere")
    tracker.set_alias("champion", champion.version)
    (told,) = verify_registry(lake, tracker)
    assert told.is_right
    assert told.store == "right"
    tracker._client.delete_model_version(tracker.model_name, str(champion.version))
    (told,) = verify_registry(lake, tracker)
    assert not told.is_right
    assert told.detail == f"version {champion.version} was deleted from MLflow"


def test_golden_predictions_are_asked_again(lake: Lake, tmp_path: Path) -> None:
    promote_in_turn(lake, tmp_path, 1)
    (reign,) = list_reigns(lake)
    moved = replace(reign.champion, golden=tuple(0.5 for _ in reign.champion.golden))
    told = history._verify(lake, moved, None, serves=True)
    assert (told.files, told.predictions, told.is_right) == ("right", "changed", False)


ROLLER = """
import sys
from pathlib import Path
from tasks.registry.history import roll_back
from tasks.settings import load_settings
from tasks.warehouse import open_lake

overlay, home = sys.argv[1:]
with open_lake(load_settings(overlay, home=Path(home))) as lake:
    roll_back(lake, version=None, actor="ann", reason="complaints")
"""


@pytest.mark.faults(67)
@pytest.mark.parametrize(
    ("point", "serves"), [("rollback.before_decision", 2), ("rollback.after_decision", 1)]
)
def test_a_killed_rollback_is_either_done_or_not(
    lake: Lake, settings: Settings, tmp_path: Path, point: str, serves: int
) -> None:
    promote_in_turn(lake, tmp_path, 2)
    overlay = tmp_path / f"{settings.deployment}.yaml"
    overlay.write_text(yaml.safe_dump({"deployment": settings.deployment}), encoding="utf-8")
    killed = subprocess.run(
        [sys.executable, "-c", ROLLER, str(overlay), str(settings.home)],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "HOLDFAST_CRASH_AT": point},
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert serving(lake) == serves
    # Whoever asks for that version again ends where the uninterrupted one had ended.
    assert go_back(lake, 1) == 1
    assert len(list_reigns(lake)) == 3
