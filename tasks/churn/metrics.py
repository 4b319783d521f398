"""How well probabilities rank, how true they are, and how sure we are of either.

Every figure is a weighted one, so that one pass over sorted scores gives the estimate (all weights
1) and its bootstrap replicates (weights: how often a customer was drawn). Whole customers are
drawn, not rows: a customer at several cut-offs is one piece of evidence, and treating his rows as
independent would make the intervals too narrow.

Shapes: `churned` and `probability` (n,), `weights` (b, n); a figure is (b,).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.churn.data import Floats, Indices
from tasks.churn.profit import expected_maximum_profit
from tasks.economics import Economics
from tasks.handles import Interval

# Replicates are made this many rows times replicates at a time, which bounds the memory (64 MB).
_CHUNK_CELLS = 8_000_000
CALIBRATION_BINS = 10
# Expected maximum profit needs a convex hull for each replicate; a fifth of them is enough for an
# interval, and hulls of more score groups than this differ in the fourth digit.
_HULL_SHARE = 5
_HULL_GROUPS = 500
# What is compared and reported, in this order.
METRICS = (
    "auc",
    "average_precision",
    "log_loss",
    "brier",
    "calibration_error",
    "top_decile_lift",
    "profit_amount",
    "expected_maximum_profit_amount",
)


@dataclass(frozen=True)
class Ranking:
    """Rows in the order of their probability, highest first, and where equal ones end.

    Equal probabilities form one group: within it no order is known, so curves run straight
    through it (Fawcett 2006, section 5).
    """

    order: Indices
    ends: Indices

    @classmethod
    def of(cls, probability: Floats) -> Ranking:
        order = np.argsort(-probability, kind="stable").astype(np.int64)
        ranked = probability[order]
        ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)).astype(np.int64)
        return cls(order, ends)

    def cumulate(self, weights: Floats) -> Floats:
        """Weight of all rows up to each group's end; (b, n) -> (b, groups)."""
        running: Floats = np.cumsum(weights[:, self.order], axis=1)[:, self.ends]
        return running


@dataclass(frozen=True)
class Replicates:
    """Estimates and their bootstrap replicates, by metric."""

    estimates: Mapping[str, float]
    drawn: Mapping[str, Floats]

    def interval(self, metric: str, confidence: float) -> Interval:
        """(estimate, low, high); NaN bounds where no replicate could be computed."""
        estimate, drawn = self.estimates[metric], self.drawn[metric]
        drawn = drawn[np.isfinite(drawn)]
        if not np.isfinite(estimate) or len(drawn) == 0:
            return float(estimate), float("nan"), float("nan")
        tail = (1 - confidence) / 2
        low, high = np.quantile(drawn, [tail, 1 - tail])
        if metric == "calibration_error":
            # A sum of absolute gaps grows when noise is added, so its replicates sit above the
            # estimate; the reflected ("basic") interval takes that bias off again.
            low, high = max(0.0, 2 * estimate - high), max(0.0, 2 * estimate - low)
        return float(estimate), float(low), float(high)

    def intervals(self, confidence: float) -> dict[str, Interval]:
        return {metric: self.interval(metric, confidence) for metric in self.estimates}


def measure(
    churned: NDArray[np.bool_],
    probability: Floats,
    value_amount: Floats,
    customers: Indices,
    economics: Economics,
    *,
    resamples: int,
    seed: int,
) -> Replicates:
    """All metrics with replicates. The same `customers` and `seed` draw the same customers.

    So replicates of two models on the same rows can be subtracted: a paired bootstrap.
    """
    figures = _Figures(churned, probability, value_amount, economics)
    ones = np.ones((1, len(churned)))
    estimates = {name: float(values[0]) for name, values in figures.of(ones).items()}
    estimates["expected_maximum_profit_amount"] = figures.maximum_profit(ones[0])
    parts: dict[str, list[Floats]] = {name: [] for name in METRICS}
    done = 0
    for weights in draw_weights(customers, resamples, seed):
        for name, values in figures.of(weights).items():
            parts[name].append(values)
        hulls = [
            figures.maximum_profit(row)
            for number, row in enumerate(weights, start=done)
            if number % _HULL_SHARE == 0
        ]
        parts["expected_maximum_profit_amount"].append(np.asarray(hulls))
        done += len(weights)
    drawn = {n: np.concatenate(p) if p else np.empty(0) for n, p in parts.items()}
    return Replicates({name: estimates[name] for name in METRICS}, drawn)


def compare(left: Replicates, right: Replicates, confidence: float) -> dict[str, Interval]:
    """`left` minus `right` on the same rows and draws, each with a paired interval."""
    result = {}
    tail = (1 - confidence) / 2
    for metric in METRICS:
        gaps = left.drawn[metric] - right.drawn[metric]
        gaps = gaps[np.isfinite(gaps)]
        low, high = np.quantile(gaps, [tail, 1 - tail]) if len(gaps) else (np.nan, np.nan)
        estimate = left.estimates[metric] - right.estimates[metric]
        result[metric] = (float(estimate), float(low), float(high))
    return result


def draw_weights(customers: Indices, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each row counts in each replicate, in chunks of shape (b, n).

    As many customers as there are, drawn with replacement; a customer brings all of his rows.
    """
    _, codes = np.unique(customers, return_inverse=True)
    count = int(codes.max()) + 1 if len(codes) else 0
    rng = np.random.default_rng(seed)
    at_once = max(1, min(resamples, _CHUNK_CELLS // max(1, len(codes))))
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        weights = np.empty((size, len(codes)))
        for row in range(size):
            drawn = np.bincount(rng.integers(0, count, count), minlength=count)
            weights[row] = drawn[codes]
        yield weights


def area_under_curve(churned: NDArray[np.bool_], probability: Floats) -> float:
    """Area under the ROC curve; ties count half. NaN where only one class is there."""
    return float(weigh_auc(churned, Ranking.of(probability), np.ones((1, len(churned))))[0])


def average_precision(churned: NDArray[np.bool_], probability: Floats) -> float:
    """Mean precision at the churners, equal probabilities taken together (as scikit-learn)."""
    return float(_ap(churned, Ranking.of(probability), np.ones((1, len(churned))))[0])


class _Figures:
    """The metrics of one set of probabilities, ready to be weighted many times."""

    def __init__(
        self,
        churned: NDArray[np.bool_],
        probability: Floats,
        value_amount: Floats,
        economics: Economics,
    ) -> None:
        self.churned = churned
        self.ranking = Ranking.of(probability)
        self.economics = economics
        clipped = np.clip(probability, 1e-15, 1 - 1e-15)
        self.log_loss = -np.where(churned, np.log(clipped), np.log1p(-clipped))
        self.squared = (probability - churned) ** 2
        self.gap = probability - churned
        # Bins of equally many rows, fixed before resampling (adaptive calibration error).
        rank = np.empty(len(churned), dtype=np.int64)
        rank[self.ranking.order[::-1]] = np.arange(len(churned))
        self.bins = rank * CALIBRATION_BINS // max(1, len(churned))
        self.clv = economics.margins(value_amount)
        returns = economics.expected_returns(probability, value_amount)
        self.contact_order = np.argsort(-returns, kind="stable")
        self.contact_order = self.contact_order[returns[self.contact_order] > 0]
        self.realised = economics.realised_returns(churned, value_amount)[self.contact_order]
        groups = np.searchsorted(self.ranking.ends, np.arange(len(churned)))
        groups = groups * _HULL_GROUPS // max(_HULL_GROUPS, len(self.ranking.ends))
        self.groups = np.empty(len(churned), dtype=np.int64)
        self.groups[self.ranking.order] = groups

    def of(self, weights: Floats) -> dict[str, Floats]:
        total = weights.sum(axis=1)
        return {
            "auc": weigh_auc(self.churned, self.ranking, weights),
            "average_precision": _ap(self.churned, self.ranking, weights),
            "log_loss": weights @ self.log_loss / total,
            "brier": weights @ self.squared / total,
            "calibration_error": self._calibration_error(weights, total),
            "top_decile_lift": _lift(self.churned, self.ranking, weights, 0.1),
            "profit_amount": self._profit(weights),
        }

    def maximum_profit(self, weights: Floats) -> float:
        size = int(self.groups.max()) + 1
        churners = np.bincount(self.groups, weights * self.churned, size).astype(float)
        stayers = np.bincount(self.groups, weights * ~self.churned, size).astype(float)
        total = weights.sum()
        mean_value = float(weights @ self.clv / total) if total else float("nan")
        return expected_maximum_profit(churners, stayers, mean_value, self.economics)

    def _calibration_error(self, weights: Floats, total: Floats) -> Floats:
        error = np.zeros(len(weights))
        for number in range(CALIBRATION_BINS):
            inside = self.bins == number
            error += np.abs(weights[:, inside] @ self.gap[inside])
        result: Floats = error / total
        return result

    def _profit(self, weights: Floats) -> Floats:
        """Realised return of contacting from the top until the budget's contacts are used up."""
        chosen = weights[:, self.contact_order]
        before = np.cumsum(chosen, axis=1) - chosen
        contacted = np.clip(self.economics.affordable_contacts - before, 0, chosen)
        profit: Floats = contacted @ self.realised
        return profit


def weigh_auc(churned: NDArray[np.bool_], ranking: Ranking, weights: Floats) -> Floats:
    positive = ranking.cumulate(weights * churned)
    negative = ranking.cumulate(weights * ~churned)
    height = np.diff(negative, axis=1, prepend=0.0)
    # Pairs won: for each stayer, churners ranked above, and half of those tied with him.
    middle = positive - np.diff(positive, axis=1, prepend=0.0) / 2
    pairs = positive[:, -1] * negative[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        area: Floats = np.where(pairs > 0, (height * middle).sum(axis=1) / pairs, np.nan)
    return area


def _ap(churned: NDArray[np.bool_], ranking: Ranking, weights: Floats) -> Floats:
    positive = ranking.cumulate(weights * churned)
    everyone = ranking.cumulate(weights)
    gained = np.diff(positive, axis=1, prepend=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(everyone > 0, positive / everyone, 0.0)
        total = positive[:, -1]
        mean: Floats = np.where(total > 0, (gained * precision).sum(axis=1) / total, np.nan)
    return mean


def _lift(churned: NDArray[np.bool_], ranking: Ranking, weights: Floats, share: float) -> Floats:
    """Share of churners among the top `share`, over the share among all; ties shared out."""
    positive = ranking.cumulate(weights * churned)
    everyone = ranking.cumulate(weights)
    lift = np.empty(len(weights))
    for row in range(len(weights)):
        wanted = share * everyone[row, -1]
        found = np.interp(wanted, np.append(0, everyone[row]), np.append(0, positive[row]))
        base = positive[row, -1]
        lift[row] = found / base / share if base > 0 else np.nan
    return lift
