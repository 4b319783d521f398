"""What a list of contacts is expected to bring, and has brought: as scoring ranks it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.economics import Economics
from tasks.sections import EconomicsSettings

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Money:
    """A contact's return, a customer, and how many contacts the budget pays for.

    `contacts` may be a part of one, where a sample stands for all customers.
    """

    economics: Economics
    contacts: float

    @classmethod
    def of(cls, settings: EconomicsSettings, share: float = 1.0) -> Money:
        """For a sample that is this share of the customers."""
        economics = Economics.of(settings)
        return cls(economics, economics.affordable_contacts * share)

    def returns(self, chance: Floats, value_amount: Floats) -> Floats:
        """What a contact brings whoever leaves with that chance (0 or 1: who did), shape (n,)."""
        return self.economics.expected_returns(chance, value_amount)

    def choose(self, expected: Floats) -> NDArray[np.int64]:
        """Rows to contact, best first: only gains, only within the budget."""
        order = np.argsort(-expected, kind="stable")
        order = order[expected[order] > 0]
        return order[: max(1, round(self.contacts))].astype(np.int64)
