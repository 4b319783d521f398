"""Does a replay notice what goes wrong, and is what it claims true? A simulated shop answers.

    python -m benchmarks.replay                       all eight faults, planted weeks apart
    python -m benchmarks.replay --rollouts            none; challengers go to rollouts instead
    python -m benchmarks.replay --keep runs/replay    goes on where it was stopped; the page stays

The shop's customers are drawn with known truth; then `holdfast replay` runs its nights, week by
week, in a state directory of its own, that goes. With `--rollouts` those on a list react as the
simulator's truth says (`replay.outcomes: simulated`), and the gate only admits challengers.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from datetime import date
from pathlib import Path

# Before NumPy is loaded: threads of small matrices only wait for one another.
os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

from tasks.settings import load_settings
from tests.replay.shop import SMALL, change_sections, describe_shop, write_conf

TABLES = ("orders", "events")
PLANTS = (
    "duplicate_file@2022-09-19",
    "unit_change@2022-09-26",
    "late_file@2022-10-10",
    "time_zone_shift@2022-10-24",
    "renamed_column@2022-11-07",
    "leaking_feature@2022-11-21",
    "harmful_challenger@2022-12-05",
    "concept_drift@2022-12-12",
)
SPAN = (date(2022, 9, 5), date(2023, 2, 6))
# Each rollout needs its weeks of customers and of waiting for outcomes: one after another.
ROLLOUTS_SPAN = (date(2022, 9, 5), date(2023, 4, 24))
# More history than the tests' shop has, since eight faults need their weeks.
SHOP = change_sections(
    SMALL,
    {
        "features": {
            "activity_window_days": 42,
            "cutoffs": 6,
            "minimum_history_days": 56,
            "leak_sample_customers": 30,
        },
        "churn": {"maximum_trees": 60},
        "replay": {"trials": 3},
    },
)
ROLLED = change_sections(
    SHOP,
    {
        "registry": {"promotion": "rollout"},
        "replay": {"outcomes": "simulated", "retrain_every_weeks": 4},
        "rollout": {
            "minimum_effect": 0.1,
            "stages": [0.2, 0.5],
            "minimum_stage_days": 7,
            "maximum_days": 84,
        },
        "economics": {"budget_amount": "1000"},
    },
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--customers", type=int, help="800, with rollouts 1,600")
    parser.add_argument("--rollouts", action="store_true")
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        run(arguments.keep.resolve(), arguments)
        return
    with tempfile.TemporaryDirectory(prefix="holdfast-replay-") as directory:
        # The embedded PostgreSQL may run as a user of its own.
        Path(directory).chmod(0o711)
        run(Path(directory), arguments)


def run(home: Path, arguments: argparse.Namespace) -> None:
    """Draw the shop unless it is there, and replay it."""
    os.environ["HOLDFAST_HOME"] = str(home / "state")
    path = write_shop(home, arguments)
    from flows.replay import replay
    from flows.replaying import HEADING, show_replay, tell_week

    since, until = ROLLOUTS_SPAN if arguments.rollouts else SPAN
    plants = () if arguments.rollouts else PLANTS
    print(HEADING)
    started = time.perf_counter()
    found = replay(
        path,
        since,
        until,
        "1w",
        plants,
        lambda told, seconds: print(f"{tell_week(told)} [{seconds:.0f} s]", flush=True),
    )
    show_replay(found, time.perf_counter() - started)


def write_shop(home: Path, arguments: argparse.Namespace) -> Path:
    """The deployment's file; its customers as one file a table."""
    from tasks.simulation.writing import simulate

    name = "rolled_shop" if arguments.rollouts else "replayed_shop"
    population = home / f"{name}_customers"
    conf = describe_shop(name, population, TABLES, ROLLED if arguments.rollouts else SHOP)
    # No table of contacts is among them.
    conf.pop("uplift", None)
    path = write_conf(home / f"{name}.yaml", conf)
    if not population.exists():
        simulate(
            load_settings(path),
            customers=arguments.customers or (1_600 if arguments.rollouts else 800),
            months=17 if arguments.rollouts else 14,
            directory=population,
            format="parquet",
        )
    return path


if __name__ == "__main__":
    main()
