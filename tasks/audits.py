"""What audits found: of the features, for the gate; of the models that are kept, for a person."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kept = Literal["right", "changed", "missing", "not asked", "no answer"]


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


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found of one model that the ledger names; `detail` says what is wrong.

    `version` is None of an uplift learner, which no registry counts; `name` says whose it is.
    """

    name: str
    version: int | None
    candidate: str
    serves: bool
    files: Kept
    predictions: Kept
    store: Kept
    detail: str = ""

    @property
    def label(self) -> str:
        """What people call it by."""
        return self.name if self.version is None else f"version {self.version}"

    @property
    def is_right(self) -> bool:
        """Our own copy is whole; a store that could not be asked is no fault of ours."""
        return (
            self.files == "right"
            and self.predictions in ("right", "not asked")
            and self.store in ("right", "not asked", "no answer")
        )

    def spoil(self, files: Kept, detail: str) -> Verified:
        """The same, of files that are not what they were."""
        return replace(self, files=files, detail=detail)
