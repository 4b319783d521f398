"""Two axes of a figure drawn as SVG: scales, grid, ticks, and lines between them.

All that is drawn is numbers, and text that is escaped; how it looks is said by the frame's style
sheet and the family's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tasks.escaping import show_controls

RIGHT, TOP, BOTTOM = 12, 14, 34
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Paper:
    """What a figure is drawn on, in pixels: its width, and the room for words on its left.

    A figure made smaller has words too small to be read: a telephone is shown one of its own.
    """

    name: str
    width: int
    left: int

    @property
    def inner_width(self) -> int:
        return self.width - self.left - RIGHT


# Room that a date needs, with some between it and the next.
_DATE_WIDTH = 120
WIDE, NARROW = Paper("wide", 960, 84), Paper("narrow", 340, 60)


@dataclass(frozen=True, slots=True)
class Axes:
    """What lies between `left` and `right`, and between `low` and `high`, as pixels of `height`.

    Bounds are in the units of what is drawn; `ticks` are values of the upright axis.
    """

    left: float
    right: float
    low: float
    high: float
    ticks: tuple[float, ...]
    paper: Paper = WIDE
    height: int = 320

    @classmethod
    def around(cls, paper: Paper, left: float, right: float, values: Iterable[float]) -> Axes:
        """Axes that hold all values, up to ticks that are round numbers."""
        known = [value for value in values if math.isfinite(value)] or [0.0]
        ticks = choose_ticks(min(known), max(known))
        height = 320 if paper is WIDE else 240
        return cls(left, right, ticks[0], ticks[-1], ticks, paper, height)

    def across(self, value: float) -> float:
        share = (value - self.left) / ((self.right - self.left) or 1)
        return self.paper.left + self.paper.inner_width * share

    def down(self, value: float) -> float:
        """What lies beyond the axis is drawn at its end."""
        inside = min(self.high, max(self.low, value))
        return TOP + (self.height - TOP - BOTTOM) * (self.high - inside) / (self.high - self.low)

    def draw_grid(self, say: Callable[[float], str]) -> Markup:
        """A line and its words at each tick of the upright axis."""
        return Markup("").join(
            self.draw_level("grid", tick)
            + draw_text(self.paper.left - 8, self.down(tick) + 4, "end", say(tick))
            for tick in self.ticks
        )

    def draw_foot(self, ticks: Iterable[tuple[float, str]]) -> Markup:
        """Words below the figure, each at its place."""
        parts = Markup("")
        for value, text in ticks:
            x = self.across(value)
            anchor = "end" if x > self.paper.width - 50 else "middle"
            parts += draw_text(x, self.height - 10, anchor, text)
        return parts

    def draw_level(self, kind: str, value: float) -> Markup:
        """A line across the whole figure."""
        return Markup('<line class="{}" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
            kind, self.paper.left, self.paper.width - RIGHT, self.down(value), self.down(value)
        )

    def draw_line(self, kind: str, points: Iterable[Point]) -> Markup:
        places = " ".join(f"{self.across(x):.1f},{self.down(y):.1f}" for x, y in points)
        return Markup('<polyline class="line {}" points="{}"/>').format(kind, places)

    def draw_dot(self, kind: str, point: Point, title: str) -> Markup:
        return Markup(
            '<g><title>{}</title><circle class="{}" cx="{:.1f}" cy="{:.1f}" r="5"/></g>'
        ).format(show_controls(title), kind, self.across(point[0]), self.down(point[1]))

    def draw_reach(self, kind: str, x: float, low: float, high: float) -> Markup:
        """An interval: a line upright with its two ends."""
        place, top, bottom = self.across(x), self.down(high), self.down(low)
        return Markup(
            '<path class="line {0}" d="M{1:.1f} {2:.1f}h12m-6 0V{3:.1f}m-6 0h12"/>'
        ).format(kind, place - 6, top, bottom)

    def close(self, said: str, *parts: Markup) -> Markup:
        """The figure; `said` is what somebody hears who cannot see it."""
        return close_figure(self.paper, self.height, said, *parts)


def close_figure(paper: Paper, height: int, said: str, *parts: Markup) -> Markup:
    """A figure of that height."""
    return Markup(
        '<div class="figure {}"><svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg></div>'
    ).format(paper.name, paper.width, height, show_controls(said), Markup("").join(parts))


def draw_twice(draw: Callable[[Paper], Markup]) -> Markup:
    """A figure for a desk and one for a telephone; the style sheet shows the one that fits."""
    return draw(WIDE) + draw(NARROW)


def draw_text(x: float, y: float, anchor: str, text: str) -> Markup:
    return Markup('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, anchor, show_controls(text)
    )


def choose_ticks(low: float, high: float, most: int = 6) -> tuple[float, ...]:
    """Round numbers, evenly apart, from at or below `low` to at or above `high`."""
    largest = max(abs(low), abs(high))
    if high - low <= max(1e-9 * largest, 1e-200):
        room = largest if largest > 1e-100 else 1.0
        low, high = low - room, high + room
    rough = (high - low) / (most - 1)
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(
        size * times for times in (1, 2, 2.5, 5, 10, 20) if _count(low, high, size * times) <= most
    )
    first, last = math.floor(low / step), math.ceil(high / step)
    return tuple(number * step for number in range(first, last + 1))


def spread(count: int, paper: Paper = WIDE) -> Sequence[int]:
    """Places of so many things that are named, where dates of all have no room."""
    most = max(1, paper.inner_width // _DATE_WIDTH)
    return range(0, count, max(1, math.ceil(count / most)))


def _count(low: float, high: float, step: float) -> int:
    return math.ceil(high / step) - math.floor(low / step) + 1
