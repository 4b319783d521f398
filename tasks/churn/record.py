"""What leaves the family: a training as the tracking store and the gate want it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from tasks.churn.data import TrainingData
from tasks.churn.training import Trained, TrainingResult
from tasks.economics import Economics
from tasks.handles import Candidate, FeatureTable, FinalCustomers, TrainingRecord
from tasks.settings import PROJECT, Settings


def describe_training(
    result: TrainingResult,
    settings: Settings,
    table: FeatureTable,
    known_by: datetime,
    *,
    at_cutoff: int,
) -> TrainingRecord:
    """The record of a training on `table`; both candidates are ready to be registered.

    `at_cutoff` counts all customers at the final cut-off, those without an outcome too.
    """
    config: dict[str, Any] = {
        name: getattr(settings, name).model_dump(mode="json")
        for name in ("features", "churn", "economics", "registry")
    }
    config["split"] = dict(result.split)
    config["notes"] = list(result.notes)
    config["against_best_rule"] = {
        metric: {"estimate": estimate, "low": low, "high": high}
        for metric, (estimate, low, high) in result.against_rule.items()
    }
    config["profit_amounts"] = dict(result.profit_amounts)
    objective = result.objective
    return TrainingRecord(
        deployment=settings.deployment,
        model=_candidate("model", result.model, table),
        rule=_candidate("rule", result.rule, table),
        params=result.params,
        baselines=result.baselines,
        objective="negative_log_loss" if objective == "log_loss" else objective,
        trials=result.trials,
        curves=result.curves,
        drivers=result.drivers,
        slices=result.slices,
        dataset_name=table.table,
        dataset_fingerprint=table.fingerprint,
        dataset_rows=result.rows,
        snapshot_id=table.snapshot_id,
        as_of=result.test_as_of,
        known_by=known_by,
        config=config,
        git_commit=find_commit(),
        lock_hash=hash_lock(),
        currency=result.currency,
        contact_budget_share=result.final.contact_budget_share,
        objective_direction="maximize",
        leakage=_describe_leakage(result, table, known_by, at_cutoff),
    )


def gather_final(result: TrainingResult, data: TrainingData, settings: Settings) -> FinalCustomers:
    """The final customers for the gate, without an id."""
    import pyarrow as pa

    final = result.final
    columns = {
        name: pa.array(data.features[final.rows, place], from_pandas=True)
        for place, name in enumerate(data.feature_names)
    }
    fingerprint = hashlib.sha256(data.fingerprint.encode() + final.rows.tobytes()).hexdigest()
    money = Economics.of(settings.economics)
    return FinalCustomers(
        features=pa.table(columns),
        fingerprint=fingerprint,
        churned=final.churned,
        contact_gain_amount=final.contact_gain_amount,
        model_probability=final.model_probability,
        model_return_amount=final.model_score,
        rule_return_amount=final.rule_score,
        expected_returns=partial(money.expected_returns, value_amount=final.value_amount),
        budget_contacts=money.affordable_contacts,
        rule_probability=final.rule_probability,
        refit_probability=final.refit_probability,
        slices=final.slices,
    )


def prepare_directory(settings: Settings, fingerprint: str, keep: int = 5) -> Path:
    """A place for the candidates of one training; of earlier ones the newest few are kept."""
    root = settings.home / "training" / settings.deployment
    directory = root / fingerprint[:16]
    directory.mkdir(parents=True, exist_ok=True)
    others = [path for path in root.iterdir() if path.is_dir() and path != directory]
    for old in sorted(others, key=lambda path: path.stat().st_mtime)[: -(keep - 1)]:
        shutil.rmtree(old, ignore_errors=True)
    return directory


def find_commit() -> str:
    """The commit of the code, with a plus where files differ from it; 'unknown' without git."""
    git = shutil.which("git")
    if git is None or not (PROJECT / ".git").exists():
        return "unknown"

    def ask(*words: str) -> str:
        done = subprocess.run(
            [str(git), "-C", str(PROJECT), *words], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = ask("rev-parse", "HEAD")
    changed = ask("status", "--porcelain", "--untracked-files=no")
    return f"{commit}+" if commit and changed else commit or "unknown"


def hash_lock() -> str:
    """sha256 of the lock file: which libraries, to the byte."""
    path = PROJECT / "requirements.lock"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "unknown"


def _candidate(kind: Any, trained: Trained, table: FeatureTable) -> Candidate:
    return Candidate(
        kind=kind,
        name=trained.name,
        directory=trained.directory,
        model_hash=trained.model_hash,
        metrics=dict(trained.metrics),
        feature_names=trained.feature_names,
        features_fingerprint=table.fingerprint,
        snapshot_id=table.snapshot_id,
        golden=trained.golden,
    )


def _describe_leakage(
    result: TrainingResult, table: FeatureTable, known_by: datetime, at_cutoff: int
) -> dict[str, dict[str, Any]]:
    """The figures of the training, with what only the lake knows: by when things were known."""
    leakage = {code: dict(figures) for code, figures in result.leakage.items()}
    leakage["L3.1"]["outcomes_known_by"] = f"{known_by:%Y-%m-%dT%H:%M:%SZ}"
    leakage["L3.3"]["customers_at_cutoff"] = at_cutoff
    seen = dict(zip(table.as_of, table.known_by, strict=True))
    at = result.test_as_of
    leakage["L3.1"]["final_features_known_by"] = (
        f"{seen[at]:%Y-%m-%dT%H:%M:%SZ}" if at in seen else None
    )
    return leakage
