"""A trend as a small SVG plot: no script, no style of its own, every text escaped.

Accepted batches are dots, refused ones crosses; the band is the range of the good batches, the
dashed line the limit that stops a batch. Colours come from classes of the page's style sheet.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup, escape

from tasks.escaping import show_controls
from tasks.oncall.trends import Point, Trend, format_figure

WIDTH, HEIGHT = 420, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 10, 10, 24
# Figures that differ by more than this are drawn on a logarithmic scale, or the good ones would
# lie on one line at the bottom.
_LOG_RATIO = 20.0
_LONGEST_LABEL = 22
_ROOM = 0.08


@dataclass(frozen=True, slots=True)
class _Scale:
    """From a figure to a height in the plot."""

    low: float
    high: float
    is_log: bool

    def place(self, value: float) -> float:
        low, high, at = self.low, self.high, value
        if self.is_log:
            low, high, at = math.log10(low), math.log10(high), math.log10(max(value, self.low))
        share = (at - low) / (high - low) if high > low else 0.5
        share = min(1.0, max(0.0, share))
        return _TOP + (1 - share) * (HEIGHT - _TOP - _BOTTOM)


def draw_trend(trend: Trend, title: str, *, is_share: bool) -> Markup:
    """The plot, or an empty text where fewer than two batches have the figure."""
    points = trend.drawn
    if len(points) < 2:
        return Markup("")
    scale = _choose_scale(trend)
    step = (WIDTH - _LEFT - _RIGHT) / len(points)

    def x_of(index: int) -> float:
        return _LEFT + (index + 0.5) * step

    def name(value: float) -> str:
        return format_figure(value, is_share=is_share)

    refused = sum(not point.is_accepted for point in points)
    label = (
        f"{show_controls(title)} over {len(points)} batches, {refused} of them refused;"
        f" the newest is {name(points[-1].figure or 0.0)}"
    )
    parts = [
        Markup(
            '<svg class="plot" role="img" aria-label="{}" viewBox="0 0 {} {}"'
            ' preserveAspectRatio="xMidYMid meet">'
        ).format(label, WIDTH, HEIGHT),
        _draw_frame(scale, name),
        _draw_usual(trend, scale, name),
        _draw_limits(points, scale, name),
    ]
    heights = [scale.place(point.figure or 0.0) for point in points]
    line = " ".join(f"{x_of(i):.1f},{y:.1f}" for i, y in enumerate(heights))
    parts.append(Markup('<polyline class="way" points="{}"/>').format(line))
    parts += [
        _draw_point(point, x_of(i), heights[i], name(point.figure or 0.0))
        for i, point in enumerate(points)
    ]
    parts += [
        _text(_LEFT, HEIGHT - 6, "start", _shorten(points[0].batch_name)),
        _text(WIDTH - _RIGHT, HEIGHT - 6, "end", _shorten(points[-1].batch_name)),
        Markup("</svg>"),
    ]
    return Markup("").join(parts)


def _choose_scale(trend: Trend) -> _Scale:
    values = [point.figure for point in trend.drawn if point.figure is not None]
    values = [value for value in values if math.isfinite(value)] or [0.0]
    limits = [
        limit
        for point in trend.drawn
        for limit in (point.lower_limit, point.upper_limit)
        if limit is not None and math.isfinite(limit)
    ]
    # A far-away limit must not flatten the figures; it is then said in words alone.
    reach = max(abs(value) for value in values) or 1.0
    everything = values + [limit for limit in limits if abs(limit) <= reach * _LOG_RATIO]
    low, high = min(everything), max(everything)
    if low > 0 and high / low > _LOG_RATIO:
        return _Scale(low / 1.3, high * 1.3, is_log=True)
    room = (high - low) * _ROOM or abs(high) * _ROOM or 1.0
    floor = 0.0 if low >= 0 and low - room < 0 else low - room
    return _Scale(floor, high + room, is_log=False)


def _draw_frame(scale: _Scale, name: Callable[[float], str]) -> Markup:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    lines = Markup('<path class="axis" d="M{0} {1}V{2}H{3}"/>').format(_LEFT, _TOP, bottom, right)
    texts = Markup("").join(
        _text(_LEFT - 6, scale.place(value) + 4, "end", name(value))
        for value in (scale.low, scale.high)
    )
    if scale.is_log:
        texts += _text(_LEFT - 6, (_TOP + bottom) / 2 + 4, "end", "log scale")
    return lines + texts


def _draw_usual(trend: Trend, scale: _Scale, name: Callable[[float], str]) -> Markup:
    usual = trend.usual
    if usual is None:
        return Markup("")
    top, bottom = scale.place(usual.highest), scale.place(usual.lowest)
    return Markup(
        '<g><title>{}</title><rect class="usual" x="{}" y="{:.1f}" width="{}" height="{:.1f}"/></g>'
    ).format(
        f"good batches: {name(usual.lowest)} to {name(usual.highest)}",
        _LEFT,
        top - 1,
        WIDTH - _LEFT - _RIGHT,
        max(2.0, bottom - top + 2),
    )


def _draw_limits(points: tuple[Point, ...], scale: _Scale, name: Callable[[float], str]) -> Markup:
    """The limits that the newest batch was held to."""
    drawn = Markup("")
    for limit in (points[-1].lower_limit, points[-1].upper_limit):
        if limit is None or not scale.low <= limit <= scale.high:
            continue
        y = scale.place(limit)
        drawn += Markup(
            '<g><title>{0}</title><path class="limit" d="M{1} {2:.1f}H{3}"/></g>'
        ).format(f"limit {name(limit)}", _LEFT, y, WIDTH - _RIGHT)
        above = y > _TOP + 14
        drawn += _text(_LEFT + 4, y - 4 if above else y + 12, "start", f"limit {name(limit)}")
    return drawn


def _draw_point(point: Point, x: float, y: float, figure: str) -> Markup:
    state = "accepted" if point.is_accepted else f"refused ({point.state})"
    title = f"{show_controls(point.batch_name)} (number {point.batch_number}): {figure}, {state}"
    if point.is_accepted:
        shape = Markup('<circle class="good" cx="{:.1f}" cy="{:.1f}" r="{}"/>').format(
            x, y, 4 if point.in_item else 2.6
        )
    else:
        shape = Markup(
            '<path class="bad" d="M{0:.1f} {1:.1f}l8 8m0 -8l-8 8"/>'
            '<rect class="touch" x="{2:.1f}" y="{3:.1f}" width="16" height="16"/>'
        ).format(x - 4, y - 4, x - 8, y - 8)
    return Markup("<g><title>{}</title>{}</g>").format(title, shape)


def _text(x: float, y: float, anchor: str, text: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, anchor, escape(show_controls(text))
    )


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST_LABEL else "…" + name[-_LONGEST_LABEL + 1 :]
