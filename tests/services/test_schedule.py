"""What is served and when, as data; and which runs count as dead."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import ConfigurationError
from tasks.liveness import is_process_tag, process_of_tag, process_tag
from tasks.services.schedule import (
    Concurrency,
    catch_up,
    count_missed,
    mark_crashed,
    read_schedule,
)

HEAD = "name: test\ndeployments:\n"
ENTRY = "  - name: tick\n    entrypoint: tests.services.served.tick\n"


def read(tmp_path: Path, text: str):  # type: ignore[no-untyped-def]
    path = tmp_path / "prefect.yaml"
    path.write_text(text, encoding="utf-8")
    return read_schedule(path)


def test_an_entry_without_more_runs_alone_and_on_no_schedule(tmp_path: Path) -> None:
    (entry,) = read(tmp_path, HEAD + ENTRY)
    assert entry.concurrency_limit == Concurrency(limit=1, collision_strategy="CANCEL_NEW")
    assert entry.schedules == ()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("    schedule: {cron: '0 2 * * *'}\n", "schedule"),
        ("    schedules: [{crom: '0 2 * * *'}]\n", "crom"),
        ("    schedules: [{cron: '0 2 * *'}]\n", "cron"),
        ("    schedules: [{}]\n", "one of `cron` and `interval`"),
        ("    schedules: [{cron: '0 2 * * *', interval: 3}]\n", "one of `cron` and `interval`"),
        ("    schedules: [{interval: 0}]\n", "interval"),
        ("    concurrency_limit: {limit: 0}\n", "limit"),
        ("    triggers: [{event: prefect.anything}]\n", "event"),
        ("    triggers: [{evnt: holdfast.retraining.due}]\n", "triggers.0.event"),
        ("    concurrency_limit: {collision_strategy: QUEUE}\n", "collision_strategy"),
        ("  - name: tick\n    entrypoint: a.b\n", "two deployments are called tick"),
        ("  - name: file\n    entrypoint: flows/nightly.py:nightly\n", "entrypoint"),
        ("  - name: Bad name\n    entrypoint: a.b\n", "name"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, HEAD + ENTRY + more)
    assert said in str(caught.value)
    assert "prefect.yaml" in str(caught.value)


@pytest.mark.parametrize("text", ["", "[", "- a", "deployments: []"])
def test_no_schedule_at_all_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError):
        read(tmp_path, text)


def test_tag_names_this_process() -> None:
    tag = process_tag()
    assert is_process_tag(tag)
    assert process_of_tag(tag)[0] == os.getpid()
    assert not is_process_tag("nightly")


class FakeApi:
    """Answers from a list of runs and remembers what it was asked to change."""

    def __init__(self, runs: list[dict[str, Any]]) -> None:
        self.runs = runs
        self.crashed: list[str] = []
        self.started: list[str] = []

    def get(self, path: str) -> dict[str, Any]:
        kind, identity = path.strip("/").split("/")
        if kind == "task_runs":
            return {"flow_run_id": identity.removeprefix("task-of-")}
        return next(run for run in self.runs if run["id"] == identity)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        if path == "/flow_runs/filter":
            wanted = body["flow_runs"]["state"]["type"]["any_"]
            return [run for run in self.runs if run["state"]["type"] in wanted]
        if path == "/deployments/filter":
            wanted = body["deployments"]["name"]["any_"]
            known = [{"id": "d1", "name": "tick"}, {"id": "d2", "name": "tock"}]
            return [deployment for deployment in known if deployment["name"] in wanted]
        if path.endswith("/set_state"):
            assert body["force"]
            assert body["state"]["type"] == "CRASHED"
            self.crashed.append(path.split("/")[2])
        if path.endswith("/create_flow_run"):
            self.started.append(path.split("/")[2])
        return None


def run(identity: str, state: str = "RUNNING", age_seconds: int = 600, **more: object) -> Any:
    at = datetime.now(UTC) - timedelta(seconds=age_seconds)
    return {
        "id": identity,
        "name": identity,
        "state": {"type": state, "timestamp": at.isoformat()},
        "tags": [],
        "deployment_id": None,
        "parent_task_run_id": None,
        **more,
    }


DEAD_TAG = "process:1:100.00"  # process 1 was not started in 1970


@pytest.mark.faults(48)
@pytest.mark.parametrize(
    ("found", "crashed"),
    [
        (partial(run, "of-this-process", tags=[process_tag()]), []),
        (partial(run, "of-a-dead-process", tags=[DEAD_TAG]), ["of-a-dead-process"]),
        (partial(run, "served-and-gone", deployment_id="d1"), ["served-and-gone"]),
        (partial(run, "waiting-for-its-process", "PENDING", 5, deployment_id="d1"), []),
        (
            partial(run, "pending-for-long", "PENDING", 600, deployment_id="d1"),
            ["pending-for-long"],
        ),
        (partial(run, "of-a-notebook"), []),
        (partial(run, "finished", "COMPLETED", tags=[DEAD_TAG]), []),
    ],
)
def test_a_run_without_a_process_is_crashed(found: Callable[[], Any], crashed: list[str]) -> None:
    api = FakeApi([found()])  # made now: its age counts from the test, not from the collection
    assert mark_crashed(api, "gone", minimum_age_seconds=120) == crashed  # type: ignore[arg-type]
    assert api.crashed == crashed


@pytest.mark.faults
@pytest.mark.parametrize(
    ("tag", "crashed"), [(DEAD_TAG, ["top", "part"]), (process_tag(), [])], ids=["dead", "living"]
)
def test_a_part_shares_the_fate_of_its_whole(tag: str, crashed: list[str]) -> None:
    api = FakeApi([run("top", tags=[tag]), run("part", parent_task_run_id="task-of-top")])
    assert mark_crashed(api, "gone") == crashed  # type: ignore[arg-type]


@pytest.mark.faults
def test_a_served_run_whose_process_lives_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess
    import sys

    api = FakeApi([run("alive", deployment_id="d1")])
    with subprocess.Popen(
        [sys.executable, "-c", "input()"],
        stdin=subprocess.PIPE,
        env={**os.environ, "PREFECT__FLOW_RUN_ID": "alive"},
    ) as process:
        assert mark_crashed(api, "gone") == []  # type: ignore[arg-type]
        process.kill()
    assert mark_crashed(api, "gone") == ["alive"]  # type: ignore[arg-type]


@pytest.mark.faults(42)
def test_three_missed_nights_are_one_catch_up() -> None:
    late = [run(f"late-{n}", "SCHEDULED", deployment_id="d1") for n in range(3)]
    api = FakeApi([*late, run("late-other", "SCHEDULED", deployment_id="d9")])
    missed = count_missed(api, ["tick", "tock"])  # type: ignore[arg-type]
    assert missed == {"tick": 3}
    catch_up(api, missed)  # type: ignore[arg-type]
    assert api.started == ["d1"]


def test_nothing_missed_is_nothing_started() -> None:
    api = FakeApi([])
    catch_up(api, count_missed(api, ["tick"]))  # type: ignore[arg-type]
    assert api.started == []
