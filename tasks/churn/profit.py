"""What a list that was made with probabilities has brought, and the most that it could bring."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from tasks.churn.data import Floats
from tasks.economics import Economics, add_up


def sum_profit(
    churned: NDArray[np.bool_], probability: Floats, value_amount: Floats, economics: Economics
) -> Decimal:
    """Realised profit of the list that the probabilities make, added up in cents exactly."""
    chosen = economics.choose(probability, value_amount)
    return add_up(economics.realised_returns(churned[chosen], value_amount[chosen]))


def expected_maximum_profit(
    churners: Floats, stayers: Floats, mean_margin: float, economics: Economics
) -> float:
    """Expected maximum profit a customer, for churn (Verbraken et al. 2013, equations 9 to 12).

    `churners` and `stayers` count customers by group of equal score, highest score first, shape
    (g,). The best share to contact depends on the unknown accept share; for each value of it the
    best point lies on the ROC curve's convex hull, and from one corner to the next the integral
    over the Beta distribution is an incomplete beta function. NaN where a class is missing.
    """
    from scipy.special import betainc

    total_churners, total_stayers = float(churners.sum()), float(stayers.sum())
    if total_churners == 0 or total_stayers == 0 or not np.isfinite(mean_margin):
        return float("nan")
    if mean_margin <= 0:
        return 0.0  # nobody is worth a contact, so the best is to contact nobody
    share_leaving = total_churners / (total_churners + total_stayers)
    offer = float(economics.offer_cost) / mean_margin
    contact = float(economics.contact_cost) / mean_margin
    if offer >= 1:
        return 0.0
    found, wasted = _convex_hull(
        np.append(0.0, np.cumsum(churners) / total_churners),
        np.append(0.0, np.cumsum(stayers) / total_stayers),
    )
    # From this accept share on, the next corner of the hull beats the one before.
    with np.errstate(divide="ignore"):
        turns = (
            (1 - share_leaving) * (offer + contact) * np.diff(wasted)
            + share_leaving * contact * np.diff(found)
        ) / (share_leaving * (1 - offer) * np.diff(found))
    turns = np.append(0.0, np.clip(turns, 0.0, 1.0))
    edges = np.append(np.maximum.accumulate(turns), 1.0)
    alpha = economics.accept_share * economics.accept_certainty
    beta = economics.accept_certainty - alpha
    chance = np.diff(betainc(alpha, beta, edges))
    mean_accept = economics.accept_share * np.diff(betainc(alpha + 1, beta, edges))
    profit = (
        share_leaving * found * ((1 - offer) * mean_accept - contact * chance)
        - (1 - share_leaving) * wasted * (offer + contact) * chance
    )
    return float(mean_margin * profit.sum())


def _convex_hull(found: Floats, wasted: Floats) -> tuple[Floats, Floats]:
    """Corners of the ROC curve's upper hull, from (0, 0) to (1, 1)."""
    corners: list[tuple[float, float]] = []
    for point in zip(wasted.tolist(), found.tolist(), strict=True):
        while corners and (
            point == corners[-1]
            or (
                len(corners) > 1
                and (corners[-1][0] - corners[-2][0]) * (point[1] - corners[-2][1])
                >= (corners[-1][1] - corners[-2][1]) * (point[0] - corners[-2][0])
            )
        ):
            corners.pop()
        corners.append(point)
    # A last flat piece finds no further churner; its turn is never reached.
    if len(corners) > 1 and corners[-1][1] == corners[-2][1]:
        corners.pop()
    columns = np.asarray(corners)
    return columns[:, 1], columns[:, 0]
