"""What is known of a running rollout on a day: counts by day of entry and arm, and by guardrail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter

from tasks.rollout.plan import Arm


@dataclass(frozen=True, slots=True)
class DayCounts:
    """The customers of one arm who entered the analysis on one day (UTC), each of them once.

    `assigned`: whose turn by hash it was and who should have been exposed; `exposed`: of them, who
    was scored or contacted as the plan says; `logged`: of those, whose exposure can be read back
    from the ledger; `due`: of the exposed, whose horizon has ended and is covered by `known_by`;
    `matured`: of the due, whose outcome is known; `events`: of the matured, who lapsed.

    The sums are over the matured: `amount` is what the metric counts in money, `covariate` the same
    from as long a period before entering, `cross_sum` of their products; the third powers are for
    the skewness that few rich customers give to a small arm. `sql/day_counts.sql` makes such rows.
    """

    day: date
    arm: Arm
    assigned: int
    exposed: int
    logged: int
    due: int
    matured: int
    events: int
    amount_sum: float = 0.0
    amount_square_sum: float = 0.0
    covariate_sum: float = 0.0
    covariate_square_sum: float = 0.0
    cross_sum: float = 0.0
    amount_cube_sum: float = 0.0
    covariate_cube_sum: float = 0.0
    amount_square_covariate_sum: float = 0.0
    amount_covariate_square_sum: float = 0.0


@dataclass(frozen=True, slots=True)
class GuardrailCounts:
    """A guardrail's first events of one day; at risk is who had entered and had none before."""

    guardrail: str
    day: date
    champion_at_risk: int
    challenger_at_risk: int
    champion_events: int
    challenger_events: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that `judge` looks at. `stage` counts from 0; `missing` says what could not be read."""

    as_of: date
    started_on: date
    stage: int
    stage_started_on: date
    days: Sequence[DayCounts]
    guardrails: Sequence[GuardrailCounts] = ()
    missing: tuple[str, ...] = ()

    def to_json(self) -> str:
        return _adapter().dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str) -> Evidence:
        """Read what `to_json` wrote. Raises ValueError for anything else."""
        evidence: Evidence = _adapter().validate_json(text)
        return evidence


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(Evidence)
