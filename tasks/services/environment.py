"""The environment of this process and of the servers: telemetry off, our servers known, secrets.

Prefect, MLflow and Great Expectations read their environment when they are imported, so a command
calls `prepare_process` before it imports any of them.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tasks.errors import DiskFailure, Refused
from tasks.liveness import is_running

LOGIN = "holdfast"
SECRET_BYTES = 24


@dataclass(frozen=True, slots=True)
class Child:
    """One process of `holdfast up`."""

    name: str
    pid: int
    started_at: float  # seconds since 1970, as the kernel tells it
    log: str


@dataclass(frozen=True, slots=True)
class Services:
    """What `home/services.json` tells other commands of a running `holdfast up`."""

    supervisor: Child
    prefect_port: int
    mlflow_port: int
    ready: bool
    children: tuple[Child, ...] = ()
    oncall_port: int = 0

    @property
    def prefect_api_url(self) -> str:
        return f"http://127.0.0.1:{self.prefect_port}/api"

    @property
    def prefect_url(self) -> str:
        return f"http://127.0.0.1:{self.prefect_port}"

    @property
    def oncall_url(self) -> str:
        return f"http://127.0.0.1:{self.oncall_port}"

    @property
    def mlflow_url(self) -> str:
        return f"http://127.0.0.1:{self.mlflow_port}"


def services_path(home: Path) -> Path:
    return home / "services.json"


def write_services(home: Path, services: Services) -> None:
    """Publish the state in one step: a reader sees the old or the new, never half of one."""
    path = services_path(home)
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps(asdict(services), indent=2) + "\n", encoding="utf-8")
    aside.chmod(0o600)
    aside.replace(path)


def read_services(home: Path) -> Services | None:
    """The state as written, alive or stale; None if there is none or it is unreadable."""
    try:
        found = json.loads(services_path(home).read_text(encoding="utf-8"))
        services = Services(**{**found, "supervisor": Child(**found["supervisor"])})
        return replace(services, children=tuple(Child(**child) for child in found["children"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def is_alive(child: Child) -> bool:
    """Whether this very process runs; one of which the system does not tell is none of ours."""
    return bool(is_running(child.pid, child.started_at))


def find_services(home: Path) -> Services | None:
    """The running, healthy `holdfast up` of this home; None if there is none."""
    services = read_services(home)
    if services is None or not services.ready or not is_alive(services.supervisor):
        return None
    return services


def find_secret(home: Path, name: str) -> str:
    """The generated secret `name`, made on first use, readable by its owner alone.

    Raises Refused (77) if others may read the file: then it is no secret any more.
    """
    directory = home / "secrets"
    directory.mkdir(parents=True, mode=0o700, exist_ok=True)
    path = directory / name
    if not path.exists():
        aside = directory / f".{name}.{secrets.token_hex(8)}"  # threads share a process id
        aside.touch(mode=0o600)
        aside.write_text(secrets.token_urlsafe(SECRET_BYTES), encoding="utf-8")
        # Unlike a rename, a link never replaces what another process made first.
        with suppress(FileExistsError):
            path.hardlink_to(aside)
        aside.unlink()
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Refused(
            f"Others may read the secret {path}.",
            next_step=f"rm {path} (a new one is made), or chmod 600 {path} if nobody has read it",
        )
    return path.read_text(encoding="utf-8").strip()


def prefect_login(home: Path) -> str:
    """`user:password` of Prefect's server."""
    return f"{LOGIN}:{find_secret(home, 'prefect')}"


def build_environment(home: Path) -> dict[str, str]:
    """What holds for every process of ours, whether servers run or not."""
    return {
        # Nothing is told to anybody.
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "GX_ANALYTICS_ENABLED": "false",
        # Prefect keeps its files with ours, and without a server says so instead of starting one.
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        # A dead MLflow costs seconds, not the four minutes of its defaults.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
        # A model is text; nothing that runs on loading is ever loaded.
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MPLBACKEND": "Agg",
    }


def build_defaults() -> dict[str, str]:
    """What holds unless the caller's environment says otherwise."""
    return {
        # Sums in parallel depend on the number of threads in the last bit, and so would models.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # A flow's log goes to Prefect; the terminal gets our own lines, and no traceback of a
        # mistake that the user can mend.
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    }


def build_client_environment(home: Path, services: Services) -> dict[str, str]:
    """How a process reaches the servers of `holdfast up`."""
    return {
        "PREFECT_API_URL": services.prefect_api_url,
        "PREFECT_API_AUTH_STRING": prefect_login(home),
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "true",
        # A server that goes in the middle costs a request seconds, not the minute of five tries:
        # the night goes on without it.
        "PREFECT_CLIENT_MAX_RETRIES": "2",
    }


def build_child_environment(home: Path) -> dict[str, str]:
    """The whole environment of a server: the caller's, with ours over it."""
    binaries = str(Path(sys.executable).parent)
    return {
        **build_defaults(),
        **os.environ,
        **build_environment(home),
        "HOLDFAST_HOME": str(home),
        "PATH": os.pathsep.join([binaries, os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
    }


def prepare_process(home: Path) -> None:
    """Make this process's environment ready, before Prefect, MLflow or the like is imported.

    A PREFECT_API_URL that the caller has set is a team's own server and is left as it is.
    Raises DiskFailure (73) if the state directory cannot be made or written.
    """
    # Prefect makes its own folder in it but not the way there, and warns on the first command.
    try:
        home.mkdir(parents=True, mode=0o700, exist_ok=True)
    except OSError as error:
        raise DiskFailure(
            f"The state directory {home} cannot be made.",
            found=str(error.strerror or error),
            next_step="set HOLDFAST_HOME to a directory that you may write",
        ) from error
    if not os.access(home, os.W_OK | os.X_OK):
        raise DiskFailure(
            f"The state directory {home} may not be written.",
            next_step="set HOLDFAST_HOME to a directory that you may write",
        )
    for name, value in build_defaults().items():
        os.environ.setdefault(name, value)
    os.environ.update(build_environment(home))
    services = find_services(home)
    if services is not None and "PREFECT_API_URL" not in os.environ:
        os.environ.update(build_client_environment(home, services))
