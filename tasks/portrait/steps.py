"""The steps of the customer page, as a flow calls them."""

from __future__ import annotations

from tasks.orchestration import publish_markdown, step
from tasks.portrait.gathering import Portrait, gather
from tasks.portrait.publishing import Page, publish_page, render_summary
from tasks.portrait.verdicts import COMMANDS
from tasks.settings import Settings

__all__ = ["COMMANDS", "Page", "Portrait", "draw_page", "gather_findings"]


def _draw_page(settings: Settings, portrait: Portrait) -> Page:
    """Draw, write and mirror the page; the headline and where the files are is the artifact."""
    page = publish_page(settings, portrait)
    publish_markdown(
        f"customers {portrait.deployment}",
        render_summary(portrait, page),
        "The page for marketing: headline, who decides, and where it is",
    )
    return page


gather_findings = step(gather, name="gather findings")
draw_page = step(_draw_page, name="draw customer page")
