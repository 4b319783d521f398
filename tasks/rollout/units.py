"""A rollout's effects as people read them: points of lapse, or money a customer."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.rollout.plan import Metric


@dataclass(frozen=True, slots=True)
class Units:
    """How effects of a metric are written; they come as the ledger has them, shares 0 to 1."""

    metric: Metric
    currency: str = ""

    @property
    def is_share(self) -> bool:
        return self.metric == "lapse_share"

    @property
    def name(self) -> str:
        return "points of lapse" if self.is_share else f"{self.currency or 'money'} a customer"

    @property
    def short_name(self) -> str:
        return "points" if self.is_share else self.currency

    @property
    def better(self) -> str:
        """What an effect above 0 is."""
        return "fewer lapse" if self.is_share else "a customer brings more"

    def scale(self, value: float) -> float:
        """In points, or as it is."""
        return 100 * value if self.is_share else value

    def number(self, value: float) -> str:
        """`+1.43`; nothing at all is `0.00`, never `-0.00`."""
        rounded = round(self.scale(value), 2) + 0.0
        return f"{rounded:+,.2f}" if rounded else "0.00"

    def effect(self, value: float) -> str:
        """`+1.43 points of lapse`, or `+2.10 EUR a customer`."""
        return f"{self.number(value)} {self.name}"

    def span(self, low: float, high: float) -> str:
        return f"{self.number(low)} to {self.number(high)}"


def say_share(share: float) -> str:
    """`50 %`, `0.25 %`."""
    return f"{100 * share:.4g} %"
