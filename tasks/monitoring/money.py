"""What a list of contacts is expected to bring, and has brought: as scoring ranks it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.sections import EconomicsSettings

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Money:
    """A contact's return, a customer, and how many contacts the budget pays for.

    `contacts` may be a part of one, where a sample stands for all customers.
    """

    accept_share: float
    margin_share: float
    offer_cost: float
    contact_cost: float
    contacts: float

    @classmethod
    def of(cls, economics: EconomicsSettings, share: float = 1.0) -> Money:
        """For a sample that is this share of the customers."""
        return cls(
            economics.accept_share,
            economics.margin_share,
            float(economics.offer_cost_amount),
            float(economics.contact_cost_amount),
            economics.affordable_contacts * share,
        )

    def returns(self, chance: Floats, value_amount: Floats) -> Floats:
        """What a contact brings whoever leaves with that chance (0 or 1: who did), shape (n,)."""
        worth = np.maximum(np.where(np.isfinite(value_amount), value_amount, 0.0), 0.0)
        leave = self.accept_share * (worth * self.margin_share - self.offer_cost)
        expected: Floats = chance * leave - (1 - chance) * self.offer_cost - self.contact_cost
        return expected

    def choose(self, expected: Floats) -> NDArray[np.int64]:
        """Rows to contact, best first: only gains, only within the budget."""
        order = np.argsort(-expected, kind="stable")
        order = order[expected[order] > 0]
        return order[: max(1, round(self.contacts))].astype(np.int64)
