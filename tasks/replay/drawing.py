"""The figures of a replay's page, as SVG: money and leads as they add up, weeks as a strip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from tasks.replay.contacts import ALWAYS, FIRST, RULE, SERVED

if TYPE_CHECKING:
    from markupsafe import Markup

    from tasks.replay.money import Account
    from tasks.replay.recording import Told

# Told apart by dashes too, not by colour alone. Classes of the page's style sheet.
_LINES: Mapping[str, str] = {
    SERVED: "served",
    FIRST: "first",
    ALWAYS: "always",
    RULE: "rule",
}
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 960, 320, 84, 34, 14


def draw_money(account: Account) -> Markup:
    """Each policy's money from the first matured list on, added up."""
    return _draw_lines(
        account, {name: list(accumulate(amounts)) for name, amounts in account.by_week.items()}
    )


def draw_leads(account: Account) -> Markup:
    """By how much the served champion is ahead of each other policy, added up."""
    served = account.by_week[SERVED]
    leads = {
        name: list(accumulate(ours - theirs for ours, theirs in zip(served, amounts, strict=True)))
        for name, amounts in account.by_week.items()
        if name != SERVED
    }
    return _draw_lines(account, leads)


def _draw_lines(account: Account, lines: Mapping[str, Sequence[float]]) -> Markup:
    """Lines over the account's weeks, with zero in sight."""
    from markupsafe import Markup, escape

    values = [0.0, *(value for line in lines.values() for value in line)]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    steps = max(1, len(account.weeks) - 1)

    def across(place: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - 12) * place / steps

    def down(value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - value) / span

    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = low + span * share
        y = down(value)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - 12}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(
            f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{value:,.0f}</text>"
        )
    shown = max(1, len(account.weeks) // 6)
    for place, week in enumerate(account.weeks):
        if place % shown == 0:
            anchor = "end" if across(place) > _WIDTH - 50 else "middle"
            parts.append(
                f'<text class="tick" x="{across(place):.1f}" y="{_HEIGHT - 10}"'
                f' text-anchor="{anchor}">{week:%Y-%m-%d}</text>'
            )
    if low < 0 < high:
        parts.append(
            f'<line class="zero" x1="{_LEFT}" x2="{_WIDTH - 12}" y1="{down(0):.1f}"'
            f' y2="{down(0):.1f}"/>'
        )
    for name, line in lines.items():
        points = " ".join(f"{across(p):.1f},{down(v):.1f}" for p, v in enumerate(line))
        parts.append(f'<polyline class="line {_LINES[name]}" points="{points}"/>')
    said = "; ".join(f"{name} {line[-1]:,.0f}" for name, line in lines.items() if line)
    return Markup(  # noqa: S704  (numbers, dates and names of ours)
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(said)}">'
        f"{''.join(parts)}</svg>"
    )


def draw_strip(weeks: Sequence[Told]) -> Markup:
    """One bar a week: what was taken in and set aside, and a mark for each decision."""
    from markupsafe import Markup

    most = max((one.rows for one in weeks), default=0) or 1
    width = (_WIDTH - _LEFT - 12) / max(1, len(weeks))
    parts = []
    for place, one in enumerate(weeks):
        x = _LEFT + place * width
        tall = 120 * one.rows / most
        aside = 120 * min(one.aside_rows, one.rows) / most
        wide = max(1.0, width - 1)
        parts.append(
            f'<rect class="taken" x="{x:.1f}" y="{150 - tall:.1f}"'
            f' width="{wide:.1f}" height="{tall:.1f}"/>'
        )
        parts.append(
            f'<rect class="aside" x="{x:.1f}" y="{150 - aside:.1f}"'
            f' width="{wide:.1f}" height="{aside:.1f}"/>'
        )
        middle = x + width / 2
        if one.decisions:
            kind = "promoted" if "promote" in one.decisions else "kept"
            parts.append(f'<circle class="{kind}" cx="{middle:.1f}" cy="166" r="4.5"/>')
        if one.planted:
            parts.append(f'<path class="planted" d="M{middle - 4:.1f} 176h8l-4 8z"/>')
    parts.append('<text class="tick" x="76" y="34" text-anchor="end">rows</text>')
    parts.append('<text class="tick" x="76" y="170" text-anchor="end">gate</text>')
    return Markup(  # noqa: S704  (numbers alone)
        f'<svg viewBox="0 0 {_WIDTH} 190" role="img" aria-label="rows taken in, rows set aside and'
        f' decisions of {len(weeks)} steps">{"".join(parts)}</svg>'
    )
