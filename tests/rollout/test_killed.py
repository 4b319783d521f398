"""A rollout killed before or after any of its ledger writes ends as one that nobody disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tasks.settings import PROJECT, Settings
from tests.rollout.conftest import Settle, run
from tests.rollout.policies import NOTES, score_night, write_policy
from tests.rollout.test_recording import NIGHT, begin
from tests.rollout.test_rolling import leaves_by
from tests.rollout.test_segment_rolling import settle_groups
from tests.rollout.test_stepping import enrol, order_weekly, step
from tests.rollout.village import NAME, Village, insert_orders, open_village
from tests.segments.shops import refuse

pytestmark = [pytest.mark.faults, pytest.mark.flow]

# Runs one step after another as the command does, each in a process that is forked before any lake
# is open; without Prefect's server and MLflow, and without the list that comes after.
STEPPER = """
import os, sys
from importlib import import_module
rollout, score = import_module("flows.rollout"), import_module("flows.score")
cli, settings = import_module("flows.cli"), import_module("tasks.settings")
import_module("tasks.orchestration").prefect_answers = lambda: False
stepping = import_module("tests.rollout.test_stepping")
import_module("tasks.features.steps"), import_module("lightgbm")
act = import_module("flows.act")
import_module("tasks.actions.steps")._log_lists = lambda *a: None
segment, grouping = import_module("flows.segment"), import_module("tasks.segments.steps")
import_module("tasks.registry.steps").mirror_registry = lambda lake: "right"
grouping._mirror = lambda lake, segmented: None
rollout._serve_again = lambda deployment, rollout: None
score.validation.validate_features = lambda *a: None
score.validation.validate_scores = lambda *a, **k: None
acts = {
    "step": lambda path: rollout.step_rollout.fn(path, rescore=False),
    "start": lambda path: rollout.start_rollout.fn(path, None, "ann"),
    "stop": lambda path: rollout.stop_rollout.fn(path, None, "by hand", "ann"),
    "score": lambda path: score.score.fn(path),
    "act": lambda path: act.act.fn(path),
    "policy": lambda path: rollout.step_rollout.fn(path, rescore=False, subject="actions"),
    "plan": lambda path: cli.run(["-d", path, "rollout", "plan", "--name", "churn-village"]),
    "group": lambda path: segment.segment.fn(path),
    "groups": lambda path: rollout.step_rollout.fn(path, rescore=False, subject="segments"),
}
def look(path, day):
    with import_module("tasks.warehouse").open_lake(settings.load_settings(path)) as lake:
        stepping.step(lake, day)
acts |= {f"look-{day}": lambda path, day=day: look(path, day) for day in (6, 7, 28)}
print("ready", flush=True)
for line in sys.stdin:
    name, point, path = line.split()
    pid = os.fork()
    if pid == 0:
        os.environ["HOLDFAST_CRASH_AT"] = point
        acts[name](path)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
Kill = Callable[[Village, str, str], None]


@pytest.fixture(scope="module")
def kill(home: Path) -> Iterator[Kill]:
    """Run a step of a village in a process that dies at a point."""
    process = subprocess.Popen(
        [sys.executable, "-c", STEPPER],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "HOLDFAST_HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"

    def act(village: Village, name: str, point: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{name} {point} {village.path}\n")
        process.stdin.flush()
        assert int(process.stdout.readline()) == -signal.SIGKILL, (name, point)

    yield act
    process.stdin.close()
    process.stdout.close()
    process.wait(timeout=60)


def ledger(village: Village) -> dict[str, Any]:
    """What the ledger says in the end, but for times, ids and versions of the lake."""
    with open_village(village) as lake:
        return {
            "rollouts": [
                (row["row_number"], row["row_kind"], row["state"], row["stage"], row["reason"])
                for row in lake.rows("select * from lake.ledger.rollouts order by row_number")
            ],
            "decisions": sorted(
                (row["kind"], row["outcome"])
                for row in lake.rows("select kind, outcome from lake.ledger.decisions")
            ),
            "enrolments": lake.rows(
                "select customer_id, arm, stage, entered_at from lake.ledger.enrolments"
                " order by all"
            ),
            "servings": lake.rows(
                "select arm, stage, assigned, fell_back from lake.ledger.servings order by all"
            ),
            # But for the item that tells of the kill itself.
            "items": lake.rows(
                "select code, state from lake.ledger.incidents where code <> 'CRASHED'"
                " order by incident_number, recorded_at"
            ),
        }


def go_through(village: Village, kill: Kill, points: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """Start, score, widen and promote; before each, die at each of its points first."""
    from flows import cli

    def act(name: str, key: str) -> None:
        for point in points.get(key, ()):
            kill(village, name, point)
        if name == "score":
            assert cli.run(["-d", str(village.path), "score"]) == 0
        else:
            assert run(village, name) == 0

    for point in points.get("plan", ()):
        kill(village, "plan", point)
    # Who died after the plan was written is told that its name was used.
    planned = run(village, "plan", "--name", NAME)
    assert planned == (78 if "rollout.after_plan" in points.get("plan", ()) else 0)
    act("start", "start")
    act("score", "score")
    village.go_to(7)
    act("step", "advance")
    assert cli.run(["-d", str(village.path), "score"]) == 0
    village.go_to(21)
    act("step", "promote")
    return ledger(village)


def go_through_policies(
    village: Village, path: Path, kill: Kill, points: dict[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Start, list and promote a policy; before each, die at each of its points first."""
    from flows import cli

    asked = ("--subject", "actions", "--policy", str(path), "--name", NAME)
    score_night(village, 0)
    assert run(village, "plan", *asked) == 0
    assert run(village, "start") == 0
    for point in points.get("act", ()):
        kill(village, "act", point)
    assert cli.run(["-d", str(village.path), "act"]) == 0
    score_night(village, 14)
    for point in points.get("policy", ()):
        kill(village, "policy", point)
    assert run(village, "step") == 0
    # Who died after the promotion has made no list by it; the next command does.
    assert cli.run(["-d", str(village.path), "act"]) == 0
    with open_village(village) as lake:
        lists = lake.rows(
            "select customer_id, action, held_out, rank, as_of from lake.main.customer_actions"
            " order by all"
        )
    return {**ledger(village), "lists": lists}


def test_killed_on_the_way_to_a_promoted_policy(
    hamlet: Callable[[], Village], tmp_path: Path, kill: Kill
) -> None:
    path = write_policy(tmp_path / "notes.yaml", NOTES)
    undisturbed = go_through_policies(hamlet(), path, kill, {})
    killed = go_through_policies(
        hamlet(),
        path,
        kill,
        {
            "act": ("actions.before_publish", "rollout.before_enrolment", "actions.published"),
            "policy": ("rollout.before_promote", "rollout.after_promote"),
        },
    )
    assert [row[1] for row in undisturbed["rollouts"]] == ["plan", "start", "promote"]
    assert len(undisturbed["enrolments"]) > 400
    assert killed == undisturbed


def go_through_segments(
    village: Village, kill: Kill, points: dict[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Start, group, promote and take back; before each, die at each of its points first."""
    from flows import cli

    def group() -> None:
        for point in points.get("group", ()):
            kill(village, "group", point)
        assert cli.run(["-d", str(village.path), "segments"]) == 0

    assert run(village, "plan", "--subject", "segments", "--name", NAME) == 0
    assert run(village, "start") == 0
    group()
    village.go_to(14)
    for point in points.get("promote", ()):
        kill(village, "groups", point)
    assert run(village, "step") == 0
    for point in points.get("stop", ()):
        kill(village, "stop", point)
    assert run(village, "stop", "--reason", "by hand") == 0
    # Who died after the switch has grouped nobody by it; the next night does.
    assert cli.run(["-d", str(village.path), "segments"]) == 0
    with open_village(village) as lake:
        promotions = lake.rows(
            "select kind, outcome, model_version, reason from lake.ledger.decisions"
            " where kind in ('promotion', 'rollback', 'segment') order by all"
        )
        groups = lake.rows(
            "select distinct customer_id, segment_id, segment_name, segmentation_id, as_of"
            " from lake.main.customer_segments where as_of < $as_of or run_id ="
            " (select arg_max(finding_id, recorded_at) from lake.ledger.findings"
            " where kind = 'segments') order by all",
            {"as_of": NIGHT + timedelta(days=1)},
        )
    return {**ledger(village), "promotions": promotions, "groups": groups}


def test_killed_on_the_way_to_promoted_segments_and_back(
    hamlet: Callable[[], Village], kill: Kill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("tasks.segments.steps"), "open_tracker", refuse)
    flows = import_module("flows.rollout")
    monkeypatch.setattr(flows, "_serve_again", lambda _deployment, _rollout: None)
    undisturbed = go_through_segments(settle_groups(hamlet()), kill, {})
    killed = go_through_segments(
        settle_groups(hamlet()),
        kill,
        {
            "group": ("segments.before_publish", "rollout.before_enrolment", "segments.published"),
            # Between the rollout's row and the pointer, and on either side of both.
            "promote": (
                "segments.before_promotion",
                "segments.before_pointer",
                "segments.promoted",
            ),
            "stop": ("segments.before_promotion", "segments.before_pointer", "segments.promoted"),
        },
    )
    assert [row[1] for row in undisturbed["rollouts"]] == ["plan", "start", "promote", "stop"]
    kinds = [row["kind"] for row in undisturbed["promotions"]]
    assert kinds == ["promotion", "promotion", "rollback", *["segment"] * 5]
    assert len(undisturbed["enrolments"]) > 400
    assert killed == undisturbed


def test_killed_on_the_way_to_a_promotion(settle: Settle, kill: Kill) -> None:
    stages = [0.2, 0.5]
    leaves = leaves_by(0.1, 0.7)
    undisturbed = go_through(settle(leaves, start=False, stages=stages), kill, {})
    killed = go_through(
        settle(leaves, start=False, stages=stages),
        kill,
        {
            "plan": ("rollout.before_plan", "rollout.after_plan"),
            "start": ("rollout.before_start", "rollout.after_start"),
            "score": ("rollout.before_enrolment", "scoring.published"),
            "advance": ("rollout.before_advance", "rollout.after_advance"),
            "promote": ("rollout.before_promote", "rollout.after_promote"),
        },
    )
    assert [row[1] for row in undisturbed["rollouts"]] == ["plan", "start", "advance", "promote"]
    assert killed == undisturbed


@pytest.mark.parametrize(("act", "kind"), [("step", "roll_back"), ("stop", "stop")])
def test_killed_on_the_way_back(
    make_settings: Callable[[], Settings],
    kill: Kill,
    monkeypatch: pytest.MonkeyPatch,
    act: str,
    kind: str,
) -> None:
    """No models here: the champion compared with is gone, or a person ends it."""
    flows = import_module("flows.rollout")
    monkeypatch.setattr(flows, "_serve_again", lambda _deployment, _rollout: None)
    found = []
    for points in ((), (f"rollout.before_{kind}", f"rollout.after_{kind}")):
        settings = make_settings()
        monkeypatch.setenv("HOLDFAST_HOME", str(settings.home))
        village = Village(Path(settings.called), settings.home, 0, {})
        with open_village(village) as lake:
            begin(lake)
            insert_orders(lake, [("ann", "o1", NIGHT + timedelta(days=1))])
        for point in points:
            kill(village, act, point)
        if act == "step":
            flows.step_rollout.fn(settings.called, rescore=False)
        else:
            flows.stop_rollout.fn(settings.called, None, "by hand", "ann")
        found.append(ledger(village))
    assert [row[1] for row in found[0]["rollouts"]] == ["plan", "start", kind]
    assert found[1] == found[0]


def test_killed_at_a_look(make_settings: Callable[[], Settings], kill: Kill) -> None:
    """Orders of one arm are missing, come, and nobody differs: held, let go on, inconclusive."""
    found = []
    kinds = {6: "hold", 7: "continue", 28: "inconclusive"}
    for is_killed in (False, True):
        settings = make_settings()
        village = Village(Path(settings.called), settings.home, 0, {})

        def go_on(day: int, *, dying: bool = is_killed, village: Village = village) -> None:
            for point in (f"rollout.before_{kinds[day]}", f"rollout.after_{kinds[day]}"):
                if dying:
                    kill(village, f"look-{day}", point)
            with open_village(village) as lake:
                step(lake, day)

        with open_village(village) as lake:
            arms = enrol(lake, begin(lake, stages=(0.5,), guardrails=(), maximum_days=28))
            every = order_weekly(arms, {"champion": 30, "challenger": 30})
            late = {row for row in every if arms[row[0]] == "challenger" and row[2] > NIGHT}
            insert_orders(lake, [row for row in every if row not in late])
        go_on(6)
        with open_village(village) as lake:
            insert_orders(lake, sorted(late))
        go_on(7)
        go_on(28)
        found.append(ledger(village))
    assert [row[1] for row in found[0]["rollouts"]] == ["plan", "start", *kinds.values()]
    assert found[1] == found[0]
