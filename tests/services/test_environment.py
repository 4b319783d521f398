"""What every process of ours is told, where the servers are, and who may read a secret."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tasks.errors import Refused
from tasks.services.environment import (
    Child,
    Services,
    build_child_environment,
    find_secret,
    find_services,
    is_alive,
    prepare_process,
    read_services,
    services_path,
    write_services,
)


def this_process(name: str = "holdfast up") -> Child:
    return Child(name, os.getpid(), psutil.Process().create_time(), "up.log")


def running(**changes: object) -> Services:
    services = Services(this_process(), 4300, 5300, ready=True, children=(this_process("Prefect"),))
    return replace(services, **changes)  # type: ignore[arg-type]


def test_state_comes_back_as_written(tmp_path: Path) -> None:
    write_services(tmp_path, running())
    assert read_services(tmp_path) == running()
    assert find_services(tmp_path) == running()
    assert oct(services_path(tmp_path).stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"supervisor": 3}', "null"])
def test_unreadable_state_is_none(tmp_path: Path, text: str) -> None:
    services_path(tmp_path).write_text(text, encoding="utf-8")
    assert read_services(tmp_path) is None


def test_servers_that_are_not_ready_are_not_used(tmp_path: Path) -> None:
    write_services(tmp_path, running(ready=False))
    assert find_services(tmp_path) is None


@pytest.mark.faults(41)
def test_an_id_used_again_is_another_process(tmp_path: Path) -> None:
    earlier = replace(this_process(), started_at=this_process().started_at - 60)
    assert is_alive(this_process())
    assert not is_alive(earlier)
    write_services(tmp_path, running(supervisor=earlier))
    assert read_services(tmp_path) is not None
    assert find_services(tmp_path) is None


@pytest.mark.faults
def test_a_process_that_has_ended_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        child = Child("x", process.pid, psutil.Process(process.pid).create_time(), "")
        assert is_alive(child)
        process.kill()
        psutil.wait_procs([psutil.Process(process.pid)], timeout=0.5)
        assert not is_alive(child)  # a zombie until it is waited for
    assert not is_alive(child)


def test_a_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first = find_secret(tmp_path, "prefect")
    assert len(first) >= 24
    assert find_secret(tmp_path, "prefect") == first
    assert find_secret(tmp_path, "mlflow") != first
    assert oct((tmp_path / "secrets").stat().st_mode & 0o777) == "0o700"
    assert {oct(p.stat().st_mode & 0o777) for p in (tmp_path / "secrets").iterdir()} == {"0o600"}


@pytest.mark.faults
def test_a_secret_asked_for_by_many_is_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: find_secret(tmp_path, "prefect"), range(64)))
    assert len(found) == 1


@pytest.mark.faults
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    find_secret(tmp_path, "prefect")
    (tmp_path / "secrets" / "prefect").chmod(0o644)
    with pytest.raises(Refused, match="Others may read") as caught:
        find_secret(tmp_path, "prefect")
    assert caught.value.exit_code == 77


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.startswith(("PREFECT_", "MLFLOW_", "OMP_", "GX_")):
            monkeypatch.delenv(name)
    # Whatever is set below is undone with the rest.
    monkeypatch.setattr(os, "environ", dict(os.environ))
    return monkeypatch


def test_without_servers_nothing_is_asked(
    tmp_path: Path, clean_environment: pytest.MonkeyPatch
) -> None:
    prepare_process(tmp_path)
    assert "PREFECT_API_URL" not in os.environ
    assert os.environ["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] == "false"
    assert os.environ["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert os.environ["OMP_NUM_THREADS"] == "1"


def test_running_servers_are_found(tmp_path: Path, clean_environment: pytest.MonkeyPatch) -> None:
    write_services(tmp_path, running())
    prepare_process(tmp_path)
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:4300/api"
    secret = find_secret(tmp_path, "prefect")
    assert os.environ["PREFECT_API_AUTH_STRING"] == f"holdfast:{secret}"


def test_a_teams_own_server_is_left_alone(
    tmp_path: Path, clean_environment: pytest.MonkeyPatch
) -> None:
    write_services(tmp_path, running())
    os.environ["PREFECT_API_URL"] = "https://prefect.example/api"
    prepare_process(tmp_path)
    assert os.environ["PREFECT_API_URL"] == "https://prefect.example/api"
    assert "PREFECT_API_AUTH_STRING" not in os.environ


def test_own_choice_of_threads_is_kept(
    tmp_path: Path, clean_environment: pytest.MonkeyPatch
) -> None:
    os.environ["OMP_NUM_THREADS"] = "3"
    prepare_process(tmp_path)
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert build_child_environment(tmp_path)["OMP_NUM_THREADS"] == "3"


def test_no_secret_stands_in_an_ordinary_environment(tmp_path: Path) -> None:
    secret = find_secret(tmp_path, "prefect")
    assert secret not in " ".join(build_child_environment(tmp_path).values())
