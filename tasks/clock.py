"""What time it is for a deployment: up to when things count as happened, and as known."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from tasks.contracts import CONTRACTS
from tasks.errors import DataRejected
from tasks.moments import read_clock
from tasks.settings import Settings
from tasks.warehouse import Lake

# The tables whose newest row says how far a deployment's history reaches, the first that has
# rows deciding: what is learnt is about orders where there are orders.
_CLOCK_TABLES = (
    ("orders", "ordered_at"),
    ("subscriptions", "greatest(started_at, coalesce(ended_at, started_at))"),
    ("labelled", "observed_at"),
)

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class PointInTime:
    """A night's two clocks: events before `as_of` count, if they were received by `known_by`."""

    as_of: datetime
    known_by: datetime

    def known_at(self, cutoffs: Sequence[datetime]) -> tuple[datetime, ...]:
        """By when a night of each past cut-off would have known what it knew.

        The lag is this night's own, so that a model learns from rows as fresh as those that it
        will score: with less, every customer would look a day staler in training than in use. It
        is rounded up to the hour, so that a night learns the same however long its steps took,
        and whether or not it was killed and begun again.
        """
        lag = -(-(self.known_by - self.as_of) // _HOUR) * _HOUR
        return tuple(cutoff + lag for cutoff in cutoffs)


def find_time(lake: Lake, settings: Settings) -> PointInTime:
    """This night: `as_of` by `clock.as_of`, and what is known `clock.known_lag_hours` later.

    Raises DataRejected (65) if the lake has no row to tell the time by.
    """
    as_of = find_as_of(lake, settings)
    known_by = as_of + timedelta(hours=settings.clock.known_lag_hours)
    return PointInTime(as_of, min(known_by, read_clock()))


def find_present(lake: Lake, settings: Settings, now: datetime) -> datetime | None:
    """The moment up to which deliveries can be expected, by `clock.as_of`.

    'now' is `now`; a date is its midnight; 'data' is the newest event of any table, since history
    that is replayed is late only against itself. None for a lake without rows.
    """
    choice = settings.clock.as_of
    if choice == "now":
        return now.astimezone(UTC)
    if choice != "data":
        return datetime.combine(choice, time(), UTC)
    newest = [
        lake.scalar(f"select max({contract.event_time}) from lake.main.{contract.table}")
        for contract in CONTRACTS.values()
    ]
    return max((moment.astimezone(UTC) for moment in newest if moment is not None), default=None)


def find_as_of(lake: Lake, settings: Settings) -> datetime:
    """Midnight UTC up to which history counts, by `clock.as_of`.

    'data' is the start of the newest day with rows: that day may be incomplete, the days before
    it are not. For a static labelled set it is the day after its only day.
    Raises DataRejected (65) if the lake has no row to tell the time by.
    """
    choice = settings.clock.as_of
    if choice == "now":
        return datetime.combine(read_clock().date(), time(), UTC)
    if choice != "data":
        return datetime.combine(choice, time(), UTC)
    for table, expression in _CLOCK_TABLES:
        newest = lake.scalar(f"select max({expression}) from lake.main.{table}")
        if newest is not None:
            day = datetime.combine(newest.astimezone(UTC).date(), time(), UTC)
            return day + timedelta(days=1) if table == "labelled" else day
    raise DataRejected(
        f"The lake of '{lake.deployment}' has no rows to tell the time by.",
        next_step=(
            "put deliveries where `intake.sources` of the deployment looks, then"
            f" holdfast -d {shlex.quote(settings.called)} ingest"
        ),
    )
