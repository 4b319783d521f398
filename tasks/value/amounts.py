"""What an order is worth: the gamma-gamma model of spend, by maximum likelihood.

Fader and Hardie (2013), "The Gamma-Gamma Model of Monetary Value": the amounts of one customer's
orders are gamma distributed with shape p, the rates of the customers gamma (q, gamma). A customer
enters by the number of their orders and the mean amount of one. The first order counts like the
others, so that whoever ordered once is known by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import DataRejected

Floats = NDArray[np.float64]

_STARTS = ((2.0, 3.0, 2.0), (6.0, 4.0, 0.5), (1.0, 1.5, 1.0))
_LOG_BOUND = 9.0


@dataclass(frozen=True, slots=True)
class AmountModel:
    """A fitted model; `gamma` in the currency of the amounts."""

    p: float
    q: float
    gamma: float
    log_likelihood: float

    @property
    def parameters(self) -> dict[str, float]:
        return {"p": self.p, "q": self.q, "gamma": self.gamma}


def fit_amounts(orders: Floats, mean_amount: Floats, customers: Floats) -> AmountModel:
    """The parameters that make the mean amounts most likely; `customers[i]` share the row i.

    Arrays of shape (rows,), amounts above 0. Raises DataRejected (65) for fewer than two customers.
    """
    from scipy.optimize import minimize

    sound = (orders > 0) & (mean_amount > 0) & np.isfinite(mean_amount)
    known = float(customers[sound].sum())
    if known < 2:
        raise DataRejected(
            "What an order is worth cannot be learnt from these orders.",
            found=f"{known:,.0f} customers with amounts above 0",
            next_step="ingest orders with their amounts, then run the same command again",
        )
    x, z, share = orders[sound], mean_amount[sound], customers[sound]
    total = float(share.sum())
    scale = float(np.average(z, weights=share))
    likelihood = _Likelihood(x, z / scale, share / total)
    best: Any = None
    for start in _STARTS:
        logs = np.log(start)
        found = minimize(
            likelihood,
            logs,
            jac=True,
            method="L-BFGS-B",
            bounds=[(value - _LOG_BOUND, value + _LOG_BOUND) for value in logs],
            options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8},
        )
        if np.isfinite(found.fun) and (best is None or found.fun < best.fun - 1e-9):
            best = found
        elif best is not None:
            break
    p, q, gamma = (float(value) for value in np.exp(best.x))
    # The density of z / scale is that of z times the scale.
    log_likelihood = -(float(best.fun) + float(np.log(scale))) * total
    return AmountModel(p, q, gamma * scale, log_likelihood)


class _Likelihood:
    """Minus the mean of equation 1a of Fader and Hardie (2013), with its gradient."""

    def __init__(self, orders: Floats, mean_amount: Floats, share: Floats) -> None:
        self.total_amount = orders * mean_amount
        self.log_mean, self.log_total = np.log(mean_amount), np.log(self.total_amount)
        self.orders, self.share = orders, share
        self.distinct, self.place = np.unique(orders, return_inverse=True)
        self.by_distinct = np.bincount(self.place, weights=share, minlength=len(self.distinct))

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        from scipy.special import gammaln, psi

        p, q, gamma = np.exp(logs)
        x, px = self.orders, p * self.distinct
        log_sum = np.log(gamma + self.total_amount)
        value = float(
            self.by_distinct @ (gammaln(px + q) - gammaln(px) - gammaln(q) + q * np.log(gamma))
            + self.share @ (p * x * self.log_total - self.log_mean - (p * x + q) * log_sum)
        )
        d_p = (self.by_distinct * self.distinct) @ (psi(px + q) - psi(px)) + (self.share * x) @ (
            self.log_total - log_sum
        )
        d_q = self.by_distinct @ (psi(px + q) - psi(q)) + np.log(gamma) - self.share @ log_sum
        d_gamma = q / gamma - (self.share * (p * x + q)) @ (1 / (gamma + self.total_amount))
        return -value, -np.array([d_p * p, d_q * q, d_gamma * gamma])


def expect_amount(model: AmountModel, orders: Floats, mean_amount: Floats) -> Floats:
    """Expected amount of a customer's next order: their own mean, drawn towards everybody's.

    Equation 5 of Fader and Hardie (2013): p (gamma + x z) / (p x + q - 1). Who has no amount above
    0 gets p gamma / (q - 1), or without such a mean (q <= 1) the median of a customer's mean.
    """
    known = (orders > 0) & (mean_amount > 0)
    x = np.where(known, orders, 1.0)
    z = np.where(known, mean_amount, 0.0)
    expected = model.p * (model.gamma + x * z) / np.maximum(model.p * x + model.q - 1, 1e-9)
    if model.q > 1:
        everybody = model.p * model.gamma / (model.q - 1)
    else:
        from scipy.special import gammaincinv

        everybody = model.p * model.gamma / float(gammaincinv(model.q, 0.5))
    return np.asarray(np.where(known, expected, everybody))
