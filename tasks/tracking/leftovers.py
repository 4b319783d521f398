"""Runs that a killed training has left open: told from those at work by a tag of their process.

MLflow never closes a run by itself: after a kill it would show RUNNING for ever, and who looks
would wait for it. A process is named by its host, id and start, since ids are used again; a run of
another host is left alone, because nobody here can tell whether it lives.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from tasks.orchestration import is_process_tag, process_of_tag, process_tag

if TYPE_CHECKING:
    from mlflow import MlflowClient

PROCESS_TAG = "holdfast.process"

# Kernels and psutil round the start of a process differently.
_START_TOLERANCE_SECONDS = 1.0
_MOST_CLOSED = 1_000


def name_process() -> str:
    """This process for `PROCESS_TAG`: `host process:id:start`."""
    return f"{socket.gethostname()} {process_tag()}"


def is_abandoned(named: str) -> bool:
    """Whether `named`, made by `name_process`, is a process of this host that is gone."""
    import psutil

    host, _, process = named.partition(" ")
    if host != socket.gethostname() or not is_process_tag(process):
        return False
    pid, started_at = process_of_tag(process)
    try:
        found = psutil.Process(pid)
        same = abs(found.create_time() - started_at) <= _START_TOLERANCE_SECONDS
        return not same or found.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False  # it is there, and somebody else's


def close_abandoned(client: MlflowClient, experiment: str) -> int:
    """Mark the experiment's open runs of dead processes of this host KILLED; how many."""
    found = client.search_runs(
        [experiment], "attributes.status = 'RUNNING'", max_results=_MOST_CLOSED
    )
    gone = [run for run in found if is_abandoned(run.data.tags.get(PROCESS_TAG, ""))]
    for run in gone:
        client.set_terminated(run.info.run_id, "KILLED")
    return len(gone)
