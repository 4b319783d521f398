"""Commands of a test in processes of their own that begin with the slow imports done.

A night of a small shop spends half of its time on importing Great Expectations, MLflow and
LightGBM. Here they are imported once: every command is a fork of a process that has them, and then
reads its environment, runs and ends as `python -m flows.cli` does. What reads its settings while it
is imported, as Prefect does, is left to the command. Commands that start
cold are the first night of the shop in `tests/flows` and those of `tests/test_cli.py` and
`tests/services`.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path


def warm_context() -> ForkServerContext:
    """Where a process is started with the imports of `tests.warm` done, in milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.warm"])
    return context


def run_command(
    arguments: Sequence[str], environment: Mapping[str, str], directory: Path, timeout: float
) -> subprocess.CompletedProcess[str]:
    """`holdfast` with these arguments; raises TimeoutExpired, having killed it, when it is late."""
    with tempfile.TemporaryDirectory(prefix="holdfast-said-") as said:
        told = [Path(said) / "stdout", Path(said) / "stderr"]
        process = warm_context().Process(
            target=_command, args=(list(arguments), dict(environment), directory, told)
        )
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(
                list(arguments), timeout, *(path.read_bytes() for path in told)
            )
        assert process.exitcode is not None
        return subprocess.CompletedProcess(
            list(arguments), process.exitcode, *(path.read_text(encoding="utf-8") for path in told)
        )


def _command(
    arguments: list[str], environment: dict[str, str], directory: Path, told: list[Path]
) -> None:
    for number, path in enumerate(told, start=1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.argv = ["holdfast", *arguments]
    from flows.cli import main

    try:
        main()
    finally:
        # As an interpreter ends; a forked process would leave these out.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
