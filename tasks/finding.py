"""What every finding is made of: plain values that are read back as they were written."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Finding(BaseModel):
    """Strict, frozen, closed: what is read back is what was written."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Words(Finding):
    """A text for a person in both languages."""

    en: str
    ko: str


class Contest(Finding):
    """A model against the best rule on the same customers: who is served, and by how much.

    `difference` is served less rival in `measure`, with its interval where one was computed.
    """

    served: str
    served_kind: Literal["model", "rule"]
    rival: str
    measure: str
    higher_is_better: bool
    served_figure: float
    rival_figure: float
    difference: float
    low: float | None = None
    high: float | None = None
    reason: str


class Night(Finding):
    """What every finding says of itself."""

    deployment: str
    as_of: datetime
    known_by: datetime
    snapshot_id: int
    currency: str | None
    notes: tuple[Words, ...] = ()
