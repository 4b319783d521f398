"""What time it is for a deployment: the `as_of` of a night that says none."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from tasks.errors import DataRejected
from tasks.settings import Settings
from tasks.warehouse import Lake

# The tables whose newest row says how far a deployment's history reaches, the first that has
# rows deciding: what is learnt is about orders where there are orders.
_CLOCK_TABLES = (
    ("orders", "ordered_at"),
    ("subscriptions", "greatest(started_at, coalesce(ended_at, started_at))"),
    ("labelled", "observed_at"),
)


def find_as_of(lake: Lake, settings: Settings) -> datetime:
    """Midnight UTC up to which history counts, by `clock.as_of`.

    'data' is the start of the newest day with rows: that day may be incomplete, the days before
    it are not. For a static labelled set it is the day after its only day.
    Raises DataRejected (65) if the lake has no row to tell the time by.
    """
    choice = settings.clock.as_of
    if choice == "now":
        return datetime.combine(datetime.now(UTC).date(), time(), UTC)
    if choice != "data":
        return datetime.combine(choice, time(), UTC)
    for table, expression in _CLOCK_TABLES:
        newest = lake.scalar(f"select max({expression}) from lake.main.{table}")
        if newest is not None:
            day = datetime.combine(newest.astimezone(UTC).date(), time(), UTC)
            return day + timedelta(days=1) if table == "labelled" else day
    raise DataRejected(
        f"The lake of '{lake.deployment}' has no rows to tell the time by.",
        next_step=f"holdfast -d {lake.deployment} ingest",
    )
