"""Which process is which, and whether it still runs: by host, id and start, since ids return."""

from __future__ import annotations

import os
import re
import socket

_PROCESS_TAG = re.compile(r"process:(\d+):(\d+\.\d+)")
# Kernels and psutil round the start of a process differently.
_START_TOLERANCE_SECONDS = 1.0


def process_tag() -> str:
    """This process as a tag of its runs: its id and its start in seconds since 1970."""
    import psutil

    return f"process:{os.getpid()}:{psutil.Process().create_time():.2f}"


def is_process_tag(tag: str) -> bool:
    """Whether a run's tag was made by `process_tag`."""
    return _PROCESS_TAG.fullmatch(tag) is not None


def process_of_tag(tag: str) -> tuple[int, float]:
    """Id and start of the process that `process_tag` has named."""
    match = _PROCESS_TAG.fullmatch(tag)
    if match is None:
        raise ValueError(f"not a process tag: {tag}")
    return int(match[1]), float(match[2])


def name_process() -> str:
    """This process with its host: `host process:id:start`."""
    return f"{socket.gethostname()} {process_tag()}"


def is_abandoned(named: str) -> bool:
    """Whether `named`, made by `name_process`, is a process of this host that is gone.

    One of another host is not: nobody here can tell whether it lives.
    """
    host, _, process = named.partition(" ")
    if host != socket.gethostname() or not is_process_tag(process):
        return False
    return is_running(*process_of_tag(process)) is False


def is_running(pid: int, started_at: float) -> bool | None:
    """Whether this very process of this host runs: the same id and the same start.

    None where the id is somebody else's process of which the system does not tell. `started_at` in
    seconds since 1970. A zombie does not run.
    """
    import psutil

    try:
        found = psutil.Process(pid)
        same = abs(found.create_time() - started_at) <= _START_TOLERANCE_SECONDS
        return same and found.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return None
