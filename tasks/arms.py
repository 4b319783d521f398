"""What a night asks of a challenger that has a share of the customers: scores, groups or a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tasks.handles import FeatureTable
    from tasks.offers import ActionsSettings
    from tasks.warehouse import Lake


class ArmScoring(Protocol):
    """A challenger that scores its share of the customers in a night's run.

    `parts` name what the rows depend on besides the champion. Whom it leaves out, because it
    failed, keep the champion's score.
    """

    parts: tuple[str, ...]

    def score(self, lake: Lake, features: FeatureTable) -> None:
        """Fill the empty temporary table `arm_scores` for customers of `scored_customers`."""
        ...

    def record(self, lake: Lake, scoring_id: str) -> None:
        """Append what the ledger must know; called in the transaction that publishes the rows."""
        ...


class ArmGrouping(Protocol):
    """The share of the customers whom a challenger's segmentation groups on a night.

    `parts` name what the rows depend on besides the champion. Whom it leaves out, because it
    failed, keep the champion's group.
    """

    rollout_id: str
    parts: tuple[str, ...]

    def divide(self, lake: Lake, customers: str) -> None:
        """Make `turn` of a table: a row a customer who is not held out, `is_served` if theirs."""
        ...

    def record(
        self, lake: Lake, run_id: str, answered: str, failures: Sequence[str], seconds: float
    ) -> None:
        """Append what the ledger must know; called in the transaction that publishes the rows.

        `answered` is a table of the customers whom it has grouped. Raises LockHeld (75) if the
        rollout has moved since the customers were divided.
        """
        ...


class ArmListing(Protocol):
    """A challenger's policy by which its share of the customers is listed on a night.

    `parts` name what the rows depend on besides both policies.
    """

    rollout_id: str
    version: str
    policy: ActionsSettings
    parts: tuple[str, ...]

    def divide(self, lake: Lake, customers: str) -> None:
        """Make `policy_turn` of a table: one row a customer, held out or not, `is_challenger`.

        Who is held out has the place that their hash gives them, so that each arm keeps a fair
        part of the hold-out; they are enrolled in none.
        """
        ...

    def record(self, lake: Lake, run_id: str, scoring_id: str) -> None:
        """Append what the ledger must know; called in the transaction that publishes the lists.

        Raises LockHeld (75) if the rollout has moved since the customers were divided.
        """
        ...


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """Which policy makes the action lists: the settings file's, or one that a rollout promoted.

    `decision_id` names the promotion, `settings` where the file has the word; `since` is None where
    no decision says it, and the lists themselves do.
    """

    policy: ActionsSettings
    version: str
    policy_hash: str
    decision_id: str
    rollout_id: str | None = None
    since: datetime | None = None
