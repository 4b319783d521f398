"""Small, real model directories: a LightGBM model in text and a rule, each with its own code."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np

from tasks.churn.model_code import open_model
from tasks.handles import Candidate
from tasks.keeping import combine_hashes, golden_rows, hash_files
from tasks.registry.evidence import REQUIRED_METRICS
from tasks.settings import PROJECT

FEATURES = ("days_since_order", "orders_90d", "net_amount_90d", "gap_ratio")
METRICS = dict.fromkeys(REQUIRED_METRICS, (0.5, 0.4, 0.6))

MODEL_CODE = PROJECT / "tasks" / "churn" / "model_code.py"
WORDS = {
    "recency": "has been away for long",
    "frequency": "orders less often",
    "money": "spends less",
    "rhythm": "is late by his own rhythm",
}


@cache
def _model_text(seed: int, features: tuple[str, ...]) -> str:
    import lightgbm

    random = np.random.default_rng(seed)
    rows = np.abs(random.normal(size=(600, len(FEATURES)))) * (60, 5, 200, 2)
    churned = random.random(600) < 1 / (1 + np.exp(-(rows[:, 0] - 60) / 25))
    booster = lightgbm.train(
        {"objective": "binary", "num_leaves": 7, "verbosity": -1, "seed": seed, "num_threads": 1},
        lightgbm.Dataset(rows, churned.astype(float), feature_name=list(features)),
        num_boost_round=12,
    )
    text: str = booster.model_to_string()
    return text


def make_model(directory: Path, seed: int = 1, names: tuple[str, ...] = FEATURES) -> Candidate:
    """A LightGBM candidate in `directory` that asks for the four `names`; by seed another model."""
    _write(directory, "model", {"model.lgb.txt": _model_text(seed, names)}, names)
    return _candidate(directory, "model", "lightgbm", names)


def make_rule(
    directory: Path, centre_days: float = 45.0, names: tuple[str, ...] = FEATURES
) -> Candidate:
    """A recency rule in `directory`; the first of `names` is the silence in days."""
    rule = {
        "feature": names[0],
        "divided_by": None,
        "least_divisor": 1.0,
        "fallbacks": {names[0]: 0.0},
        "centre": centre_days,
        "scale": 30.0,
        "sign": 1.0,
        "driver": "recency",
        "reason": WORDS["recency"],
    }
    _write(directory, "rule", {"rule.json": json.dumps(rule)}, names)
    return _candidate(directory, "rule", "longest silence first", names)


def _write(
    directory: Path, kind: str, files: dict[str, str], names: tuple[str, ...] = FEATURES
) -> None:
    directory.mkdir(parents=True)
    files["model_code.py"] = MODEL_CODE.read_text(encoding="utf-8")
    files["calibration.json"] = json.dumps({"kind": "platt", "a": 0.9, "b": 0.9, "c": -0.1})
    files["signature.json"] = json.dumps(
        {
            "format": 1,
            "kind": kind,
            "feature_names": names,
            "drivers": list(WORDS),
            "words": WORDS,
            "reason_maximum": 3,
            "reason_minimum_share": 0.1,
        }
    )
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")


def _candidate(
    directory: Path, kind: str, name: str, names: tuple[str, ...] = FEATURES
) -> Candidate:
    return Candidate(
        kind="model" if kind == "model" else "rule",
        name=name,
        directory=directory,
        model_hash=combine_hashes(hash_files(directory)),
        metrics=METRICS,
        feature_names=names,
        features_fingerprint="ab" * 32,
        snapshot_id=41,
        golden=tuple(
            open_model(directory).predict_matrix(np.asarray(golden_rows(names), dtype=float))
        ),
    )
