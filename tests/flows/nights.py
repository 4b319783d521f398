"""A small simulated shop whose nights the command runs, as a scheduler would: in processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from tasks.settings import CONF, PROJECT, load_settings
from tasks.simulation.writing import simulate
from tests.processes import run_command

CUSTOMERS = 600
MONTHS = 15
# Nobody listens on the discard port.
DEAD_PREFECT = "http://127.0.0.1:9/api"
NIGHT_SECONDS = 250


@dataclass(frozen=True, slots=True)
class Shop:
    """A deployment file, the state directory its nights leave their traces in, and its data."""

    path: Path
    home: Path
    folder: Path
    environment: dict[str, str]

    @property
    def name(self) -> str:
        return self.path.stem

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`holdfast -d SHOP ...` in a process of its own."""
        return run_command(
            ["-d", str(self.path), *arguments], self._surround(variables), PROJECT, NIGHT_SECONDS
        )

    def run_cold(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same with a new interpreter that imports everything itself, as a scheduler's does."""
        return subprocess.run(
            [sys.executable, "-m", "flows.cli", "-d", str(self.path), *arguments],
            cwd=PROJECT,
            env=self._surround({}),
            capture_output=True,
            text=True,
            timeout=NIGHT_SECONDS,
            check=False,
        )

    def _surround(self, variables: Mapping[str, str]) -> dict[str, str]:
        return {**os.environ, "HOLDFAST_HOME": str(self.home), **self.environment, **variables}

    def ask(self, *arguments: str) -> Any:
        """The JSON that a command prints."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def scores(self) -> Path:
        """The newest exported list."""
        (found,) = sorted((self.home / "exports" / self.name).glob("*/scores.csv"))[-1:]
        return found


def write_population(directory: Path, home: Path) -> Path:
    """600 customers over 15 months in three deliveries a table, small enough for a test."""
    settings = load_settings("simulated", home=home)
    population = settings.simulation.model_copy(update={"chunk_customers": 200})
    simulate(
        settings.model_copy(update={"simulation": population}),
        customers=CUSTOMERS,
        months=MONTHS,
        directory=directory,
        format="parquet",
    )
    return directory


def write_deployment(path: Path, population: Path) -> Path:
    """The deployment `simulated` with two of its tables, and with a training of seconds."""
    conf = yaml.safe_load((CONF / "simulated.yaml").read_text(encoding="utf-8"))
    found = conf["intake"]["sources"]
    for table in ("orders", "events"):
        found[table] |= {"folder": str(population / table), "pattern": "*.parquet"}
    conf["intake"]["sources"] = {table: found[table] for table in ("orders", "events")}
    conf |= {
        "deployment": path.stem,
        "features": {
            "horizon_days": 30,
            "activity_window_days": 90,
            "cutoffs": 6,
            "minimum_history_days": 90,
            "minimum_churners": 10,
            "minimum_stayers": 10,
            "leak_sample_customers": 50,
        },
        "churn": {
            "folds": 2,
            "calibration_folds": 3,
            "trials": 4,
            "round_trials": 2,
            "startup_trials": 2,
            "maximum_trees": 60,
            "resamples": 100,
            "forest_trees": 20,
        },
        "registry": {
            "minimum_final_customers": 100,
            "minimum_final_churners": 5,
            "bootstrap_replicates": 200,
            # Here it is the model that shall be let in, not the rule: its bytes are compared.
            "rule_confidence": 0.51,
        },
        # What is understood of customers is told by its own tests; here it shall only be there.
        "value": {"trials": 1, "maximum_trees": 30, "resamples": 100},
        "segments": {
            "trials": 3,
            "startup_trials": 3,
            "methods": ["kmeans"],
            "finalists": 1,
            "contest_resamples": 4,
        },
        "reasons": {"refits": 3, "resamples": 200},
        "forecasts": {"origins": 8},
    }
    path.write_text(yaml.safe_dump(conf, sort_keys=False), encoding="utf-8")
    return path


def write_broken(orders: Path) -> tuple[Path, int, int]:
    """A fourth delivery: amounts in cents, and every fifth line has lost its customer.

    Gives its path, its lines, and how many of them have no customer.
    """
    lines = pq.read_table(orders / "part-00000.parquet")
    customers = lines["customer_id"].to_pylist()
    customers[::5] = [None] * len(customers[::5])
    changed = {
        "customer_id": pa.array(customers, lines.schema.field("customer_id").type),
        "order_id": pc.binary_join_element_wise("again", lines["order_id"], "-"),
        "net_amount": pc.multiply(pc.cast(lines["net_amount"], pa.float64()), 100.0),
    }
    for name, values in changed.items():
        lines = lines.set_column(lines.column_names.index(name), name, values)
    path = orders / "part-00003.parquet"
    pq.write_table(lines, path)
    return path, lines.num_rows, customers.count(None)
