"""The figures of a replay's page, as SVG: money and leads as they add up, weeks as a strip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

from markupsafe import Markup

from tasks.pages.axes import Axes, Paper, close_figure, draw_text, draw_twice, spread
from tasks.replay.contacts import ALWAYS, FIRST, RULE, SERVED

if TYPE_CHECKING:
    from tasks.replay.money import Account
    from tasks.replay.recording import Told

# Told apart by dashes too, not by colour alone. Classes of the page's style sheet.
_LINES: Mapping[str, str] = {
    SERVED: "served",
    FIRST: "first",
    ALWAYS: "always",
    RULE: "rule",
}


def draw_money(account: Account) -> Markup:
    """Each policy's money from the first matured list on, added up."""
    sums = {name: list(accumulate(amounts)) for name, amounts in account.by_week.items()}
    return draw_twice(partial(_draw_lines, account, sums))


def draw_leads(account: Account) -> Markup:
    """By how much the served champion is ahead of each other policy, added up."""
    served = account.by_week[SERVED]
    leads = {
        name: list(accumulate(ours - theirs for ours, theirs in zip(served, amounts, strict=True)))
        for name, amounts in account.by_week.items()
        if name != SERVED
    }
    return draw_twice(partial(_draw_lines, account, leads))


def _draw_lines(account: Account, lines: Mapping[str, Sequence[float]], paper: Paper) -> Markup:
    """Lines over the account's weeks, with zero in sight."""
    weeks = account.weeks
    values = [0.0, *(value for line in lines.values() for value in line)]
    axes = Axes.around(paper, 0, max(1, len(weeks) - 1), values)
    parts = [
        axes.draw_grid(lambda value: f"{value:,.0f}"),
        axes.draw_foot((place, f"{weeks[place]:%Y-%m-%d}") for place in spread(len(weeks), paper)),
    ]
    if axes.low < 0 < axes.high:
        parts.append(axes.draw_level("zero", 0))
    parts += [axes.draw_line(_LINES[name], enumerate(line)) for name, line in lines.items()]
    said = "; ".join(f"{name} {line[-1]:,.0f}" for name, line in lines.items() if line)
    return axes.close(said, *parts)


def draw_strip(weeks: Sequence[Told]) -> Markup:
    """One bar a week: what was taken in and set aside, and a mark for each decision."""
    return draw_twice(partial(_draw_strip, weeks))


def _draw_strip(weeks: Sequence[Told], paper: Paper) -> Markup:
    most = max((one.rows for one in weeks), default=0) or 1
    width = paper.inner_width / max(1, len(weeks))
    wide = max(1.0, width - 1)
    parts = []
    for place, one in enumerate(weeks):
        x = paper.left + place * width
        for kind, rows in (("taken", one.rows), ("aside", min(one.aside_rows, one.rows))):
            tall = 120 * rows / most
            parts.append(
                Markup(
                    '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
                ).format(kind, x, 150 - tall, wide, tall)
            )
        middle = x + width / 2
        if one.decisions:
            kind = "promoted" if "promote" in one.decisions else "kept"
            parts.append(
                Markup('<circle class="{}" cx="{:.1f}" cy="166" r="4.5"/>').format(kind, middle)
            )
        if one.planted:
            parts.append(
                Markup('<path class="planted" d="M{:.1f} 176h8l-4 8z"/>').format(middle - 4)
            )
    parts += [
        draw_text(paper.left - 8, 34, "end", "rows"),
        draw_text(paper.left - 8, 170, "end", "gate"),
    ]
    said = f"rows taken in, rows set aside and decisions of {len(weeks)} steps"
    return close_figure(paper, 190, said, *parts)
