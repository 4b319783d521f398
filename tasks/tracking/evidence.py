"""What a run shows of a training: tags, figures, tables, metrics, and how its model is called.

All of it comes from a `TrainingRecord`, which holds no customer.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.handles import Candidate, TrainingRecord, Trial
from tasks.studies import StudyRecord

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

# MLflow's store refuses a longer digest of a dataset.
_DIGEST_CHARACTERS = 36
_REQUIREMENTS = ("mlflow", "lightgbm", "numpy", "pandas", "pyarrow")
_RULE_REQUIREMENTS = ("mlflow", "numpy", "pandas", "pyarrow")
_TABLES = ("trials.json", "slices.json", "baselines.json")


def write_evidence(record: TrainingRecord, directory: Path, *, figures: bool = True) -> None:
    """Write the files of a parent run: configuration, tables that the UI shows, and `figures`.

    None holds a customer: the record carries none.
    """
    import yaml

    if figures:
        from tasks.plots import write_figures

        write_figures(record, directory / "plots")
    (directory / "configuration.yaml").write_text(
        yaml.safe_dump(_plain(record.config), sort_keys=True, allow_unicode=True), encoding="utf-8"
    )
    tables = {"trials.json": _trial_rows(record), "slices.json": [dict(s) for s in record.slices]}
    tables["baselines.json"] = [
        {"name": name, "metric": metric, "estimate": est, "low": low, "high": high}
        for name, metrics in (
            {record.model.name: record.model.metrics} | dict(record.baselines)
        ).items()
        for metric, (est, low, high) in metrics.items()
    ]
    for name, rows in tables.items():
        write_table(directory / name, rows)


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as a table in the form that MLflow's page shows."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = {
        "columns": columns,
        "data": [[_json_value(row.get(column)) for column in columns] for row in rows],
    }
    path.write_text(json.dumps(table, allow_nan=False), encoding="utf-8")


def study_tags(record: StudyRecord) -> dict[str, str]:
    """Tags of a study's parent run: its own, what made it, and the tables that the page shows."""
    shown = [{"path": "trials.json", "type": "table"}] if record.trials else []
    return {
        "mlflow.source.name": record.command,
        "mlflow.user": "holdfast",
        "mlflow.loggedArtifacts": json.dumps(shown),
        **{f"holdfast.{key}": value[:4900] for key, value in record.tags.items()},
    }


def study_rows(record: StudyRecord) -> list[dict[str, Any]]:
    """The trials of a study, one a row: measures first, then parameters by name."""
    names = sorted({name for trial in record.trials for name in trial.params})
    return [
        {
            "trial": trial.number,
            "state": trial.state,
            **trial.measures,
            **{name: trial.params.get(name) for name in names},
        }
        for trial in record.trials
    ]


def study_input(record: StudyRecord) -> Any:
    """What a study has read, as MLflow's dataset input, with our own fingerprint."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return DatasetInput(
        Dataset(
            name=record.dataset_name,
            digest=record.dataset_fingerprint[:_DIGEST_CHARACTERS],
            source_type="ducklake",
            source=json.dumps({"fingerprint_sha256": record.dataset_fingerprint}),
            profile=json.dumps({"rows": record.dataset_rows}),
        ),
        [InputTag("mlflow.data.context", "training")],
    )


def best_trials(record: TrainingRecord, count: int) -> list[Trial]:
    """The `count` best finished trials, best first; equal ones in the order they were tried."""
    sign = -1.0 if record.objective_direction == "maximize" else 1.0
    finished = [
        trial
        for trial in record.trials
        if trial.state == "complete" and trial.value is not None and math.isfinite(trial.value)
    ]
    return sorted(finished, key=lambda t: (sign * (t.value or 0.0), t.number))[:count]


def read_signature(candidate: Candidate) -> ModelSignature:
    """The explicit signature: every feature a double (NaN: missing); probability and reasons."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    inputs = Schema([ColSpec("double", name, required=True) for name in candidate.feature_names])
    reasons = [ColSpec("string", f"reason_{place}", required=False) for place in (1, 2, 3)]
    return ModelSignature(inputs, Schema([ColSpec("double", "probability"), *reasons]))


def make_signature(numbers: Sequence[str], texts: Sequence[str]) -> ModelSignature:
    """A signature of doubles in (NaN: missing) and texts out."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    inputs = Schema([ColSpec("double", name, required=True) for name in numbers])
    return ModelSignature(inputs, Schema([ColSpec("string", name) for name in texts]))


def pinned_requirements(kind: str) -> list[str]:
    """What a model needs to be loaded elsewhere, each at the version installed here."""
    names = _RULE_REQUIREMENTS if kind == "rule" else _REQUIREMENTS
    return [f"{name}=={installed_version(name)}" for name in names]


def run_tags(record: TrainingRecord) -> dict[str, str]:
    tables = [
        {"path": name, "type": "table"} for name in ("trials.json", "slices.json", "baselines.json")
    ]
    return {
        "mlflow.source.name": "holdfast train",
        "mlflow.source.git.commit": record.git_commit,
        "mlflow.user": "holdfast",
        "mlflow.loggedArtifacts": json.dumps(tables),
        "holdfast.deployment": record.deployment,
        "holdfast.snapshot_id": str(record.snapshot_id),
        "holdfast.dataset_fingerprint": record.dataset_fingerprint,
        "holdfast.as_of": record.as_of.isoformat(),
        "holdfast.known_by": record.known_by.isoformat(),
        "holdfast.git_commit": record.git_commit,
        "holdfast.lock_sha256": record.lock_hash,
        "holdfast.model_hash": record.model.model_hash,
        "holdfast.best_rule": record.rule.name,
        "holdfast.currency": record.currency,
    }


def run_params(record: TrainingRecord) -> dict[str, float | int | str]:
    """The winning parameters, with the choices around them."""
    return {
        **record.params,
        "model": record.model.name,
        "best_rule": record.rule.name,
        "features": len(record.model.feature_names),
        "trials": len(record.trials),
    }


def training_metrics(record: TrainingRecord) -> dict[str, float]:
    """The model's metrics with their intervals, and what each baseline reached.

    Baselines give estimates alone: the UI's table is for comparing, the intervals are in
    `baselines.json`.
    """
    values: dict[str, float] = {}
    for metric, (estimate, low, high) in record.model.metrics.items():
        values |= {metric: estimate, f"{metric}_low": low, f"{metric}_high": high}
    for name, metrics in record.baselines.items():
        label = "".join(c if c.isalnum() else "_" for c in name)
        for metric in ("auc", "profit_amount", "profit"):
            if metric in metrics:
                values[f"baseline.{label}.{metric}"] = metrics[metric][0]
    return values


def metric_points(values: Mapping[str, float]) -> list[Any]:
    """MLflow metrics of the finite values: it would store an infinity as 1.8e308."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [
        Metric(name, float(value), now, 0)
        for name, value in values.items()
        if math.isfinite(float(value))
    ]


def dataset_input(record: TrainingRecord) -> Any:
    """The training data as MLflow's dataset input: where it is and our own fingerprint.

    MLflow's own digest misses changes past the first rows.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = {
        "deployment": record.deployment,
        "table": record.dataset_name,
        "snapshot_id": record.snapshot_id,
        "as_of": record.as_of.isoformat(),
        "known_by": record.known_by.isoformat(),
        "fingerprint_sha256": record.dataset_fingerprint,
    }
    schema = {
        "mlflow_colspec": [
            {"type": "double", "name": name, "required": True}
            for name in record.model.feature_names
        ]
    }
    profile = {"rows": record.dataset_rows, "features": len(record.model.feature_names)}
    return DatasetInput(
        Dataset(
            name=f"{record.deployment}.{record.dataset_name}",
            digest=record.dataset_fingerprint[:_DIGEST_CHARACTERS],
            source_type="ducklake",
            source=json.dumps(source),
            schema=json.dumps(schema),
            profile=json.dumps(profile),
        ),
        [InputTag("mlflow.data.context", "training")],
    )


def _trial_rows(record: TrainingRecord) -> list[dict[str, Any]]:
    names: Sequence[str] = sorted({name for trial in record.trials for name in trial.params})
    return [
        {
            "trial": trial.number,
            "state": trial.state,
            record.objective: trial.value,
            "seconds": round(trial.seconds, 4),
            **{name: trial.params.get(name) for name in names},
        }
        for trial in record.trials
    ]


def _json_value(value: Any) -> Any:
    """JSON has no NaN and no infinity; both become null in a table."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _plain(value: Any) -> Any:
    """Only what safe YAML can hold."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
