"""Whether the times of a batch look moved: its hours of the day beside those of batches before.

A profile is the share of each hour of the day (UTC), 24 values that sum to one. Two profiles differ
by their total variation distance: the share of moments that would have to change the hour. A batch
whose times were moved differs from the usual profile by as much as the shop's day is long, and
fits it once it is moved back; a sale, a feast or a closed morning fits no better at any shift.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

HOURS = 24
Profile = Sequence[float]

# Half hours too, since some zones have them; a day is a circle, so that -15 hours are +9.
_SHIFTS = tuple(half / 2 for half in range(-HOURS + 1, HOURS + 1) if half)
# What clocks do themselves, twice a year.
_CLOCK_HOURS = 1.0
# A shift that fits hardly better than the clocks' own hour is taken for that.
_CLOCK_MARGIN = 0.08
# Fewer hours in use than this, two of which daylight saving makes of one, and times are days.
_FEWEST_HOURS = 3.0
# Hours of the day that are this much alike, or by chance, do not say where they begin.
_LEAST_CONTRAST = 0.2
_BEYOND_CHANCE = 2.5
# Of what a profile may lie away from the usual one by chance, in usual distances: a batch that
# lies no farther is like the others, and one that was moved back fits with this room.
_UNLIKE = 1.25
_ROOM = 0.05


@dataclass(frozen=True, slots=True)
class Movement:
    """What moved a batch's times, if anything: hours, +9 for nine hours later than usual.

    `distance` is how far its profile lies from the usual one, `moved_back` what is left of that at
    the shift that fits best. `hours` is 0.0 where the batch is like the others, or fits no better
    moved. `is_clocks` says that an hour explains it, as when clocks are changed.
    """

    hours: float
    distance: float
    moved_back: float
    is_clocks: bool = False

    @property
    def gain(self) -> float:
        """How much better the shift fits than none; 0.0 where there is none."""
        return self.distance - self.moved_back if self.hours else 0.0


def find_movement(moments: Sequence[int], past: Sequence[tuple[Profile, float]]) -> Movement | None:
    """How the batch with these numbers of moments an hour was moved against `past`.

    `past` are (profile, moments) of two batches or more. None where hours say nothing of a shift:
    times are days, or every hour is like the others.
    """
    total = sum(moments)
    profile = [count / total for count in moments]
    usual = _mean([known for known, _ in past])
    if 1 / sum(share * share for share in usual) < _FEWEST_HOURS:
        return None
    known = sum(count for _, count in past)
    contrast = max(distance(usual, move(usual, shift)) for shift in _SHIFTS)
    if contrast < max(_LEAST_CONTRAST, _BEYOND_CHANCE * _chance(usual, known)):
        return None
    apart = [
        distance(one, _mean([other for at, (other, _) in enumerate(past) if at != place]))
        for place, (one, _) in enumerate(past)
    ]
    chance = _chance(usual, total)
    far = distance(profile, usual)
    fits = {shift: distance(profile, move(usual, shift)) for shift in _SHIFTS}
    best = min(fits, key=lambda shift: (fits[shift], abs(shift)))
    near = min((s for s in _SHIFTS if abs(s) <= _CLOCK_HOURS), key=lambda s: fits[s])
    is_clocks = min(fits[near], far) - fits[best] <= _CLOCK_MARGIN
    if is_clocks:
        best = near
    is_unlike = far > _UNLIKE * max(median(apart), chance)
    is_explained = fits[best] <= max(*apart, chance) + _ROOM and fits[best] < far
    if not (is_unlike and is_explained):
        return Movement(0.0, far, fits[best])
    return Movement(best, far, fits[best], is_clocks)


def distance(one: Profile, other: Profile) -> float:
    """Total variation distance of two profiles, 0 to 1."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / 2


def move(profile: Profile, hours: float) -> list[float]:
    """The profile of the same moments so many hours later; half an hour divides each hour."""
    whole = math.floor(hours)
    part = hours - whole
    return [
        (1 - part) * profile[(hour - whole) % HOURS] + part * profile[(hour - whole - 1) % HOURS]
        for hour in range(HOURS)
    ]


def describe(hours: float) -> str:
    """`+9 hours`, `-1 hour`, `+5:30 hours`."""
    whole, minutes = divmod(round(abs(hours) * 60), 60)
    text = f"{'-' if hours < 0 else '+'}{whole}{f':{minutes:02}' if minutes else ''}"
    return f"{text} hour{'' if abs(hours) == 1 else 's'}"


def _mean(profiles: Sequence[Profile]) -> list[float]:
    return [sum(shares) / len(profiles) for shares in zip(*profiles, strict=True)]


def _chance(profile: Profile, moments: float) -> float:
    """The distance to expect of so many moments that are drawn from the profile."""
    return sum(math.sqrt(2 * share * (1 - share) / (math.pi * moments)) for share in profile) / 2
