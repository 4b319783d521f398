"""The house's one formula of what contacting a list of customers brings: money, not accuracy.

A contact costs `contact_cost`. Whoever would stay takes the offer anyway and costs `offer_cost`
more; of those who would leave, the share `accept_share` takes it, stays, and brings his margin:

    would leave:  accept_share * (margin - offer_cost) - contact_cost
    would stay:   -offer_cost - contact_cost

(Neslin et al. 2006; Verbraken, Verbeke and Baesens 2013, equation 5.) A list is made with
probabilities, customer by customer, and judged with what then happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tasks.sections import EconomicsSettings

Floats = NDArray[np.float64]
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


def add_up(amounts: Iterable[float]) -> Decimal:
    """A sum in cents exactly."""
    cents = (Decimal(repr(float(a))).quantize(_CENT, ROUND_HALF_EVEN) for a in amounts)
    return sum(cents, start=Decimal("0.00"))
