"""How many rows a batch should have by the calendar: its weekday, and its season a year before.

A day is compared with days that lie a whole number of weeks before it, in whatever time zone the
shop lives: what counts is the distance of the middles, not the name of the day. Where the year
before is known, what those weeks grew or fell to then is expected again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from tasks.sections import ValidationSettings
from tasks.validation.history import PastVolume
from tasks.validation.statistics import Figures

_WEEK_DAYS = 7.0
# 52 weeks: the day of the year before that has the same weekday.
_YEAR_DAYS = 364.0
# A season needs the year before and some weeks earlier still to see the change in.
_SEASON_HISTORY_DAYS = 400.0
# Feasts move by some days from year to year: the week before and after say the season too.
_SEASON_DAYS = 7.5
# What a season may change is bounded, so that one broken week of last year excuses nothing.
_SEASON_FACTOR = 4.0
# Of the time between two batches: nearer to a moment than this, a batch is the one of that moment.
_NEAR_SHARE = 0.45


@dataclass(frozen=True, slots=True)
class Usual:
    """Rows to expect; `words` name what they come from, `detail` follows the number."""

    rows: float
    words: str
    detail: str


def expect_rows(
    figures: Figures, volumes: Sequence[PastVolume], settings: ValidationSettings
) -> Usual | None:
    """Rows that the calendar leads one to expect, None where history is too short to say.

    `volumes` are accepted batches of the source in order of their place in the calendar. Earlier
    ones count, a later one does not: a day that is delivered late is judged like the others.
    """
    day = figures.middle_day
    if day is None or figures.span_days is None:
        return None
    daily = figures.span_days <= 1.0
    earlier = [
        volume
        for volume in volumes
        if volume.middle_day < day - 0.5 and (volume.span_days <= 1.0) == daily
    ]
    if daily:
        earlier = [v for v in earlier if _weekday_distance(day, v.middle_day) <= 0.5]
        reach = settings.trailing_batches * _WEEK_DAYS + 0.5
        recent = [v for v in earlier if day - v.middle_day <= reach]
    else:
        recent = earlier[-settings.trailing_batches :]
    if len(recent) < settings.minimum_batches:
        return None
    words = "the usual of its weekday" if daily else "the usual of its season"
    season = _season(day, daily, earlier, recent, settings.minimum_batches)
    if season is not None:
        rows, factor, pairs = season
        return Usual(rows, words, f" by {pairs} batches, season {factor:.2f}")
    if not daily:
        return None
    return Usual(median(v.rows for v in recent), words, f" by {len(recent)} batches")


def _weekday_distance(one: float, other: float) -> float:
    """Days between two moments, whole weeks left out."""
    rest = (one - other) % _WEEK_DAYS
    return min(rest, _WEEK_DAYS - rest)


def _season(
    day: float,
    daily: bool,
    earlier: Sequence[PastVolume],
    recent: Sequence[PastVolume],
    minimum_batches: int,
) -> tuple[float, float, int] | None:
    """(rows to expect, factor of the season, recent batches that have their like a year before).

    The factor is what the same time a year before had over what the same recent batches had then.
    """
    if not earlier or day - earlier[0].middle_day < _SEASON_HISTORY_DAYS:
        return None
    steps = [b.middle_day - a.middle_day for a, b in pairwise(recent)]
    spacing = median(steps) if steps else _WEEK_DAYS
    near = max(0.5, _NEAR_SHARE * spacing)
    then = _within(earlier, day - _YEAR_DAYS, max(_SEASON_DAYS if daily else 0.0, near))
    pairs = [
        (volume.rows, found)
        for volume in recent
        if (found := _centre(_within(earlier, volume.middle_day - _YEAR_DAYS, near)))
    ]
    if not then or len(pairs) < minimum_batches:
        return None
    before = median(found for _, found in pairs)
    factor = median(v.rows for v in then) / before
    factor = min(max(factor, 1 / _SEASON_FACTOR), _SEASON_FACTOR)
    return median(rows for rows, _ in pairs) * factor, factor, len(pairs)


def _within(volumes: Sequence[PastVolume], day: float, reach: float) -> list[PastVolume]:
    return [volume for volume in volumes if abs(volume.middle_day - day) <= reach]


def _centre(volumes: Sequence[PastVolume]) -> float:
    return median(v.rows for v in volumes) if volumes else 0.0
