"""The command: quick help, plain errors, the right exit code, never a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows import cli
from tasks.errors import DataRejected, HoldfastError, ServiceDown
from tasks.settings import PROJECT, list_deployments

HOLDFAST = [sys.executable, "-m", "flows.cli"]
COMPLETEJOURNEY = ["-d", "completejourney"]
# Half a second is promised on a quiet machine; tests share theirs with others.
HELP_SECONDS = 2.0
HEAVY = (
    "duckdb", "great_expectations", "lightgbm", "matplotlib", "mlflow", "numpy", "optuna",
    "pandas", "prefect", "psycopg2", "pyarrow", "pydantic", "rich", "scipy", "sklearn",
    "sqlalchemy",
)  # fmt: skip


def holdfast(*arguments: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HOLDFAST, *arguments],
        cwd=PROJECT,
        env={**os.environ, "HOLDFAST_HOME": str(home), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_is_quick(tmp_path: Path) -> None:
    seconds = []
    for _ in range(3):
        before = time.monotonic()
        done = holdfast("--help", home=tmp_path)
        seconds.append(time.monotonic() - before)
        assert done.returncode == 0
        assert "doctor" in done.stdout
    assert min(seconds) < HELP_SECONDS


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from flows.cli import run; run(['--help']);"
        f"print('HEAVY', sorted(set(sys.modules) & set({HEAVY!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_every_command_says_what_it_does(tmp_path: Path) -> None:
    done = holdfast("--help", home=tmp_path)
    commands = done.stdout.split("Commands:")[1].splitlines()
    bare = [line for line in commands if line.strip() and len(line.split()) < 3]
    assert bare == []


def test_no_command_shows_the_help(tmp_path: Path) -> None:
    done = holdfast(home=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: holdfast")


def test_deployments_are_listed(tmp_path: Path) -> None:
    assert holdfast("deployments", home=tmp_path).stdout.split() == list_deployments()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["upp"], "No such command 'upp'"),
        (["up", "--prefect-port", "x"], "should be a valid integer"),
        (["up", "--prefect-port", "70000"], "less than or equal to 65535"),
        (["up", "--no-such-option"], "No such option"),
        (["-d", "completejourny", "up"], "Did you mean 'completejourney'?"),
        (["-d", "/none/here.yaml", "up"], "There is no deployment file"),
        (["up", "--schedule", "/none/here.yaml"], "There is no schedule file"),
        (["settings", "monitorin"], "Did you mean 'monitoring'?"),
        (
            [*COMPLETEJOURNEY, "replay", "--from=2017-05-01", "--to=2017-06-01", "--every=0w"],
            "'0w' is no distance of time",
        ),
    ],
)
def test_wrong_usage_ends_with_64(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = holdfast(*arguments, home=tmp_path)
    assert done.returncode == 64
    assert done.stderr.startswith("holdfast: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", [["status"], ["quarantine", "list"]])
def test_a_missing_deployment_is_asked_for_with_the_whole_command(
    tmp_path: Path, command: list[str]
) -> None:
    done = holdfast(*command, home=tmp_path)
    assert done.returncode == 64
    assert f"Next: holdfast -d NAME {' '.join(command)}\n" in done.stderr


def test_a_home_that_cannot_be_made_ends_with_73(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = holdfast("-d", "telco", "status", home=tmp_path / "file" / "home")
    assert done.returncode == 73
    assert "set HOLDFAST_HOME" in done.stderr
    assert "Traceback" not in done.stderr


def test_simulated_customers_are_written_where_their_deployment_looks(tmp_path: Path) -> None:
    home = tmp_path / "not" / "yet"
    done = holdfast("simulate", "--customers", "50", "--months", "3", home=home)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(home / "simulated") in done.stdout
    assert len(list((home / "simulated" / "orders").glob("*.csv.gz"))) == 3
    again = holdfast("simulate", "--customers", "50", home=home)
    assert again.returncode == 64
    wrong = holdfast("simulate", "--format", "xml", "--out", str(tmp_path / "x"), home=home)
    assert wrong.returncode == 64
    assert "no format 'xml'" in wrong.stderr


def test_wrong_setting_ends_with_78(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("warehouse: {thread: 2}", encoding="utf-8")
    done = holdfast("-d", str(path), "up", home=tmp_path)
    assert done.returncode == 78
    assert "Did you mean 'threads'?" in done.stderr
    assert "Traceback" not in done.stderr


def stop_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("tasks.settings.list_deployments", fail)
    monkeypatch.setattr(signal, "signal", lambda *_: None)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataRejected("2 rules failed", next_step="look"), 65),
        (ServiceDown("down"), 69),
        (HoldfastError("?"), 70),
        (KeyboardInterrupt(), 130),
    ],
)
def test_error_becomes_lines_and_a_code(
    error: BaseException,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stop_with(error, monkeypatch)
    assert cli.run(["deployments"]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("holdfast: ")
    assert "Traceback" not in said.err


def test_a_bug_is_one_line_and_a_private_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path))
    stop_with(ValueError("secret-of-a-customer"), monkeypatch)
    assert cli.run(["deployments"]) == 70
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "secret-of-a-customer" not in said
    (log,) = (tmp_path / "logs").iterdir()
    assert str(log) in said
    assert "ValueError: secret-of-a-customer" in log.read_text(encoding="utf-8")
    assert oct(log.stat().st_mode & 0o777) == "0o600"


SLEEPER = """
import sys, time
import tasks.settings
from flows.cli import run
def sleep():
    print("asleep", flush=True)
    time.sleep(30)
tasks.settings.list_deployments = sleep
sys.exit(run(["deployments"]))
"""


@pytest.mark.faults(37)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_at_once(number: signal.Signals, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "asleep\n"
        process.send_signal(number)
        before = time.monotonic()
        assert process.wait(timeout=10) == code
        assert time.monotonic() - before < 5
        assert "Traceback" not in process.stderr.read()


def test_a_reader_that_leaves_is_no_bug(tmp_path: Path) -> None:
    shell = f"{sys.executable} -m flows.cli --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", shell],
        cwd=PROJECT,
        env={**os.environ, "HOLDFAST_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == ""


def test_down_with_nothing_running(tmp_path: Path) -> None:
    done = holdfast("down", home=tmp_path)
    assert (done.returncode, done.stdout) == (0, "Nothing runs.\n")


@pytest.mark.sql
def test_doctor_reports_for_monitors(home: Path) -> None:
    done = holdfast("doctor", "--json", home=home)
    report = json.loads(done.stdout)
    assert report["exit_code"] == done.returncode
    by_subject = {finding["subject"]: finding for finding in report["findings"]}
    assert by_subject["PostgreSQL"]["state"] == "ok"
    assert by_subject["Servers"]["state"] == "off"
