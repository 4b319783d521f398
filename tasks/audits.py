"""What an audit of the features found, as figures that the gate holds against its limits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeakAudit:
    """The best single feature and what was computed again without the later rows.

    `highest_auc` is of `feature`, those in `allowed` left out. `later` names features that changed
    when rows at or after the cut-off were taken away, for `sampled_customers` customers.
    """

    feature: str
    highest_auc: float
    features: int
    allowed: tuple[str, ...]
    later: tuple[str, ...]
    sampled_customers: int
