"""The rules that a value model must beat: what anybody can work out in a spreadsheet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def last_years_spend(amount_365: Floats, tenure_days: Floats, horizon_days: int) -> Floats:
    """As much a day as in the last 365 days, or since their first order if that was later.

    Who came less than a horizon ago is taken as having been there for a horizon: one order a week
    old is no order a week.
    """
    days = np.clip(tenure_days, min(horizon_days, 365), 365)
    return np.asarray(amount_365 / days * horizon_days)


def simple_formula(
    amount_total: Floats,
    order_days: Floats,
    tenure_days: Floats,
    recency_days: Floats,
    horizon_days: int,
    half_life_days: float,
) -> Floats:
    """Mean order value x orders a day x days of the horizon x 0.5^(silent days / half life).

    The rate is over the time since the first order, at least a horizon, as in `last_years_spend`.
    """
    value = np.divide(
        amount_total, order_days, out=np.zeros_like(amount_total), where=order_days > 0
    )
    rate = order_days / np.maximum(tenure_days, horizon_days)
    return np.asarray(value * rate * horizon_days * np.power(0.5, recency_days / half_life_days))


def discount_factor(horizon_days: float, yearly_discount_share: float) -> float:
    """What an amount that comes in evenly over the horizon is worth today, as a share of it."""
    if yearly_discount_share == 0:
        return 1.0
    rate = -np.log1p(-yearly_discount_share) / 365
    return float(-np.expm1(-rate * horizon_days) / (rate * horizon_days))
