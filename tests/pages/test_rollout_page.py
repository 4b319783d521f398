"""The page of a rollout in a real browser: whole on a desk and a telephone, calling nobody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.rollout.page import draw_page
from tasks.rollout.plan import Contender
from tasks.rollout.report import sum_up_agreement

from ..portrait.made_up import EVIL
from ..rollout.lived import live_through
from .test_oncall_page import _WORST_CONTRAST, Watched
from .test_portrait_page import DESK, TELEPHONE, browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.page
__all__ = ["browser"]


def page_text(evil: str = "") -> str:
    rows = live_through()
    if evil:
        challenger = Contender(name=evil[:200], version=evil[:80], content_hash="b" * 64)
        rows = live_through(challenger=challenger)
        rows = [replace(row, reason=evil, actor=evil) for row in rows]
    return draw_page(rows[-1], rows, sum_up_agreement(rows[-1:]))


@pytest.mark.parametrize("viewport", [DESK, TELEPHONE], ids=["desk", "telephone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_whole_readable_and_calls_nobody(
    browser: Browser, tmp_path: Path, viewport: dict[str, int], scheme: str
) -> None:
    path = tmp_path / "rollout.html"
    path.write_text(page_text(), encoding="utf-8")
    tab = Watched(browser, viewport=viewport, color_scheme=scheme)
    tab.open_alone(path)
    for name in ("looks", "arms", "trust", "plan", "history", "worlds"):
        assert tab.page.locator(f"section#{name} h2").is_visible()
    # One figure of each pair is shown, and it fits.
    shown = tab.page.locator(".figure:visible")
    assert shown.count() == 2
    assert shown.first.locator("circle").count() == 3
    assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert tab.page.evaluate(_WORST_CONTRAST)["ratio"] >= 4.5
    # Every night is reached without a script.
    nights = tab.page.locator("details tbody tr")
    assert nights.count() == 14
    assert not nights.first.is_visible()
    tab.page.click("summary")
    assert nights.first.is_visible()
    tab.page.close()


def test_on_paper_it_fits(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "rollout.html"
    path.write_text(page_text(), encoding="utf-8")
    tab = Watched(browser, viewport={"width": 718, "height": 1000}, color_scheme="dark")
    tab.page.emulate_media(media="print")
    tab.page.goto(path.as_uri())
    assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ground = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
    tab.page.close()


def test_strangers_texts_stay_texts(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "rollout.html"
    path.write_text(page_text(EVIL), encoding="utf-8")
    tab = Watched(browser, viewport=TELEPHONE)
    tab.page.goto(path.as_uri())
    assert tab.page.title() == "Rollout churn-2026-01"
    assert [url for url in tab.called if not url.startswith(("file:", "data:,"))] == []
    assert tab.page.locator("script, img, svg svg").count() == 0
    assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert EVIL[:20] in tab.page.inner_text("header")
    tab.page.close()
