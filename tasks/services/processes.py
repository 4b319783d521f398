"""A server as a child process: started in a session of its own, waited for, stopped whole."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tasks.errors import ServiceDown
from tasks.services.environment import Child
from tasks.settings import PROJECT

LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.1
_LOG_TAIL_LINES = 8


@dataclass(slots=True)
class Server:
    """How to start one server and how to tell that it is ready."""

    name: str
    arguments: list[str]
    environment: dict[str, str] = field(repr=False)  # holds passwords
    log: Path
    is_ready: Callable[[], bool]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> Child:
        """Start it, its output going to its log. It gets no Ctrl-C: its supervisor stops it."""
        import psutil

        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.touch(mode=0o600)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.arguments,
                env=self.environment,
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started_at = psutil.Process(self.process.pid).create_time()
        return Child(self.name, self.process.pid, started_at, str(self.log))

    def exit_code(self) -> int | None:
        """What it ended with; None while it runs."""
        return self.process.poll() if self.process else None

    def tail(self) -> str:
        """The last lines of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n  ".join(line for line in lines[-_LOG_TAIL_LINES:] if line.strip())


def wait_until_ready(servers: Iterable[Server], seconds: float) -> None:
    """Wait for all. Raises ServiceDown (69) if one ends or is not ready in time."""
    deadline = time.monotonic() + seconds
    waiting = list(servers)
    while waiting:
        for server in waiting:
            check_running(server)
        waiting = [server for server in waiting if not server.is_ready()]
        if waiting and time.monotonic() > deadline:
            raise ServiceDown(
                f"{waiting[0].name} is not ready after {seconds:.0f} s.",
                found=waiting[0].tail(),
                next_step=f"read {waiting[0].log}",
            )
        if waiting:
            time.sleep(_POLL_SECONDS)


def check_running(server: Server) -> None:
    """Raises ServiceDown (69) with the end of its log if the server has ended."""
    code = server.exit_code()
    if code is not None:
        raise ServiceDown(
            f"{server.name} ended with code {code}.",
            found=server.tail(),
            next_step=f"read {server.log}, then holdfast up",
        )


def answers(url: str, timeout_seconds: float = 1.0) -> bool:
    """Whether a GET of our own loopback address gives 200."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_seconds) as response:  # noqa: S310
            return bool(response.status == 200)
    except (OSError, ValueError):
        return False


def stop_tree(pids: Iterable[int], graceful_seconds: float) -> None:
    """Ask the processes and all below them to end, and kill those that have not in time."""
    import psutil

    family: list[psutil.Process] = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            family += [*process.children(recursive=True), process]
        except psutil.Error:
            continue  # it has ended by itself
    # All are asked, not the heads alone: Prefect's runner leaves without telling its runs.
    for process in family:
        _signal(process.pid, signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=graceful_seconds)
    for process in alive:
        _signal(process.pid, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=2)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it has ended in the meantime, which is what we want


def choose_port(name: str, port: int, option: str) -> int:
    """The port itself if it is free, any free one for 0.

    Raises ServiceDown (69) naming who holds it and how to take another.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do it: a port in TIME_WAIT after our own last stop is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            # SO_REUSEADDR lets a bind pass beside a listener on another address of the host.
            chosen = int(probe.getsockname()[1])
        except OSError as error:
            raise ServiceDown(
                f"Port {port} for {name} is taken.",
                found=f"By {_find_holder(port)}. ({error.strerror})",
                next_step=(
                    f"holdfast up --{option} N (0: any free one), or set"
                    f" services.{option.replace('-', '_')} in conf/base/services.yaml"
                ),
            ) from error
    return chosen


def is_free(port: int) -> bool:
    """Whether nobody listens on that loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _find_holder(port: int) -> str:
    import psutil

    try:
        for connection in psutil.net_connections("inet"):
            local = connection.laddr
            if local and local.port == port and connection.status == psutil.CONN_LISTEN:
                if connection.pid is None:
                    return "a process of another user"
                process = psutil.Process(connection.pid)
                return f"{process.name()} (pid {connection.pid}, {process.username()})"
    except psutil.Error:
        return "a process that we may not look at"
    return "a process that we cannot see"


def fetch_status(url: str, headers: dict[str, str] | None = None) -> int:
    """The HTTP status of a GET; 0 if nothing answers."""
    request = urllib.request.Request(url, headers=headers or {})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
