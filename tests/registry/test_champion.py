"""The ledger says who serves; MLflow's alias follows it."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.errors import LockHeld, Refused, StoredDataCorrupt
from tasks.handles import Candidate
from tasks.keeping import verify_model
from tasks.registry.champion import (
    KeptModel,
    champion_status,
    find_champion,
    keep_model,
    mirror_champion,
    open_champion,
    promote,
    record_decision,
)
from tasks.settings import PROJECT, Settings
from tasks.tracking.tracker import CHALLENGER, CHAMPION, Tracker, open_tracker
from tasks.warehouse import Lake
from tests.registry.models import make_model, make_rule
from tests.registry.promotions import keep_unregistered, say
from tests.tracking.records import make_record


@pytest.fixture
def tracker(settings: Settings) -> Iterator[Tracker]:
    with open_tracker(settings) as opened:
        yield opened


def register(tracker: Tracker, lake: Lake, candidate: Candidate) -> KeptModel:
    rule = replace(candidate, kind="rule", name="rule")
    run_id = tracker.log_training(make_record(candidate, rule, lake.deployment))
    kept = keep_model(lake.settings, candidate, tracker.register(candidate, run_id))
    tracker.finish_run(run_id)
    return kept


def test_promotion_through_to_serving_and_the_alias(
    lake: Lake, tracker: Tracker, tmp_path: Path
) -> None:
    assert find_champion(lake) is None
    assert mirror_champion(lake, tracker) == "no champion"
    first = register(tracker, lake, make_model(tmp_path / "a", seed=1))
    assert tracker.alias_version(CHALLENGER) == first.registered.version
    champion = promote(lake, first, say("promote"), None)
    assert champion.version == first.registered.version
    assert champion.model_hash == first.model_hash
    assert champion.metrics == first.candidate.metrics
    assert tracker.alias_version(CHAMPION) is None
    assert mirror_champion(lake, tracker) == "repaired"
    assert mirror_champion(lake, tracker) == "right"
    assert tracker.alias_version(CHAMPION) == champion.version
    assert tracker.alias_version(CHALLENGER) is None

    second = register(tracker, lake, make_model(tmp_path / "b", seed=2))
    promote(lake, second, say("promote"), champion.decision_id)
    found = find_champion(lake)
    assert found is not None
    assert found.version == second.registered.version == champion.version + 1
    # A process that died before it moved the alias leaves MLflow behind; the next run mends it.
    assert tracker.alias_version(CHAMPION) == champion.version
    assert mirror_champion(lake, tracker) == "repaired"
    assert tracker.alias_version(CHAMPION) == found.version

    status = json.loads(json.dumps(champion_status(lake)))
    assert status["champion"]["version"] == found.version
    assert status["champion"]["metrics"]["auc"] == {"estimate": 0.5, "low": 0.4, "high": 0.6}
    assert status["last_decision"]["outcome"] == "promote"
    assert 0 <= status["last_decision"]["age_days"] < 0.1

    lost = tracker._client
    lost.delete_model_version(tracker.model_name, str(found.version))
    assert mirror_champion(lake, tracker) == "version gone"
    predictor = open_champion(lake, found, tracker)
    assert predictor.feature_names == found.feature_names


@pytest.mark.faults(66)
def test_a_damaged_copy_is_restored_from_the_store_or_refused(
    lake: Lake, tracker: Tracker, tmp_path: Path
) -> None:
    kept = register(tracker, lake, make_model(tmp_path / "a"))
    champion = promote(lake, kept, say("promote"), None)
    model = champion.directory / "model.lgb.txt"
    clean = model.read_text()
    model.write_text(clean.replace("leaf_value=", "leaf_value=0", 1))
    with pytest.raises(Refused) as refused:
        open_champion(lake, champion)
    assert refused.value.exit_code == 77
    open_champion(lake, champion, tracker)
    # From now on the restored copy serves, without MLflow; the damaged one is kept to look at.
    open_champion(lake, champion)
    kinds = lake.rows("select kind, outcome from lake.ledger.decisions where kind = 'integrity'")
    assert kinds == [{"kind": "integrity", "outcome": "restored"}]
    with pytest.raises(Refused):
        verify_model(champion.directory, champion.files)


def test_lost_copies_without_the_store_are_corrupt(lake: Lake, tmp_path: Path) -> None:
    kept = keep_unregistered(lake, make_rule(tmp_path / "r"), 1)
    champion = promote(lake, kept, say("serve_rule"), None)
    assert champion.kind == "rule"
    shutil.rmtree(champion.directory)
    with pytest.raises(StoredDataCorrupt):
        open_champion(lake, champion)


@pytest.mark.parametrize("outcome", ["blocked", "keep", "", "champion"])
def test_only_the_gate_promotes(lake: Lake, tmp_path: Path, outcome: str) -> None:
    kept = keep_unregistered(lake, make_rule(tmp_path / "r"), 1)
    with pytest.raises(Refused):
        promote(lake, kept, say(outcome), None)
    assert find_champion(lake) is None


def test_files_changed_after_the_gate_are_not_promoted(lake: Lake, tmp_path: Path) -> None:
    kept = keep_unregistered(lake, make_rule(tmp_path / "r"), 1)
    (kept.directory / "rule.json").write_text("{}")
    with pytest.raises(Refused):
        promote(lake, kept, say("promote"), None)
    assert find_champion(lake) is None


def test_a_figure_of_the_rule_that_is_no_number_is_null_not_a_crash(
    lake: Lake, tmp_path: Path
) -> None:
    """The gate asks the model for its figures; a rule may serve without all of them."""
    rule = make_rule(tmp_path / "r")
    rule = replace(rule, metrics={"auc": (0.6, math.nan, math.inf)})
    promote(lake, keep_unregistered(lake, rule, 1), say("serve_rule"), None)
    status = json.dumps(champion_status(lake), allow_nan=False)
    metrics = json.loads(status)["champion"]["metrics"]
    assert metrics == {"auc": {"estimate": 0.6, "low": None, "high": None}}


def test_promotion_against_an_old_champion_is_refused(lake: Lake, tmp_path: Path) -> None:
    kept = keep_unregistered(lake, make_rule(tmp_path / "r"), 1)
    first = promote(lake, kept, say("promote"), None)
    for expected in (None, "somebody else"):
        with pytest.raises(LockHeld) as held:
            promote(lake, kept, say("promote"), expected)
        assert held.value.exit_code == 75
    found = find_champion(lake)
    assert found is not None
    assert found.decision_id == first.decision_id


def test_the_newest_promotion_is_the_head_of_the_chain_not_of_the_clock(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keep_unregistered(lake, make_rule(tmp_path / "r"), 1)
    first = promote(lake, kept, say("promote"), None)

    monkeypatch.setattr(
        "tasks.registry.champion.read_clock", lambda: datetime(2001, 1, 1, tzinfo=UTC)
    )
    other = keep_unregistered(lake, make_rule(tmp_path / "s", centre_days=60), 2)
    second = promote(lake, other, say("promote"), first.decision_id)
    found = find_champion(lake)
    assert found is not None
    assert found.decision_id == second.decision_id
    assert found.version == 2


def test_a_blocked_decision_is_in_the_ledger(lake: Lake) -> None:
    record_decision(lake, replace(say("blocked"), subject=f"{lake.deployment}.churn"))
    status = champion_status(lake)
    assert status["champion"] is None
    assert status["last_decision"]["outcome"] == "blocked"
    assert "the test says" in status["last_decision"]["reason"]


PROMOTER = """
import sys, time
from pathlib import Path
from tasks.errors import HoldfastError
from tasks.registry.champion import find_champion, promote
from tasks.settings import load_settings
from tasks.warehouse import open_lake
from tests.registry.models import make_rule
from tests.registry.promotions import keep_unregistered, say

deployment, home, version, start = sys.argv[1:]
settings = load_settings(deployment, home=Path(home))
with open_lake(settings) as lake:
    rule = make_rule(Path(home) / "race" / settings.deployment / version, float(version))
    kept = keep_unregistered(lake, rule, int(version))
    before = find_champion(lake)
    print("ready", flush=True)
    while not Path(start).exists():
        time.sleep(0.01)
    try:
        promote(lake, kept, say("promote"), before.decision_id if before else None)
    except HoldfastError as error:
        sys.exit(error.exit_code)
"""


def start_promoter(
    settings: Settings, tmp_path: Path, version: int, crash_at: str = ""
) -> subprocess.Popen[str]:
    overlay = tmp_path / f"{settings.deployment}.yaml"
    overlay.write_text(f"deployment: {settings.deployment}\n")
    go = str(tmp_path / "go")
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "HOLDFAST_CRASH_AT": crash_at}
    return subprocess.Popen(
        [sys.executable, "-c", PROMOTER, str(overlay), str(settings.home), str(version), go],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.mark.faults(65, 40)
def test_of_two_promoters_at_once_one_wins(lake: Lake, settings: Settings, tmp_path: Path) -> None:
    racers = [start_promoter(settings, tmp_path, version) for version in (1, 2)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    (tmp_path / "go").touch()
    for racer in racers:
        racer.communicate(timeout=60)
    assert sorted(racer.returncode for racer in racers) == [0, 75]
    promotions = lake.rows("select * from lake.ledger.decisions where kind = 'promotion'")
    assert len(promotions) == 1
    found = find_champion(lake)
    assert found is not None
    assert racers[found.version - 1].returncode == 0


@pytest.mark.faults(67)
@pytest.mark.parametrize(
    ("point", "promoted"),
    [
        ("registry.copy_written", False),
        ("registry.before_decision", False),
        ("registry.after_decision", True),
    ],
)
def test_a_killed_promotion_is_either_old_or_new(
    lake: Lake, settings: Settings, tmp_path: Path, point: str, promoted: bool
) -> None:
    (tmp_path / "go").touch()
    killed = start_promoter(settings, tmp_path, 1, crash_at=point)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    found = find_champion(lake)
    assert (found is not None) is promoted
    if promoted:
        assert found is not None
        open_champion(lake, found)
        return
    # Nothing of the killed one is in the way of the next.
    kept = keep_unregistered(lake, make_rule(tmp_path / "again", centre_days=1.0), 1)
    started = time.monotonic()
    promote(lake, kept, say("promote"), None)
    assert time.monotonic() - started < 20
    found = find_champion(lake)
    assert found is not None
    open_champion(lake, found)


KEEPER = """
import sys
from pathlib import Path
from tasks.registry.champion import record_decision
from tasks.settings import load_settings
from tasks.warehouse import open_lake
from tests.registry.promotions import say

with open_lake(load_settings(sys.argv[1], home=Path(sys.argv[2]))) as lake:
    record_decision(lake, say("keep"))
"""


@pytest.mark.faults(67)
@pytest.mark.parametrize(
    ("point", "recorded"), [("registry.before_verdict", 0), ("registry.after_verdict", 1)]
)
def test_a_killed_verdict_is_there_once_or_not(
    lake: Lake, settings: Settings, tmp_path: Path, point: str, recorded: int
) -> None:
    overlay = tmp_path / f"{settings.deployment}.yaml"
    overlay.write_text(f"deployment: {settings.deployment}\n")
    killed = subprocess.run(
        [sys.executable, "-c", KEEPER, str(overlay), str(settings.home)],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "HOLDFAST_CRASH_AT": point},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    count = "select count(*) from lake.ledger.decisions"
    assert lake.scalar(count) == recorded
    record_decision(lake, say("keep"))
    assert lake.scalar(count) == recorded + 1
