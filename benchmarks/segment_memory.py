"""How well segments keep their names, how well a few conditions tell them, and how long it takes.

    HOLDFAST_DATA=... python -m benchmarks.segment_memory                    both shops
    HOLDFAST_DATA=... python -m benchmarks.segment_memory --here -d online_retail
    python -m benchmarks.segment_memory --speed                              a million customers

K-means with six groups stands in for a tuned segmentation. `--here` takes the lakes that were
filled before. Another segmentation is measured by `measure_stability` and `measure_rules`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from tasks.segments.memory import match_segments
from tasks.segments.naming import name_segments
from tasks.segments.rules import (
    DESCRIBED_SHARE,
    MAXIMUM_CONDITIONS,
    Description,
    describe_segments,
)
from tasks.settings import HOME_VARIABLE, load_settings

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
# A model made from a matrix of features with a seed: it gives each row of a matrix its label. Where
# it is also given the old label of each row, it may start from the old groups.
Assign = Callable[[Floats], Indices]
Fit = Callable[[Floats, int, Indices | None], Assign]

REFITS = 10
GOAL_SHARE = 0.95
_GROUPS = 6
_MONTH_DAYS = 30
FEATURES = (
    "recency_days",
    "order_days_365",
    "amount_365",
    "amount_an_order_day",
    "gap_median_days",
    "discount_share_365",
    "return_share_365",
    "categories_total",
    "tenure_days",
    "order_days_trend",
)


@dataclass(frozen=True, slots=True)
class Customers:
    """Customers of one cut-off: ids (n,) and features (n, p), NaN for NULL; their lake table."""

    table: str
    ids: NDArray[np.object_]
    matrix: Floats
    feature_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stability:
    """Shares of customers who keep their name over refits of one kind, one share a refit.

    `kept` is with memory, `fresh` if every refit named its groups anew.
    """

    kind: str
    kept: tuple[float, ...]
    fresh: tuple[float, ...]


def measure_stability(customers: Customers, fit: Fit, refits: int = REFITS) -> list[Stability]:
    """Refit on reshuffled rows, with other seeds, and on resampled customers; who keeps a name.

    Each refit is matched to the first fit by the customers of both, as a night does. A resample
    is drawn with replacement; the model made from it assigns everybody. The last kind starts from
    the old groups instead of from nothing.
    """
    matrix, names = customers.matrix, customers.feature_names
    labels = fit(matrix, 0, None)(matrix)
    first = match_segments([], [], customers.ids, labels)
    called = name_segments(matrix, names, first.segment_ids).names
    before = np.array([called[key].en for key in first.segment_ids])

    def compare(again: Indices) -> tuple[float, float]:
        found = match_segments(customers.ids, first.segment_ids, customers.ids, again)
        shares = []
        for kept in (called, {}):
            now = name_segments(matrix, names, found.segment_ids, kept=kept).names
            texts = np.array([now[key].en for key in found.segment_ids])
            shares.append(float(np.mean(texts == before)))
        return shares[0], shares[1]

    def refit(kind: str) -> Iterator[tuple[float, float]]:
        random = np.random.default_rng(1)
        for number in range(1, refits + 1):
            rows = np.arange(len(matrix))
            if kind == "reshuffled":
                rows = random.permutation(len(matrix))
            elif kind.startswith("resampled"):
                rows = random.choice(len(matrix), size=len(matrix))
            seed = number if kind == "another seed" else 0
            start = labels[rows] if kind.endswith("old groups") else None
            yield compare(fit(matrix[rows], seed, start)(matrix))

    measured = []
    for kind in ("reshuffled", "another seed", "resampled", "resampled, from the old groups"):
        shares = list(refit(kind))
        measured.append(Stability(kind, tuple(s[0] for s in shares), tuple(s[1] for s in shares)))
    return measured


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """How well one way of telling the segments does.

    `agreement_share`: customers given their own segment. `worst_*`: the worst segment's share of
    customers put right in or out, and its smaller one of precision and recall. `described` counts
    segments with both at 90 % or more, `conditions` the most that a segment has.
    """

    way: str
    agreement_share: float
    worst_agreement_share: float
    worst_share: float
    described: int
    conditions: int
    seconds: float


def measure_rules(customers: Customers, segment_ids: NDArray[np.object_]) -> list[RuleFigures]:
    """Our rules beside trees: one for all segments, and one a segment, of as many conditions."""
    started = time.perf_counter()
    found = describe_segments(customers.matrix, customers.feature_names, segment_ids)
    seconds = time.perf_counter() - started
    rules = found.rules.values()
    figures = [
        RuleFigures(
            "one rule a segment",
            found.agreement_share,
            min(rule.agreement_share for rule in rules),
            min(min(rule.precision_share, rule.recall_share) for rule in rules),
            sum(rule.is_described for rule in rules),
            max(len(rule.conditions) for rule in rules),
            seconds,
        )
    ]
    keys = np.unique(segment_ids.astype(str))
    for way, leaves in (
        (f"a tree for all, {MAXIMUM_CONDITIONS} deep", 2**MAXIMUM_CONDITIONS),
        ("a tree for all, 12 leaves", 12),
    ):
        started = time.perf_counter()
        told = _grow(customers.matrix, segment_ids.astype(str), leaves)
        chosen = {key: told == key for key in keys}
        figures.append(
            _judge(way, segment_ids, chosen, leaves, time.perf_counter() - started, told)
        )
    started = time.perf_counter()
    chosen = {
        key: _grow(customers.matrix, segment_ids == key, MAXIMUM_CONDITIONS + 1) for key in keys
    }
    seconds = time.perf_counter() - started
    told = _surest_first(segment_ids, chosen)
    figures.append(
        _judge("a tree a segment", segment_ids, chosen, MAXIMUM_CONDITIONS + 1, seconds, told)
    )
    return figures


def _grow(matrix: Floats, labels: NDArray[np.generic], leaves: int) -> NDArray[np.generic]:
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(
        max_depth=MAXIMUM_CONDITIONS, max_leaf_nodes=leaves, random_state=0
    )
    grown: NDArray[np.generic] = tree.fit(matrix, labels).predict(matrix)
    return grown


def _surest_first(
    segment_ids: NDArray[np.object_], chosen: dict[str, NDArray[np.generic]]
) -> NDArray[np.object_]:
    """One segment for everybody: the surest tree's, the largest segment for whom none claims."""
    own = {key: segment_ids == key for key in chosen}
    precision = {key: float(own[key][chosen[key].astype(bool)].mean()) for key in chosen}
    told = np.full(len(segment_ids), max(own, key=lambda key: own[key].sum()), dtype=object)
    for key in sorted(chosen, key=lambda key: precision[key]):
        told[chosen[key].astype(bool)] = key
    return told


def _judge(
    way: str,
    segment_ids: NDArray[np.object_],
    chosen: dict[str, NDArray[np.generic]],
    leaves: int,
    seconds: float,
    told: NDArray[np.generic],
) -> RuleFigures:
    agreements, worst = [], []
    for key, selected in chosen.items():
        own, right = segment_ids == key, (segment_ids == key) & selected.astype(bool)
        agreements.append(float(np.mean(own == selected)))
        worst.append(float(min(right.sum() / max(1, selected.sum()), right.sum() / own.sum())))
    described = sum(share >= DESCRIBED_SHARE for share in worst)
    agreement = float(np.mean(told == segment_ids))
    # A tree of so many leaves asks one condition less.
    return RuleFigures(way, agreement, min(agreements), min(worst), described, leaves - 1, seconds)


def fit_k_means(matrix: Floats, seed: int, start: Indices | None = None) -> Assign:
    """The stand-in: logarithms, standard scores, six groups; from those of `start` where given."""
    from sklearn.cluster import KMeans

    def change(values: Floats) -> Floats:
        logs = np.sign(values) * np.log1p(np.abs(values))
        return np.asarray(np.where(np.isnan(logs), middle, logs), dtype=np.float64)

    middle = np.zeros(matrix.shape[1])
    known = ~np.isnan(matrix).all(axis=0)
    logs = np.sign(matrix) * np.log1p(np.abs(matrix))
    middle[known] = np.nanmedian(logs[:, known], axis=0)
    changed = change(matrix)
    low, high = np.quantile(changed, [0.005, 0.995], axis=0)
    clipped = np.clip(changed, low, high)
    mean, spread = clipped.mean(axis=0), clipped.std(axis=0)
    spread[spread == 0] = 1.0
    points = (clipped - mean) / spread
    groups = np.unique(start) if start is not None else np.empty(0, dtype=np.int64)
    if len(groups) == _GROUPS:
        centres = np.array([points[start == group].mean(axis=0) for group in groups])
        model = KMeans(_GROUPS, n_init=1, init=centres).fit(points)
    else:
        model = KMeans(_GROUPS, n_init=10, random_state=seed).fit(points)

    def assign(values: Floats) -> Indices:
        labels: Indices = model.predict((np.clip(change(values), low, high) - mean) / spread)
        return labels

    return assign


def read_customers(deployment: str, months_ago: Sequence[int] = (1, 0)) -> list[Customers]:
    """The customers of the lake's newest night and of the months before, oldest first."""
    from tasks.clock import find_time
    from tasks.features.building import build_features
    from tasks.warehouse import open_lake, quote

    settings = load_settings(deployment)
    found = []
    with open_lake(settings) as lake:
        now = find_time(lake, settings)
        for months in months_ago:
            as_of = now.as_of - timedelta(days=_MONTH_DAYS * months)
            table = build_features(
                lake, (as_of,), now.known_at((as_of,)), lake.snapshot(), settings.features
            )
            listed = ", ".join(quote(name) for name in FEATURES)
            rows = lake.arrow(
                f"select customer_id, {listed} from lake.{quote(table.table)} order by customer_id"
            )
            columns = [rows[name].to_numpy() for name in FEATURES]
            found.append(
                Customers(
                    f"lake.{quote(table.table)}",
                    np.asarray(rows["customer_id"].to_pylist(), dtype=object),
                    np.column_stack(columns).astype(np.float64),
                    FEATURES,
                )
            )
    return found


def count_other_answers(deployment: str, customers: Customers, found: Description) -> int:
    """For how many the SQL of the rules says in the lake what they do not say in Python."""
    from tasks.warehouse import open_lake

    predicates = ", ".join(
        f"coalesce({rule.sql}, false) as {key}" for key, rule in found.rules.items()
    )
    with open_lake(load_settings(deployment)) as lake:
        rows = lake.rows(
            f"select {found.case_sql} as told, {predicates} from {customers.table}"
            " order by customer_id"
        )
    places = {name: place for place, name in enumerate(found.feature_names)}
    differs = np.array([row["told"] for row in rows], dtype=object) != found.assign(
        customers.matrix
    )
    for key, rule in found.rules.items():
        selected = rule.selects(customers.matrix, places)
        differs |= np.array([row[key] for row in rows]) != selected
    return int(np.count_nonzero(differs))


def measure_shop(deployment: str) -> None:
    """Print the figures of one shop."""
    before, now = read_customers(deployment)
    matrix = now.matrix
    assign = fit_k_means(matrix, 0)
    found = match_segments([], [], now.ids, assign(matrix))
    names = name_segments(matrix, now.feature_names, found.segment_ids).names
    print(f"\n{deployment}: {len(now.ids):,} customers, {_GROUPS} groups by K-means")
    description = describe_segments(matrix, now.feature_names, found.segment_ids)
    for key, rule in description.rules.items():
        size = int((found.segment_ids == key).sum())
        print(
            f"  {key} {names[key].en} ({names[key].ko}), {size:,}: precision"
            f" {rule.precision_share:.0%}, recall {rule.recall_share:.0%},"
            f" right {rule.agreement_share:.1%}\n      {' and '.join(rule.texts)}"
        )
    print("| told by | own segment | worst segment put right | its precision or recall |"
          " described | conditions | seconds |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for one in measure_rules(now, found.segment_ids):
        print(
            f"| {one.way} | {one.agreement_share:.1%} | {one.worst_agreement_share:.1%} |"
            f" {one.worst_share:.0%} | {one.described} of {len(names)} | {one.conditions} |"
            f" {one.seconds:.2f} |"
        )
    other = count_other_answers(deployment, now, description)
    print(f"DuckDB gives {other} of {len(now.ids):,} customers another answer than Python")
    # The rules of a month ago for whom the model of then calls so today.
    old = fit_k_means(before.matrix, 0)
    then = match_segments([], [], before.ids, old(before.matrix))
    told = describe_segments(before.matrix, before.feature_names, then.segment_ids)
    today = np.array([then.ids[int(label)] for label in old(matrix)], dtype=object)
    print(
        f"rules of a month ago: {told.agreement_share:.1%} then,"
        f" {np.mean(told.assign(matrix) == today):.1%} today"
    )
    again = match_segments(now.ids, today, now.ids, assign(matrix))
    kinds = ", ".join(f"{event.event} {event.segment_id}" for event in again.events)
    print(f"refitted a month later: {kinds}")
    print("| refit | keep their name, mean | worst | named anew, mean |\n|---|---|---|---|")
    for one in measure_stability(now, fit_k_means):
        print(
            f"| {one.kind} | {np.mean(one.kept):.1%} | {min(one.kept):.1%} |"
            f" {np.mean(one.fresh):.1%} |"
        )


def measure_speed(rows: int) -> None:
    """Print the seconds for made-up customers."""
    random = np.random.default_rng(0)
    matrix = np.exp(random.normal(3, 1, (rows, len(FEATURES))))
    matrix[random.random(matrix.shape) < 0.05] = np.nan
    labels = (np.nan_to_num(matrix[:, 0]) > 20).astype(np.int64) * 3
    labels += np.digitize(np.nan_to_num(matrix[:, 2]), [15, 40])
    customers = np.char.mod("c%08d", np.arange(rows)).astype(object)
    segment_ids = match_segments([], [], customers, labels).segment_ids
    works: dict[str, Callable[[], object]] = {
        "matched and moved": lambda: match_segments(customers, segment_ids, customers, labels),
        "named": lambda: name_segments(matrix, FEATURES, segment_ids),
        "described": lambda: describe_segments(matrix, FEATURES, segment_ids),
    }
    print(f"{rows:,} customers, {len(FEATURES)} features, {len(np.unique(labels))} segments")
    for name, work in works.items():
        cpu, clock = time.process_time(), time.perf_counter()
        work()
        print(
            f"  {name:18} {time.process_time() - cpu:6.1f} s CPU"
            f" {time.perf_counter() - clock:6.1f} s"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-d", "--deployment", action="append")
    parser.add_argument("--here", action="store_true", help="use the lakes that are there")
    parser.add_argument("--speed", action="store_true", help="a million made-up customers")
    asked = parser.parse_args()
    if asked.speed:
        measure_speed(1_000_000)
        return
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


if __name__ == "__main__":
    main()
