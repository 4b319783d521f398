"""What the clock on the wall says, or in a replay of history, what it said then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_STANDING_AT: ContextVar[datetime | None] = ContextVar("standing_at", default=None)


def read_clock() -> datetime:
    """Now in UTC, or the moment that a replay stands at."""
    return _STANDING_AT.get() or datetime.now(UTC)


@contextmanager
def standing_at(moment: datetime) -> Iterator[None]:
    """Let `read_clock` say `moment` within; of this context only, other threads start afresh.

    Raises ValueError for a moment without a time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    token = _STANDING_AT.set(moment.astimezone(UTC))
    try:
        yield
    finally:
        _STANDING_AT.reset(token)
