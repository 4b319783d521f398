"""Which past horizons judge and teach.

    first order --- ... --- teaching cut-offs --- horizon --- judged cut-off --- horizon --- as_of

The judged cut-off is the last one whose horizon has passed. What is learnt must have been known
by then: teaching cut-offs lie at least another horizon before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.errors import DataRejected
from tasks.settings import Settings


@dataclass(frozen=True, slots=True)
class Horizons:
    """The judged cut-off and, ascending, those that teach for it; midnights UTC."""

    horizon_days: int
    judged: datetime
    teaching: tuple[datetime, ...]

    @property
    def cutoffs(self) -> tuple[datetime, ...]:
        return (*self.teaching, self.judged)


def find_horizon_days(settings: Settings) -> int:
    """The horizon of value, in days: as set, or as far as churn looks."""
    return settings.value.horizon_days or settings.features.horizon_days


def plan_horizons(as_of: datetime, first_order: datetime | None, settings: Settings) -> Horizons:
    """The cut-offs of a night.

    Raises DataRejected (65) if no horizon has passed since the history was long enough.
    """
    days = find_horizon_days(settings)
    judged = as_of - timedelta(days=days)
    enough = timedelta(days=settings.features.minimum_history_days)
    if first_order is None or judged < first_order + enough:
        have = (as_of - first_order).days if first_order is not None else 0
        raise DataRejected(
            f"Value over {days} days cannot be judged: the history is too short.",
            found=(
                f"{have:,} days of orders; {days} to look back on and"
                f" {settings.features.minimum_history_days} before them"
                " (features.minimum_history_days) are needed"
            ),
            next_step="ingest older orders, or set a shorter value.horizon_days",
        )
    newest = judged - timedelta(days=days)
    step = timedelta(days=settings.features.cutoff_step_days)
    planned = [newest - number * step for number in range(settings.value.training_cutoffs)]
    return Horizons(
        days, judged, tuple(sorted(one for one in planned if one >= first_order + enough))
    )
