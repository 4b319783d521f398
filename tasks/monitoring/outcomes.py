"""Matured outcomes of past scorings, judged by model version and week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from tasks.alarms import MonitoringSettings
from tasks.monitoring.measures import (
    make_interval,
    measure_calibration_error,
    measure_gap,
    measure_profit,
)
from tasks.monitoring.money import Flags, Floats, Money
from tasks.offers import held_out_sql
from tasks.quality import WeekQuality
from tasks.significance import measure_auc

if TYPE_CHECKING:
    from tasks.standings import Standing
    from tasks.warehouse import Lake

SQL = Path(__file__).parent / "sql"
SCORED = "scored_week"


def find_covered(standing: Standing, as_of: datetime) -> datetime | None:
    """Until when outcomes are known: without its newest orders everybody looks gone.

    `as_of`, or as much earlier as the newest order of a source that is behind is older than it
    should be; None where such a source has none at all.
    """
    behind = [one for one in standing.sources if one.table == "orders" and one.is_behind]
    if any(one.age_days is None for one in behind):
        return None
    return as_of - timedelta(days=max((one.age_days or 0.0 for one in behind), default=0.0))


def stage_weeks(lake: Lake, as_of: datetime) -> bool:
    """Make the temporary table `scored_week` of what has matured by `as_of`; whether there is any.

    Its rows ask for outcomes: `customer_id`, `as_of`.
    """
    settings = lake.settings
    if "scores" not in lake.tables() or settings.features.outcome == "given":
        return False
    horizon_days = settings.features.horizon_days
    oldest = as_of - timedelta(days=horizon_days + 7 * settings.monitoring.weeks)
    lake.run(
        SQL / "scored_week.sql",
        {
            "horizon_days": horizon_days,
            "as_of": as_of,
            "since": oldest,
            "hold_out_salt": settings.actions.hold_out_salt,
            "hold_out_share": settings.actions.hold_out_share,
        },
        names={"is_held_out": held_out_sql("score.customer_id")},
    )
    return bool(lake.scalar(f"select count(*) from {SCORED}"))


def judge_weeks(lake: Lake) -> tuple[WeekQuality, ...]:
    """Quality of every staged week, everybody and those held out; after outcomes were joined."""
    rows = lake.arrow(lake.text(SQL / "week_rows.sql"))
    if not rows.num_rows:
        return ()
    moments = rows["moment"].to_numpy()
    versions = rows["model_version"].to_numpy()
    hashes = np.asarray(rows["model_hash"].to_pylist(), dtype=object)
    weeks = rows["week"].to_numpy()
    churned = _flags(rows["churned"])
    held_out, contacted = _flags(rows["held_out"]), _flags(rows["contacted"])
    probability = _floats(rows["probability"])
    value, expected = _floats(rows["value_amount"]), _floats(rows["expected_return_amount"])
    found = []
    for moment in np.unique(moments):
        of_night = moments == moment
        populations: tuple[tuple[Literal["all", "held_out"], Flags], ...] = (
            ("all", of_night),
            ("held_out", of_night & held_out),
        )
        everybody = int(of_night.sum())
        first = int(np.flatnonzero(of_night)[0])
        for population, chosen in populations:
            judged = _Judged(churned[chosen], probability[chosen], expected[chosen], value[chosen])
            if not judged.is_enough(lake.settings.monitoring):
                continue
            money = Money.of(lake.settings.economics, int(chosen.sum()) / everybody)
            found.append(
                judged.describe(
                    version=int(versions[first]),
                    model_hash=str(hashes[first]),
                    week=_moment(weeks[first]),
                    as_of=_moment(moment),
                    population=population,
                    contacted=int(contacted[chosen].sum()),
                    money=money,
                    confidence=lake.settings.monitoring.confidence,
                )
            )
    return tuple(found)


def choose_judged(weeks: Sequence[WeekQuality], model_hash: str) -> list[WeekQuality]:
    """One figure a week of a model, oldest first: of those held out where anybody was contacted.

    A contact that works keeps customers who would have left, and so makes a right score look
    wrong; with too few held out the week is left out rather than judged by them.
    """
    nights: dict[datetime, dict[str, WeekQuality]] = {}
    for one in weeks:
        if one.model_hash == model_hash:
            nights.setdefault(one.as_of, {})[one.population] = one
    chosen = []
    for _, night in sorted(nights.items()):
        touched = "all" not in night or night["all"].contacted > 0
        best = night.get("held_out") if touched else night["all"]
        if best is not None:
            chosen.append(best)
    return chosen


@dataclass(frozen=True)
class _Judged:
    """Customers of one night, (n,) each: who left, and what their scores said."""

    churned: Flags
    probability: Floats
    expected: Floats
    value_amount: Floats

    def is_enough(self, settings: MonitoringSettings) -> bool:
        churners = int(self.churned.sum())
        return (
            len(self.churned) >= settings.minimum_customers
            and churners >= settings.minimum_churners
        )

    def describe(
        self,
        *,
        version: int,
        model_hash: str,
        week: datetime,
        as_of: datetime,
        population: Literal["all", "held_out"],
        contacted: int,
        money: Money,
        confidence: float,
    ) -> WeekQuality:
        churners = int(self.churned.sum())
        # One customer of a class says nothing of how much it varies.
        both = min(churners, len(self.churned) - churners) > 1
        area, error = measure_auc(self.churned, self.probability)
        gap, gap_error = measure_gap(self.churned, self.probability)
        profit, profit_error = measure_profit(self.churned, self.expected, self.value_amount, money)
        return WeekQuality(
            model_version=version,
            model_hash=model_hash,
            week=week,
            as_of=as_of,
            population=population,
            customers=len(self.churned),
            contacted=contacted,
            churners=churners,
            auc=make_interval(area, error, confidence) if both else None,
            gap=make_interval(gap, gap_error, confidence),
            calibration_error=measure_calibration_error(self.churned, self.probability),
            profit=make_interval(profit, profit_error, confidence),
            expected_profit_amount=float(self.expected[money.choose(self.expected)].sum()),
        )


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(int(microseconds) / 1e6, UTC)


def _flags(column: object) -> Flags:
    return np.asarray(column.to_pylist(), dtype=np.bool_)  # type: ignore[attr-defined]


def _floats(column: object) -> Floats:
    found = column.combine_chunks().to_numpy(zero_copy_only=False)  # type: ignore[attr-defined]
    return np.asarray(found, dtype=np.float64)
