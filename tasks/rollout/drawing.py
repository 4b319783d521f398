"""The figures of a rollout's page, as SVG: the looks between their bounds, the effect by date."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from functools import partial

from markupsafe import Markup

from tasks.pages.axes import Axes, Paper, Point, draw_text, draw_twice
from tasks.rollout.report import Seen
from tasks.rollout.units import Units, say_share

_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
# What is nearer than that would be written over each other, in pixels.
_DATE_WIDTH, _NUMBER_WIDTH = 110, 14


def draw_looks(looks: Sequence[Seen]) -> Markup:
    """The z statistic of each look over the share of the planned information, with its bounds."""
    return draw_twice(partial(_draw_looks, looks))


def draw_effects(looks: Sequence[Seen], units: Units, minimum_effect: float, began: date) -> Markup:
    """The effect of each look with its interval, by date, beside nothing and the least effect."""
    return draw_twice(partial(_draw_effects, looks, units, minimum_effect, began))


def _draw_looks(looks: Sequence[Seen], paper: Paper) -> Markup:
    found = [seen.look for seen in looks]
    uppers = [(one.information_share, one.upper) for one in found]
    lowers = [(one.information_share, one.lower) for one in found if one.lower is not None]
    way = [(one.information_share, one.z) for one in found]
    axes = Axes.around(paper, 0, 1, [0.0, *(value for _, value in (*uppers, *lowers, *way))])
    parts = [
        _draw_region(axes, "win", uppers, axes.high),
        _draw_region(axes, "loss", lowers, axes.low),
        axes.draw_grid(lambda value: f"{value:g}"),
        axes.draw_foot((share, say_share(share)) for share in _SHARES),
        axes.draw_level("zero", 0),
        axes.draw_line("win", uppers),
        axes.draw_line("loss", lowers),
        *(_draw_mark(axes, "win", point) for point in uppers),
        *(_draw_mark(axes, "loss", point) for point in lowers),
        axes.draw_line("way", way),
    ]
    former = -math.inf
    for one, point in zip(found, way, strict=True):
        bounds = f"upper bound {one.upper:.2f}"
        if one.lower is not None:
            bounds += f", lower bound {one.lower:.2f}"
        title = f"look {one.number}, {one.on}: z {one.z:.2f}, {bounds}"
        parts.append(axes.draw_dot("seen", point, title))
        x = axes.across(point[0])
        if x - former >= _NUMBER_WIDTH:
            parts.append(draw_text(x, axes.down(point[1]) - 10, "middle", str(one.number)))
            former = x
    said = "; ".join(
        f"look {one.number}: z {one.z:.2f} at {one.information_share:.0%} of the information,"
        f" upper bound {one.upper:.2f}"
        for one in found
    )
    return axes.close(said, *parts)


def _draw_effects(
    looks: Sequence[Seen], units: Units, minimum_effect: float, began: date, paper: Paper
) -> Markup:
    least = units.scale(minimum_effect)
    values = [0.0, least]
    for seen in looks:
        values.append(units.scale(seen.effect))
        if seen.estimate is not None:
            values += [units.scale(seen.estimate.low), units.scale(seen.estimate.high)]
    days = [seen.look.on for seen in looks]
    # Room on both sides: an interval has feet.
    room = max(1.0, 0.02 * (days[-1] - began).days)
    axes = Axes.around(paper, began.toordinal() - room, days[-1].toordinal() + room, values)
    parts = [
        axes.draw_grid(lambda value: f"{value:+g}" if value else "0"),
        axes.draw_foot((day.toordinal(), f"{day:%Y-%m-%d}") for day in _choose_days(axes, days)),
        axes.draw_level("zero", 0),
        axes.draw_level("line least", least),
    ]
    for seen in looks:
        day, effect = seen.look.on.toordinal(), units.scale(seen.effect)
        title = f"{seen.look.on}: {units.effect(seen.effect)}"
        if seen.estimate is not None:
            low, high = seen.estimate.low, seen.estimate.high
            title += f", {units.span(low, high)} ({say_share(seen.estimate.confidence)})"
            parts.append(axes.draw_reach("reach", day, units.scale(low), units.scale(high)))
        parts.append(axes.draw_dot("seen", (day, effect), title))
    said = "; ".join(f"{seen.look.on}: {units.effect(seen.effect)}" for seen in looks)
    return axes.close(said, *parts)


def _draw_region(axes: Axes, kind: str, bounds: Sequence[Point], edge: float) -> Markup:
    """What lies beyond the bounds: a look there ends the rollout."""
    if not bounds:
        return Markup("")
    corners = [(bounds[0][0], edge), *bounds, (bounds[-1][0], edge)]
    places = " ".join(f"{axes.across(x):.1f},{axes.down(y):.1f}" for x, y in corners)
    return Markup('<polygon class="beyond {}" points="{}"/>').format(kind, places)


def _draw_mark(axes: Axes, kind: str, point: Point) -> Markup:
    return Markup('<path class="line mark {}" d="M{:.1f} {:.1f}h16"/>').format(
        kind, axes.across(point[0]) - 8, axes.down(point[1])
    )


def _choose_days(axes: Axes, days: Sequence[date]) -> list[date]:
    """The last day, and of the others those that have room before it."""
    chosen: list[date] = []
    for day in reversed(days):
        place = axes.across(day.toordinal())
        if not chosen or axes.across(chosen[-1].toordinal()) - place >= _DATE_WIDTH:
            chosen.append(day)
    return chosen[::-1]
