"""How many rows a batch should have by the calendar: its weekday, and its season a year before.

A day is expected to have the level of the last batches times what its weekday usually has of its
week. Weekdays are told by distance, a whole number of days before the batch's middle, not by name:
that holds in whatever time zone the shop lives. Where the year before is known, the batch is also
expected to stand to the last ones as it did then; half of that in logarithms, since one year before
is one draw, and its noise would else be added to this year's (on two simulated years and two real
ones the half leaves less error than all of it, and than none).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from tasks.sections import ValidationSettings
from tasks.validation.history import PastVolume
from tasks.validation.statistics import Figures

_WEEK_DAYS = 7
# Half a week on either side: the week around a day, in which every weekday stands once.
_AROUND_DAYS = _WEEK_DAYS / 2
# 52 weeks: the day of the year before that has the same weekday.
_YEAR_DAYS = 364.0
# A season needs the year before and some weeks earlier still to see the change in.
_SEASON_HISTORY_DAYS = 400.0
# Feasts move by some days from year to year: the week before and after say the season too.
_SEASON_REACH_DAYS = 7.5
_SEASON_WEIGHT = 0.5
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
    earlier = [v for v in volumes if v.middle_day < day - 0.5 and (v.span_days <= 1.0) == daily]
    profile = _profile(day, earlier, settings) if daily else {0: 1.0}
    if 0 not in profile:
        return None
    # What is left of a batch when its weekday is taken out, beside where it stood.
    levels = [
        (volume.middle_day, volume.rows / share)
        for volume in earlier
        if (share := profile.get(_days_apart(day, volume) if daily else 0))
    ]
    recent = levels[-settings.trailing_batches :]
    if len(recent) < settings.minimum_batches:
        return None
    season = None
    if day - levels[0][0] >= _SEASON_HISTORY_DAYS:
        season = _season(day, daily, levels, recent, settings.minimum_batches)
    if season is None and not daily:
        return None
    level, factor = season or (median(level for _, level in recent), 1.0)
    parts = [f", weekday {profile[0]:.2f}"] if daily else []
    parts += [f", season {factor:.2f}"] if season else []
    return Usual(level * profile[0] * factor, "the usual by the calendar", "".join(parts))


def _days_apart(day: float, volume: PastVolume) -> int:
    """Whole days between the middles, weeks left out: 0 is the same weekday."""
    return round(day - volume.middle_day) % _WEEK_DAYS


def _profile(
    day: float, earlier: Sequence[PastVolume], settings: ValidationSettings
) -> Mapping[int, float]:
    """What each weekday has of the middle day of its week, by its distance from the batch's.

    Of as many weeks as batches are compared; a weekday of fewer weeks than batches are needed for
    a comparison is left out.
    """
    reach = settings.trailing_batches * _WEEK_DAYS + 0.5
    window = [volume for volume in earlier if day - volume.middle_day <= reach]
    shares: dict[int, list[float]] = {}
    for volume in window:
        week = [
            other.rows
            for other in window
            if abs(other.middle_day - volume.middle_day) <= _AROUND_DAYS
        ]
        shares.setdefault(_days_apart(day, volume), []).append(volume.rows / median(week))
    return {
        apart: median(found)
        for apart, found in shares.items()
        if len(found) >= settings.minimum_batches
    }


def _season(
    day: float,
    daily: bool,
    levels: Sequence[tuple[float, float]],
    recent: Sequence[tuple[float, float]],
    minimum_batches: int,
) -> tuple[float, float] | None:
    """(level of the recent batches, factor of the season), None where the year before is not known.

    The factor is what the same time a year before had over what the like of the recent batches had
    then; the level is of those recent batches that have their like.
    """
    spacings = [later - sooner for (sooner, _), (later, _) in pairwise(recent)]
    near = max(0.5, _NEAR_SHARE * median(spacings)) if spacings else 0.5
    then = _around(levels, day - _YEAR_DAYS, max(_SEASON_REACH_DAYS if daily else 0.0, near))
    pairs = [
        (level, median(found))
        for moment, level in recent
        if (found := _around(levels, moment - _YEAR_DAYS, near))
    ]
    if not then or len(pairs) < minimum_batches:
        return None
    change = median(then) / median(before for _, before in pairs)
    factor = math.exp(_SEASON_WEIGHT * math.log(change))
    factor = min(max(factor, 1 / _SEASON_FACTOR), _SEASON_FACTOR)
    return median(level for level, _ in pairs), factor


def _around(levels: Sequence[tuple[float, float]], day: float, reach: float) -> list[float]:
    return [level for moment, level in levels if abs(moment - day) <= reach]
