"""Which cut-offs teach and judge, and which outcomes are old enough to be known.

    as_of (of the run) --------------------------------------------------------------+
    final test's cut-off -------------------------------------------+-- horizon -----+
    training cut-offs  ----+-- step --+-- step --+                  |
    whose horizon ends at or before the test's cut-off: the embargo, kept by the training

An outcome is matured when its whole horizon lies before the run's `as_of`. Returns are not
orders: who only sent things back has lapsed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tasks.contracts import CONTRACTS
from tasks.features.request import POPULATION
from tasks.visibility import supersessions, visible

if TYPE_CHECKING:
    from tasks.handles import Snapshot
    from tasks.sections import FeaturesSettings
    from tasks.warehouse import Lake


def is_matured(cutoff: datetime, as_of: datetime, horizon_days: int) -> bool:
    """Whether the whole horizon after `cutoff` lies before `as_of`."""
    return cutoff + timedelta(days=horizon_days) <= as_of


def plan_cutoffs(
    as_of: datetime, history_since: datetime | None, settings: FeaturesSettings
) -> tuple[datetime, ...]:
    """Matured cut-offs in ascending order; the last is the final test's, a horizon before `as_of`.

    Steps back by `cutoff_step_days`, at most `cutoffs` of them, none with less than
    `minimum_history_days` of history. A static set ('given') has the one cut-off `as_of`.
    """
    if settings.outcome == "given":
        return (as_of,)
    latest = as_of - timedelta(days=settings.horizon_days)
    planned = []
    for number in range(settings.cutoffs):
        cutoff = latest - timedelta(days=number * settings.cutoff_step_days)
        if history_since is None or cutoff < history_since + timedelta(
            days=settings.minimum_history_days
        ):
            break
        planned.append(cutoff)
    return tuple(reversed(planned))


def history_since(
    lake: Lake, snapshot: Snapshot | int, known_by: datetime, settings: FeaturesSettings
) -> datetime | None:
    """The first event of the table that says who is a customer, as known by `known_by`."""
    table = POPULATION[settings.outcome]
    seen = visible(table, snapshot, supersessions(lake, snapshot, table))
    first = lake.scalar(
        f"select min({CONTRACTS[table].event_time}) from {seen}", {"known_by": known_by}
    )
    return None if first is None else first.astimezone(UTC)
