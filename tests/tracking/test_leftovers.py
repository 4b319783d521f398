"""A run that a killed training left open is closed; one that may be at work never is."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.liveness import is_abandoned, name_process
from tasks.settings import PROJECT, Settings
from tasks.tracking.leftovers import PROCESS_TAG
from tasks.tracking.tracker import open_tracker
from tests.registry.models import make_model, make_rule
from tests.tracking.records import make_record

MakeSettings = Callable[..., Settings]

_NAME_AND_WAIT = (
    "import sys; from tasks.liveness import name_process;"
    "print(name_process(), flush=True); sys.stdin.read()"
)


@pytest.fixture(scope="module")
def killed() -> str:
    """The name of a process that was killed with -9."""
    with subprocess.Popen(
        [sys.executable, "-c", _NAME_AND_WAIT],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        named = process.stdout.readline().strip()
        assert not is_abandoned(named)
        process.send_signal(signal.SIGKILL)
    return named


def test_who_is_gone(killed: str) -> None:
    own = name_process()
    host, process = own.split(" ")
    name, pid, started = process.split(":")
    assert is_abandoned(killed)
    assert not is_abandoned(own)
    # The same id at another start is another process: the id was used again.
    assert is_abandoned(f"{host} {name}:{pid}:{float(started) - 3600:.2f}")
    for unknown in ("", host, f"elsewhere {killed.split(' ')[1]}", f"{host} process:x:y"):
        assert not is_abandoned(unknown)


def test_runs_of_a_killed_training_are_closed(
    make_settings: MakeSettings, tmp_path: Path, killed: str
) -> None:
    record = make_record(make_model(tmp_path / "model"), make_rule(tmp_path / "rule"), "shop")
    with open_tracker(make_settings()) as tracker:
        client, experiment = tracker._client, tracker._experiment()
        at_work = tracker.log_training(record)
        tags = {
            "killed": {PROCESS_TAG: killed},
            "elsewhere": {PROCESS_TAG: f"elsewhere {killed.split(' ')[1]}"},
            "by hand": {},
        }
        runs = {
            name: client.create_run(experiment, tags=tag).info.run_id for name, tag in tags.items()
        }
        assert tracker.close_abandoned() == 1
        status = {name: client.get_run(run_id).info.status for name, run_id in runs.items()}
        assert status == {"killed": "KILLED", "elsewhere": "RUNNING", "by hand": "RUNNING"}
        assert client.get_run(at_work).info.status == "RUNNING"
        tracker.finish_run(at_work)
        assert tracker.close_abandoned() == 0
