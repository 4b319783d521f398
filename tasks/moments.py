"""What the clock on the wall says, or in a replay of history, what it said then.

The moment is a context variable: it holds for plain calls, for Prefect's flows and tasks (which
run in a copy of their caller's context), and not for threads and processes of one's own. Those
that run beside a night draw, fit or send and write nothing into the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

# The moment, and since when (monotonic seconds) the clock has been running on from it.
_STANDING_AT: ContextVar[tuple[datetime, float | None] | None] = ContextVar(
    "standing_at", default=None
)


def read_clock() -> datetime:
    """Now in UTC, or the moment that a replay stands at."""
    standing = _STANDING_AT.get()
    if standing is None:
        return datetime.now(UTC)
    moment, since = standing
    return moment if since is None else moment + timedelta(seconds=time.monotonic() - since)


@contextmanager
def standing_at(moment: datetime, *, running: bool = False) -> Iterator[None]:
    """Let `read_clock` say `moment` within; of this context only, other threads start afresh.

    `running`: the clock runs on from there, so that what comes later is later in the ledger too.
    Raises ValueError for a moment without a time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    since = time.monotonic() if running else None
    token = _STANDING_AT.set((moment.astimezone(UTC), since))
    try:
        yield
    finally:
        _STANDING_AT.reset(token)
