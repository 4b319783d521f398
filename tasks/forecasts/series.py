"""The series that are forecast: churn rate, active base and revenue, by period and segment.

All are as the deployment's own settings say: active is who ordered within
`features.activity_window_days`, and has left who then does not order for `features.horizon_days`.
Active base and churn rate are of the moment at which a period begins, revenue is of the whole
period; the running period is dropped, and the churn rate ends a horizon ago, since nobody can know
later ones.

A segment's past can only be told by customers whose segment is known. Who left before segments were
first made is in none, and a group of today looks, without them, as if it had only ever grown. So a
segment's series reaches back only as far as nearly all of the total is in some segment.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tasks.errors import DataRejected
from tasks.forecasts.periods import Period, day_of
from tasks.visibility import supersessions, visible

if TYPE_CHECKING:
    from tasks.handles import Snapshot
    from tasks.sections import FeaturesSettings
    from tasks.settings import Settings
    from tasks.warehouse import Lake

_SQL = Path(__file__).with_name("sql")
Measure = Literal["churn_rate", "active_customers", "revenue"]
MEASURES: tuple[Measure, ...] = ("churn_rate", "active_customers", "revenue")


@dataclass(frozen=True, slots=True)
class Series:
    """One series without gaps: `values` from period number `first`, shape (periods,).

    `ahead` periods after the last are to be forecast. `segment_id` None is the total.
    """

    measure: Measure
    segment_id: str | None
    period: Period
    first: int
    values: np.ndarray
    ahead: int


@dataclass(frozen=True, slots=True)
class Collected:
    """The series of a night; `uncovered` are measures whose segments' past is not known enough."""

    period: Period
    series: tuple[Series, ...]
    uncovered: tuple[Measure, ...]
    segments: int


def collect_series(
    lake: Lake, as_of: datetime, known_by: datetime, snapshot: Snapshot, settings: Settings
) -> Collected:
    """The total and the largest segments, weekly or monthly by how much history there is.

    Raises DataRejected (65) where nothing has been ordered by then.
    """
    features, chosen = settings.features, settings.forecasts
    values = {
        "as_of": as_of,
        "known_by": known_by,
        "activity_window_days": features.activity_window_days,
        "horizon_days": features.horizon_days,
    }
    orders = visible(
        "orders",
        snapshot,
        supersessions(lake, snapshot, "orders"),
        columns=("customer_id", "ordered_at", "net_amount", "is_return"),
    )
    lake.run(_SQL / "order_day.sql", values, names={"orders": orders})
    since = lake.scalar("select min(day) from order_day")
    if since is None:
        raise DataRejected(
            f"Nothing was ordered from '{lake.deployment}' before {as_of:%Y-%m-%d}.",
            next_step=f"holdfast -d {settings.called} ingest, or look at `clock.as_of`",
        )
    lake.run(_SQL / "present_segment.sql", values)
    today = day_of(as_of)
    months = Period("month")
    complete = months.of_day(today) - months.first_from(since)
    period = months if complete >= chosen.monthly_from_months else Period("week")
    ahead = chosen.ahead_months if period.name == "month" else chosen.ahead_weeks
    counts = _count_base(lake, period, values)
    spent = _sum_revenue(lake, period, orders, values)
    bounds = _bounds(period, since, today, features)
    table = {
        "active_customers": {key: one["active"] for key, one in counts.items()},
        "churned": {key: one["churned"] for key, one in counts.items()},
        "revenue": spent,
    }
    return _assemble(table, bounds, period, ahead, chosen.maximum_periods, settings)


def _count_base(
    lake: Lake, period: Period, values: dict[str, Any]
) -> dict[str | None, dict[str, dict[int, float]]]:
    """Changes of the active and the leaving by segment; key '' is who is in none."""
    names = {
        f"period_of_{day}": period.sql(day) for day in ("day", "active_until", "churned_until")
    }
    changes: dict[str | None, dict[str, dict[int, float]]] = {}
    for row in lake.rows(lake.text(_SQL / "lapse_changes.sql", names=names), values):
        one = changes.setdefault(row["segment_id"], {"active": {}, "churned": {}})
        for name in ("active", "churned"):
            one[name][int(row["period"])] = float(row[name])
    for one in changes.values():
        for name, steps in one.items():
            one[name] = _sum_up(steps)
    return changes


def _sum_up(steps: dict[int, float]) -> dict[int, float]:
    """Counts at every period from changes at some."""
    total, counts = 0.0, {}
    # Spans of customers who have not come back end far in the future.
    for number in range(min(steps), min(max(steps), min(steps) + 10_000) + 1):
        total += steps.get(number, 0.0)
        counts[number] = total
    return counts


def _sum_revenue(
    lake: Lake, period: Period, orders: str, values: dict[str, Any]
) -> dict[str | None, dict[int, float]]:
    names = {"orders": orders, "period_of_day": period.sql("day")}
    spent: dict[str | None, dict[int, float]] = defaultdict(dict)
    for row in lake.rows(lake.text(_SQL / "revenue.sql", names=names), values):
        spent[row["segment_id"]][int(row["period"])] = float(row["amount"])
    return dict(spent)


def _bounds(
    period: Period, since: int, today: int, features: FeaturesSettings
) -> dict[Measure, tuple[int, int]]:
    """First and last period of each measure; before a whole window the base has not filled up."""
    filled = period.first_from(since + features.activity_window_days)
    return {
        "churn_rate": (filled, period.of_day(today - features.horizon_days)),
        "active_customers": (filled, period.of_day(today)),
        "revenue": (period.first_from(since), period.of_day(today) - 1),
    }


def _assemble(
    table: dict[str, dict[str | None, dict[int, float]]],
    bounds: dict[Measure, tuple[int, int]],
    period: Period,
    ahead: int,
    maximum_periods: int,
    settings: Settings,
) -> Collected:
    present = bounds["active_customers"][1]
    sizes = {
        key: counts.get(present, 0.0)
        for key, counts in table["active_customers"].items()
        if key is not None
    }
    largest = sorted(sizes, key=lambda key: (-sizes[key], key))
    chosen = largest[: settings.forecasts.maximum_segments]
    series: list[Series] = []
    uncovered: list[Measure] = []
    for measure in MEASURES:
        first, last = bounds[measure]
        first = max(first, last - maximum_periods + 1)
        if last < first:
            continue
        # What a rate's segments must account for is those who left: they are the ones forgotten.
        counted = "churned" if measure == "churn_rate" else measure
        end = present + ahead - (1 if measure == "revenue" else 0)
        total = _read_sum(table[counted], list(table[counted]), first, last)
        base = _read_sum(table["active_customers"], list(table["active_customers"]), first, last)
        rate = _divide(total, base) if measure == "churn_rate" else total
        series.append(Series(measure, None, period, first, rate, end - last))
        if not chosen:
            continue
        known = _read_sum(table[counted], sizes, first, last)
        start = _covered_from(known, total, settings.forecasts.minimum_coverage_share)
        if len(total) - start < settings.forecasts.minimum_periods:
            uncovered.append(measure)
            continue
        for segment in chosen:
            values = _read_sum(table[counted], [segment], first + start, last)
            if measure == "churn_rate":
                active = _read_sum(table["active_customers"], [segment], first + start, last)
                values = _divide(values, active)
            series.append(Series(measure, segment, period, first + start, values, end - last))
    return Collected(period, tuple(series), tuple(uncovered), len(sizes))


def _read_sum(
    counts: dict[str | None, dict[int, float]], keys: Any, first: int, last: int
) -> np.ndarray:
    """The sum over segments, float64 of shape (last - first + 1,)."""
    total = np.zeros(last - first + 1)
    for key in keys:
        one = counts.get(key, {})
        total += [one.get(number, 0.0) for number in range(first, last + 1)]
    return total


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    share = np.zeros_like(part)
    np.divide(part, whole, out=share, where=whole > 0)
    return share


def _covered_from(known: np.ndarray, total: np.ndarray, share: float) -> int:
    """The first place from which on the segments hold `share` of the total throughout."""
    missing = np.flatnonzero(known < share * total)
    return int(missing[-1]) + 1 if len(missing) else 0
