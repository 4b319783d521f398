"""A study beside churn's in MLflow: parent run, trials, files, children, registered model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.settings import Settings
from tasks.studies import StudyRecord, TriedSetting
from tasks.tracking.tracker import CHALLENGER, open_tracker

MODEL_CODE = """
import warnings

import mlflow

# MLflow sets its own filter while it asks for type hints, so that can only be caught.
with warnings.catch_warnings(record=True):

    class Doubled(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input * 2

    mlflow.models.set_model(Doubled())
"""


def make_study(files: Path | None = None) -> StudyRecord:
    trials = tuple(
        TriedSetting(number, "complete", {"groups": 5 + number}, {"stability": 0.5 + number / 10})
        for number in range(4)
    )
    return StudyRecord(
        subject="segments",
        run_name="2026-01-01 k-means",
        command="holdfast segment",
        tags={"snapshot_id": "41", "reason": "the most stable"},
        params={"method": "k-means", "groups": 6},
        metrics={"stability": 0.8, "separation": float("nan")},
        dataset_name="features_1",
        dataset_fingerprint="f" * 64,
        dataset_rows=2_000,
        files=files,
        trials=trials,
        child_trials=(2, 3),
    )


def test_a_study_is_a_parent_run_with_its_trials(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "front.txt").write_text("drawn", encoding="utf-8")
    with open_tracker(settings) as tracker:
        run_id = tracker.log_study(make_study(tmp_path))
        tracker.finish_run(run_id)
        run = tracker._client.get_run(run_id)
        experiment = tracker._client.get_experiment(run.info.experiment_id)
        assert experiment.name == f"{settings.deployment}.segments"
        assert run.info.status == "FINISHED"
        # What is no number is left out, not stored as another one.
        assert run.data.metrics == {"stability": 0.8}
        assert run.data.params == {"method": "k-means", "groups": "6"}
        assert run.data.tags["holdfast.reason"] == "the most stable"
        (dataset,) = run.inputs.dataset_inputs
        assert json.loads(dataset.dataset.source) == {"fingerprint_sha256": "f" * 64}
        directory = Path(tracker._client.download_artifacts(run_id, ""))
        assert (directory / "plots" / "front.txt").read_text(encoding="utf-8") == "drawn"
        table = json.loads((directory / "trials.json").read_text(encoding="utf-8"))
        assert table["columns"] == ["trial", "state", "stability", "groups"]
        assert table["data"][3] == [3, "complete", 0.8, 8]
        children = tracker._client.search_runs(
            [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'"
        )
        assert {child.data.params["groups"] for child in children} == {"7", "8"}
        assert {child.info.run_name for child in children} == {"trial 2", "trial 3"}


def test_a_study_without_trials_has_no_table(settings: Settings) -> None:
    with open_tracker(settings) as tracker:
        run_id = tracker.log_study(replace(make_study(), trials=(), child_trials=()))
        assert list(tracker._client.list_artifacts(run_id)) == []
        assert tracker._client.get_run(run_id).data.tags["mlflow.loggedArtifacts"] == "[]"
        tracker.finish_run(run_id, failed=True)


@pytest.mark.flow
def test_its_model_is_registered_and_loads(settings: Settings, tmp_path: Path) -> None:
    import mlflow
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    (tmp_path / "model_code.py").write_text(MODEL_CODE, encoding="utf-8")
    name = f"{settings.deployment}.segments"
    with open_tracker(settings) as tracker:
        run_id = tracker.log_study(make_study())
        registered = [
            tracker.register_files(
                name,
                tmp_path,
                run_id,
                label="segments",
                signature=ModelSignature(
                    Schema([ColSpec("double", "recency_days")]),
                    Schema([ColSpec("double", "recency_days")]),
                ),
                requirements=[f"mlflow=={mlflow.__version__}"],
                purpose="Groups of customers.",
                description="k-means",
                tags={"holdfast.model_hash": "a" * 64},
            )
            for _ in range(2)
        ]
        tracker.finish_run(run_id)
        assert [one.version for one in registered] == [1, 2]
        found = tracker._client.get_model_version_by_alias(name, CHALLENGER)
        assert (int(found.version), found.tags["holdfast.model_hash"]) == (2, "a" * 64)
        model = mlflow.pyfunc.load_model(f"models:/{name}@{CHALLENGER}")
        doubled = model.predict(pd.DataFrame({"recency_days": [1.5]}))
    assert doubled["recency_days"].tolist() == [3.0]
