"""`holdfast up` for real: a scheduled run runs, nobody gets in without login, all of it stops."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tasks.errors import LockHeld
from tasks.services import supervisor
from tasks.services.environment import (
    Services,
    find_secret,
    find_services,
    is_alive,
    prefect_login,
    read_services,
    services_path,
    write_services,
)
from tasks.services.mlflow_server import check_login
from tasks.services.prefect_server import PrefectApi
from tasks.services.processes import fetch_status
from tasks.services.schedule import Deployment
from tasks.settings import PROJECT, load_services

from .test_environment import running

START_SECONDS = 150
RUN_SECONDS = 60
# Ten is promised where the machine has time for it; here tests may share it with anything.
STOP_SECONDS = 10 if os.getloadavg()[0] < 2 * (os.cpu_count() or 1) else 60


@pytest.fixture
def own_home() -> Iterator[Path]:
    """A state directory outside of pytest's, which is closed to the server's own user."""
    directory = Path(tempfile.mkdtemp(prefix="holdfast-up-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def wait_for(what: str, seconds: float, look) -> object:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"no {what} within {seconds:g} s")


def start(home: Path, schedule: Path) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-m", "flows.cli", "up", "--schedule", str(schedule)]
    return subprocess.Popen(
        [*arguments, "--prefect-port", "0", "--mlflow-port", "0", "--oncall-port", "0"],
        cwd=PROJECT,
        env={**os.environ, "HOLDFAST_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def write_schedule(path: Path, flow: str, seconds: float) -> Path:
    path.write_text(
        "name: test\n"
        "deployments:\n"
        f"  - name: {flow}\n"
        f"    entrypoint: tests.services.served.{flow}\n"
        f"    parameters: {{path: {path.with_suffix('.ticks')}}}\n"
        f"    schedules: [{{interval: {seconds}}}]\n",
        encoding="utf-8",
    )
    return path


def count_runs(api: PrefectApi, state: str) -> int:
    body = {"flow_runs": {"state": {"type": {"any_": [state]}}}}
    return int(api.post("/flow_runs/count", body))


def family(services: Services) -> list[psutil.Process]:
    heads = [psutil.Process(child.pid) for child in services.children]
    return [p for head in heads for p in (head, *head.children(recursive=True))]


@pytest.mark.flow
@pytest.mark.timeout(400)
def test_up_runs_the_schedule_and_stops_whole(own_home: Path) -> None:
    schedule = write_schedule(own_home / "schedule.yaml", "tick", 3)
    process = start(own_home, schedule)
    try:

        def look() -> Services | None:
            assert process.poll() is None, process.stdout.read() if process.stdout else ""
            return find_services(own_home)

        services = wait_for("healthy servers", START_SECONDS, look)
        assert isinstance(services, Services)
        api = PrefectApi(services.prefect_api_url, prefect_login(own_home))

        # A second one is told about the first.
        with pytest.raises(LockHeld, match="already runs") as caught:
            supervisor.run_in_front(
                supervisor.make_plan(own_home, load_services(), 0, 0, schedule), print
            )
        assert str(process.pid) in caught.value.found

        # A scheduled run completes, in Prefect and in truth.
        wait_for("completed run", RUN_SECONDS, lambda: count_runs(api, "COMPLETED"))
        ticks = (own_home / "schedule.ticks").read_text(encoding="utf-8").splitlines()
        assert ticks[0].split()[1] == str(own_home)

        # Who has no login gets nothing; a foreign Host or origin gets nothing from MLflow.
        experiments = f"{services.mlflow_url}/api/2.0/mlflow/experiments/search?max_results=1"
        assert fetch_status(f"{services.prefect_api_url}/admin/version") == 401
        assert fetch_status(f"{services.prefect_api_url}/flow_runs/count") in (401, 405)
        assert fetch_status(experiments) == 401
        assert fetch_status(experiments, {"Host": "evil.example"}) in (401, 403)
        assert check_login(own_home, services.mlflow_url) == 200
        assert count_without_token(services, own_home) == 403

        # Nothing of it is to be had from elsewhere, nor from the list of processes.
        for one in family(services):
            with suppress(psutil.NoSuchProcess):  # a run's process comes and goes
                for connection in one.net_connections("inet"):
                    if connection.status == psutil.CONN_LISTEN:
                        assert connection.laddr.ip == "127.0.0.1"
        shown = " ".join(map(read_command, family(services)))
        logs = "".join(p.read_text(errors="replace") for p in (own_home / "logs").iterdir())
        for name in ("prefect", "mlflow", "mlflow_sessions"):
            assert find_secret(own_home, name) not in shown
            assert find_secret(own_home, name) not in logs

        # On-call's page lets nobody in, and each of its people has a password of their own.
        assert fetch_status(f"{services.oncall_url}/health") == 200
        assert fetch_status(f"{services.oncall_url}/health", {"Host": "evil.example"}) == 403
        assert find_secret(own_home, "oncall-oncall") not in shown + logs

        # The page talks to the port that it came from.
        settings_url = f"{services.prefect_url}/ui-settings"
        with urllib.request.urlopen(settings_url, timeout=10) as response:
            assert f":{services.prefect_port}/api" in json.loads(response.read())["api_url"]

        started = family(services)
        process.send_signal(signal.SIGINT)
        before = time.monotonic()
        said, _ = process.communicate(timeout=60)
        assert time.monotonic() - before < STOP_SECONDS
        assert process.returncode == 0, said
        assert services.prefect_url in said
        assert services.mlflow_url in said
        assert services.oncall_url in said
        assert said.rstrip().endswith("Stopped.")
        assert "Traceback" not in said
        assert [one for one in started if runs(one)] == []
        wait_for("end of PostgreSQL", 10, lambda: not has_process(own_home))
        assert not services_path(own_home).exists()
    finally:
        end(process, own_home)


@pytest.mark.flow
@pytest.mark.faults
@pytest.mark.timeout(400)
def test_a_killed_up_is_cleared_away_by_the_next(own_home: Path) -> None:
    schedule = write_schedule(own_home / "schedule.yaml", "linger", 3)
    first = start(own_home, schedule)
    second = None
    try:
        services = wait_for("healthy servers", START_SECONDS, lambda: find_services(own_home))
        assert isinstance(services, Services)
        api = PrefectApi(services.prefect_api_url, prefect_login(own_home))
        wait_for("running run", RUN_SECONDS, lambda: count_runs(api, "RUNNING"))
        # As an OOM killer would: the supervisor, and who executes the run. Servers stay behind.
        serving = psutil.Process(services.children[-1].pid)
        left = family(replace(services, children=services.children[:-1]))
        for one in (psutil.Process(first.pid), *serving.children(recursive=True), serving):
            one.kill()
        first.wait()
        stale = read_services(own_home)
        assert stale is not None
        assert not is_alive(stale.supervisor)

        second = start(own_home, write_schedule(own_home / "later.yaml", "tick", 3600))
        services = wait_for("healthy servers", START_SECONDS, lambda: find_services(own_home))
        assert isinstance(services, Services)
        assert services.supervisor.pid == second.pid
        assert [one for one in left if runs(one)] == []
        api = PrefectApi(services.prefect_api_url, prefect_login(own_home))
        assert count_runs(api, "CRASHED") == 1
        assert count_runs(api, "RUNNING") == 0

        said: list[str] = []
        supervisor.stop(own_home, said.append)
        assert said == ["Stopped."]
        assert second.wait(timeout=10) == 0
        wait_for("end of PostgreSQL", 10, lambda: not has_process(own_home))
    finally:
        end(first, own_home)
        if second is not None:
            end(second, own_home)


def count_without_token(services: Services, home: Path) -> int:
    """The status of a change by a page of somebody else, which has the login but no token."""
    from tasks.services.prefect_server import login_header

    request = urllib.request.Request(
        f"{services.prefect_api_url}/flow_runs/count",
        method="POST",
        data=b"{}",
        headers={**login_header(prefect_login(home)), "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def read_command(process: psutil.Process) -> str:
    """Its command line; empty where it has ended meanwhile."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def has_process(home: Path) -> bool:
    """Whether any process, the database's too, names the directory in its command line."""
    shown = [p.info["cmdline"] or [] for p in psutil.process_iter(["cmdline"])]
    return any(str(home) in part for line in shown for part in line)


def end(process: subprocess.Popen[str], home: Path) -> None:
    """Leave nothing of a failed test behind."""
    services = read_services(home)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if services is not None:
        for child in services.children:
            if is_alive(child):
                psutil.Process(child.pid).kill()
    if process.stdout is not None:
        process.stdout.close()


def test_what_was_killed_is_told_and_forgotten(tmp_path: Path) -> None:
    gone = running().supervisor
    write_services(
        tmp_path,
        running(supervisor=type(gone)(gone.name, gone.pid, 1.0, gone.log), children=()),
    )
    said: list[str] = []
    supervisor.stop(tmp_path, said.append)
    assert "was killed" in said[0]
    assert not services_path(tmp_path).exists()


def test_plan_takes_the_command_lines_word() -> None:
    plan = supervisor.make_plan(Path("/x"), load_services(), 0, None, None)
    assert plan.prefect_port == 0
    assert plan.mlflow_port == load_services().mlflow_port
    assert plan.schedule.name == "prefect.yaml"


def test_schedule_of_conf_has_the_demo() -> None:
    from tasks.services.schedule import read_schedule

    found = {d.name: d for d in read_schedule(supervisor.SCHEDULE)}
    assert isinstance(found["completejourney"], Deployment)
    assert found["completejourney"].schedules[0].active
