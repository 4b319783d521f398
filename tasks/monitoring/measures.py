"""How good scores were, once outcomes are known; and how good they should be, before they are.

An AUC's interval is DeLong's, a share's and a sum's are normal: no resampling, so that a night
pays milliseconds for a week. Without outcomes the probabilities are taken at their word
(calibration-based performance estimation): whoever has p leaves with chance p, and what follows
for AUC and profit is drawn. It sees a change of inputs, never a change of what they mean.
"""

from __future__ import annotations

import numpy as np

from tasks.handles import Interval
from tasks.monitoring.money import Flags, Floats, Money
from tasks.significance import deviation_of

_BINS = 10


def measure_gap(churned: Flags, probability: Floats) -> tuple[float, float]:
    """Calibration in the large: share that left less the predicted one, and its standard error.

    The error is that of outcomes drawn with the predicted chances, and of those observed: the
    larger of the two, so that nobody having left does not look certain.
    """
    rows = len(churned)
    gap = float(churned.mean() - probability.mean())
    drawn = float(np.sum(probability * (1 - probability)))
    observed = float(np.var(churned - probability) * rows)
    return gap, float(np.sqrt(max(drawn, observed))) / rows


def measure_calibration_error(churned: Flags, probability: Floats) -> float:
    """Expected calibration error over ten bins of equally many customers.

    Of customers with equal probabilities no order is known: they share what became of them.
    """
    _, place, counts = np.unique(probability, return_inverse=True, return_counts=True)
    shared = (np.bincount(place, weights=churned) / counts)[place] - probability
    parts = np.array_split(np.argsort(place, kind="stable"), _BINS)
    return sum(abs(float(shared[part].sum())) for part in parts) / max(1, len(churned))


def measure_profit(
    churned: Flags, expected: Floats, value_amount: Floats, money: Money
) -> tuple[float, float]:
    """What the list at the budget has brought, and its standard error over customers like these."""
    chosen = money.choose(expected)
    if not len(chosen):
        return 0.0, 0.0
    brought = money.returns(churned[chosen].astype(np.float64), value_amount[chosen])
    spread = float(brought.std(ddof=1)) if len(chosen) > 1 else float(abs(brought[0]))
    return float(brought.sum()), spread * float(np.sqrt(len(chosen)))


def make_interval(estimate: float, error: float, confidence: float) -> Interval:
    """(estimate, low, high) by the normal law."""
    reach = deviation_of(confidence) * error
    return estimate, estimate - reach, estimate + reach


def estimate_auc(probability: Floats) -> float:
    """The AUC that these probabilities promise if they are right, ties counting half."""
    order = np.argsort(probability, kind="stable")
    ranked = probability[order]
    _, starts, counts = np.unique(ranked, return_index=True, return_counts=True)
    leaves = np.add.reduceat(ranked, starts)
    stays = counts - leaves
    below = np.cumsum(stays) - stays
    # A pair is two customers: nobody is compared with himself.
    own = np.add.reduceat(ranked * (1 - ranked), starts)
    won = float(np.sum(leaves * below + (leaves * stays - own) / 2))
    pairs = float(leaves.sum() * stays.sum() - own.sum())
    return won / pairs if pairs > 0 else float("nan")


def estimate_performance(
    probability: Floats,
    expected: Floats,
    value_amount: Floats,
    money: Money,
    *,
    calibration_error: float,
    simulations: int,
    confidence: float,
    seed: int,
) -> tuple[Interval, Interval, Interval]:
    """AUC, profit of the list, and share that leaves, each with an interval; no outcome is known.

    Outcomes are drawn with the probabilities, which in each draw are all off together by as much
    as the calibration was found to be in the champion's final test (`calibration_error`, a share).
    """
    random = np.random.default_rng(seed)
    mean = float(probability.mean())
    spread = calibration_error / max(1e-6, mean * (1 - mean))
    logit = np.log(np.clip(probability, 1e-9, 1 - 1e-9)) - np.log1p(
        -np.clip(probability, 1e-9, 1 - 1e-9)
    )
    ranks = _mid_ranks(probability)
    chosen = money.choose(expected)
    drawn = np.empty((simulations, 3))
    for number in range(simulations):
        chance = 1 / (1 + np.exp(-(logit + random.normal(0.0, spread))))
        left = random.random(len(chance)) < chance
        leavers = int(left.sum())
        stayers = len(left) - leavers
        pairs = leavers * stayers
        won = float(ranks[left].sum()) - leavers * (leavers + 1) / 2
        brought = money.returns(left[chosen].astype(np.float64), value_amount[chosen])
        drawn[number] = won / pairs if pairs else np.nan, brought.sum(), leavers / len(left)
    profit = float(money.returns(probability[chosen], value_amount[chosen]).sum())
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
    estimates = (estimate_auc(probability), profit, mean)
    found = [(one, float(low[i]), float(high[i])) for i, one in enumerate(estimates)]
    return found[0], found[1], found[2]


def _mid_ranks(values: Floats) -> Floats:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Floats = (ends - (counts - 1) / 2)[place]
    return ranks
