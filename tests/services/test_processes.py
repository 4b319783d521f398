"""A server as a child: waited for, and stopped with all that it has started."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tasks.errors import ServiceDown
from tasks.services.processes import Server, choose_port, stop_tree, wait_until_ready

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def server(tmp_path: Path, code: str, is_ready: Callable[[], bool] = lambda: True) -> Server:
    return Server(
        name="Test server",
        arguments=[sys.executable, "-c", code],
        environment=dict(os.environ),
        log=tmp_path / "logs" / "test.log",
        is_ready=is_ready,
    )


def read_pid(log: Path) -> int:
    for _ in range(300):
        if log.read_text(encoding="utf-8").strip():
            return int(log.read_text(encoding="utf-8"))
        time.sleep(0.1)
    raise AssertionError("no pid")


def test_a_server_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    ended = server(tmp_path, "import sys; sys.exit('no such table: t')", lambda: False)
    ended.start()
    with pytest.raises(ServiceDown) as caught:
        wait_until_ready([ended], 60)
    assert "Test server ended with code 1" in str(caught.value)
    assert "no such table: t" in str(caught.value)
    assert str(ended.log) in str(caught.value)


def test_a_server_that_never_gets_ready_is_told(tmp_path: Path) -> None:
    slow = server(tmp_path, "import time; time.sleep(60)", lambda: False)
    child = slow.start()
    with pytest.raises(ServiceDown, match="not ready after 0 s"):
        wait_until_ready([slow], 0.2)
    stop_tree([child.pid], 5)
    assert slow.process is not None
    slow.process.wait()


@pytest.mark.faults
def test_a_stubborn_server_and_its_children_are_gone_in_time(tmp_path: Path) -> None:
    stubborn = server(tmp_path, STUBBORN)
    child = stubborn.start()
    grandchild = read_pid(stubborn.log)
    before = time.monotonic()
    stop_tree([child.pid], graceful_seconds=0.5)
    assert time.monotonic() - before < 5
    assert stubborn.process is not None
    stubborn.process.wait(timeout=5)
    assert not psutil.pid_exists(child.pid)
    if psutil.pid_exists(grandchild):
        assert psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE


def test_stopping_what_has_ended_is_fine() -> None:
    stop_tree([2**22 - 1], 0.1)


def test_log_is_private(tmp_path: Path) -> None:
    quick = server(tmp_path, "print('x')")
    quick.start()
    assert quick.process is not None
    quick.process.wait()
    assert oct(quick.log.stat().st_mode & 0o777) == "0o600"


def test_zero_is_any_free_port() -> None:
    port = choose_port("Prefect", 0, "prefect-port")
    assert 1024 < port < 65_536
    assert choose_port("Prefect", port, "prefect-port") == port


def test_a_taken_port_names_its_holder_and_the_way_out() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(ServiceDown, match=f"Port {port} for MLflow is taken") as caught:
            choose_port("MLflow", port, "mlflow-port")
    assert f"pid {os.getpid()}" in caught.value.found
    assert "--mlflow-port" in caught.value.next_step
    assert "services.mlflow_port" in caught.value.next_step
    assert caught.value.exit_code == 69
