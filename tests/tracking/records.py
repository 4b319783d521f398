"""A training as its record tells it: plausible, seeded, with everything a plot needs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tasks.handles import Candidate, Curves, TrainingRecord, Trial

MODEL = "lightgbm"
RULE = "longest silence first"
GRID = [round(0.02 * step, 2) for step in range(51)]


def make_curves(seed: int = 5) -> Curves:
    random = np.random.default_rng(seed)
    gain, precision, profit, calibration = {}, {}, {}, {}
    for name, power, slope in ((RULE, 0.75, 0.82), ("logistic", 0.55, 0.95), (MODEL, 0.42, 1.0)):
        gain[name] = tuple((share, share**power) for share in GRID)
        precision[name] = tuple(
            (recall, 0.3 + (0.62 - power * 0.5) * (1 - recall)) for recall in GRID
        )
        profit[name] = tuple(
            (share, 9000 * share**power * (1 - share * power) - 2600 * share) for share in GRID
        )
        calibration[name] = tuple(
            (
                mean,
                float(np.clip(mean * slope + random.normal(0, 0.02), 0, 1)),
                float(round(600 * (1 - mean) ** 2) + 20),
            )
            for mean in np.linspace(0.04, 0.86, 10).tolist()
        )
    return Curves(calibration, gain, precision, profit)


def make_trials(count: int = 60, seed: int = 5) -> tuple[Trial, ...]:
    random = np.random.default_rng(seed)
    trials = []
    for number in range(count):
        rate = float(10 ** random.uniform(-2.3, -0.5))
        leaves = int(random.integers(4, 120))
        state = "pruned" if number % 4 == 3 else "complete"
        value = 0.77 - 0.03 * abs(np.log10(rate) + 1.4) - 0.0003 * leaves
        trials.append(
            Trial(
                number,
                "failed" if number == 11 else state,
                None if number == 11 else float(value + random.normal(0, 0.004)),
                {
                    "learning_rate": rate,
                    "num_leaves": leaves,
                    "min_data_in_leaf": int(random.integers(5, 200)),
                    "feature_fraction": float(random.uniform(0.4, 1)),
                    "lambda_l2": float(10 ** random.uniform(-3, 2)),
                    "boosting": ("gbdt", "dart")[number % 2],
                },
                float(random.uniform(0.1, 0.6)),
            )
        )
    return tuple(trials)


def make_record(model: Candidate, rule: Candidate, deployment: str) -> TrainingRecord:
    return TrainingRecord(
        deployment=deployment,
        model=model,
        rule=rule,
        params={"learning_rate": 0.05, "num_leaves": 15, "seed": 7},
        baselines={
            RULE: {"auc": (0.68, 0.65, 0.71), "profit_amount": (1800.0, 1500.0, 2100.0)},
            "logistic": {"auc": (0.74, 0.71, 0.77), "profit_amount": (2300.0, 2000.0, 2600.0)},
        },
        objective="log_loss_skill",
        trials=make_trials(),
        curves=make_curves(),
        drivers={
            "recency": 0.82,
            "own rhythm": 0.61,
            "money": 0.33,
            "trend": 0.22,
            "breadth": 0.12,
            "service": 0.08,
        },
        slices=(
            {"slice": "tenure under a year", "customers": 812, "auc": 0.76},
            {"slice": "tenure of a year or more", "customers": 1975, "auc": 0.78},
        ),
        dataset_name="features",
        dataset_fingerprint="ab" * 32,
        dataset_rows=30_657,
        snapshot_id=41,
        as_of=datetime(2011, 9, 10, tzinfo=UTC),
        known_by=datetime(2011, 12, 9, tzinfo=UTC),
        config={"churn": {"horizon_days": 90}, "clock": {"as_of": "data"}},
        git_commit="0" * 40,
        lock_hash="1" * 64,
        currency="GBP",
        contact_budget_share=0.1,
    )


def make_candidate(directory: Path, name: str = MODEL, kind: str = "model") -> Candidate:
    return Candidate(
        kind="model" if kind == "model" else "rule",
        name=name,
        directory=directory,
        model_hash="",
        metrics={"auc": (0.77, 0.75, 0.79), "profit_amount": (2600.0, 2300.0, 2900.0)},
        feature_names=(),
        features_fingerprint="ab" * 32,
        snapshot_id=41,
    )
