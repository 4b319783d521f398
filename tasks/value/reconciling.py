"""One answer from two models: value that agrees with churn.

The churn model says with which probability c a customer orders nothing within the churn horizon.
The value model says the same in its own words, the probability p of an order within that horizon,
and it says s, the probability of an order if the customer is alive. Of one customer only one of
these can be right; churn has seen everything that is known, so it is believed. What p stands for
in an amount depends on who predicted it: the purchase model's own p, the first stage of what was
learnt, and for a rule, which knows no probability, that of the purchase model:

    factor            (1 - c) / p            what the chance of an order is corrected by
    spend             spend x factor         spend if they order at all is left as it was
    orders            orders x factor        by the purchase model's own p
    alive probability min(1, (1 - c) / s)    p = P(alive) x s, solved for P(alive)

From which follows, of every customer: churn 1 means value 0; a higher churn never means a higher
value or alive probability; alive probability >= 1 - c, since who orders is alive; and where the
models agree (p = 1 - c) nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.worth import ContradictionSettings

Floats = NDArray[np.float64]

# A chance of an order below it counts as this much: one that was never seen to be so small cannot
# multiply a customer's spend by a thousand.
LEAST_ORDER_PROBABILITY = 0.02

_GROUP_CUSTOMERS = 50
_MOST_GROUPS = 100

CODES = (
    "alive_for_certain",
    "leaving_but_valuable",
    "leaving_but_ordering",
    "staying_but_gone",
)


@dataclass(frozen=True, slots=True)
class Curve:
    """Probability of an order within the churn horizon by a score: it never descends."""

    score: Floats
    probability: Floats

    def at(self, score: Floats) -> Floats:
        return np.interp(score, self.score, self.probability)


def find_curve(score: Floats, ordered: NDArray[np.bool_]) -> Curve:
    """What a score said of an order within the churn horizon, at the judged cut-off.

    By isotonic regression of groups of equal size: a probability over another horizon, or one that
    is off in its level, becomes one of this horizon. Of single customers the regression would end
    in a tail of 0, "none of the three lowest ordered", and divide by it.
    """
    from sklearn.isotonic import IsotonicRegression

    places = np.argsort(score, kind="stable")
    groups = np.array_split(places, max(1, min(_MOST_GROUPS, len(places) // _GROUP_CUSTOMERS)))
    means = np.array([score[group].mean() for group in groups])
    shares = np.array([ordered[group].mean() for group in groups])
    sizes = np.array([len(group) for group in groups])
    fitted = IsotonicRegression(y_min=LEAST_ORDER_PROBABILITY, y_max=1.0).fit_transform(
        means, shares, sample_weight=sizes
    )
    return Curve(means, np.asarray(fitted, dtype=np.float64))


def correct(amount: Floats, order_probability: Floats, churn_probability: Floats) -> Floats:
    """The amount times (1 - churn) / order probability. NaN churn leaves it as it was."""
    factor = (1 - churn_probability) / np.maximum(order_probability, LEAST_ORDER_PROBABILITY)
    return np.where(np.isnan(churn_probability), amount, amount * factor)


def correct_alive(alive: Floats, order_if_alive: Floats, churn_probability: Floats) -> Floats:
    """min(1, (1 - churn) / P(order if alive)). NaN churn leaves `alive` as it was."""
    corrected = np.minimum(1.0, (1 - churn_probability) / np.maximum(order_if_alive, 1e-12))
    return np.where(np.isnan(churn_probability), alive, corrected)


def find_contradictions(
    *,
    frequency: Floats,
    certain_alive: Floats,
    alive: Floats,
    order_probability: Floats,
    spend: Floats,
    churn_probability: Floats,
    limits: ContradictionSettings,
) -> NDArray[np.int64]:
    """The place in CODES of each customer's contradiction, the first that holds; -1: none.

    `certain_alive` is P(alive) under BG/NBD, by which nobody stops before a second order; `alive`
    that of MBG/NBD. `spend` is before anything is reconciled.
    """
    leaving = churn_probability >= limits.high_churn_probability
    staying = churn_probability <= limits.low_churn_probability
    valuable = np.zeros(len(spend), dtype=bool)
    if len(spend):
        valuable = (spend > 0) & (spend >= np.quantile(spend, 1 - limits.valuable_share))
    holds = (
        leaving & (frequency == 0) & (certain_alive >= 1 - 1e-9),
        leaving & valuable,
        leaving & (order_probability >= limits.high_churn_probability),
        staying & (alive <= limits.low_alive_probability),
    )
    code = np.full(len(spend), -1, dtype=np.int64)
    for place in reversed(range(len(CODES))):
        code[holds[place]] = place
    return code
