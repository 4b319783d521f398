"""A small simulated shop that is quick to replay: orders alone, and trainings of seconds."""

from __future__ import annotations

from pathlib import Path

import yaml

from tasks.settings import CONF, load_settings
from tasks.simulation.writing import simulate

CUSTOMERS = 400
MONTHS = 5


def write_shop(directory: Path, home: Path) -> Path:
    """The deployment's file, its population beside it."""
    conf = yaml.safe_load((CONF / "simulated.yaml").read_text(encoding="utf-8"))
    orders = conf["intake"]["sources"]["orders"]
    population = directory / "population"
    orders |= {"folder": str(population / "orders"), "pattern": "*.parquet"}
    conf["intake"]["sources"] = {"orders": orders}
    conf |= {
        "deployment": "replayed_shop",
        "features": {
            "horizon_days": 14,
            "activity_window_days": 28,
            "cutoffs": 3,
            "cutoff_step_days": 14,
            "minimum_history_days": 28,
            "minimum_customers": 100,
            "minimum_churners": 10,
            "minimum_stayers": 10,
            "leak_sample_customers": 20,
        },
        "churn": {
            "folds": 2,
            "calibration_folds": 2,
            "round_trials": 2,
            "startup_trials": 2,
            "maximum_trees": 40,
            "workers": 1,
        },
        "registry": {
            "minimum_final_customers": 100,
            "minimum_final_churners": 5,
            "bootstrap_replicates": 200,
        },
        "economics": {"currency": "EUR", "budget_amount": "200"},
        "replay": {"trials": 2, "forest_trees": 10, "resamples": 100},
    }
    path = directory / "replayed_shop.yaml"
    path.write_text(yaml.safe_dump(conf, sort_keys=False), encoding="utf-8")
    settings = load_settings(path, home=home)
    simulate(settings, customers=CUSTOMERS, months=MONTHS, directory=population, format="parquet")
    return path
