"""How long customers stay: from a past cut-off until the lapse, followed to tonight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.findings import SurvivalCurve
from tasks.handles import FeatureTable
from tasks.reasons.reading import SQL
from tasks.visibility import supersessions, visible
from tasks.warehouse import Lake

Floats = NDArray[np.float64]
# Points of a curve that a page draws.
_POINTS = 60
_TABLES = {"lapse": ("orders", "order_lapses"), "cancellation": ("subscriptions", "contract_ends")}


@dataclass(frozen=True)
class Stay:
    """Who was there at a day and how long they stayed: shapes (n,).

    `days` from then until the lapse, or until tonight where `lapsed` is False.
    """

    since_day: int
    customer_ids: NDArray[np.object_]
    days: Floats
    lapsed: NDArray[np.bool_]

    @property
    def end_day(self) -> Floats:
        return self.since_day + self.days


def read_stays(
    lake: Lake, newest: FeatureTable, since_day: int, *, newcomers: bool = False
) -> Stay:
    """Follow who was there at a day up to the cut-off of `newest`, as known there.

    With `newcomers` also who came after that day, their `days` still counted from it. Only for
    outcomes that have a time ('lapse', 'cancellation').
    """
    settings = lake.settings.features
    name, file = _TABLES[settings.outcome]
    as_of = newest.as_of[-1]
    as_of_day = int(as_of.timestamp()) // 86_400
    seen = visible(name, newest.snapshot_id, supersessions(lake, newest.snapshot_id, name))
    rows = lake.arrow(
        lake.text(SQL / f"{file}.sql", names={"seen": seen}),
        {
            "since_day": since_day,
            "as_of_day": as_of_day,
            "as_of": as_of,
            "known_by": newest.known_by[-1],
            "horizon_days": settings.horizon_days,
            "newcomers": newcomers,
        },
    )
    ends = rows["end_day"].to_numpy(zero_copy_only=False).astype(np.float64)
    lapsed = np.isfinite(ends) & (ends <= as_of_day)
    days = np.where(lapsed, ends, as_of_day) - since_day
    kept = days > 0
    ids = np.asarray(rows["customer_id"].to_pylist(), dtype=object)
    return Stay(since_day, ids[kept], days[kept], lapsed[kept])


def draw_curve(
    segment_id: str | None, days: Floats, lapsed: NDArray[np.bool_], confidence: float
) -> SurvivalCurve:
    """Kaplan and Meier's curve with log-log intervals; `days` (n,) > 0, at least one."""
    from scipy.stats import norm
    from statsmodels.duration.survfunc import SurvfuncRight

    # Where everybody has gone the library divides 0 by 0 for a spread that is then not read.
    with np.errstate(all="ignore"):
        fitted = SurvfuncRight(days, lapsed.astype(np.int64))
        share = np.asarray(fitted.surv_prob, dtype=np.float64)
        spread = np.asarray(fitted.surv_prob_se, dtype=np.float64)
        times = np.asarray(fitted.surv_times, dtype=np.float64)
        inner = (share > 0) & (share < 1) & np.isfinite(spread) & (spread > 0)
        turn = np.zeros(len(share))
        z = norm.ppf(0.5 + confidence / 2)
        turn[inner] = z * spread[inner] / (share[inner] * np.log(share[inner]))
        low = np.where(inner, share ** np.exp(-turn), share)
        high = np.where(inner, share ** np.exp(turn), share)
    low, high = np.minimum(low, high), np.maximum(low, high)
    below = np.flatnonzero(share <= 0.5)
    kept = _thin(len(times))
    return SurvivalCurve(
        segment_id=segment_id,
        customers=len(days),
        points=(
            (0.0, 1.0, 1.0, 1.0),
            *(
                (float(times[n]), float(share[n]), float(low[n]), float(high[n]))
                for n in kept.tolist()
            ),
        ),
        median_days=float(times[below[0]]) if len(below) else None,
    )


def draw_curves(
    days: Floats,
    lapsed: NDArray[np.bool_],
    segments: NDArray[np.int64] | None,
    segment_ids: Sequence[str],
    *,
    confidence: float,
    minimum_customers: int,
) -> tuple[tuple[SurvivalCurve, ...], float | None]:
    """The curve of everybody, then of each segment that is large enough, and log-rank's p value."""
    if not len(days):
        return (), None
    curves = [draw_curve(None, days, lapsed, confidence)]
    if segments is None:
        return tuple(curves), None
    shown = [
        place
        for place in range(len(segment_ids))
        if int((segments == place).sum()) >= minimum_customers
    ]
    for place in shown:
        members = segments == place
        curves.append(draw_curve(segment_ids[place], days[members], lapsed[members], confidence))
    members = np.isin(segments, shown)
    if len(shown) < 2 or not lapsed[members].any():
        return tuple(curves), None
    return tuple(curves), _log_rank(days[members], lapsed[members], segments[members])


def _log_rank(days: Floats, lapsed: NDArray[np.bool_], groups: NDArray[np.int64]) -> float | None:
    from statsmodels.duration.survfunc import survdiff

    with np.errstate(all="ignore"):
        _, p_value = survdiff(days, lapsed.astype(np.int64), groups)
    return float(p_value) if np.isfinite(p_value) else None


def _thin(count: int) -> NDArray[np.int64]:
    """Places of at most `_POINTS` points, the last among them."""
    if count <= _POINTS:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, _POINTS).round().astype(np.int64))
