"""Whether forecasts by a model are better than "as it was", how often intervals hold, and how fast.

    python -m benchmarks.forecasts                                 made series: a minute
    python -m benchmarks.forecasts --sets completejourney          the series of a lake as well

Made series are of four kinds whose best forecast is known. Each is cut, carried on, and what really
came next is held against it: the error of what was served as a share of the best rule's and of that
of whoever knows how the series was made, the share of intervals that held, and how often a model
was served. A set must have been ingested into HOLDFAST_HOME; its own rolling origins are printed.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

# Before NumPy is loaded: threads of small matrices only wait for one another.
os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

import numpy as np

from tasks.clock import find_time
from tasks.forecasts.rolling import forecast
from tasks.forecasts.series import collect_series
from tasks.progress import track
from tasks.settings import load_settings
from tasks.warehouse import open_lake

AHEAD = 8
# Given so many values: those, what comes next, and the best forecast of it.
Made = tuple[np.ndarray, np.ndarray, np.ndarray]


def walk(random: np.random.Generator, periods: int) -> Made:
    """Every change is news: as it was is the best that can be said."""
    values = 500 + np.cumsum(random.normal(size=periods + AHEAD))
    return values[:periods], values[periods:], np.repeat(values[periods - 1], AHEAD)


def level(random: np.random.Generator, periods: int) -> Made:
    """A level with noise around it: the mean is best, and the last value far worse."""
    values = 100 + random.normal(size=periods + AHEAD)
    return values[:periods], values[periods:], np.full(AHEAD, 100.0)


def reverting(random: np.random.Generator, periods: int) -> Made:
    """A deviation from the mean that dies away by a fifth each period."""
    values = np.empty(periods + AHEAD)
    values[0] = random.normal()
    for place in range(1, len(values)):
        values[place] = 0.8 * values[place - 1] + random.normal()
    best = values[periods - 1] * 0.8 ** np.arange(1, AHEAD + 1)
    return values[:periods] + 50, values[periods:] + 50, best + 50


def trend(random: np.random.Generator, periods: int) -> Made:
    """A straight line with noise."""
    line = 100 + 0.5 * np.arange(periods + AHEAD)
    values = line + random.normal(size=len(line))
    return values[:periods], values[periods:], line[periods:]


KINDS: dict[str, Callable[[np.random.Generator, int], Made]] = {
    "walk": walk,
    "level with noise": level,
    "reverting": reverting,
    "trend with noise": trend,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="*", default=[])
    parser.add_argument("--series", type=int, default=30, help="Made series of each kind.")
    arguments = parser.parse_args()
    measure_made(arguments.series)
    for name in arguments.sets:
        measure_set(name)


def measure_made(count: int, periods: int = 52) -> None:
    """Each kind of made series, `periods` weeks long."""
    print(f"{count} made series a kind, {periods} periods, {AHEAD} ahead, 90 % intervals")
    print("kind               by a model  error/rule's  error/best's  held  CPU s/series")
    for kind, make in KINDS.items():
        random = np.random.default_rng(2011)
        served = rules = best = inside = models = 0.0
        started = time.process_time()
        for _ in track(range(count), "carrying on", str):
            values, truth, known = make(random, periods)
            told = forecast(values, AHEAD, 52, origins=20, confidence=0.9, minimum_gain_share=0.05)
            served += float(np.mean(np.abs(told.mean - truth)))
            rules += float(np.mean(np.abs(values[-1] - truth)))
            best += float(np.mean(np.abs(known - truth)))
            inside += float(np.mean((told.low <= truth) & (truth <= told.high)))
            models += told.contest.served_kind == "model"
        seconds = (time.process_time() - started) / count
        print(
            f"{kind:<18} {models / count:>10.0%}  {served / rules:>12.3f}  {served / best:>12.3f}"
            f"  {inside / count:>4.0%}  {seconds:>12.2f}"
        )


def measure_set(name: str) -> None:
    """The series of a deployment, each by the errors of its rolling origins."""
    settings = load_settings(name)
    with open_lake(settings) as lake:
        now = find_time(lake, settings)
        started = time.perf_counter()
        found = collect_series(lake, now.as_of, now.known_by, lake.snapshot(), settings)
        print(f"\n{name}: {len(found.series)} series in {time.perf_counter() - started:.1f} s")
        print("measure           segment  periods  naive  seasonal    ETS  ARIMA  held  CPU s")
        for one in found.series:
            started = time.process_time()
            chosen = settings.forecasts
            told = forecast(
                one.values,
                one.ahead,
                one.period.season,
                origins=chosen.origins,
                confidence=chosen.confidence,
                minimum_gain_share=chosen.minimum_gain_share,
            )
            names = ("naive", "seasonal_naive", "exponential_smoothing", "arima")
            figures = [told.errors.get(method) for method in names]
            cells = ["     -" if figure is None else f"{figure:6.3f}" for figure in figures]
            print(
                f"{one.measure:<17} {one.segment_id or 'all':<8} {len(one.values):>6}  "
                f"{cells[0]}    {cells[1]} {cells[2]} {cells[3]}  {told.coverage_share:>4.0%}"
                f"  {time.process_time() - started:>5.2f}"
            )


if __name__ == "__main__":
    main()
