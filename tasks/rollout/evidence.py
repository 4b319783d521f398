"""What is known of a running rollout on a day: counts by day of entry and arm, and by guardrail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import lru_cache
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
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


_COLUMNS = tuple(field.name for field in fields(DayCounts))[2:]
_read_columns = attrgetter(*_COLUMNS)


@dataclass(frozen=True, slots=True)
class DayTable:
    """Day counts as arrays: `values` is (columns, days, arms), champion first, days in order."""

    days: tuple[date, ...]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, counts: Sequence[DayCounts]) -> DayTable:
        """Rows of the same day and arm are added up; an arm without a row has zeros."""
        days = sorted({row.day for row in counts})
        place = {day: number for number, day in enumerate(days)}
        values = np.zeros((len(days), 2, len(_COLUMNS)))
        if counts:
            rows = np.array([_read_columns(row) for row in counts], dtype=np.float64)
            at = np.array([2 * place[row.day] + (row.arm == "challenger") for row in counts])
            cells = values.reshape(2 * len(days), len(_COLUMNS))
            if len(np.unique(at)) == len(at):
                cells[at] = rows
            else:
                np.add.at(cells, at, rows)
        return cls(days=tuple(days), values=np.moveaxis(values, 2, 0))

    def __getitem__(self, column: str) -> NDArray[np.float64]:
        """(days, arms) of a field of `DayCounts`."""
        values: NDArray[np.float64] = self.values[_COLUMNS.index(column)]
        return values


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
