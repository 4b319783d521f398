"""What is served, how it does against RFM, who keeps a name over refits, and a million assigned.

    HOLDFAST_DATA=... python -m benchmarks.segments                          both shops
    HOLDFAST_DATA=... python -m benchmarks.segments --here -d online_retail

`--here` takes the lakes that were filled before. The figures are those of a night's fit: searched
on one half of the customers, judged on the other.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import ExitStack

import numpy as np

from benchmarks.segment_memory import Customers, Fit, measure_stability
from tasks.segments.baselines import rfm_features
from tasks.segments.candidates import Segmentation, assign_rows
from tasks.segments.contest import Outcome, hold_contest, one_thread, rule_fits
from tasks.segments.data import (
    VALUE_COLUMN,
    Evidence,
    choose_features,
    plan_cutoffs,
    read_evidence,
)
from tasks.segments.search import make_fit
from tasks.settings import HOME_VARIABLE, Settings, load_settings

_MILLION = 1_000_000
_GOAL_SHARE = 0.95
_SHOWN = (
    "stability",
    "usefulness",
    "separation",
    "resampled_rand",
    "resampled_jaccard",
    "monthly_rand",
    "churn_explained",
    "spending_explained",
    "groups",
    "smallest_share",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-d", "--deployment", action="append")
    parser.add_argument("--here", action="store_true", help="use the lakes that are there")
    asked = parser.parse_args()
    deployments = asked.deployment or ["completejourney", "online_retail"]
    with ExitStack() as stack:
        if not asked.here:
            from flows.ingest import ingest

            directory = tempfile.TemporaryDirectory(prefix="holdfast-segments-")
            os.environ[HOME_VARIABLE] = stack.enter_context(directory)
            for deployment in deployments:
                ingest.fn(deployment, "benchmark")
        for deployment in deployments:
            measure_shop(deployment)


def measure_shop(deployment: str) -> None:
    """Print the figures of one shop."""
    settings = load_settings(deployment)
    evidence, features = read_shop(settings)
    cpu, clock = time.process_time(), time.perf_counter()
    outcome = hold_contest(evidence, features, settings.segments)
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    print(f"\n{deployment}: {len(evidence):,} customers, {len(features)} features")
    print(f"served: {outcome.segmentation['method']}\n  {outcome.contest.reason}")
    print(f"chosen: {outcome.search.reason}")
    print(f"search and contest: {cpu:.1f} s CPU, {clock:.1f} s by the clock")
    names = list(outcome.measures)
    print("\n| measure | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for measure in _SHOWN:
        cells = [outcome.measures[name].get(measure) for name in names]
        shown = ["" if cell is None else f"{cell:.3f}" for cell in cells]
        print(f"| {measure} | " + " | ".join(shown) + " |")
    _measure_names(evidence, outcome, settings)
    _measure_speed(evidence, outcome.segmentation)


def read_shop(settings: Settings) -> tuple[Evidence, tuple[str, ...]]:
    """What a night's fit learns from, and the features that it groups by."""
    from tasks.clock import find_time
    from tasks.features.building import build_features
    from tasks.warehouse import open_lake

    with open_lake(settings) as lake:
        now = find_time(lake, settings)
        cutoffs = plan_cutoffs(now.as_of, settings.features)
        table = build_features(
            lake,
            cutoffs,
            now.known_at(cutoffs),
            lake.snapshot(),
            settings.features,
            labels_as_of=now.as_of,
            labels_known_by=now.known_by,
        )
        features = choose_features(lake, table, settings.segments)
        rfm = (name for name in rfm_features(settings.segments) if name in table.feature_names)
        names = tuple(dict.fromkeys([*features, *rfm, VALUE_COLUMN]))
        return read_evidence(lake, table, names, settings.segments), features


def _measure_names(evidence: Evidence, outcome: Outcome, settings: Settings) -> None:
    fit = _served_fit(evidence, outcome, settings)
    customers = Customers("", evidence.customer_ids, evidence.matrix, evidence.names)
    print("\n| ten refits | keep their name, mean | worst | named anew, mean |\n|---|---|---|---|")
    with one_thread():
        for one in measure_stability(customers, fit):
            if one.kind.endswith("old groups"):
                continue  # a night's fit starts from nothing
            goal = f" (goal {_GOAL_SHARE:.0%})" if one.kind == "reshuffled" else ""
            print(
                f"| {one.kind}{goal} | {np.mean(one.kept):.1%} | {min(one.kept):.1%} |"
                f" {np.mean(one.fresh):.1%} |"
            )


def _served_fit(evidence: Evidence, outcome: Outcome, settings: Settings) -> Fit:
    if outcome.rule is not None:
        segmenter = rule_fits(evidence, settings.segments)[outcome.rule]
    else:
        assert outcome.search.chosen is not None
        segmenter = make_fit(evidence.names, outcome.search.chosen.setting, settings.segments)

    def fit(matrix, seed, _start):  # type: ignore[no-untyped-def]
        segmentation = segmenter(matrix, settings.segments.seed + seed)
        return lambda rows: assign_rows(rows, evidence.names, segmentation)

    return fit


def _measure_speed(evidence: Evidence, segmentation: Segmentation) -> None:
    matrix = np.resize(evidence.matrix, (_MILLION, evidence.matrix.shape[1]))
    cpu, clock = time.process_time(), time.perf_counter()
    assign_rows(matrix, evidence.names, segmentation)
    print(
        f"\n{_MILLION:,} customers assigned: {time.process_time() - cpu:.1f} s CPU,"
        f" {time.perf_counter() - clock:.1f} s by the clock"
    )


if __name__ == "__main__":
    main()
