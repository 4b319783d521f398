"""The page itself: one file that loads nothing, with one packed copy of Plotly that it unpacks.

Templates escape whatever they are given, and an unknown name in them is an error. The policy lets
two scripts run, known by their hashes: Plotly and the page's own; whatever slipped through escaping
could neither run nor call anybody. Plotly writes styles itself, so styles are not held to a hash.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from tasks.escaping import open_templates
from tasks.portrait import sections, verdicts
from tasks.portrait.figures import draw_calibration, draw_forecast, draw_reasons, draw_survival
from tasks.portrait.gathering import Portrait
from tasks.portrait.grid import draw_grid
from tasks.portrait.maps import draw_heat, draw_map, draw_tree
from tasks.portrait.marks import Marks
from tasks.portrait.movements import draw_movements
from tasks.portrait.plotting import Figure
from tasks.portrait.wording import Language, Speech

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
# Sections in their order, each with the part that it needs (None: it says itself what is missing).
SECTIONS = (
    ("served", None),
    ("grid", "segments"),
    ("groups", "segments"),
    ("moves", "segments"),
    ("reasons", "reasons"),
    ("leaving", "reasons"),
    ("value", "value"),
    ("forecasts", "forecasts"),
    ("actions", "actions"),
    ("maps", "segments"),
    ("notes", None),
)


@functools.cache
def pack_plotly() -> tuple[str, str]:
    """Plotly's script, packed as text, and the policy's hash of it. The same bytes each time."""
    from plotly.offline import get_plotlyjs

    script = get_plotlyjs().encode()
    packed = gzip.compress(script, 9, mtime=0)
    return base64.b64encode(packed).decode(), _hash(script)


@functools.cache
def read_asset(name: str) -> str:
    """A file of ours beside the templates."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def build_policy(*, with_figures: bool) -> str:
    """Nothing but our two scripts, styles of the page, and images within it."""
    scripts = [_hash(read_asset("page.js").encode())]
    if with_figures:
        scripts.append(pack_plotly()[1])
    return "; ".join(
        (
            "default-src 'none'",
            "script-src " + " ".join(f"'sha256-{one}'" for one in scripts),
            "style-src 'unsafe-inline'",
            "img-src data:",
            "form-action 'none'",
            "base-uri 'none'",
        )
    )


def render_page(portrait: Portrait, language: Language) -> str:
    """The whole page in one language. The same portrait gives the same bytes."""
    speech = Speech(language, portrait.currency)
    marks = Marks(portrait.segments, speech, portrait.former)
    figures = draw_figures(portrait, marks, speech)
    names, matrix = sections.list_matrix(portrait, marks, speech)
    return (
        _environment()
        .get_template("page.html")
        .render(
            policy=build_policy(with_figures=bool(figures)),
            style=Markup(read_asset("style.css")),  # noqa: S704  (a file of ours)
            script=Markup(read_asset("page.js")),  # noqa: S704  (a file of ours)
            plotly=Markup(pack_plotly()[0] if figures else ""),  # noqa: S704  (letters and digits)
            specs=Markup(_dump(figures.values())),  # noqa: S704  (its signs are escaped)
            lang=language,
            s=speech,
            t=speech.say,
            p=portrait,
            marks=marks,
            figures=figures,
            series=_name_series(portrait),
            order=SECTIONS,
            tiles=sections.list_tiles(portrait, speech),
            told=verdicts.list_verdicts(portrait, speech),
            cards=sections.list_cards(portrait, marks, speech),
            driver_names=names,
            matrix=matrix,
            events=sections.tell_events(portrait, marks, speech),
            alarms=sections.tell_alarms(portrait, marks, speech),
            stayed=sections.stayed_share(portrait),
            ahead=sections.list_next(portrait, marks, speech),
            runs=sections.list_runs(portrait, speech),
            stale=sections.find_stale(portrait, speech),
            notes=sections.list_notes(portrait, speech),
            contest=verdicts.tell_contest,
            other_money=sections.tell_other_money(portrait, speech),
            alone=verdicts.is_alone(portrait),
            file_name=sections.file_name,
            command=functools.partial(verdicts.command_for, portrait),
        )
    )


def draw_figures(portrait: Portrait, marks: Marks, speech: Speech) -> dict[str, Figure]:
    """Every figure that the findings allow, by its key."""
    drawn: list[Figure | None] = []
    if portrait.segments is not None:
        found = portrait.segments
        drawn += [draw_grid(found, marks, speech), draw_movements(found, marks, speech)]
    if portrait.reasons is not None:
        drawn += [
            draw_reasons(portrait.reasons, marks, speech),
            draw_survival(portrait.reasons.survival, marks, speech),
        ]
    if portrait.value is not None:
        drawn.append(draw_calibration(portrait.value, speech))
    if portrait.forecasts is not None:
        drawn += [
            draw_forecast(series, f"forecast-{place}", speech)
            for place, series in enumerate(portrait.forecasts.series)
        ]
    if portrait.segments is not None:
        found = portrait.segments
        drawn += [
            draw_map(found.pca_map, "pca", marks, speech),
            draw_map(found.tsne_map, "tsne", marks, speech),
            draw_heat(found, marks, speech),
            draw_tree(found, marks, speech),
        ]
    return {one.key: one for one in drawn if one is not None}


def _name_series(portrait: Portrait) -> dict[str | None, list[tuple[int, Any]]]:
    """Series with their place among all, by segment, everybody first."""
    grouped: dict[str | None, list[tuple[int, Any]]] = {}
    found = portrait.forecasts
    for place, series in enumerate(found.series if found else ()):
        grouped.setdefault(series.segment_id, []).append((place, series))
    return dict(sorted(grouped.items(), key=lambda one: (one[0] is not None, one[0] or "")))


def _dump(figures: Iterable[Figure]) -> str:
    """Figures as JSON that no text in it can leave."""
    text = json.dumps(
        {one.key: one.spec for one in figures},
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
    )
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


@functools.cache
def _environment() -> Environment:
    return open_templates(TEMPLATES)
