"""A small simulated shop that is quick to replay: orders alone, and trainings of seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tasks.settings import CONF, load_settings
from tasks.simulation.writing import simulate

CUSTOMERS = 400
MONTHS = 5
# So small that a step takes seconds; the learning is no better than the machinery needs.
SMALL: Mapping[str, Mapping[str, Any]] = {
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


def change_sections(
    sections: Mapping[str, Mapping[str, Any]], changed: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The sections with some of their settings changed, and with those that only `changed` has."""
    names = [*sections, *(name for name in changed if name not in sections)]
    return {name: {**sections.get(name, {}), **changed.get(name, {})} for name in names}


def describe_shop(
    name: str, population: Path, tables: Sequence[str], sections: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The simulator's deployment with these sections, fed from `population`, a folder a table."""
    conf: dict[str, Any] = yaml.safe_load((CONF / "simulated.yaml").read_text(encoding="utf-8"))
    sources = conf["intake"]["sources"]
    conf["intake"]["sources"] = {
        table: sources[table] | {"folder": str(population / table), "pattern": "*.parquet"}
        for table in tables
    }
    return conf | {"deployment": name} | {one: dict(values) for one, values in sections.items()}


def write_conf(path: Path, conf: Mapping[str, Any]) -> Path:
    """The deployment's file."""
    path.write_text(yaml.safe_dump(dict(conf), sort_keys=False), encoding="utf-8")
    return path


def write_shop(directory: Path, home: Path) -> Path:
    """The deployment's file, its population beside it."""
    population = directory / "population"
    conf = describe_shop("replayed_shop", population, ["orders"], SMALL)
    path = write_conf(directory / "replayed_shop.yaml", conf)
    settings = load_settings(path, home=home)
    simulate(settings, customers=CUSTOMERS, months=MONTHS, directory=population, format="parquet")
    return path
