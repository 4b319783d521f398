"""What is well and what is not, and what that ends with."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.services import doctor
from tasks.services.doctor import Finding, Report, examine, read_lock, show
from tasks.services.environment import find_secret, services_path, write_services
from tasks.settings import Settings
from tasks.warehouse import Lake

from .test_environment import running


@pytest.fixture
def deployment_file(settings: Settings, tmp_path: Path) -> Path:
    """The file of the fixture's deployment, as a command line would name it."""
    path = tmp_path / f"{settings.deployment}.yaml"
    path.write_text(f"deployment: {settings.deployment}", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["ok", "ok"], 0),
        (["ok", "off", "stale"], 0),
        (["ok", "down"], 69),
        (["down", "wrong"], 78),
        ([], 0),
    ],
)
def test_worst_finding_decides(states: list[doctor.State], code: int) -> None:
    report = Report(tuple(Finding("x", state, "") for state in states))
    assert report.exit_code == code
    assert json.loads(report.as_json())["exit_code"] == code


def test_lock_is_read_for_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text(
        "one==1.0 \\\n    --hash=sha256:ab\n"
        "never==2.0 ; sys_platform == 'no-such' \\\n    --hash=sha256:cd\n"
        "always==3.0 ; python_full_version >= '3.11' \\\n    --hash=sha256:ef\n",
        encoding="utf-8",
    )
    assert read_lock(path) == {"one": "1.0", "always": "3.0"}


def test_another_version_than_the_lock_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    path.write_text("pytest==0.1\nno-such-package==1\n", encoding="utf-8")
    (finding,) = doctor._check_packages(path)
    assert finding.state == "wrong"
    assert "(lock: 0.1)" in finding.detail
    assert "no-such-package missing" in finding.detail


@pytest.mark.faults(39)
@pytest.mark.parametrize(("free_gib", "state"), [(100, "ok"), (3, "stale"), (0.5, "down")])
def test_a_disk_that_fills_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_gib: float, state: str
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=int(free_gib * 1024**3))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    (finding,) = doctor._check_disk(tmp_path / "not" / "there" / "yet")
    assert finding.state == state


@pytest.mark.faults
def test_a_secret_open_to_others_is_seen(tmp_path: Path) -> None:
    find_secret(tmp_path, "prefect")
    (finding,) = doctor._check_secrets(tmp_path)
    assert finding.state == "ok"
    (tmp_path / "secrets" / "prefect").chmod(0o640)
    (finding,) = doctor._check_secrets(tmp_path)
    assert finding.state == "wrong"


@pytest.mark.faults
def test_a_killed_supervisor_is_seen(tmp_path: Path) -> None:
    alive = running()
    write_services(tmp_path, running(supervisor=replace(alive.supervisor, started_at=1.0)))
    (finding,) = doctor._check_services(tmp_path)
    assert finding.state == "stale"
    assert "still running: Prefect" in finding.detail
    services_path(tmp_path).write_text("{", encoding="utf-8")
    (finding,) = doctor._check_services(tmp_path)
    assert finding.state == "wrong"


@pytest.mark.faults
def test_servers_that_do_not_answer_are_down(tmp_path: Path) -> None:
    write_services(tmp_path, running(prefect_port=9, mlflow_port=9))
    findings = list(doctor._check_services(tmp_path))
    assert {f.subject: f.state for f in findings} == {
        "Servers": "ok",
        "Prefect": "down",
        "MLflow": "down",
    }


@pytest.mark.faults
def test_a_database_that_is_down_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", "postgresql://u@127.0.0.1:9/n")
    (tmp_path / "lake" / "completejourney").mkdir(parents=True)
    report = examine(tmp_path)
    down = [f.subject for f in report.findings if f.state == "down"]
    assert down == ["PostgreSQL"]


def rows(name: str, days: float) -> list[dict[str, object]]:
    return [{"name": name, "at_time": datetime.now(UTC) - timedelta(days=days)}]


@pytest.mark.parametrize(
    ("days", "limit", "state"), [(1.0, 2.0, "ok"), (3.0, 2.0, "stale"), (900.0, None, "ok")]
)
def test_old_data_are_stale_where_they_should_be_new(
    days: float, limit: float | None, state: str
) -> None:
    finding = doctor._judge_age("data", rows("orders/1", days), "accepted", limit, "ingest")
    assert finding.state == state
    assert f"{days:.1f} days ago" in finding.detail


@pytest.mark.sql
def test_ages_come_from_the_ledger(lake: Lake, deployment_file: Path, settings: Settings) -> None:
    def look() -> dict[str, str]:
        found = doctor._check_deployment(settings.home, str(deployment_file), True, True)
        return {finding.subject.split(": ")[1]: finding.state for finding in found}

    assert look() == {"data": "off", "champion": "off"}
    with lake.writer_lock("test"), lake.publish("tester", "made up"):
        lake.execute(
            "insert into lake.ledger.batches (batch_number, batch_name, state, recorded_at)"
            " values (1, 'orders/1', 'accepted', now())"
        )
        lake.execute(
            "insert into lake.ledger.decisions (decision_id, kind, subject, decided_at)"
            " values ('d', 'promotion', $champion, now() - interval 200 days),"
            # Groups that serve are no model that does.
            " ('e', 'promotion', $groups, now())",
            {"champion": f"{lake.deployment}.churn", "groups": f"{lake.deployment}.segments"},
        )
    assert look() == {"data": "ok", "champion": "stale"}


def test_table_shows_text_as_it_is() -> None:
    report = Report((Finding("[bold]x[/bold]", "down", "a [red]b", "do it"),))
    shown = show(report)
    assert "[bold]x[/bold]" in shown
    assert "a [red]b" in shown
    assert "Next: do it" in shown
