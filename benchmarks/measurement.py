"""What benchmarks measure with: time and memory of a piece of work in a process of its own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def measure_work(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the work found, with its `cpu_seconds`, `wall_seconds` and the process's `peak_mb`."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = work()
    return {
        "cpu_seconds": time.process_time() - cpu,
        "wall_seconds": time.perf_counter() - wall,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        **found,
    }


def run_apart(command: list[str]) -> dict[str, Any]:
    """The JSON that a process prints last, or {"error": its last words}. All have two threads."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "POLARS_MAX_THREADS": "2", "OMP_NUM_THREADS": "2"},
        cwd=Path(__file__).parents[1],
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        return {"error": last}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
