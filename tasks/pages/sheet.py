"""What the pages that run no script have in common: their frame, their style sheet, their policy.

Figures are drawn as SVG where the page is made, so the policy allows styles and nothing else:
whatever slipped through escaping could neither run nor call anybody.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from tasks.escaping import open_templates

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"


def open_sheets(directory: Path) -> Environment:
    """The templates of a family's page, which extend `frame.html`.

    The style sheet is the frame's, and after it the family's own `style.css`.
    """
    made = open_templates(directory, TEMPLATES)
    sheets = (TEMPLATES / "frame.css", directory / "style.css")
    style = "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
    made.globals["policy"] = POLICY
    made.globals["style"] = Markup(style)  # noqa: S704  (files of ours)
    made.filters["amount"] = lambda value: f"{float(value):,.0f}"
    made.filters["signed"] = lambda value: f"{float(value):+,.0f}"
    made.filters["number"] = lambda value: f"{value:,}"
    return made
