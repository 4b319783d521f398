"""What contacting a list of customers brings: money, not accuracy.

A contact costs `contact_cost`. Whoever would stay takes the offer anyway and costs `offer_cost`
more; of those who would leave, the share `accept_share` takes it, stays, and brings his margin:

    would leave:  accept_share * (margin - offer_cost) - contact_cost
    would stay:   -offer_cost - contact_cost

(Neslin et al. 2006; Verbraken, Verbeke and Baesens 2013, equation 5.) A list is made with
probabilities, customer by customer, and judged with what then happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.churn.data import Floats

if TYPE_CHECKING:
    from tasks.sections import EconomicsSettings

_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Economics:
    """Amounts per customer in `currency`; `accept_share` is the mean of a Beta distribution.

    `accept_certainty` is the sum of its two parameters: 20 with a mean of 0.3 is Beta(6, 14), the
    setting of Verbraken et al. `affordable_contacts` is what the budget pays for even if every
    contacted customer takes the offer.
    """

    currency: str
    contact_cost: Decimal
    offer_cost: Decimal
    margin_share: float
    accept_share: float
    accept_certainty: float
    budget: Decimal

    @classmethod
    def of(cls, settings: EconomicsSettings) -> Economics:
        return cls(
            currency=settings.currency,
            contact_cost=settings.contact_cost_amount,
            offer_cost=settings.offer_cost_amount,
            margin_share=settings.margin_share,
            accept_share=settings.accept_share,
            accept_certainty=settings.accept_certainty,
            budget=settings.budget_amount,
        )

    @property
    def affordable_contacts(self) -> int:
        return int(self.budget // (self.contact_cost + self.offer_cost))

    def margins(self, value_amount: Floats) -> Floats:
        """Margin that stays with a kept customer; an unknown or negative value counts 0."""
        known = np.where(np.isfinite(value_amount), value_amount, 0.0)
        margins: Floats = np.maximum(known, 0.0) * self.margin_share
        return margins

    def expected_returns(self, probability: Floats, value_amount: Floats) -> Floats:
        """What a contact is expected to bring, shape (n,)."""
        leave, stay = self._returns(value_amount)
        expected: Floats = probability * leave + (1 - probability) * stay
        return expected

    def realised_returns(self, churned: NDArray[np.bool_], value_amount: Floats) -> Floats:
        """What a contact would have brought, knowing who left, shape (n,)."""
        leave, stay = self._returns(value_amount)
        realised: Floats = np.where(churned, leave, stay)
        return realised

    def choose(self, probability: Floats, value_amount: Floats) -> NDArray[np.int64]:
        """Whom to contact, best expected return first: only gains, only within the budget."""
        expected = self.expected_returns(probability, value_amount)
        order = np.argsort(-expected, kind="stable")
        gains = order[expected[order] > 0]
        return gains[: self.affordable_contacts].astype(np.int64)

    def _returns(self, value_amount: Floats) -> tuple[Floats, float]:
        contact, offer = float(self.contact_cost), float(self.offer_cost)
        leave: Floats = self.accept_share * (self.margins(value_amount) - offer) - contact
        return leave, -offer - contact


def sum_profit(
    churned: NDArray[np.bool_], probability: Floats, value_amount: Floats, economics: Economics
) -> Decimal:
    """Realised profit of the list that the probabilities make, added up in cents exactly."""
    chosen = economics.choose(probability, value_amount)
    returns = economics.realised_returns(churned[chosen], value_amount[chosen])
    return sum(
        (Decimal(repr(float(r))).quantize(_CENT, ROUND_HALF_EVEN) for r in returns),
        start=Decimal("0.00"),
    )


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
