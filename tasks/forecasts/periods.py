"""Calendar weeks and months as whole numbers, in Python and in SQL alike; days count from 1970."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

_EPOCH = date(1970, 1, 1)
# 1970-01-05 was a Monday.
_FIRST_MONDAY = 4


@dataclass(frozen=True, slots=True)
class Period:
    """Weeks from Monday, numbered from 1970-01-05, or months, numbered from year 0."""

    name: Literal["week", "month"]

    @property
    def season(self) -> int:
        """Periods of a year."""
        return 52 if self.name == "week" else 12

    def of_day(self, day: int) -> int:
        """The number of the period that a day lies in."""
        if self.name == "week":
            return (day - _FIRST_MONDAY) // 7
        moment = _EPOCH + timedelta(days=day)
        return moment.year * 12 + moment.month - 1

    def first_from(self, day: int) -> int:
        """The first period that begins on a day or later."""
        return self.of_day(day - 1) + 1

    def start(self, number: int) -> datetime:
        """Midnight UTC at which a period begins."""
        if self.name == "week":
            return datetime(1970, 1, 5, tzinfo=UTC) + timedelta(days=7 * number)
        return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)

    def sql(self, day: str) -> str:
        """`of_day` as SQL over a whole number of days."""
        if self.name == "week":
            return f"floor(({day} - {_FIRST_MONDAY}) / 7.0)::bigint"
        moment = f"(date '1970-01-01' + ({day})::integer)"
        return f"(year{moment} * 12 + month{moment} - 1)"


def day_of(moment: datetime) -> int:
    """Days since 1970."""
    return int(moment.timestamp()) // 86_400
