"""The figures of a staged batch: what rules about a whole batch look at and the ledger remembers.

One scan for the figures of all columns, and one small aggregate for each column with categories.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tasks.contracts import CONTRACTS
from tasks.handles import Statistic
from tasks.validation.history import CustomersKnown
from tasks.validation.hours import HOURS
from tasks.validation.rules import TableRules
from tasks.warehouse import Connection, quote

# Quartiles and ninth decile: the middle says the unit, the upper end says a part in another unit.
QUANTILES: tuple[tuple[str, float], ...] = (
    ("q25", 0.25),
    ("q50", 0.5),
    ("q75", 0.75),
    ("q90", 0.9),
)
SHARE_PREFIX = "share:"
HOUR_PREFIX = "hour:"
MOMENTS = "moments"
# A category of a longer name is not one: it is free text, and may say something of a person.
_LONGEST_CATEGORY = 100
# Hours of the day of fewer moments than this would tell when single customers came.
_FEWEST_MOMENTS = 30
# Of larger batches a part of the customers says as much of the hours of the day.
_HOURS_ROWS = 500_000


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one batch; times are UTC, shares of rows lie in [0, 1].

    `null_counts` and `null_shares` by column; `quantiles` and `positive_counts` of the positive
    values by measured column; `shares` of non-missing values by column and category; `times` are
    the event time's 5th, 25th, 75th and 95th percentile, `middle_at` is its median; `moments` are
    the hours in which a customer did something, by hour of the day (24, UTC), () where not counted.
    """

    rows: int
    active_days: int = 0
    oldest_at: datetime | None = None
    newest_at: datetime | None = None
    times: tuple[datetime, datetime, datetime, datetime] | None = None
    middle_at: datetime | None = None
    null_counts: Mapping[str, int] = field(default_factory=dict)
    positive_counts: Mapping[str, int] = field(default_factory=dict)
    quantiles: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    churned_count: int | None = None
    customers: CustomersKnown | None = None
    moments: tuple[int, ...] = ()
    event_time: str = ""

    @property
    def span_days(self) -> float | None:
        """Days between the 5th and 95th percentile of the event time, at least one."""
        if self.times is None:
            return None
        return max(1.0, (self.times[3] - self.times[0]).total_seconds() / 86_400)

    @property
    def middle_day(self) -> float | None:
        """The median of the event time, days since 1970; the batch's place in the calendar."""
        return _epoch_days(self.middle_at) if self.middle_at is not None else None

    def null_share(self, column: str) -> float:
        return self.null_counts[column] / self.rows if self.rows else 0.0

    def shares(self, column: str) -> dict[str, float]:
        present = self.rows - self.null_counts.get(column, 0)
        if present <= 0:
            return {}
        return {name: count / present for name, count in self.counts.get(column, {}).items()}

    def statistics(self, maximum_categories: int) -> tuple[Statistic, ...]:
        """What the ledger keeps: no value of a single customer, no free text."""
        kept = [Statistic("", "rows", float(self.rows))]
        kept.append(Statistic("", "active_days", float(self.active_days)))
        if self.span_days is not None:
            kept.append(Statistic("", "span_days", self.span_days))
        if self.times is not None and self.middle_day is not None:
            # To the day and to a quarter of an hour: when one customer came is not kept.
            kept.append(Statistic("", "late_day", float(math.floor(_epoch_days(self.times[3])))))
            kept.append(Statistic("", "middle_day", round(self.middle_day * 96) / 96))
        total = sum(self.moments)
        if total >= _FEWEST_MOMENTS:
            kept.append(Statistic(self.event_time, MOMENTS, float(total)))
            for hour, count in enumerate(self.moments):
                kept.append(Statistic(self.event_time, f"{HOUR_PREFIX}{hour:02}", count / total))
        for column in self.null_counts:
            kept.append(Statistic(column, "null_share", self.null_share(column)))
        for column, values in self.quantiles.items():
            kept.append(Statistic(column, "positive_values", float(self.positive_counts[column])))
            for (name, _), value in zip(QUANTILES, values, strict=True):
                kept.append(Statistic(column, name, value))
        for column in self.counts:
            shares = sorted(self.shares(column).items(), key=lambda item: (-item[1], item[0]))
            for name, share in shares[:maximum_categories]:
                if len(name) <= _LONGEST_CATEGORY:
                    kept.append(Statistic(column, SHARE_PREFIX + name, share))
        if self.churned_count is not None and self.rows:
            kept.append(Statistic("churned", "base_rate", self.churned_count / self.rows))
        if self.customers is not None:
            kept.append(Statistic("customer_id", "customers", float(self.customers.customers)))
            kept.append(Statistic("customer_id", "known", float(self.customers.known)))
        return tuple(kept)


def measure(connection: Connection, staged: str, entry: TableRules) -> Figures:
    """The figures of the staged Parquet file `staged`. Its columns are the contract's."""
    contract = CONTRACTS[entry.table]
    event = quote(contract.event_time)
    terms = [
        "count(*) as row_count",
        # Days of UTC; a cast to a date asks the calendar of a time zone, at eight times the cost.
        f"count(distinct epoch_us({event}) // 86400000000) as active_days",
        f"min({event}) as oldest_at",
        f"max({event}) as newest_at",
        f"quantile_disc(epoch_us({event}), [0.05, 0.25, 0.75, 0.95, 0.5]) as times",
    ]
    for number, column in enumerate(contract.columns):
        terms.append(f"count(*) - count({quote(column.name)}) as null_{number}")
    levels = ", ".join(str(level) for _, level in QUANTILES)
    for number, name in enumerate(entry.measured):
        positive = f"filter (where {quote(name)} > 0)"
        terms.append(f"count(*) {positive} as positive_{number}")
        terms.append(f"quantile_disc({quote(name)}, [{levels}]) {positive} as quantiles_{number}")
    if "churned" in contract.names:
        terms.append("count(*) filter (where churned) as churned_count")
    row = connection.one(
        f"select {', '.join(terms)} from read_parquet($staged)", {"staged": staged}
    )
    quantiles = {
        name: tuple(float(value) for value in row[f"quantiles_{number}"])
        for number, name in enumerate(entry.measured)
        if row[f"quantiles_{number}"]
    }
    return Figures(
        rows=int(row["row_count"]),
        active_days=int(row["active_days"]),
        oldest_at=_utc(row["oldest_at"]),
        newest_at=_utc(row["newest_at"]),
        times=_times(row["times"]),
        middle_at=_moment(row["times"][4]) if row["times"] else None,
        null_counts={
            column.name: int(row[f"null_{number}"])
            for number, column in enumerate(contract.columns)
        },
        positive_counts={
            name: int(row[f"positive_{number}"]) for number, name in enumerate(entry.measured)
        },
        quantiles=quantiles,
        counts={name: _count(connection, staged, name) for name in entry.sorted_into},
        churned_count=row.get("churned_count"),
        moments=(
            _count_moments(connection, staged, event, int(row["row_count"]))
            if "time_shift" in entry.batch
            else ()
        ),
        event_time=contract.event_time,
    )


def _count_moments(connection: Connection, staged: str, event: str, rows: int) -> tuple[int, ...]:
    """Hours in which a customer did something, by hour of the day: a basket of fifty is one."""
    hour = f"epoch_us({event}) // 3600000000"
    # Without the cast the remainder is one of 128 bits: 1.2 s of CPU a million rows, not 0.1.
    found = connection.rows(
        f"select {hour} % 24 as hour, count(distinct hash(customer_id, {hour})) as moments"
        f" from read_parquet($staged) where {event} is not null"
        " and hash(customer_id) % $parts::ubigint = 0 group by all",
        {"staged": staged, "parts": 1 + rows // _HOURS_ROWS},
    )
    # Before 1970 a remainder is negative.
    counts = {int(row["hour"]) % HOURS: int(row["moments"]) for row in found}
    return tuple(counts.get(hour, 0) for hour in range(HOURS)) if counts else ()


def _count(connection: Connection, staged: str, column: str) -> dict[str, int]:
    rows = connection.rows(
        f"select {quote(column)} as category, count(*) as members from read_parquet($staged)"
        f" where {quote(column)} is not null group by all",
        {"staged": staged},
    )
    return {row["category"]: int(row["members"]) for row in rows}


def _utc(moment: Any) -> datetime | None:
    return moment.astimezone(UTC) if moment is not None else None


def _times(values: Any) -> tuple[datetime, datetime, datetime, datetime] | None:
    if not values:
        return None
    first, second, third, fourth = (_moment(value) for value in values[:4])
    return first, second, third, fourth


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


def _epoch_days(moment: datetime) -> float:
    return moment.timestamp() / 86_400
