"""The register of runs: who began what and how it ended, so that a killed run is noticed.

A process that is killed says nothing. So a run writes down that it begins and with which process;
the next one finds those whose process is gone, and on-call gets one item a command and cause, which
ends by itself when the command ends well. What a run says when it stops by itself (no disk, no
MLflow, a damaged file) becomes an item in the same way.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from uuid import uuid4

from tasks.crash import crash_point
from tasks.errors import HoldfastError, ServiceDown
from tasks.handles import Cause
from tasks.incidents.queue import raise_incident, resolve_all_raised, resolve_raised
from tasks.liveness import is_abandoned, name_process
from tasks.moments import read_clock
from tasks.orchestration import inside_flow, prefect_answers
from tasks.settings import Settings
from tasks.warehouse import Lake, open_lake

_SQL = Path(__file__).with_name("sql")
_LOG = logging.getLogger("holdfast.runs")
_ACTOR = "holdfast"
# A run that memory has ended twice in a row would end so a third time (FAULTS 38).
_MOST_OUT_OF_MEMORY = 2
# Where the kernel counts whom it has ended for want of memory, in this container or on this host.
_KILL_COUNTS = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))
# What may end a run, and a good end of the same command ends the item.
FAULT_CODES = ("CRASHED", "OOM", "SERVICE", "MLFLOW", "DISK", "CORRUPT", "INTEGRITY", "BUG")

# A good end of the night is one of each of its parts too.
_PARTS = {"nightly": ("nightly", "ingest", "train", "score", "monitor")}

State = Literal["begun", "ended", "stopped", "signalled", "killed", "out of memory"]
_WHY: dict[State, str] = {
    "killed": "was killed",
    "out of memory": "was ended for want of memory",
}


@contextmanager
def watching_run(settings: Settings, command: str) -> Iterator[None]:
    """Around a run of `command`: it is in the register, and what ends it is on the queue.

    Says of earlier runs that were killed. Raises ServiceDown (69) where the last two were ended for
    want of memory and nobody has decided the item since. The run's own errors go on as they are.
    """
    with open_lake(settings) as lake:
        report_killed_runs(lake)
        _refuse_storm(lake, command)
        run_id = uuid4().hex
        crash_point("runs.before_begin")
        _record(lake, run_id, command, "begun")
        _report_orchestrator(lake, command)
    try:
        yield
    except HoldfastError as error:
        _report_stop(settings, run_id, command, error.fault_code, error.what, error.next_step)
        raise
    except MemoryError:
        _report_stop(settings, run_id, command, "OOM", f"'{command}' ran out of memory.", "")
        raise
    except Exception as error:
        what = f"'{command}' ended with a bug: {type(error).__name__}."
        _report_stop(settings, run_id, command, "BUG", what, "")
        raise
    except BaseException:
        # Ctrl-C or SIGTERM: somebody wanted it, so it is written down and no item.
        _try(settings, run_id, command, "signalled")
        raise
    with open_lake(settings) as lake:
        crash_point("runs.before_end")
        _record(lake, run_id, command, "ended")
        parts = _PARTS.get(command, (command,))
        keys = [_key(part, code) for part, code in itertools.product(parts, FAULT_CODES)]
        reason = f"'{command}' has ended well"
        resolve_all_raised(lake, keys, actor=_ACTOR, reason=reason)


def report_killed_runs(lake: Lake) -> None:
    """Write down the end of runs whose process is gone, and raise an item a command."""
    killed_now = _count_kills()
    for row in lake.rows(lake.text(_SQL / "open_runs.sql")):
        if not is_abandoned(row["process"]):
            continue
        command, before = row["command"], row["memory_kills"]
        starved = killed_now is not None and before is not None and killed_now > before
        code = "OOM" if starved else "CRASHED"
        ended: State = "out of memory" if starved else "killed"
        _record(lake, row["run_id"], command, ended)
        began = f"{row['recorded_at']:%Y-%m-%d %H:%M} UTC"
        raise_incident(
            lake,
            Cause(
                _key(command, code),
                code,
                "fault",
                command,
                "",
                f"'{command}', begun {began}, did not end: its process {_WHY[ended]}.",
            ),
            actor=_ACTOR,
            report={
                "run": row["run_id"],
                "next": f"holdfast -d {lake.settings.called} {command}: it goes on where it was",
            },
        )


def _report_orchestrator(lake: Lake, command: str) -> None:
    """The work goes on without Prefect, unseen by whoever watches there: an item says so."""
    if inside_flow() or prefect_answers():
        resolve_raised(lake, _key(command, "ORCH"), actor=_ACTOR, reason="Prefect answers")
        return
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        return
    headline = f"Prefect does not answer at {url}: '{command}' ran without it."
    raise_incident(
        lake,
        Cause(_key(command, "ORCH"), "ORCH", "fault", command, "", headline),
        actor=_ACTOR,
        report={"next": "holdfast doctor"},
    )


def _refuse_storm(lake: Lake, command: str) -> None:
    states = lake.rows(
        lake.text(_SQL / "last_runs.sql"),
        {"command": command, "runs": _MOST_OUT_OF_MEMORY, "cause_key": _key(command, "OOM")},
    )
    if len(states) == _MOST_OUT_OF_MEMORY and all(
        row["state"] == "out of memory" for row in states
    ):
        raise ServiceDown(
            f"The last {_MOST_OUT_OF_MEMORY} runs of '{command}' were ended for want of memory;"
            " it is not started again.",
            next_step=(
                "give it more memory or lower `warehouse.memory_limit_mb` and `churn.workers`,"
                f" then holdfast -d {lake.settings.called} quarantine discard ITEM"
            ),
        )


def _report_stop(
    settings: Settings, run_id: str, command: str, code: str, what: str, next_step: str
) -> None:
    if not _try(settings, run_id, command, "stopped") or not code:
        return
    cause = Cause(_key(command, code), code, "fault", command, "", what)
    report = {
        "run": run_id,
        "next": next_step or f"holdfast -d {settings.called} {command}, when it is mended",
    }
    try:
        with open_lake(settings) as lake:
            raise_incident(lake, cause, actor=_ACTOR, report=report)
    except HoldfastError as error:
        _LOG.warning("No item tells of %s: %s", code, error.what)


def _try(settings: Settings, run_id: str, command: str, state: State) -> bool:
    """Write down how the run ended, unless that fails too; the run has its own error to tell."""
    try:
        with open_lake(settings) as lake:
            _record(lake, run_id, command, state)
    except HoldfastError as error:
        _LOG.warning("The end of '%s' is not in the register: %s", command, error.what)
        return False
    return True


def _record(lake: Lake, run_id: str, command: str, state: State) -> None:
    with (
        lake.writer_lock(f"register {command}"),
        lake.publish(_ACTOR, f"{command}: {state}", {"run": run_id}),
    ):
        lake.run(
            _SQL / "insert_run.sql",
            {
                "run_id": run_id,
                "command": command,
                "state": state,
                "process": name_process(),
                "memory_kills": _count_kills(),
                "recorded_at": read_clock(),
            },
        )


def _count_kills() -> int | None:
    """How many processes the kernel has ended for want of memory; None where it does not say."""
    for path in _KILL_COUNTS:
        try:
            lines = path.read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, count = line.partition(" ")
            if name == "oom_kill" and count.isdigit():
                return int(count)
    return None


def _key(command: str, code: str) -> str:
    return f"{command}|fault|{code}"
