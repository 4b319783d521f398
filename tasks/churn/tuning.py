"""LightGBM's settings, chosen by Optuna on later cut-offs.

Rounds of `round_trials` are asked for, run in parallel and told in order. What a round learns
from is fixed before it starts (the sampler's history and the limits below which a trial is cut
short), so the result depends on the data, the settings and the seed: not on the number of
workers, not on which of them was quick, and not on whether the process was killed in between.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tasks.churn import worker
from tasks.churn.data import Floats, TrainingData
from tasks.churn.splits import Splits
from tasks.churn.study import Told, TuningStudy, open_study
from tasks.churn.worker import FoldRunner, Outcome, Task
from tasks.crash import crash_point
from tasks.errors import DataRejected, ServiceDown
from tasks.handles import Trial
from tasks.sections import ChurnSettings, SearchRange

R = TypeVar("R")
# Told how many of how many trials are done.
Progress = Callable[[int, int], None]
# Sound on every data set tried; the first trial, so that tuning never ends below it.
_FIRST = {
    "learning_rate": 0.03,
    "num_leaves": 8,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.6,
    "lambda_l2": 10.0,
}
_EVENLY = ("feature_fraction", "bagging_fraction")
_WHOLE = ("num_leaves", "min_data_in_leaf")
_POOL_ATTEMPTS = 3


@dataclass(frozen=True)
class Tuned:
    """The best settings, how they were found, and their scores on the validation parts.

    `scores[i]` has shape (validation rows of rolling fold i,), before calibration. `fit_seconds` is
    LightGBM's own time over all trials.
    """

    params: Mapping[str, float | int]
    trees: int
    value: float
    trials: tuple[Trial, ...]
    scores: tuple[Floats, ...]
    fit_seconds: float
    resumed_trials: int
    study_name: str


def tune(
    data: TrainingData,
    splits: Splits,
    settings: ChurnSettings,
    *,
    directory: Path,
    progress: Progress | None = None,
) -> Tuned:
    """Tune on the folds of `splits`; the study is stored in `directory`.

    Raises DataRejected (65) where no trial gives a finite objective, LockHeld (75) where another
    process tunes the same, ServiceDown (69) where workers keep dying.
    """
    name = name_study(data, splits, settings)
    space, first = _space(settings, min(len(fold.train) for fold in splits.folds))
    folds = directory / f"{name}.folds"
    with open_study(
        directory / f"{name}.journal",
        name,
        space,
        seed=settings.seed,
        startup_trials=settings.startup_trials,
    ) as study:
        study.bury_dead()
        resumed = len(study.told())
        shutil.rmtree(folds, ignore_errors=True)
        bins = worker.dataset_params(seed=settings.seed, maximum_bins=settings.maximum_bins)
        worker.write_folds(data, splits.rolling, folds, bins)
        try:
            judging = tuple(range(len(splits.rolling)))[-len(splits.folds) :]
            with _open_crew(settings, folds) as crew:
                _run_rounds(study, crew, settings, judging, first, progress)
                told = study.told()
                best = _choose(told, settings)
                scores = crew.predict_folds(
                    best.params, settings.seed, best.outcome.trees, len(splits.rolling)
                )
        finally:
            shutil.rmtree(folds, ignore_errors=True)
    return Tuned(
        params=best.params,
        trees=best.outcome.trees,
        value=best.outcome.value,
        trials=tuple(_describe(slot, one) for slot, one in told.items()),
        scores=tuple(scores),
        fit_seconds=sum(one.outcome.fit_seconds for one in told.values()),
        resumed_trials=resumed,
        study_name=name,
    )


def name_study(data: TrainingData, splits: Splits, settings: ChurnSettings) -> str:
    """A study belongs to its data, settings and libraries: another of them is another study."""
    parts = [
        data.fingerprint,
        *(hashlib.sha256(f.train.tobytes() + f.valid.tobytes()).hexdigest() for f in splits.folds),
        settings.objective,
        settings.space.model_dump_json(),
        *(
            str(getattr(settings, name))
            for name in (
                "seed",
                "trials",
                "round_trials",
                "startup_trials",
                "prune_after_trials",
                "maximum_trees",
                "maximum_bins",
            )
        ),
        version("lightgbm"),
        version("optuna"),
    ]
    return f"churn-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]}"


def _run_rounds(
    study: TuningStudy,
    crew: _Crew,
    settings: ChurnSettings,
    folds: tuple[int, ...],
    first: Mapping[str, float | int],
    progress: Progress | None,
) -> None:
    for number, start in enumerate(range(0, settings.trials, settings.round_trials)):
        slots = range(start, min(start + settings.round_trials, settings.trials))
        told = study.told()
        if progress is not None:
            progress(sum(slot in told for slot in range(settings.trials)), settings.trials)
        if all(slot in told for slot in slots):
            continue
        earlier = [one.outcome for slot, one in told.items() if slot < start]
        gates = _gates(earlier, len(folds), settings.prune_after_trials)
        questions = study.ask_round(number, slots, first)
        crash_point("churn.tuning.asked")
        tasks = [
            Task(
                slot,
                folds,
                params,
                settings.objective,
                settings.maximum_trees,
                settings.seed,
                gates,
            )
            for slot, params in questions.items()
        ]
        for outcome in crew.run(tasks):
            study.tell(questions[outcome.slot], outcome)
            crash_point(f"churn.tuning.told_{outcome.slot}")
            if progress is not None:
                progress(outcome.slot + 1, settings.trials)


def _gates(earlier: Sequence[Outcome], folds: int, after: int) -> tuple[float | None, ...]:
    """The median of the earlier trials that got as far: half of them were better."""
    sound = [outcome for outcome in earlier if math.isfinite(outcome.value)]
    if len(sound) < after:
        return (None,) * folds
    return tuple(
        float(np.median([o.means[number] for o in sound if len(o.means) > number] or [-np.inf]))
        for number in range(folds)
    )


def _choose(told: Mapping[int, Told], settings: ChurnSettings) -> Told:
    sound = [
        one for one in told.values() if math.isfinite(one.outcome.value) and not one.outcome.pruned
    ]
    if not sound:
        raise DataRejected(
            f"TUNE: none of {len(told)} trials gave a finite {settings.objective}.",
            found="the model in service keeps serving",
            next_step="look at the feature table: a constant or empty validation part does this",
        )
    # Of equals the first, so that the choice does not hang on the order of a dictionary.
    return max(sound, key=lambda one: (one.outcome.value, -one.outcome.slot))


class _Crew:
    """Whoever runs trials: this process, or a pool of workers."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        raise NotImplementedError

    def predict_folds(
        self, params: Mapping[str, float | int], seed: int, trees: int, folds: int
    ) -> list[Floats]:
        raise NotImplementedError


class _Alone(_Crew):
    def __init__(self, arguments: tuple[str, int, int]) -> None:
        self._runner = FoldRunner(*arguments)

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        return map(self._runner.run, tasks)

    def predict_folds(
        self, params: Mapping[str, float | int], seed: int, trees: int, folds: int
    ) -> list[Floats]:
        return [self._runner.predict_fold(n, params, seed, trees) for n in range(folds)]


class _Pool(_Crew):
    """Spawned, not forked: OpenMP does not survive a fork, and a flow run has threads."""

    def __init__(self, arguments: tuple[str, int, int], workers: int) -> None:
        self._arguments = arguments
        self._workers = workers
        self._pool = self._open()

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        return self._in_order(worker.run_task, [(task,) for task in tasks])

    def predict_folds(
        self, params: Mapping[str, float | int], seed: int, trees: int, folds: int
    ) -> list[Floats]:
        calls = [(number, params, seed, trees) for number in range(folds)]
        return list(self._in_order(worker.run_fold, calls))

    def close(self, *, now: bool) -> None:
        if now:
            for process in list((self._pool._processes or {}).values()):
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _open(self) -> ProcessPoolExecutor:
        from multiprocessing import get_context

        return ProcessPoolExecutor(
            self._workers, get_context("spawn"), worker.start, self._arguments
        )

    def _in_order(
        self, function: Callable[..., R], calls: Sequence[tuple[Any, ...]]
    ) -> Iterator[R]:
        """Results in the order of `calls`. A pool that lost a worker is opened anew, twice."""
        waiting = list(calls)
        for attempt in range(1, _POOL_ATTEMPTS + 1):
            with _without_interrupts():
                futures = [self._pool.submit(function, *call) for call in waiting]
            try:
                for future in futures:
                    result = future.result()
                    waiting.pop(0)
                    yield result
                return
            except BrokenProcessPool:
                if attempt == _POOL_ATTEMPTS:
                    break
                self._pool.shutdown(wait=False, cancel_futures=True)
                time.sleep(attempt)
                self._pool = self._open()
        raise ServiceDown(
            f"Workers of the tuning died {_POOL_ATTEMPTS} times.",
            found="the usual cause is memory: the system ends the largest process",
            next_step="lower `churn.workers` or `churn.maximum_bins`; finished trials are kept",
        )


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl-C waits until the end. Workers inherit it: one that still imports shows no traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _open_crew(settings: ChurnSettings, directory: Path) -> Iterator[_Crew]:
    arguments = (str(directory), settings.maximum_bins, settings.seed)
    if settings.workers == 1:
        yield _Alone(arguments)
        return
    pool = _Pool(arguments, settings.workers)
    try:
        yield pool
    except BaseException:
        # Also Ctrl-C: what was told is stored, and the next run goes on from there.
        pool.close(now=True)
        raise
    pool.close(now=False)


def first_params(settings: ChurnSettings, rows: int) -> dict[str, float | int]:
    """The parameters that every tuning tries first, moved into the settings' bounds."""
    return _space(settings, rows)[1]


def _space(
    settings: ChurnSettings, fewest_rows: int
) -> tuple[dict[str, Any], dict[str, float | int]]:
    """Optuna's distributions, and the first trial moved into them."""
    from optuna.distributions import FloatDistribution, IntDistribution

    space: dict[str, Any] = {}
    first: dict[str, float | int] = {}
    for name in type(settings.space).model_fields:
        wanted: SearchRange = getattr(settings.space, name)
        low, high = wanted.minimum, max(wanted.minimum, wanted.maximum)
        if name == "min_data_in_leaf":
            high = max(low, min(high, fewest_rows / 10))
        if name in _WHOLE:
            space[name] = IntDistribution(round(low), round(high), log=True)
            first[name] = min(max(int(_FIRST[name]), round(low)), round(high))
        else:
            space[name] = FloatDistribution(low, high, log=name not in _EVENLY)
            first[name] = min(max(float(_FIRST[name]), low), high)
    return space, first


def _describe(slot: int, told: Told) -> Trial:
    outcome = told.outcome
    finite = math.isfinite(outcome.value)
    return Trial(
        number=slot,
        state="failed" if not finite else "pruned" if outcome.pruned else "complete",
        value=outcome.value if finite else None,
        params={**told.params, "trees": outcome.trees},
        seconds=outcome.seconds,
    )
