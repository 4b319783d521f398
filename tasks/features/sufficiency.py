"""Is there enough to learn from? Asked before anything is built, answered with what would help.

The counts are those of the final test's cut-off, the smallest part that must carry a verdict.
Where they fall short, other horizons and activity windows are counted, not guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tasks.errors import DataRejected
from tasks.features import labels
from tasks.features.declaration import SQL
from tasks.features.request import POPULATION
from tasks.visibility import supersessions, visible

if TYPE_CHECKING:
    from tasks.handles import Snapshot
    from tasks.sections import FeaturesSettings
    from tasks.warehouse import Lake

# What people plan in; tried from the nearest to the setting outwards.
_DAYS_TRIED = (7, 14, 21, 28, 30, 45, 60, 75, 90, 120, 150, 180, 240, 270, 365)
_WINDOWS_TRIED = (*_DAYS_TRIED[4:], 545, 730)


@dataclass(frozen=True, slots=True)
class Sufficiency:
    """The planned cut-offs in ascending order, and the counts at the last of them."""

    cutoffs: tuple[datetime, ...]
    customers: int
    churners: int
    horizon_days: int
    activity_window_days: int
    training_cutoffs: int

    @property
    def stayers(self) -> int:
        return self.customers - self.churners


def check_sufficiency(
    lake: Lake,
    as_of: datetime,
    known_by: datetime,
    snapshot: Snapshot | int,
    settings: FeaturesSettings,
) -> Sufficiency:
    """The cut-offs of a training at `as_of`, if they hold enough to learn from.

    Raises DataRejected (65) that says what is short, by how much, and which settings have enough.
    """
    count = _Count(lake, as_of, known_by, snapshot, settings)
    result = count.at(settings)
    short = _shortages(result, settings)
    if not short:
        return result
    where = f"at the cut-off {result.cutoffs[-1]:%Y-%m-%d}" if result.cutoffs else "no cut-off"
    raise DataRejected(
        "There is not enough to learn from: " + "; ".join(short) + ".",
        found=(
            f"{where}, horizon {settings.horizon_days} days, activity window"
            f" {settings.activity_window_days} days: {result.customers:,} customers,"
            f" {result.churners:,} churners, {result.training_cutoffs} earlier cut-offs to train on"
        ),
        next_step=_advise(count, result, settings),
    )


def _shortages(result: Sufficiency, settings: FeaturesSettings) -> list[str]:
    short = []
    if result.training_cutoffs < 1:
        short.append("no earlier cut-off whose outcome was known at the final test's")
    if result.customers < settings.minimum_customers:
        short.append(f"{result.customers:,} customers, {settings.minimum_customers:,} needed")
    if result.churners < settings.minimum_churners:
        short.append(f"{result.churners:,} churners, {settings.minimum_churners:,} needed")
    if result.stayers < settings.minimum_stayers:
        short.append(f"{result.stayers:,} who stay, {settings.minimum_stayers:,} needed")
    return short


def _advise(count: _Count, result: Sufficiency, settings: FeaturesSettings) -> str:
    if settings.outcome == "given":
        return "deliver more rows, or lower `features.minimum_churners`"
    if count.unseen:
        return (
            f"{count.unseen:,} customers would be eligible, but nothing of them was known at the"
            " cut-off: declare in the source when history would have been known"
            " (`known: event_plus_lag`)"
        )
    for trial in _trials(settings):
        tried = count.at(trial)
        if not _shortages(tried, trial):
            return _describe(settings, trial, tried, result)
    return (
        "no horizon or window up to two years is enough here: deliver a longer history, or lower"
        " the `features.minimum_...` settings knowing that figures will be uncertain"
    )


def _trials(settings: FeaturesSettings) -> Iterator[FeaturesSettings]:
    """Other settings, one change before two, the nearest first."""

    def nearest(days: tuple[int, ...], wanted: int) -> list[int]:
        others = (day for day in days if day != wanted)
        return sorted(others, key=lambda day: max(day, wanted) / min(day, wanted))

    horizons = nearest(_DAYS_TRIED, settings.horizon_days)
    windows = nearest(_WINDOWS_TRIED, settings.activity_window_days)
    for horizon in horizons:
        yield settings.model_copy(update={"horizon_days": horizon})
    if settings.outcome == "lapse":
        for window in windows:
            yield settings.model_copy(update={"activity_window_days": window})
        for horizon in horizons:
            for window in windows:
                yield settings.model_copy(
                    update={"horizon_days": horizon, "activity_window_days": window}
                )
    shorter = [day for day in (150, 120, 90, 60, 30, 0) if day < settings.minimum_history_days]
    for history in shorter:
        for horizon in (settings.horizon_days, *horizons):
            yield settings.model_copy(
                update={"minimum_history_days": history, "horizon_days": horizon}
            )


def _describe(
    settings: FeaturesSettings,
    trial: FeaturesSettings,
    tried: Sufficiency,
    before: Sufficiency,
) -> str:
    steps = []
    for name, noun in (
        ("horizon_days", "horizon"),
        ("activity_window_days", "activity window"),
        ("minimum_history_days", "history before the first cut-off"),
    ):
        old, new = getattr(settings, name), getattr(trial, name)
        if old != new:
            verb = "widen" if new > old else "shorten"
            steps.append(f"{verb} the {noun} to {new} days (`features.{name}: {new}`)")
    gains = []
    if before.churners < settings.minimum_churners:
        gains.append(f"{tried.churners:,} churners")
    if before.stayers < settings.minimum_stayers:
        gains.append(f"{tried.stayers:,} who stay")
    if before.customers < settings.minimum_customers:
        gains.append(f"{tried.customers:,} customers")
    if before.training_cutoffs < 1:
        gains.append(f"{tried.training_cutoffs} cut-offs to train on")
    return " and ".join(steps) + ", which gives " + " and ".join(gains)


class _Count:
    """Counts under any horizon and window, over one small table made once."""

    def __init__(
        self,
        lake: Lake,
        as_of: datetime,
        known_by: datetime,
        snapshot: Snapshot | int,
        settings: FeaturesSettings,
    ) -> None:
        self.lake = lake
        self.as_of = as_of
        self.lag = known_by - as_of
        self.outcome = settings.outcome
        self.unseen = 0
        table = POPULATION[settings.outcome]
        self.seen = visible(
            table,
            snapshot,
            supersessions(lake, snapshot, table),
            known_by=f"timestamptz '{known_by.isoformat(sep=' ')}'",
        )
        self.since = labels.history_since(lake, snapshot, known_by, settings)
        made = {"lapse": "activity", "cancellation": "contract"}.get(settings.outcome)
        if made:
            lake.run(SQL / f"{made}.sql", {"as_of": as_of}, names={"seen": self.seen})

    def at(self, settings: FeaturesSettings) -> Sufficiency:
        """The counts under `settings`; `unseen` then says how many only later became known."""
        cutoffs = labels.plan_cutoffs(self.as_of, self.since, settings)
        row: dict[str, Any] = {"customers": 0, "churners": 0, "customers_if_known": 0}
        if cutoffs:
            text = self.lake.text(SQL / f"count_{self.outcome}.sql", names={"seen": self.seen})
            row = self.lake.one(
                text,
                {
                    "cutoff": cutoffs[-1],
                    # As late after its cut-off as the run looks after its own.
                    "known_by": cutoffs[-1] + self.lag,
                    "cutoff_day": int(cutoffs[-1].timestamp()) // 86_400,
                    "horizon_days": settings.horizon_days,
                    "activity_window_days": settings.activity_window_days,
                },
            )
        horizon = timedelta(days=settings.horizon_days)
        training = sum(cutoff + horizon <= cutoffs[-1] for cutoff in cutoffs)
        self.unseen = 0 if row["customers"] else int(row["customers_if_known"])
        return Sufficiency(
            cutoffs=cutoffs,
            customers=int(row["customers"]),
            churners=int(row["churners"]),
            horizon_days=settings.horizon_days,
            activity_window_days=settings.activity_window_days,
            training_cutoffs=1 if self.outcome == "given" else training,
        )
