"""What a scientist finds in MLflow, and how quickly a dead store is told."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tasks.errors import ConfigurationError, ServiceDown
from tasks.handles import TrainingRecord
from tasks.postgres import connect, ensure_database, find_database
from tasks.settings import PROJECT, Settings
from tasks.tracking.evidence import best_trials, pinned_requirements, training_metrics
from tasks.tracking.store import resolve_store
from tasks.tracking.tracker import Tracker, open_tracker
from tests.registry.models import make_model, make_rule
from tests.tracking.records import RULE, make_record

MakeSettings = Callable[..., Settings]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> TrainingRecord:
    directory = tmp_path_factory.mktemp("training")
    return make_record(make_model(directory / "model"), make_rule(directory / "rule"), "shop")


@pytest.fixture(scope="module")
def module_settings(make_settings: MakeSettings) -> Settings:
    return make_settings()


@pytest.fixture(scope="module")
def tracker(module_settings: Settings) -> Iterator[Tracker]:
    with open_tracker(module_settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def run_id(tracker: Tracker, record: TrainingRecord) -> str:
    run_id = tracker.log_training(record)
    tracker.finish_run(run_id)
    return run_id


def test_parent_run_tells_where_it_comes_from(
    tracker: Tracker, run_id: str, record: TrainingRecord
) -> None:
    run = tracker._client.get_run(run_id)
    assert run.info.status == "FINISHED"
    tags = run.data.tags
    assert tags["holdfast.snapshot_id"] == "41"
    assert tags["mlflow.source.git.commit"] == record.git_commit
    assert tags["holdfast.lock_sha256"] == record.lock_hash
    assert tags["holdfast.dataset_fingerprint"] == record.dataset_fingerprint
    (dataset,) = run.inputs.dataset_inputs
    assert record.dataset_fingerprint.startswith(dataset.dataset.digest)
    assert len(dataset.dataset.digest) <= 36
    assert json.loads(dataset.dataset.source)["snapshot_id"] == 41
    metrics = run.data.metrics
    estimate, low, high = record.model.metrics["auc"]
    assert (metrics["auc"], metrics["auc_low"], metrics["auc_high"]) == (estimate, low, high)
    assert metrics["baseline.longest_silence_first.auc"] == record.baselines[RULE]["auc"][0]
    assert run.data.params["learning_rate"] == "0.05"


def test_files_of_the_parent_run(tracker: Tracker, run_id: str, record: TrainingRecord) -> None:
    directory = Path(tracker._client.download_artifacts(run_id, ""))
    plots = {path.stem for path in (directory / "plots").iterdir()}
    assert plots == {
        "calibration",
        "gain_and_lift",
        "precision_recall",
        "profit",
        "drivers",
        "trial_history",
        "parallel_coordinates",
    }
    for path in (directory / "plots").iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")
    assert yaml.safe_load((directory / "configuration.yaml").read_text()) == record.config
    trials = json.loads((directory / "trials.json").read_text())
    assert len(trials["data"]) == len(record.trials)
    assert {"trial", "state", "seconds", record.objective} <= set(trials["columns"])
    baselines = json.loads((directory / "baselines.json").read_text())
    assert {row[0] for row in baselines["data"]} == {"lightgbm", RULE, "logistic"}


def test_best_ten_trials_are_child_runs(
    tracker: Tracker, run_id: str, record: TrainingRecord
) -> None:
    experiment = tracker._experiment()
    children = tracker._client.search_runs(
        [experiment], f"tags.mlflow.parentRunId = '{run_id}'", max_results=100
    )
    expected = {f"trial {trial.number}" for trial in best_trials(record, 10)}
    assert {child.info.run_name for child in children} == expected
    assert len(children) == 10
    assert {child.info.status for child in children} == {"FINISHED"}


def test_logging_costs_little(tracker: Tracker, record: TrainingRecord, run_id: str) -> None:
    """CPU of figures, tables, run, ten children and the model, once everything is imported."""
    assert run_id
    started = time.process_time()
    run_id = tracker.log_training(record)
    tracker.register(record.model, run_id)
    assert time.process_time() - started < 4


def test_experiment_has_an_absolute_place(tracker: Tracker, module_settings: Settings) -> None:
    experiment = tracker._client.get_experiment(tracker._experiment())
    assert experiment.name == module_settings.deployment
    place = module_settings.home / "mlflow" / "artifacts" / module_settings.deployment
    assert experiment.artifact_location == place.as_uri()
    assert place.stat().st_mode & 0o077 == 0


def test_a_deleted_experiment_comes_back(make_settings: MakeSettings) -> None:
    with open_tracker(make_settings()) as opened:
        first = opened._experiment()
        opened._client.delete_experiment(first)
        assert opened._experiment() == first
        assert opened._client.get_experiment(first).lifecycle_stage == "active"


def test_numbers_that_are_none_are_not_logged(tracker: Tracker, record: TrainingRecord) -> None:
    broken = replace(
        record, model=replace(record.model, metrics={"auc": (0.7, float("nan"), float("inf"))})
    )
    assert training_metrics(broken)["auc"] == 0.7
    run = tracker._client.get_run(tracker.log_training(broken))
    assert run.data.metrics["auc"] == 0.7
    assert "auc_low" not in run.data.metrics
    assert "auc_high" not in run.data.metrics


def test_decisions_stand_on_run_and_version(tracker: Tracker, record: TrainingRecord) -> None:
    run_id = tracker.log_training(record)
    registered = tracker.register(record.model, run_id)
    tags = {"decision": "keep", "decision_reason": "x" * 9000}
    tracker.tag_decision(tags, run_id=run_id, version=registered.version)
    assert tracker._client.get_run(run_id).data.tags["holdfast.decision"] == "keep"
    version = tracker._client.get_model_version(tracker.model_name, str(registered.version))
    assert version.tags["holdfast.decision"] == "keep"
    assert version.tags["holdfast.model_hash"] == record.model.model_hash
    assert tracker.version_hash(registered.version) == record.model.model_hash
    assert tracker.version_hash(999) is None
    # Gone from the UI is no reason to stop: the ledger has the decision.
    tracker._client.delete_model_version(tracker.model_name, str(registered.version))
    tracker.tag_decision(tags, version=registered.version)


def test_requirements_are_pinned() -> None:
    for kind in ("model", "rule"):
        assert all("==" in line for line in pinned_requirements(kind))
    assert not any(line.startswith("lightgbm") for line in pinned_requirements("rule"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.faults(51)
@pytest.mark.parametrize("scheme", ["http://127.0.0.1:{}", "postgresql://me:secret@127.0.0.1:{}/m"])
def test_a_dead_store_is_told_within_seconds(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    settings = make_settings(tracking={"uri": scheme.format(free_port())})
    started = time.monotonic()
    with pytest.raises(ServiceDown) as down, open_tracker(settings):
        raise AssertionError
    assert time.monotonic() - started < 10
    assert down.value.exit_code == 69
    assert "secret" not in str(down.value)


@pytest.mark.faults(51)
def test_a_store_that_never_answers_is_told_within_seconds(make_settings: MakeSettings) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        settings = make_settings(
            tracking={
                "uri": f"http://127.0.0.1:{silent.getsockname()[1]}",
                "timeout_seconds": 1,
                "retries": 1,
            }
        )
        started = time.monotonic()
        with pytest.raises(ServiceDown), open_tracker(settings):
            raise AssertionError
        assert time.monotonic() - started < 8


def test_environment_goes_before_settings(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(tracking={"uri": "http://127.0.0.1:1"})
    monkeypatch.setenv("HOLDFAST_TRACKING_URI", "http://127.0.0.1:2")
    assert resolve_store(settings) == ("http://127.0.0.1:2", None)
    monkeypatch.setenv("HOLDFAST_TRACKING_URI", "file:///tmp/mlruns")
    with pytest.raises(ConfigurationError) as wrong:
        resolve_store(settings)
    assert wrong.value.exit_code == 78


RACER = """
import sys
from pathlib import Path
from tasks.settings import load_settings
from tasks.tracking.tracker import open_tracker
with open_tracker(load_settings(sys.argv[1], home=Path(sys.argv[2]))) as tracker:
    print(tracker._experiment())
"""


@pytest.mark.faults(52)
def test_a_fresh_store_is_made_once_by_two_at_the_same_time(
    settings: Settings, tmp_path: Path
) -> None:
    """Left to themselves, three of four processes crash in the migrations (FAULTS 52)."""
    fresh = ensure_database(find_database(settings.home), "mlflow_race")
    overlay = tmp_path / f"{settings.deployment}.yaml"
    overlay.write_text(f"deployment: {settings.deployment}\n")
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "HOLDFAST_TRACKING_URI": fresh.url("psycopg2"),
    }
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(overlay), str(settings.home)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(2)
    ]
    answers = [racer.communicate(timeout=120)[0].strip() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert len(set(answers)) == 1


@pytest.mark.faults
def test_a_store_of_a_newer_mlflow_is_not_touched(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = ensure_database(find_database(settings.home), "mlflow_newer")
    connection = connect(newer)
    with connection.cursor() as cursor:
        cursor.execute("create table alembic_version (version_num varchar(32))")
        cursor.execute("insert into alembic_version values ('from_the_future')")
    connection.close()
    monkeypatch.setenv("HOLDFAST_TRACKING_URI", newer.url("psycopg2"))
    with pytest.raises(ConfigurationError, match="newer MLflow"), open_tracker(settings):
        raise AssertionError


def test_a_page_has_one_run_a_name(tracker: Tracker, tmp_path: Path) -> None:
    page = tmp_path / "item-7.html"
    for text in ("<p>first</p>", "<p>second</p>"):
        page.write_text(text, encoding="utf-8")
        run_id = tracker.log_page("item-7", page, {"state": text})
    experiment = tracker._client.get_experiment_by_name(f"{tracker.settings.deployment}.oncall")
    (run,) = tracker._client.search_runs([experiment.experiment_id])
    assert run.info.run_id == run_id
    assert run.info.status == "FINISHED"
    assert run.data.tags["holdfast.state"] == "<p>second</p>"
    found = tracker._client.download_artifacts(run_id, "item-7.html", str(tmp_path))
    assert Path(found).read_text(encoding="utf-8") == "<p>second</p>"


def test_a_page_goes_to_the_experiment_of_its_subject(tracker: Tracker, tmp_path: Path) -> None:
    for name in ("customers.html", "customers.ko.html"):
        page = tmp_path / name
        page.write_text("<p>customers</p>", encoding="utf-8")
        run_id = tracker.log_page(
            "customers",
            page,
            {"as_of": "2011-12-09"},
            subject="customers",
            command="holdfast report",
        )
    experiment = tracker._client.get_experiment_by_name(f"{tracker.settings.deployment}.customers")
    (run,) = tracker._client.search_runs([experiment.experiment_id])
    assert run.info.run_id == run_id
    assert run.data.tags["mlflow.source.name"] == "holdfast report"
    files = {one.path for one in tracker._client.list_artifacts(run_id)}
    assert files == {"customers.html", "customers.ko.html"}
