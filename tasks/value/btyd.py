"""Buy till you die: how often customers order and when they stop, by maximum likelihood.

Two models of the same kind. While alive, a customer orders at a rate of their own, gamma
distributed (r, alpha); after each order they stop for good with a probability of their own, beta
distributed (a, b):

    bg_nbd    Fader, Hardie and Lee (2005), "Counting Your Customers" the Easy Way: nobody stops
              before their second order, so whoever ordered once is alive for certain
    mbg_nbd   Batislam, Denizel and Filiztekin (2007): the first order may be the last, too

Arrays are float64 of one shape: `frequency` orders after the first, `recency` time from the first
to the last order, `age` time from the first order to now, all times in one unit (weeks here). The
likelihood depends on a customer by these three alone, so equal rows are counted, not repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.errors import DataRejected

Floats = NDArray[np.float64]
Kind = Literal["bg_nbd", "mbg_nbd"]

# Starts of the search, as (r, alpha over the mean age, a, b).
_STARTS = ((0.5, 0.3, 0.6, 2.0), (1.5, 0.5, 0.3, 8.0), (0.2, 0.1, 1.5, 1.5))
# Where parameters are looked for, alpha over the mean age: beyond, they no longer change a figure
# (a beta distribution of a + b = 1100 is a point), and powers of them overflow.
_BOUNDS = ((1e-3, 1e3), (1e-4, 1e4), (1e-4, 100.0), (1e-4, 1000.0))
_SEARCH_ROWS = 10_000
_NEAR_ONE = 1e-5
_MOST_TERMS = 200_000
_PRECISION = 1e-13


@dataclass(frozen=True, slots=True)
class Counts:
    """Collapsed customers: `customers[i]` of them share the row i. Times in weeks."""

    frequency: Floats
    recency: Floats
    age: Floats
    customers: Floats

    def __len__(self) -> int:
        return len(self.frequency)


@dataclass(frozen=True, slots=True)
class PurchaseModel:
    """A fitted model. `log_likelihood` is the sum over customers; times in weeks."""

    kind: Kind
    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float

    @property
    def parameters(self) -> dict[str, float]:
        return {"r": self.r, "alpha": self.alpha, "a": self.a, "b": self.b}


def fit_purchases(counts: Counts, kind: Kind) -> PurchaseModel:
    """The parameters that make the counts most likely.

    Raises DataRejected (65) where nobody has ordered twice, or the ages leave nothing to learn.
    """
    _require_sound(counts)
    starts = [np.log(start) for start in _STARTS]
    scale = float(np.average(counts.age, weights=counts.customers))
    for start in starts:
        start[1] += np.log(scale)
    step = len(counts) // _SEARCH_ROWS
    if step > 1:
        # Where the hill is shows a part of the rows; all of them only climb the last of it.
        part = Counts(*(column[::step] for column in _columns(counts)))
        starts = [_climb(part, kind, starts, scale)[0]]
    logs, value = _climb(counts, kind, starts, scale)
    r, alpha, a, b = (float(one) for one in np.exp(logs))
    return PurchaseModel(kind, r, alpha, a, b, -value * float(counts.customers.sum()))


def _climb(counts: Counts, kind: Kind, starts: list[Floats], scale: float) -> tuple[Floats, float]:
    """The best end of the climbs: logarithms of the parameters, minus the mean log likelihood."""
    from scipy.optimize import minimize

    likelihood = _Likelihood(counts, kind)
    bounds = [
        tuple(np.log(np.array(pair) * (scale if place == 1 else 1.0)))
        for place, pair in enumerate(_BOUNDS)
    ]
    best: Any = None
    for start in starts:
        found = minimize(
            likelihood,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8},
        )
        if np.isfinite(found.fun) and (best is None or found.fun < best.fun - 1e-9):
            best = found
        elif best is not None:
            break  # a second start that ends no lower: it is the same hill
    if best is None:
        raise DataRejected(
            "The purchase model finds no parameters for these orders.",
            next_step="look at the orders: amounts and dates that cannot be",
        )
    return best.x, float(best.fun)


def _columns(counts: Counts) -> tuple[Floats, Floats, Floats, Floats]:
    return counts.frequency, counts.recency, counts.age, counts.customers


class _Likelihood:
    """Minus the mean log likelihood and its gradient, of the logarithms of (r, alpha, a, b).

    Equation 6 of Fader, Hardie and Lee (2005) as ln(e^A3 + d e^A4) + A1 + A2 (their note on the
    computation); for mbg_nbd equation 11 of Batislam et al. (2007), in which the customer has
    passed one chance to stop more.
    """

    def __init__(self, counts: Counts, kind: Kind) -> None:
        self.counts, self.kind = counts, kind
        total = float(counts.customers.sum())
        # Gamma functions are of the frequency alone, which takes few values.
        self.distinct, self.place = np.unique(counts.frequency, return_inverse=True)
        self.share_by_distinct = (
            np.bincount(self.place, weights=counts.customers, minlength=len(self.distinct)) / total
        )
        self.share = counts.customers / total
        self.passed = self.distinct + (1.0 if kind == "mbg_nbd" else 0.0)

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        from scipy.special import gammaln, psi

        r, alpha, a, b = np.exp(logs)
        x, passed, by_distinct = self.distinct, self.passed, self.share_by_distinct
        gammas = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
        betas = gammaln(b + passed) + gammaln(a + b) - gammaln(b) - gammaln(a + b + passed)
        log_stop = _log_stop_odds(x, a, b, self.kind)[self.place]
        x_all = self.counts.frequency
        log_age = np.log(alpha + self.counts.age)
        log_recency = np.log(alpha + self.counts.recency)
        alive = -(r + x_all) * log_age
        gone = log_stop - (r + x_all) * log_recency
        either = np.logaddexp(alive, gone)
        value = float(by_distinct @ (gammas + betas) + self.share @ either)
        gone_share = self.share * np.exp(gone - either)
        alive_share = self.share - gone_share
        gone_by_distinct = np.bincount(self.place, weights=gone_share, minlength=len(x))
        d_r = by_distinct @ (psi(r + x) - psi(r) + np.log(alpha)) - (
            alive_share @ log_age + gone_share @ log_recency
        )
        d_alpha = r / alpha - (
            (alive_share * (r + x_all)) @ (1 / (alpha + self.counts.age))
            + (gone_share * (r + x_all)) @ (1 / (alpha + self.counts.recency))
        )
        d_a = by_distinct @ (psi(a + b) - psi(a + b + passed)) + gone_share.sum() / a
        d_b = by_distinct @ (psi(b + passed) + psi(a + b) - psi(b) - psi(a + b + passed))
        if self.kind == "mbg_nbd":
            d_b -= gone_by_distinct @ (1 / (b + x))
        else:
            repeat = x > 0
            d_b -= gone_by_distinct[repeat] @ (1 / (b + x[repeat] - 1))
        gradient = np.array([d_r * r, d_alpha * alpha, d_a * a, d_b * b])
        return -value, -gradient


def _log_stop_odds(frequency: Floats, a: float, b: float, kind: Kind) -> Floats:
    """ln of the odds that the last order was the last for good, before the silence is looked at."""
    if kind == "mbg_nbd":
        return np.asarray(np.log(a) - np.log(b + frequency))
    repeat = frequency > 0
    odds = np.full(frequency.shape, -np.inf)
    odds[repeat] = np.log(a) - np.log(b + frequency[repeat] - 1)
    return odds


def find_alive(model: PurchaseModel, frequency: Floats, recency: Floats, age: Floats) -> Floats:
    """Probability that a customer is still one.

    Fader, Hardie and Lee (2008), "Computing P(alive) Using the BG/NBD Model", equation 1;
    Batislam et al. (2007), equation 13.
    """
    log_odds = _log_stop_odds(frequency, model.a, model.b, model.kind) + (
        model.r + frequency
    ) * np.log((model.alpha + age) / (model.alpha + recency))
    # A long silence of a frequent customer overflows; they are gone.
    return np.asarray(1 / (1 + np.exp(np.minimum(log_odds, 700.0))))


def find_order_if_alive(
    model: PurchaseModel, frequency: Floats, age: Floats, horizon: float
) -> Floats:
    """Probability of an order within the horizon of a customer who is alive now.

    Stopping comes after orders only, so the first one is awaited at the full rate:
    1 - ((alpha + T) / (alpha + T + t))^(r + x), of the gamma distribution of who is alive.
    """
    log_none = (model.r + frequency) * np.log((model.alpha + age) / (model.alpha + age + horizon))
    return np.asarray(-np.expm1(log_none))


def expect_orders(
    model: PurchaseModel, frequency: Floats, recency: Floats, age: Floats, horizon: float
) -> Floats:
    """Expected orders within the horizon.

    Equation 10 of Fader, Hardie and Lee (2005); for mbg_nbd equation 14 of Batislam et al. (2007).
    With Euler's transformation of the hypergeometric function (Abramowitz and Stegun, 15.3.3)
    the powers that overflow for frequent customers cancel:

        (c / (a - 1)) (1 - (1 - z)^(a - 1) F(c - r - x, a - 1; c; z)),  z = t / (alpha + T + t)

    where c = a + b + x - 1 (mbg_nbd: one more), and c - r - x does not depend on x.
    """
    a = model.a if abs(model.a - 1) > _NEAR_ONE else 1 + _NEAR_ONE  # a limit at a = 1
    passed = 1.0 if model.kind == "mbg_nbd" else 0.0
    constant = a + model.b + passed - 1
    c = constant + frequency
    c = np.where(np.abs(c) < _NEAR_ONE, _NEAR_ONE, c)  # another at c = 0, of who ordered once
    z = horizon / (model.alpha + age + horizon)
    curve = np.power(1 - z, a - 1) * _sum_hypergeometric(constant - model.r, a - 1, c, z)
    if_alive = np.maximum(c / (a - 1) * (1 - curve), 0.0)
    return np.asarray(if_alive * find_alive(model, frequency, recency, age))


def _sum_hypergeometric(first: float, second: float, c: Floats, z: Floats) -> Floats:
    """F(first, second; c; z) for 0 <= z < 1 by its series; SciPy's is wrong for large c.

    Rows that have converged are left alone, so the usual cost is some forty terms.
    """
    sums = np.ones(c.size)
    rows = np.arange(c.size)
    term, denominator, argument = np.ones(c.size), c.ravel().astype(np.float64), z.ravel()
    for n in range(_MOST_TERMS):
        ratio = ((first + n) * (second + n) / (n + 1)) * argument / (denominator + n)
        term = term * ratio
        sums[rows] += term
        if n < -min(first, second) + 1:
            continue  # terms still change their sign
        # Ratios go to z from here on: what is left is no more than a geometric series.
        most = np.maximum(np.abs(ratio), argument)
        open_ = (most >= 1) | (np.abs(term) * most > _PRECISION * (1 - most) * np.abs(sums[rows]))
        if not open_.all():
            rows, term = rows[open_], term[open_]
            denominator, argument = denominator[open_], argument[open_]
            if not len(rows):
                break
    return sums.reshape(c.shape)


def _require_sound(counts: Counts) -> None:
    repeated = float(counts.customers[counts.frequency > 0].sum()) if len(counts) else 0.0
    found = ""
    if len(counts) == 0:
        found = "there is no customer"
    elif not all(
        np.isfinite(column).all()
        for column in (counts.frequency, counts.recency, counts.age, counts.customers)
    ):
        found = "counts that are missing or no number"
    elif (counts.recency > counts.age).any() or (counts.recency < 0).any():
        found = "last orders that lie outside of the customers' time"
    elif repeated < 2:
        found = f"{repeated:.0f} customers ordered on a second day"
    elif not (counts.age > 0).any():
        found = "every customer came on the last day"
    if found:
        raise DataRejected(
            "How often customers order cannot be learnt from these orders.",
            found=found,
            next_step="ingest more history, then run the same command again",
        )
