"""One trial of the tuning: train on each fold, look at the result, give up early if hopeless.

Runs in a process of its own, one thread each, on fold data that the parent has binned once and
written to files; nothing but settings and figures travels between the processes.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.churn.metrics import area_under_curve, average_precision

if TYPE_CHECKING:
    from tasks.churn.data import Floats, TrainingData
    from tasks.churn.splits import Fold

# Where along the trees of a trial its predictions are judged. The best place is chosen over all
# folds together: stopping each fold at its own best would flatter every trial.
CHECKPOINTS = (0.125, 0.25, 0.375, 0.5, 0.75, 1.0)
# With this step size times trees, gradient boosting on noisy outcomes is well past its best.
_STEPS_OF_LEARNING = 14.0
_PARENT_CHECK_SECONDS = 1.0
# LightGBM imports these where it can, to offer what no worker uses: two seconds a process.
_SPARED = ("sklearn", "pandas", "matplotlib", "dask", "graphviz")


@dataclass(frozen=True)
class Task:
    """A trial to run on the numbered folds, in that order.

    `gates[i]`: with a worse mean over the first i + 1 of them it stops (None: never).
    """

    slot: int
    folds: tuple[int, ...]
    params: Mapping[str, float | int]
    objective: str
    maximum_trees: int
    seed: int
    gates: tuple[float | None, ...]


@dataclass(frozen=True)
class Outcome:
    """What came of it; higher is better. `means[i]` is the best mean over the first i + 1 folds.

    `seconds` is the whole trial by the clock, `fit_seconds` the CPU time inside LightGBM: training
    and predicting the validation rows.
    """

    slot: int
    means: tuple[float, ...]
    trees: int
    pruned: bool
    seconds: float
    fit_seconds: float

    @property
    def value(self) -> float:
        return self.means[-1] if self.means else float("nan")


def booster_params(
    params: Mapping[str, float | int], *, seed: int, maximum_bins: int, threads: int = 1
) -> dict[str, Any]:
    """All of LightGBM's parameters, so that the same data gives the same bytes."""
    return {
        "objective": "binary",
        "verbosity": -1,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "seed": seed,
        "bagging_freq": 1,
        **dataset_params(seed=seed, maximum_bins=maximum_bins),
        **params,
    }


def dataset_params(*, seed: int, maximum_bins: int) -> dict[str, Any]:
    """Those that decide the bins; no trial changes them, so binning once is enough."""
    return {
        "max_bin": maximum_bins,
        "feature_pre_filter": False,
        "data_random_seed": seed % 2_147_483_647,
        "verbosity": -1,
        "num_threads": 1,
    }


def count_trees(params: Mapping[str, float | int], maximum_trees: int) -> int:
    """Trees of a trial: small steps need more of them."""
    wanted = round(_STEPS_OF_LEARNING / float(params["learning_rate"]))
    return max(len(CHECKPOINTS), min(maximum_trees, wanted))


def write_folds(
    data: TrainingData, folds: tuple[Fold, ...], directory: Path, params: Mapping[str, Any]
) -> None:
    """Bin each fold's training rows, once for all trials, and write what a worker needs."""
    import lightgbm

    directory.mkdir(parents=True, exist_ok=True)
    for number, fold in enumerate(folds):
        binned = lightgbm.Dataset(
            data.features[fold.train],
            data.churned[fold.train].astype(np.float32),
            params=dict(params),
        )
        binned.construct()
        binned.save_binary(str(directory / f"{number}.bin"))
        np.save(directory / f"{number}.features.npy", data.features[fold.valid])
        np.save(directory / f"{number}.churned.npy", data.churned[fold.valid])


class FoldRunner:
    """The folds, each opened at most once a process, and the trials run on them."""

    def __init__(self, directory: str, maximum_bins: int, seed: int) -> None:
        self.maximum_bins = maximum_bins
        self._params = dataset_params(seed=seed, maximum_bins=maximum_bins)
        self._root = Path(directory)
        self._open: dict[int, tuple[Any, Any, Any]] = {}

    def run(self, task: Task) -> Outcome:
        """Train and judge fold after fold; stop where the gate says so or a figure is NaN."""
        started = time.perf_counter()
        trees = count_trees(task.params, task.maximum_trees)
        places = sorted({max(1, round(trees * share)) for share in CHECKPOINTS})
        judged: list[list[float]] = []
        means: list[float] = []
        fit_seconds = 0.0
        for number in task.folds:
            # One thread, so its CPU time is what the fit would take on an idle machine.
            fit_started = time.thread_time()
            booster = self._fit(number, task.params, task.seed, trees)
            fit_seconds += time.thread_time() - fit_started
            predict_seconds, values = self._judge(booster, number, places, task.objective)
            fit_seconds += predict_seconds
            judged.append(values)
            by_place = np.mean(judged, axis=0)
            means.append(float(np.max(by_place)) if np.isfinite(by_place).all() else float("nan"))
            gate = task.gates[len(means) - 1]
            if not np.isfinite(means[-1]):
                break
            if gate is not None and means[-1] < gate and len(means) < len(task.folds):
                break
        best = int(np.argmax(np.mean(judged, axis=0)))
        return Outcome(
            slot=task.slot,
            means=tuple(means),
            trees=places[best],
            pruned=len(means) < len(task.folds),
            seconds=time.perf_counter() - started,
            fit_seconds=fit_seconds,
        )

    def predict_fold(
        self, number: int, params: Mapping[str, float | int], seed: int, trees: int
    ) -> Floats:
        """Scores of the fold's validation rows by a model of the fold's training rows."""
        return self._predict(self._fit(number, params, seed, trees), number)

    def _fit(self, number: int, params: Mapping[str, float | int], seed: int, trees: int) -> Any:
        import lightgbm

        chosen = booster_params(params, seed=seed, maximum_bins=self.maximum_bins)
        return lightgbm.train(chosen, self._load(number)[0], num_boost_round=trees)

    def _load(self, number: int) -> tuple[Any, Any, Any]:
        """Binned training rows, features and outcomes of the validation rows."""
        import lightgbm

        if number not in self._open:
            path = self._root / f"{number}.bin"
            self._open[number] = (
                lightgbm.Dataset(str(path), params=self._params).construct(),
                # Mapped, not read: all workers share one copy of the pages.
                np.load(path.with_suffix(".features.npy"), mmap_mode="r"),
                np.load(path.with_suffix(".churned.npy")),
            )
        return self._open[number]

    def _judge(
        self, booster: Any, number: int, places: list[int], objective: str
    ) -> tuple[float, list[float]]:
        _, features, churned = self._load(number)
        margin = np.zeros(len(churned))
        values = []
        seconds = 0.0
        for before, place in zip([0, *places], places, strict=False):
            # Margins add up over trees, so each tree is walked once whatever the checkpoints.
            started = time.thread_time()
            margin += booster.predict(
                features,
                raw_score=True,
                start_iteration=before,
                num_iteration=place - before,
                num_threads=1,
            )
            seconds += time.thread_time() - started
            values.append(judge(churned, 1 / (1 + np.exp(-margin)), objective))
        return seconds, values

    def _predict(self, booster: Any, number: int) -> Floats:
        predicted: Floats = booster.predict(self._load(number)[1], num_threads=1)
        return predicted


def judge(churned: Any, probability: Floats, objective: str) -> float:
    """The objective of tuning, higher is better."""
    if objective == "auc":
        return area_under_curve(churned, probability)
    if objective == "average_precision":
        return average_precision(churned, probability)
    clipped = np.clip(probability, 1e-15, 1 - 1e-15)
    return float(np.mean(np.where(churned, np.log(clipped), np.log1p(-clipped))))


_runner: FoldRunner | None = None


def start(directory: str, maximum_bins: int, seed: int) -> None:
    """Set a worker process up: it leaves Ctrl-C to its parent and does not outlive it."""
    global _runner
    for name in _SPARED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, args=(os.getppid(),), daemon=True).start()
    _runner = FoldRunner(directory, maximum_bins, seed)


def run_task(task: Task) -> Outcome:
    """Run a trial in this worker process."""
    assert _runner is not None
    return _runner.run(task)


def run_fold(number: int, params: Mapping[str, float | int], seed: int, trees: int) -> Floats:
    """Predict a fold's validation rows in this worker process."""
    assert _runner is not None
    return _runner.predict_fold(number, params, seed, trees)


def _follow_parent(parent: int) -> None:
    # A killed parent sends no signal, and a worker that waits for work would wait for ever.
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK_SECONDS)
    os._exit(1)
