"""What all figures share: plain Plotly JSON, made without Plotly, drawn by the page's script.

A text that starts with `$` and names a colour of the style sheet (`$ink`, `$soft`, `$edge`,
`$card`) becomes that colour when it is drawn, so that figures follow light and dark. On a narrow
screen annotations called `wide` are left out and `narrowtext` takes the place of `text` (or of
`ticktext`, or a node's `label`).
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.escaping import show_controls
from tasks.portrait.wording import Speech

Spec = dict[str, Any]
_LONGEST_LABEL = 60


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with what it says in words, and its figures as a table where there are any."""

    key: str
    spoken: str
    spec: Spec
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def plain(text: str) -> str:
    """A text that Plotly shows as it is: it reads a small HTML of its own, and entities."""
    shown = show_controls(text).replace("\n", " ")
    if len(shown) > _LONGEST_LABEL:
        shown = shown[: _LONGEST_LABEL - 1] + "…"
    return _escape(shown)


def wrapped(text: str, width: int, lines_at_most: int = 3) -> str:
    """The same over several lines of `width` characters."""
    shown = show_controls(text).replace("\n", " ")
    lines = textwrap.wrap(shown, width, max_lines=lines_at_most, placeholder="…") or [""]
    return "<br>".join(_escape(line) for line in lines)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def finite(value: float) -> float | None:
    """JSON knows no NaN and no infinity; Plotly leaves out what is null."""
    number = float(value)
    return number if math.isfinite(number) else None


def fade(color: str, opacity: float) -> str:
    """`#RRGGBB` as `rgba(...)`."""
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def layout(height: int, **parts: Any) -> Spec:
    """The layout of every figure: see-through, nothing to drag, room for long labels."""
    return {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "$ink", "size": 13},
        "hoverlabel": {
            "bgcolor": "$card",
            "bordercolor": "$edge",
            "align": "left",
            "font": {"color": "$ink"},
        },
        "showlegend": False,
        "dragmode": False,
        **parts,
    }


def axis(title: str = "", **parts: Any) -> Spec:
    """An axis that stays where it is."""
    return {
        "fixedrange": True,
        "automargin": True,
        "gridcolor": "$edge",
        "linecolor": "$edge",
        "zeroline": False,
        "tickfont": {"color": "$soft", "size": 12},
        "title": {"text": _escape(title), "font": {"size": 13, "color": "$soft"}, "standoff": 8},
        **parts,
    }


def money_axis(speech: Speech, title: str) -> Spec:
    """An axis of amounts."""
    before, after = speech.currency_signs
    return axis(title, tickformat="~s", tickprefix=before, ticksuffix=after)


def thin(points: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of the points, evenly chosen; the same ones each time."""
    if len(points) <= most:
        return list(points)
    return [points[place * len(points) // most] for place in range(most)]
