"""The steps of a replay: cut-offs at even distances, and the moment of each one's night."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from tasks.errors import UsageError

_EVERY = re.compile(r"([1-9][0-9]?)([dw])")
_MOST_STEPS = 5_000


@dataclass(frozen=True, slots=True)
class Week:
    """One step, a week unless asked for otherwise.

    Events before `as_of` (midnight UTC) count; the night runs at `moment`, when what happened the
    day before `as_of` is known. `number` counts from 0.
    """

    number: int
    as_of: datetime
    moment: datetime

    @property
    def name(self) -> str:
        """`2011-03-07`, the cut-off's date."""
        return f"{self.as_of:%Y-%m-%d}"


def read_every(text: str) -> int:
    """Days of `1w`, `2w`, `10d`. Raises UsageError (64) for anything else."""
    match = _EVERY.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"'{text}' is no distance of time.", next_step="write 1w, 2w or 10d")
    return int(match[1]) * (7 if match[2] == "w" else 1)


def plan_weeks(since: date, until: date, every_days: int, lag: timedelta) -> tuple[Week, ...]:
    """The steps from `since` to `until`, both among them where the distance meets them.

    `lag` is the time from a cut-off to its night. Raises UsageError (64) for no step or too many.
    """
    if until < since:
        raise UsageError(f"{until} lies before {since}.", next_step="turn --from and --to around")
    count = (until - since).days // every_days + 1
    if count > _MOST_STEPS:
        raise UsageError(f"{count:,} steps are too many.", found=f"At most {_MOST_STEPS:,}.")
    first = datetime.combine(since, time(), UTC)
    moments = [first + timedelta(days=number * every_days) for number in range(count)]
    return tuple(Week(number, at, at + lag) for number, at in enumerate(moments))
