"""A run that is killed or stops is on the queue until the same command ends well (FAULTS 36-51)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import (
    DataRejected,
    DiskFailure,
    HoldfastError,
    ServiceDown,
    StoredDataCorrupt,
    Tampered,
    TrackingDown,
)
from tasks.incidents import runs
from tasks.incidents.causes import explain_likely
from tasks.incidents.queue import list_incidents, resolve_incident
from tasks.incidents.runs import watching_run
from tasks.oncall.commands import suggest_commands
from tasks.settings import PROJECT, Settings
from tasks.warehouse import Lake, open_lake

pytestmark = pytest.mark.faults


@pytest.fixture
def deployment_file(settings: Settings, tmp_path: Path) -> Path:
    """The file of the fixture's deployment, as another process would load it."""
    path = tmp_path / f"{settings.deployment}.yaml"
    path.write_text(f"deployment: {settings.deployment}", encoding="utf-8")
    return path


# A run that begins, tells its id of process, and is killed where the test says.
BEGUN = """
import os, sys
from pathlib import Path
from tasks.incidents import runs
from tasks.settings import load_settings
settings = load_settings(Path(sys.argv[1]), home=Path(sys.argv[2]))
runs._count_kills = lambda: int(sys.argv[4])  # as the kernel would
with runs.watching_run(settings, "train"):
    os.kill(os.getpid(), int(sys.argv[3]))
"""


def _open(lake: Lake) -> list[tuple[str, str]]:
    return [(one.cause.code, one.cause.source) for one in list_incidents(lake)]


def _states(lake: Lake) -> list[str]:
    rows = lake.rows("select state from lake.ledger.runs order by recorded_at")
    return [row["state"] for row in rows]


def _begin(
    settings: Settings,
    deployment_file: Path,
    number: int = signal.SIGKILL,
    memory_kills: int = 0,
    **environment: str,
) -> int:
    asked = [deployment_file, settings.home, int(number), memory_kills]
    done = subprocess.run(
        [sys.executable, "-c", BEGUN, *map(str, asked)],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode


def test_a_run_that_ends_well_leaves_no_item(lake: Lake, settings: Settings) -> None:
    with watching_run(settings, "nightly"):
        assert _states(lake) == ["begun"]
    assert _states(lake) == ["begun", "ended"]
    assert _open(lake) == []


@pytest.mark.faults(36)
def test_a_killed_run_is_one_item_until_the_command_ends_well(
    lake: Lake, settings: Settings, deployment_file: Path
) -> None:
    for _ in range(2):
        assert _begin(settings, deployment_file) == -signal.SIGKILL
    with watching_run(settings, "score"):
        # Whatever runs next tells of it; only the command itself can end it.
        assert _open(lake) == [("CRASHED", "train")]
    assert _open(lake) == [("CRASHED", "train")]
    with watching_run(settings, "train"):
        assert _open(lake) == [("CRASHED", "train")]
        [item] = list_incidents(lake)
        assert "did not end: its process was killed" in item.cause.headline
        assert "train: it goes on where it was" in item.report["next"]
    assert _open(lake) == []
    [item] = list_incidents(lake, unresolved=False)
    assert item.resolution == "recovered"


@pytest.mark.parametrize("point", ["runs.before_begin", "runs.before_end"])
def test_killed_while_it_writes_itself_down(
    lake: Lake, settings: Settings, deployment_file: Path, point: str
) -> None:
    code = _begin(settings, deployment_file, 0, HOLDFAST_CRASH_AT=point)
    assert code == -signal.SIGKILL
    with watching_run(settings, "train"):
        expected = [] if point == "runs.before_begin" else [("CRASHED", "train")]
        assert _open(lake) == expected
    assert _open(lake) == []


@pytest.mark.faults(37)
def test_a_signal_is_written_down_and_is_no_item(lake: Lake, settings: Settings) -> None:
    with pytest.raises(SystemExit), watching_run(settings, "nightly"):
        raise SystemExit(143)
    assert _states(lake) == ["begun", "signalled"]
    assert _open(lake) == []


@pytest.mark.faults(39, 45, 51, 56)
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TrackingDown("MLflow is down."), "MLFLOW"),
        (ServiceDown("A database is down."), "SERVICE"),
        (DiskFailure("No room."), "DISK"),
        (StoredDataCorrupt("A file is damaged."), "CORRUPT"),
        (Tampered("A model was changed."), "INTEGRITY"),
        (MemoryError(), "OOM"),
        (ZeroDivisionError(), "BUG"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_ends_a_run_is_one_item_however_often(
    lake: Lake, settings: Settings, error: Exception, code: str
) -> None:
    for _ in range(2):
        with pytest.raises(type(error)), watching_run(settings, "nightly"):
            raise error
    assert _open(lake) == [(code, "nightly")]
    with watching_run(settings, "nightly"):
        pass
    assert _open(lake) == []


def test_every_cause_that_an_error_names_is_ended_by_a_good_run() -> None:
    kinds = [HoldfastError]
    for kind in kinds:
        kinds += [one for one in kind.__subclasses__() if one.__module__ == kind.__module__]
    named = {kind.fault_code for kind in kinds} - {""}
    assert named <= set(runs.FAULT_CODES)
    assert len(named) > 5


def test_what_has_an_item_of_its_own_gets_no_second(lake: Lake, settings: Settings) -> None:
    with pytest.raises(DataRejected), watching_run(settings, "nightly"):
        raise DataRejected("A batch is refused.")
    assert _open(lake) == []
    assert _states(lake) == ["begun", "stopped"]


@pytest.mark.faults(38)
def test_memory_that_ends_two_runs_ends_no_third(
    lake: Lake,
    settings: Settings,
    deployment_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Each of them finds that the kernel has ended one process more.
    for number in range(2):
        assert _begin(settings, deployment_file, memory_kills=number) == -signal.SIGKILL
    monkeypatch.setattr(runs, "_count_kills", lambda: 2)
    with pytest.raises(ServiceDown) as refused, watching_run(settings, "train"):
        pass
    assert refused.value.exit_code == 69
    assert "were ended for want of memory" in str(refused.value)
    assert _open(lake) == [("OOM", "train")]
    [item] = list_incidents(lake)
    resolve_incident(lake, item, "discarded", actor="ann", reason="more memory")
    with watching_run(settings, "train"):
        pass
    assert _open(lake) == []


@pytest.mark.faults(47)
def test_a_dead_prefect_is_said_and_the_work_goes_on(
    lake: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    done: list[Any] = []
    with watching_run(settings, "nightly"):
        done.append(1)
    assert done == [1]
    assert _open(lake) == [("ORCH", "nightly")]


def test_a_register_that_cannot_be_written_hides_no_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(HoldfastError):
        fault_code = "DISK"

    def break_down() -> None:
        monkeypatch.setattr(runs, "open_lake", _refuse)
        raise Broken("no room")

    with pytest.raises(Broken), watching_run(settings, "nightly"):
        break_down()


def _refuse(_: Settings) -> Any:
    raise DiskFailure("no room for this either")


def test_two_lakes_do_not_mix(lake: Lake, make_settings: Callable[..., Settings]) -> None:
    other = make_settings()
    with pytest.raises(DiskFailure), watching_run(other, "nightly"):
        raise DiskFailure("full")
    assert _open(lake) == []
    with open_lake(other) as theirs:
        assert _open(theirs) == [("DISK", "nightly")]


def test_who_is_on_call_reads_what_it_mostly_is_and_how_to_begin_again(
    lake: Lake, settings: Settings
) -> None:
    with pytest.raises(DiskFailure), watching_run(settings, "train"):
        raise DiskFailure("No room.")
    [item] = list_incidents(lake)
    first, *_ = suggest_commands(item, [], settings, item.recorded_at)
    assert first.line == f"holdfast -d {settings.called} train"
    for code in (*runs.FAULT_CODES, "ORCH"):
        assert "No usual cause" not in explain_likely(code)
