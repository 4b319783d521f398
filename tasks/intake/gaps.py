"""Periods that a source should have delivered and has not.

Batches named by month (`orders/2011-10`) or day (`orders/2011-10-03`) form a row; a hole in it
is a delivery that got lost on the way. A weekday on which a shop never delivers is no hole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from tasks.handles import Batch

_MONTH = re.compile(r"\A(\d{4})-(\d{2})\Z")
_DAY = re.compile(r"\A(\d{4})-(\d{2})-(\d{2})\Z")
# A weekday counts as one of delivery when it was kept at least this often, and this many times.
_KEPT_SHARE = 0.75
_KEPT_TIMES = 4


@dataclass(frozen=True, slots=True)
class Gap:
    """Parts missing between the first and the last accepted one of a source."""

    source: str
    missing: tuple[str, ...]


def find_gaps(batches: Iterable[Batch]) -> list[Gap]:
    """The sources with a hole among their accepted batches; others' names form no row."""
    parts: dict[str, set[str]] = {}
    for batch in batches:
        if batch.state == "accepted":
            parts.setdefault(batch.source, set()).add(batch.batch_name.partition("/")[2])
    gaps = []
    for source, names in parts.items():
        missing = _missing_months(names) or _missing_days(names)
        if missing:
            gaps.append(Gap(source, tuple(missing)))
    return gaps


def _missing_months(names: set[str]) -> list[str]:
    numbers = sorted(
        int(match[1]) * 12 + int(match[2]) - 1 for name in names if (match := _MONTH.match(name))
    )
    if len(numbers) < len(names) or not numbers:
        return []
    expected = range(numbers[0], numbers[-1] + 1)
    return [f"{n // 12:04}-{n % 12 + 1:02}" for n in expected if n not in set(numbers)]


def _missing_days(names: set[str]) -> list[str]:
    days = {day for name in names if (day := _as_day(name)) is not None}
    if len(days) < len(names) or not days:
        return []
    first, last = min(days), max(days)
    every = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    kept: set[int] = set()
    for weekday in range(7):
        due = [day for day in every if day.weekday() == weekday]
        done = sum(day in days for day in due)
        if done >= _KEPT_TIMES and done >= _KEPT_SHARE * len(due):
            kept.add(weekday)
    return [day.isoformat() for day in every if day not in days and day.weekday() in kept]


def _as_day(name: str) -> date | None:
    if not _DAY.match(name):
        return None
    try:
        return date.fromisoformat(name)
    except ValueError:
        return None
