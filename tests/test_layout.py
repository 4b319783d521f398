"""The shape of the project: what imports what, what is generated, what the lock may hold."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tasks.reference import build_schema
from tasks.services.schedule import read_schedule
from tasks.settings import CONF, PROJECT, list_deployments, load_settings

TOP_LEVEL = {
    "flows", "tasks", "expectations", "conf", "tests", "benchmarks", "docs",
    "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "Makefile", "requirements.lock",
}  # fmt: skip
LONGEST_FILE_LINES = 500


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip(f"not a git clone: {listed.stderr.strip()}")  # an export has no list
    return [PROJECT / line for line in listed.stdout.splitlines() if (PROJECT / line).exists()]


def test_top_level_is_as_designed() -> None:
    names = {path.relative_to(PROJECT).parts[0] for path in tracked_files()}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_packages_import_nothing_by_themselves() -> None:
    full = [p for p in PROJECT.glob("*/**/__init__.py") if ".venv" not in p.parts]
    ours = [
        p for p in full if p.relative_to(PROJECT).parts[0] in ("flows", "tasks", "expectations")
    ]
    assert ours
    assert [str(p) for p in ours if p.read_text(encoding="utf-8").strip()] == []


def test_every_test_folder_is_a_package() -> None:
    folders = {path.parent for path in (PROJECT / "tests").rglob("*.py")}
    assert [str(f) for f in sorted(folders) if not (f / "__init__.py").exists()] == []


def test_files_stay_readable() -> None:
    long = {
        str(path.relative_to(PROJECT)): lines
        for root in ("flows", "tasks", "expectations", "tests")
        for path in (PROJECT / root).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE_LINES
    }
    assert not long


def test_schema_is_fresh() -> None:
    found = (CONF / "schema.json").read_text(encoding="utf-8")
    assert found == build_schema(), "stale: run `make schema`"


def test_every_deployment_of_conf_loads() -> None:
    assert "completejourney" in list_deployments()
    for name in list_deployments():
        assert load_settings(name).deployment == name


@pytest.mark.flow
def test_every_served_deployment_loads_its_flow() -> None:
    from flows.serving import load_flow

    deployments = read_schedule(CONF / "prefect.yaml")
    assert deployments
    for deployment in deployments:
        flow = load_flow(deployment.entrypoint)
        flow.validate_parameters(dict(deployment.parameters))
        assert deployment.parameters["deployment"] in list_deployments()


def test_every_deployment_of_conf_is_served() -> None:
    served = {d.parameters["deployment"] for d in read_schedule(CONF / "prefect.yaml")}
    assert served == set(list_deployments())


def test_every_served_deployment_runs_alone() -> None:
    for deployment in read_schedule(CONF / "prefect.yaml"):
        assert deployment.concurrency_limit.limit == 1
        assert deployment.concurrency_limit.collision_strategy == "CANCEL_NEW"


@pytest.mark.parametrize("name", ["requirements.lock", ".ci/uv.txt"])
def test_lock_is_hashed_and_holds_no_address(name: str) -> None:
    text = (PROJECT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text
    pins = re.findall(r"^(\S+==\S+)(.*)$", text, flags=re.MULTILINE)
    assert pins
    blocks = re.split(r"\n(?=\S)", text.strip())
    unhashed = [b.split("==")[0] for b in blocks if "==" in b and "--hash=sha256:" not in b]
    assert unhashed == []


def test_lock_has_all_that_the_project_asks_for() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    names = {re.split(r"[\[<>=~! ;]", line)[0].lower().replace("_", "-") for line in asked}
    text = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([a-z0-9._-]+)==", text, flags=re.MULTILINE))
    assert names - locked == set()


@pytest.mark.faults(53)
def test_fastapi_is_capped() -> None:
    text = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
    match = re.search(r"^fastapi==0\.(\d+)", text, flags=re.MULTILINE)
    assert match is not None
    assert int(match[1]) < 151, "newer ones break every run of Prefect 3.8"


@pytest.mark.parametrize(
    "name",
    [
        "DO_NOT_TRACK",
        "MLFLOW_DISABLE_TELEMETRY",
        "PREFECT_SERVER_ANALYTICS_ENABLED",
        "GX_ANALYTICS_ENABLED",
    ],
)
def test_telemetry_is_off(name: str, tmp_path: Path) -> None:
    from tasks.services.environment import build_child_environment, build_environment

    off = {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}.get(name, "false")
    assert build_environment(tmp_path)[name] == off
    assert build_child_environment(tmp_path)[name] == off


def test_conf_is_data_only() -> None:
    for path in CONF.rglob("*"):
        assert path.is_dir() or path.suffix in (".yaml", ".json"), path
    for path in CONF.rglob("*.yaml"):
        assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict), path
