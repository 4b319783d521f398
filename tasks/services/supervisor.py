"""`holdfast up`: the database, Prefect, MLflow, on-call's page and the schedules as one thing.

The supervisor holds a lock for as long as it lives and tells other commands in
`home/services.json` where the servers are. It stops as one: nothing is restarted behind anybody's
back, and if a part ends, all of it stops with the part's last words and exit 69.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.errors import LockHeld, ServiceDown, UsageError
from tasks.postgres import DATABASE_URL_VARIABLE, Database, ensure_database, find_database
from tasks.servers import ServicesSettings
from tasks.services import mlflow_server, oncall_server, prefect_server
from tasks.services.environment import (
    LOGIN,
    Child,
    Services,
    build_child_environment,
    build_client_environment,
    find_secret,
    find_services,
    is_alive,
    prefect_login,
    read_services,
    services_path,
    write_services,
)
from tasks.services.prefect_server import PrefectApi
from tasks.services.processes import (
    Server,
    check_running,
    choose_port,
    stop_tree,
    wait_until_ready,
)
from tasks.services.schedule import mark_crashed, read_schedule
from tasks.settings import CONF

Say = Callable[[str], Any]

SCHEDULE = CONF / "prefect.yaml"
# Measured 15-30 s on two busy cores; a first start also makes three databases.
_START_SECONDS = 180.0
# Together under ten seconds with PostgreSQL's own stop, which takes one.
_STOP_FIRST_SECONDS = 3.0
_STOP_PREFECT_SECONDS = 2.0
_STOP_LIMIT_SECONDS = 30.0
_WATCH_SECONDS = 0.5
_REAP_EVERY_SECONDS = 60.0
# A run is PENDING for a while before its process is there.
_REAP_AGE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What `holdfast up` is to start. A port of 0 is any free one."""

    home: Path
    prefect_port: int
    mlflow_port: int
    parallel_runs: int
    schedule: Path
    deployment: str | None = None
    oncall_port: int = 0


def make_plan(
    home: Path,
    settings: ServicesSettings,
    prefect_port: int | None,
    mlflow_port: int | None,
    schedule: Path | None,
    deployment: str | None = None,
    oncall_port: int | None = None,
) -> Plan:
    """Settings (of `deployment`, if one is named), with what the command line says over them."""
    path = (schedule or SCHEDULE).resolve()
    if not path.is_file():
        raise UsageError(f"There is no schedule file {path}.")
    read_schedule(path)  # a wrong one is told before anything starts
    return Plan(
        home=home,
        prefect_port=settings.prefect_port if prefect_port is None else prefect_port,
        mlflow_port=settings.mlflow_port if mlflow_port is None else mlflow_port,
        parallel_runs=settings.parallel_runs,
        schedule=path,
        deployment=deployment,
        oncall_port=settings.oncall_port if oncall_port is None else oncall_port,
    )


class _StopAsked(BaseException):
    """SIGINT, SIGTERM or SIGHUP has come."""


def run_in_front(plan: Plan, say: Say) -> int:
    """Start everything, watch it until Ctrl-C or SIGTERM, stop everything. Returns 0.

    Raises LockHeld (75) if it already runs, ServiceDown (69) if a port is taken or a part ends.
    """
    plan.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _only_one(plan.home):
        _clear_leftovers(plan.home, say)
        prefect_port = choose_port(prefect_server.NAME, plan.prefect_port, "prefect-port")
        mlflow_port = choose_port(mlflow_server.NAME, plan.mlflow_port, "mlflow-port")
        oncall_port = choose_port(oncall_server.NAME, plan.oncall_port, "oncall-port")
        services = Services(
            _describe_self(plan.home),
            prefect_port,
            mlflow_port,
            ready=False,
            oncall_port=oncall_port,
        )
        running: list[Server] = []
        previous = {number: signal.signal(number, _ask_stop) for number in _STOP_SIGNALS}
        try:
            write_services(plan.home, services)
            say("Starting PostgreSQL, Prefect, MLflow and on-call's page ...")
            services = _start(plan, services, running)
            show_addresses(plan.home, services, say)
            say("Ctrl-C stops everything.")
            _watch(plan.home, services, running)
        except (_StopAsked, KeyboardInterrupt):
            say("Stopping ...")
        finally:
            # A second Ctrl-C must not leave half of it behind; this takes seconds.
            for number in _STOP_SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            _stop_all(plan.home, services, running)
            services_path(plan.home).unlink(missing_ok=True)
            for number, handler in previous.items():
                signal.signal(number, handler)
        say("Stopped.")
    return 0


def start_detached(plan: Plan, say: Say) -> int:
    """Start the same in a session of its own and return when it is healthy."""
    if (found := find_services(plan.home)) is not None:
        raise _already_up(found)
    log_path = plan.home / "logs" / "up.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log_path.touch(mode=0o600)
    arguments = [sys.executable, "-m", "flows.cli"]
    arguments += ["-d", plan.deployment] if plan.deployment else []
    arguments += ["up", "--schedule", str(plan.schedule)]
    arguments += ["--prefect-port", str(plan.prefect_port)]
    arguments += ["--mlflow-port", str(plan.mlflow_port)]
    arguments += ["--oncall-port", str(plan.oncall_port)]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            arguments,
            env={
                **os.environ,
                "HOLDFAST_HOME": str(plan.home),
                # Its output is a log: the logins are not for it.
                "HOLDFAST_HIDE_LOGINS": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        services = find_services(plan.home)
        if services is not None:
            show_addresses(plan.home, services, say)
            say("holdfast down stops everything.")
            return 0
        code = process.poll()
        if code is not None:
            say(log_path.read_text(encoding="utf-8").strip())
            return code
        time.sleep(_WATCH_SECONDS)
    process.terminate()
    raise ServiceDown("`holdfast up` was not healthy in time.", next_step=f"read {log_path}")


def stop(home: Path, say: Say) -> None:
    """Stop the `holdfast up` of this home, or what is left of one that was killed."""
    services = read_services(home)
    if services is None:
        say("Nothing runs.")
        return
    if is_alive(services.supervisor):
        os.kill(services.supervisor.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_LIMIT_SECONDS
        while is_alive(services.supervisor):
            if time.monotonic() > deadline:
                raise ServiceDown(
                    f"`holdfast up` (pid {services.supervisor.pid}) does not stop.",
                    next_step=f"kill -9 {services.supervisor.pid}, then holdfast down",
                )
            time.sleep(0.1)
        say("Stopped.")
        return
    with _only_one(home):
        _clear_leftovers(home, say)


def show_addresses(home: Path, services: Services, say: Say) -> None:
    """Where to look and how to get in. For a terminal: the passwords are in it."""
    hide = bool(os.environ.get("HOLDFAST_HIDE_LOGINS"))
    prefect = f"(in {home / 'secrets'})" if hide else find_secret(home, "prefect")
    mlflow = f"(in {home / 'secrets'})" if hide else find_secret(home, "mlflow")
    say(f"Prefect  {services.prefect_url}/dashboard   login  {LOGIN}:{prefect}")
    say(f"MLflow   {services.mlflow_url}/             login  {LOGIN} / {mlflow}")
    if services.oncall_port:
        say(f"On-call  {services.oncall_url}/             login  {_oncall_logins(home, hide)}")
    say(f"Logs     {home / 'logs'}")


def _oncall_logins(home: Path, hide: bool) -> str:
    """The people of the page that have a password, with it for a terminal."""
    if hide:
        return f"(in {home / 'secrets'}, {oncall_server.SECRET_PREFIX}NAME)"
    found = sorted((home / "secrets").glob(f"{oncall_server.SECRET_PREFIX}*"))
    names = [path.name.removeprefix(oncall_server.SECRET_PREFIX) for path in found]
    return ", ".join(
        f"{name} / {find_secret(home, oncall_server.SECRET_PREFIX + name)}" for name in names
    )


# A closed terminal too: who stops without stopping the servers leaves them behind.
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _ask_stop(_number: int, _frame: Any) -> None:
    raise _StopAsked


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Hold the home's lock. The kernel frees it when the holder dies, however it dies."""
    with (home / "services.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise _already_up(read_services(home)) from None
        yield


def _already_up(services: Services | None) -> LockHeld:
    if services is None:
        return LockHeld("`holdfast up` is just starting or stopping.", next_step="try again")
    since = datetime.fromtimestamp(services.supervisor.started_at, UTC)
    return LockHeld(
        "`holdfast up` already runs.",
        found=(
            f"pid {services.supervisor.pid} since {since:%Y-%m-%d %H:%M:%S} UTC,"
            f" Prefect {services.prefect_url}, MLflow {services.mlflow_url},"
            f" on-call {services.oncall_url}"
        ),
        next_step="use it, or holdfast down",
    )


def _clear_leftovers(home: Path, say: Say) -> None:
    """Stop what a killed supervisor has left running. Called under the lock."""
    services = read_services(home)
    if services is None:
        return
    left = [child.pid for child in services.children if is_alive(child)]
    stop_tree(left, _STOP_FIRST_SECONDS)
    services_path(home).unlink(missing_ok=True)
    say(f"An earlier `holdfast up` was killed; {len(left)} of its servers still ran, now stopped.")


def _describe_self(home: Path) -> Child:
    import psutil

    started_at = psutil.Process().create_time()
    return Child("holdfast up", os.getpid(), started_at, str(home / "logs" / "up.log"))


def _start(plan: Plan, services: Services, running: list[Server]) -> Services:
    """Start part by part; each is in `running` and in the state file as soon as it lives."""
    home = plan.home

    def launch(server: Server) -> None:
        nonlocal services
        child = server.start()
        running.append(server)
        services = replace(services, children=(*services.children, child))
        write_services(home, services)

    lake = find_database(home)
    databases = {
        name: ensure_database(lake, name)
        for name in (prefect_server.DATABASE, mlflow_server.DATABASE, mlflow_server.AUTH_DATABASE)
    }
    launch(
        prefect_server.plan_server(home, services.prefect_port, databases[prefect_server.DATABASE])
    )
    launch(
        mlflow_server.plan_server(
            home,
            services.mlflow_port,
            databases[mlflow_server.DATABASE],
            databases[mlflow_server.AUTH_DATABASE],
        )
    )
    launch(oncall_server.plan_server(home, services, lake, plan.deployment))
    wait_until_ready(running[:1], _START_SECONDS)
    # Before anything is served: a run that a killed supervisor left RUNNING takes up the only
    # place of its deployment.
    _reap(_api(home, services), "Its process was gone when `holdfast up` started.", 0.0)
    launch(_plan_serving(plan, services, lake))
    wait_until_ready(running, _START_SECONDS)
    status = mlflow_server.check_login(home, services.mlflow_url)
    if status != 200:
        raise ServiceDown(
            "MLflow does not take our login.",
            found=f"It answers {status} to {LOGIN} with the password in {home / 'secrets'}.",
            next_step=(
                "put back the `mlflow` secret that its database was made with, or drop the"
                f" database {mlflow_server.AUTH_DATABASE} (it holds logins, no experiments)"
            ),
        )
    services = replace(services, ready=True)
    write_services(home, services)
    return services


def _plan_serving(plan: Plan, services: Services, lake: Database) -> Server:
    """The process that registers the deployments and executes their runs."""
    ready = plan.home / "serving.ready"
    ready.unlink(missing_ok=True)
    environment = {
        **build_child_environment(plan.home),
        **build_client_environment(plan.home, services),
        DATABASE_URL_VARIABLE: lake.url("psycopg2").replace("+psycopg2", ""),
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO",
        "PREFECT_RUNNER_POLL_FREQUENCY": "5",
    }
    arguments = [sys.executable, "-m", "flows.serving", "--schedule", str(plan.schedule)]
    arguments += ["--parallel-runs", str(plan.parallel_runs), "--ready", str(ready)]
    return Server(
        name="The schedule",
        arguments=arguments,
        environment=environment,
        log=plan.home / "logs" / "serving.log",
        is_ready=ready.exists,
    )


def _api(home: Path, services: Services, timeout_seconds: float = 10.0) -> PrefectApi:
    return PrefectApi(services.prefect_api_url, prefect_login(home), timeout_seconds)


def _reap(api: PrefectApi, why: str, minimum_age_seconds: float) -> None:
    """Mark runs without a process. A server too busy to answer is asked again a minute later."""
    try:
        mark_crashed(api, why, minimum_age_seconds)
    except ServiceDown as error:
        sys.stderr.write(f"holdfast: dead runs were not looked for: {error}\n")


def _watch(home: Path, services: Services, running: list[Server]) -> None:
    """Look at every part until one ends; look after runs without a process once a minute."""
    api = _api(home, services)
    reap_at = time.monotonic() + _REAP_EVERY_SECONDS
    while True:
        for server in running:
            check_running(server)
        if time.monotonic() >= reap_at:
            _reap(api, "Its process is gone.", _REAP_AGE_SECONDS)
            reap_at = time.monotonic() + _REAP_EVERY_SECONDS
        time.sleep(_WATCH_SECONDS)


def _stop_all(home: Path, services: Services, running: list[Server]) -> None:
    """First who executes runs, then, while Prefect still answers, their runs, then Prefect."""
    pids = [server.process.pid for server in running if server.process is not None]
    stop_tree(pids[1:], _STOP_FIRST_SECONDS)
    if len(pids) > 2 and running[0].exit_code() is None:
        _reap(_api(home, services, 2.0), "`holdfast up` was stopped while it ran.", 0.0)
    stop_tree(pids[:1], _STOP_PREFECT_SECONDS)
    for server in running:
        if server.process is not None:
            server.process.wait(timeout=5)
