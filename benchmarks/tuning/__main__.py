"""What tuning costs over LightGBM itself, and how it does against FLAML in equal time.

    python -m benchmarks.tuning                                made-up customers
    python -m benchmarks.tuning --table features.parquet --horizon-days 90
    python -m benchmarks.tuning --flaml /path/to/a/venv/bin/python --seeds 3

The overhead is of CPU time, so that a busy machine does not change it; the clock is shown beside.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tuning.customers import make_customers, read_table
from tasks.churn.data import TrainingData
from tasks.churn.metrics import area_under_curve, average_precision
from tasks.churn.splits import Splits, split_data
from tasks.churn.training import fit_final
from tasks.churn.tuning import Tuned, tune
from tasks.sections import ChurnSettings
from tasks.settings import load_settings

_GOAL_SHARE = 0.05
_INSTALL = (
    "FLAML is not compared: it wants an environment of its own.\n"
    '  python -m venv flaml && flaml/bin/pip install "flaml[automl]" lightgbm\n'
    "  python -m benchmarks.tuning --flaml flaml/bin/python"
)


def main() -> None:
    arguments = _read_arguments()
    churn = load_settings(arguments.deployment).churn.model_copy(
        update={"trials": arguments.trials, "workers": arguments.workers}
    )
    if arguments.table:
        data = read_table(arguments.table, arguments.horizon_days)
    else:
        data = make_customers(arguments.customers, arguments.cutoffs, seed=1)
    splits = split_data(data, folds=churn.folds, seed=churn.seed)
    print(
        f"{data.rows:,} rows, {len(data.feature_names)} features, {len(data.cutoffs)} cut-offs,"
        f" {len(splits.folds)} folds, {churn.trials} trials, {churn.workers} workers"
    )
    with tempfile.TemporaryDirectory() as temporary:
        if not arguments.skip_overhead:
            _measure_overhead(data, splits, churn, Path(temporary))
        if not arguments.flaml:
            print(_INSTALL)
        else:
            _compare(data, splits, churn, arguments, Path(temporary))


def _measure_overhead(
    data: TrainingData, splits: Splits, churn: ChurnSettings, directory: Path
) -> None:
    tuned, cpu, clock = _time_tuning(data, splits, churn, directory / "overhead")
    log_cpu, log_clock = _time_logging(tuned, directory)
    pure = tuned.fit_seconds
    print(f"\ninside LightGBM             {pure:8.1f} s CPU")
    print(f"tuning, all of it           {cpu:8.1f} s CPU  {clock:8.1f} s by the clock")
    print(
        f"logging {len(tuned.trials):3d} trials          {log_cpu:8.1f} s CPU  {log_clock:8.1f} s"
    )
    share = (cpu + log_cpu) / pure - 1
    ideal = pure / churn.workers
    print(
        f"overhead                    {share:8.1%} of LightGBM's CPU time"
        f" (goal < {_GOAL_SHARE:.0%})"
    )
    print(
        f"by the clock                {clock / ideal - 1:8.1%} over {ideal:.1f} s,"
        " a perfect share out"
    )


def _time_tuning(
    data: TrainingData, splits: Splits, churn: ChurnSettings, directory: Path
) -> tuple[Tuned, float, float]:
    import lightgbm  # noqa: F401  (whoever trains imports it)

    before, started = _cpu(), time.perf_counter()
    tuned = tune(data, splits, churn, directory=directory)
    return tuned, _cpu() - before, time.perf_counter() - started


def _time_logging(tuned: Tuned, directory: Path) -> tuple[float, float]:
    """One batch call for the parent run and a child run for each of the best ten."""
    import mlflow
    from mlflow.entities import Metric, Param
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{directory / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri)
    experiment = client.create_experiment("tuning", f"file://{directory / 'artifacts'}")
    before, started = _cpu(), time.perf_counter()
    parent = client.create_run(experiment).info.run_id
    table = {
        "columns": ["trial", "state", "value", "seconds", "params"],
        "data": [
            [one.number, one.state, one.value, one.seconds, str(dict(one.params))]
            for one in tuned.trials
        ],
    }
    client.log_dict(parent, table, "trials.json")
    best = sorted(tuned.trials, key=lambda one: -(one.value or 0))[:10]
    for one in best:
        run = client.create_run(experiment, tags={"mlflow.parentRunId": parent}).info.run_id
        params = [Param(name, str(value)) for name, value in one.params.items()]
        client.log_batch(run, [Metric("value", one.value or 0.0, 0, 0)], params)
        client.set_terminated(run)
    client.set_terminated(parent)
    return _cpu() - before, time.perf_counter() - started


def _compare(
    data: TrainingData,
    splits: Splits,
    churn: ChurnSettings,
    arguments: argparse.Namespace,
    directory: Path,
) -> None:
    print(
        f"\nEqual time by the clock, one thread, same folds and final"
        f" customers, {arguments.seeds} seeds"
    )
    print("seed   ours: AUC    AP  CPU s   trials | FLAML: AUC    AP  CPU s   trials")
    gaps = []
    for seed in range(arguments.seeds):
        own = churn.model_copy(update={"workers": 1, "seed": seed + 1})
        tuned, cpu, clock = _time_tuning(data, splits, own, directory / f"own_{seed}")
        probability = _predict(data, splits, tuned, own)
        # FLAML's budget is by the clock; on a busy machine both are slowed alike.
        other = _run_flaml(data, splits, arguments.flaml, clock, seed + 1, directory)
        truth = data.churned[splits.test]
        theirs = np.asarray(other["probability"])
        areas = area_under_curve(truth, probability), area_under_curve(truth, theirs)
        gaps.append(areas[0] - areas[1])
        print(
            f"{seed + 1:4d}      {areas[0]:.4f} {average_precision(truth, probability):.4f}"
            f" {cpu:6.1f} {len(tuned.trials):6d}  |        {areas[1]:.4f}"
            f" {average_precision(truth, theirs):.4f} {other['cpu_seconds']:6.1f}"
            f" {other['trials']:6d}"
        )
    spread = np.std(gaps, ddof=1) if len(gaps) > 1 else float("nan")
    print(f"AUC, ours less FLAML's: mean {np.mean(gaps):+.4f}, deviation {spread:.4f}")


def _predict(data: TrainingData, splits: Splits, tuned: Tuned, churn: ChurnSettings) -> Any:
    import lightgbm

    booster = lightgbm.Booster(model_str=fit_final(data, splits.final, tuned, churn))
    return booster.predict(data.features[splits.test], num_threads=1)


def _run_flaml(
    data: TrainingData, splits: Splits, python: str, seconds: float, seed: int, directory: Path
) -> dict[str, Any]:
    place = {int(row): number for number, row in enumerate(splits.final)}
    stored: dict[str, Any] = {
        "features": data.features[splits.final],
        "churned": data.churned[splits.final],
        "test": data.features[splits.test],
        "folds": len(splits.folds),
    }
    for number, fold in enumerate(splits.folds):
        stored[f"train_{number}"] = np.asarray([place[int(row)] for row in fold.train])
        stored[f"valid_{number}"] = np.asarray([place[int(row)] for row in fold.valid])
    path = directory / "flaml.npz"
    np.savez(path, **stored)
    script = Path(__file__).with_name("flaml_peer.py")
    done = subprocess.run(
        [python, str(script), str(path), str(seconds), str(seed)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"FLAML failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def _cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (
            resource.getrusage(resource.RUSAGE_SELF),
            resource.getrusage(resource.RUSAGE_CHILDREN),
        )
    )


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning", description=__doc__)
    parser.add_argument("--deployment", default="completejourney", help="whose settings are used")
    parser.add_argument("--table", type=Path, help="a labelled feature table (Parquet)")
    parser.add_argument("--horizon-days", type=float, default=90.0)
    parser.add_argument("--customers", type=int, default=4000)
    parser.add_argument("--cutoffs", type=int, default=12)
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--flaml", help="the Python of an environment that has FLAML")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--skip-overhead", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
