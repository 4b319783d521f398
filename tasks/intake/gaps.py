"""Periods that a source should have delivered and has not.

Batches named by month (`orders/2011-10`) or day (`orders/2011-10-03`) form a row; a hole in it
is a delivery that got lost on the way. A weekday on which a shop never delivers is no hole. What
comes after the end of the row is overdue only where the source's settings say when it is due.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from tasks.handles import Batch
from tasks.intake.tables import UNDATED
from tasks.sources import Due

_MONTH = re.compile(r"\A(\d{4})-(\d{2})\Z")
_DAY = re.compile(r"\A(\d{4})-(\d{2})-(\d{2})\Z")
# A weekday counts as one of delivery when it was kept at least this often, and this many times.
_KEPT_SHARE = 0.75
_KEPT_TIMES = 4
# What nobody has ever delivered has no name of its own.
FIRST_DELIVERY = "the first delivery"

Period = Literal["day", "month"]


@dataclass(frozen=True, slots=True)
class Gap:
    """Parts missing between the first and the last accepted one of a source."""

    source: str
    missing: tuple[str, ...]


def find_gaps(batches: Iterable[Batch]) -> list[Gap]:
    """The sources with a hole among their decided batches; others' names form no row.

    A batch is decided when it is accepted, or when a person has discarded it.
    """
    parts: dict[str, set[str]] = {}
    for batch in batches:
        if batch.state in ("accepted", "discarded"):
            parts.setdefault(batch.source, set()).add(part_of(batch.batch_name))
    found = ((source, find_holes(names)) for source, names in parts.items())
    return [Gap(source, missing) for source, missing in found if missing]


def part_of(batch_name: str) -> str:
    """`2011-10` of `orders/2011-10`."""
    return batch_name.partition("/")[2]


def find_holes(names: Collection[str]) -> tuple[str, ...]:
    """Periods between the first and the last of these parts that are none of them."""
    # Rows without a time are a part of their own beside the periods of the others.
    dated = set(names) - {UNDATED}
    return tuple(_missing_months(dated) or _missing_days(dated))


def period_of(names: Collection[str]) -> Period | None:
    """What the parts are named by, if all of them are."""
    if names and all(_as_month(name) is not None for name in names):
        return "month"
    if names and all(_as_day(name) for name in names):
        return "day"
    return None


def period_end(part: str) -> datetime | None:
    """The moment (UTC) at which the period in a part's name is over; None for other names."""
    month, day = _as_month(part), _as_day(part)
    if month is not None:
        return _midnight(_month_start(month + 1))
    return _midnight(day + timedelta(days=1)) if day is not None else None


def find_overdue(
    names: Collection[str], last_arrival_at: datetime | None, due: Due, now: datetime
) -> tuple[str, ...]:
    """Parts that should be there by `now` and come after all of `names`.

    Where the names form no row of the source's own rhythm, what is overdue is `after 2011-10-03`,
    the day of the last arrival.
    """
    grace = timedelta(hours=due.grace_hours)
    if period_of(names) == due.every:
        following = _following_months(names) if due.every == "month" else _following_days(names)
        overdue = []
        for part, end in following:
            if end + grace > now:
                break
            overdue.append(part)
        return tuple(overdue)
    if last_arrival_at is None:
        return (FIRST_DELIVERY,)
    last = last_arrival_at.astimezone(UTC)
    step = timedelta(days=1 if due.every == "day" else 31)
    return (f"after {last:%Y-%m-%d}",) if last + step + grace <= now else ()


def _following_months(names: Collection[str]) -> Iterator[tuple[str, datetime]]:
    number = max(month for name in names if (month := _as_month(name)) is not None)
    while number < 12 * 9_998:
        number += 1
        yield f"{number // 12:04}-{number % 12 + 1:02}", _midnight(_month_start(number + 1))


def _following_days(names: Collection[str]) -> Iterator[tuple[str, datetime]]:
    days = {day for name in names if (day := _as_day(name)) is not None}
    day, idle = max(days), _idle_weekdays(days)
    while day < date(9998, 1, 1):
        day += timedelta(days=1)
        if day.weekday() not in idle:
            yield day.isoformat(), _midnight(day + timedelta(days=1))


def _missing_months(names: set[str]) -> list[str]:
    numbers = sorted(month for name in names if (month := _as_month(name)) is not None)
    if len(numbers) < len(names) or not numbers:
        return []
    expected = range(numbers[0], numbers[-1] + 1)
    return [f"{n // 12:04}-{n % 12 + 1:02}" for n in expected if n not in set(numbers)]


def _missing_days(names: set[str]) -> list[str]:
    days = {day for name in names if (day := _as_day(name)) is not None}
    if len(days) < len(names) or not days:
        return []
    kept = {weekday for weekday in range(7) if _is_kept(days, weekday)}
    return [day.isoformat() for day in _span(days) if day not in days and day.weekday() in kept]


def _idle_weekdays(days: set[date]) -> set[int]:
    """Weekdays of which there were enough to see that the source does not deliver on them.

    All seven would say that it never delivers; then none is taken for idle.
    """
    counts = {n: sum(day.weekday() == n for day in _span(days)) for n in range(7)}
    idle = {n for n, times in counts.items() if times >= _KEPT_TIMES and not _is_kept(days, n)}
    return idle if len(idle) < 7 else set()


def _is_kept(days: set[date], weekday: int) -> bool:
    due = [day for day in _span(days) if day.weekday() == weekday]
    done = sum(day in days for day in due)
    return done >= _KEPT_TIMES and done >= _KEPT_SHARE * len(due)


def _span(days: set[date]) -> list[date]:
    first, last = min(days), max(days)
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _as_month(name: str) -> int | None:
    """Months since year 0, or None for a name that is no month."""
    match = _MONTH.match(name)
    if match is None or not 1 <= int(match[2]) <= 12 or int(match[1]) < 1:
        return None
    return int(match[1]) * 12 + int(match[2]) - 1


def _month_start(number: int) -> date:
    return date(number // 12, number % 12 + 1, 1)


def _as_day(name: str) -> date | None:
    if not _DAY.match(name):
        return None
    try:
        return date.fromisoformat(name)
    except ValueError:
        return None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
