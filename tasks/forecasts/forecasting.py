"""The forecasts of a night: every series carried on, with the method that has proved itself."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from tasks.archive import find_findings, hash_parts, insert_findings, recall_findings
from tasks.crash import crash_point
from tasks.findings import ForecastFindings, ForecastSeries, Words
from tasks.forecasts.rolling import Forecast, forecast
from tasks.forecasts.series import Collected, Measure, Series, collect_series
from tasks.progress import track

if TYPE_CHECKING:
    from tasks.handles import Snapshot
    from tasks.settings import Settings
    from tasks.warehouse import Lake

_WORDS: dict[Measure, Words] = {
    "churn_rate": Words(en="churn rate", ko="이탈률"),
    "active_customers": Words(en="active customers", ko="활성 고객 수"),
    "revenue": Words(en="revenue", ko="매출"),
}
# What no forecast of a measure may leave.
_LIMITS: dict[Measure, tuple[float, float]] = {
    "churn_rate": (0.0, 1.0),
    "active_customers": (0.0, np.inf),
    "revenue": (-np.inf, np.inf),
}


def forecast_all(
    lake: Lake, as_of: datetime, known_by: datetime, settings: Settings
) -> tuple[ForecastFindings, bool]:
    """The forecasts of a cut-off, in the ledger; whether they are new.

    The run is named by the series and the settings: the same night is one run. A history that is
    too short gives a note, not an error. Raises DataRejected (65) where nothing was ever ordered.
    """
    snapshot = lake.snapshot()
    collected = None
    if settings.features.outcome == "lapse":
        collected = collect_series(lake, as_of, known_by, snapshot, settings)
    run_id = _name_run(collected, as_of, known_by, settings)
    done = recall_findings(lake, ForecastFindings, run_id)
    if done is not None:
        return done, False
    lake.record_read("forecasts", snapshot, as_of, known_by)
    found = _describe(collected, as_of, known_by, snapshot, settings)
    with lake.writer_lock("publish forecasts"):
        if find_findings(lake, ForecastFindings, finding_id=run_id) is None:
            crash_point("forecasts.before_publish")
            message = f"forecasts of {as_of:%Y-%m-%d}"
            with lake.publish("holdfast", message, {"finding_id": run_id}):
                insert_findings(lake, run_id, found)
    crash_point("forecasts.published")
    return found, True


def _name_run(
    collected: Collected | None, as_of: datetime, known_by: datetime, settings: Settings
) -> str:
    """The run's id: sha256, shortened, over everything that the forecasts depend on."""
    series = () if collected is None else collected.series
    told = [
        [one.measure, one.segment_id, one.period.name, one.first, one.ahead, *one.values.tolist()]
        for one in series
    ]
    parts = {
        "deployment": settings.deployment,
        "as_of": as_of.isoformat(),
        "known_by": known_by.isoformat(),
        "series": told,
        "settings": settings.forecasts.model_dump(mode="json"),
        "currency": settings.economics.currency,
    }
    return hash_parts(parts)


def _describe(
    collected: Collected | None,
    as_of: datetime,
    known_by: datetime,
    snapshot: Snapshot,
    settings: Settings,
) -> ForecastFindings:
    made: list[ForecastSeries] = []
    notes: list[Words] = []
    chosen = settings.forecasts
    if collected is None:
        notes.append(
            Words(
                en="No forecasts: they are made where leaving means not to order any more.",
                ko="예측은 주문 중단을 이탈로 볼 때만 만듭니다.",
            )
        )
    else:
        notes += _note_segments(collected)
        short: dict[Measure, int] = {}
        for one in track(collected.series, "forecasting", lambda one: one.measure):
            if len(one.values) < chosen.minimum_periods:
                short[one.measure] = len(one.values)
                continue
            made.append(_forecast_one(one, settings))
        notes += _note_short(collected, short, chosen.minimum_periods)
        notes += _note_coverage(made, chosen.confidence)
    return ForecastFindings(
        deployment=settings.deployment,
        as_of=as_of,
        known_by=known_by,
        snapshot_id=snapshot.snapshot_id,
        currency=settings.economics.currency,
        notes=tuple(notes),
        series=tuple(made),
    )


def _forecast_one(series: Series, settings: Settings) -> ForecastSeries:
    chosen = settings.forecasts
    told: Forecast = forecast(
        series.values,
        series.ahead,
        series.period.season,
        origins=chosen.origins,
        confidence=chosen.confidence,
        minimum_gain_share=chosen.minimum_gain_share,
    )
    least, most = _LIMITS[series.measure]
    if series.values.min() >= 0:
        # Returns can outweigh a week's orders; where they never did, no forecast says they will.
        least = max(least, 0.0)
    ahead = (np.clip(line, least, most).tolist() for line in (told.mean, told.low, told.high))
    after = series.first + len(series.values)
    return ForecastSeries(
        measure=series.measure,
        segment_id=series.segment_id,
        period=series.period.name,
        history=tuple(
            (series.period.start(series.first + place), float(value))
            for place, value in enumerate(series.values)
        ),
        forecast=tuple(
            (series.period.start(after + step), mean, low, high)
            for step, (mean, low, high) in enumerate(zip(*ahead, strict=True))
        ),
        confidence=chosen.confidence,
        errors=told.errors,
        contest=told.contest,
        coverage_share=told.coverage_share,
        widened=told.widened,
        checked_values=told.checked_values,
    )


def _note_segments(collected: Collected) -> list[Words]:
    if not collected.segments:
        return [
            Words(
                en="No segments as of then: the totals alone are forecast.",
                ko="세그먼트가 없어 전체만 예측합니다.",
            )
        ]
    if not collected.uncovered:
        return []
    en = ", ".join(_WORDS[measure].en for measure in collected.uncovered)
    ko = ", ".join(_WORDS[measure].ko for measure in collected.uncovered)
    return [
        Words(
            en=f"Not by segment: {en}. Too many of those who have left were in no segment yet, and"
            " without them the segments of today would look as if nobody ever left.",
            ko=f"세그먼트별 예측 없음: {ko}. 이미 떠난 고객의 세그먼트를 알 수 없습니다.",
        )
    ]


def _note_short(
    collected: Collected, short: dict[Measure, int], minimum_periods: int
) -> list[Words]:
    totals = {one.measure for one in collected.series}
    missing = {measure: 0 for measure in _WORDS if measure not in totals} | short
    unit = {"week": ("weeks", "주"), "month": ("months", "개월")}[collected.period.name]
    return [
        Words(
            en=f"No forecast of the {_WORDS[measure].en}: {periods} complete {unit[0]} of history,"
            f" {minimum_periods} are needed.",
            ko=f"{_WORDS[measure].ko} 예측 없음: 완전한 기록이 {periods}{unit[1]}뿐이며"
            f" {minimum_periods}{unit[1]}가 필요합니다.",
        )
        for measure, periods in missing.items()
    ]


def _note_coverage(made: list[ForecastSeries], confidence: float) -> list[Words]:
    checked = sum(one.checked_values for one in made)
    if not checked:
        return []
    inside = sum(one.coverage_share * one.checked_values for one in made) / checked
    widened = sum(one.widened > 1 for one in made)
    return [
        Words(
            en=f"Intervals are meant to hold {confidence:.0%}; made without them, they held"
            f" {inside:.0%} of {checked:,} past values, after {widened} of {len(made)} series were"
            " widened.",
            ko=f"구간의 목표 포함률은 {confidence:.0%}이며, 과거 {checked:,}개 값 중"
            f" {inside:.0%}가 구간 안에 있었습니다({len(made)}개 중 {widened}개 계열 확대).",
        )
    ]
