"""The replay's page in a real browser: whole on a desk and a telephone, calling nobody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.replay.page import render_page

from ..portrait.made_up import EVIL
from ..replay.made_up import account, caught, checks, told
from .test_oncall_page import _WORST_CONTRAST, Watched
from .test_portrait_page import DESK, TELEPHONE, browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.page
__all__ = ["browser"]


def page_text(evil: str = "") -> str:
    weeks = [told(number, ended=evil, opened=(evil,) if evil else ()) for number in range(12)]
    plants = [replace(one, how=evil or one.how) for one in caught()]
    return render_page("corner_shop", evil or "corner_shop", weeks, account(), plants, checks(), 7)


@pytest.mark.parametrize("viewport", [DESK, TELEPHONE], ids=["desk", "telephone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_whole_readable_and_calls_nobody(
    browser: Browser, tmp_path: Path, viewport: dict[str, int], scheme: str
) -> None:
    path = tmp_path / "replay.html"
    path.write_text(page_text(), encoding="utf-8")
    tab = Watched(browser, viewport=viewport, color_scheme=scheme)
    tab.open_alone(path)
    for name in ("money", "planted", "truth", "weeks"):
        assert tab.page.locator(f"section#{name} h2").is_visible()
    assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert tab.page.locator("tr.red").count() == 1
    assert tab.page.locator("section#weeks tbody").count() == 12
    assert tab.page.evaluate(_WORST_CONTRAST)["ratio"] >= 4.5
    tab.page.close()


def test_no_word_of_a_week_breaks_and_nothing_is_cut(browser: Browser, tmp_path: Path) -> None:
    """The widest steps: items, a rollout, a long reason; what is long has a line of its own."""
    reason = "earns more than the best rule: 6,192.53 against 5,433.27 EUR of 'recency'; " * 4
    weeks = [
        told(
            number,
            opened=("UNIT_SHIFT", "ROLLOUT_INCOMPLETE"),
            settled=("UNIT_SHIFT",),
            learnt=(f"v{number + 1}",),
            decisions=("promote",),
            reasons=(f"{number}: {reason}",),
            rollout="churn-v3 plan, start: running, stage 1 of 2 (20 %)",
            rows=44_046,
        )
        for number in range(3)
    ]
    path = tmp_path / "replay.html"
    path.write_text(render_page("shop", "shop", weeks, None, [], [], 7), encoding="utf-8")
    for width in (1200, 360):
        tab = Watched(browser, viewport={"width": width, "height": 900})
        tab.page.goto(path.as_uri())
        card = "document.querySelector('#weeks .scroll')"
        is_whole = f"{card}.scrollWidth <= {card}.clientWidth"
        assert tab.page.evaluate(is_whole) == (width == 1200)
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        # A word that is broken lies on more than one line.
        lines = tab.page.evaluate(
            "[...document.querySelectorAll('#weeks .whole')]"
            ".map(one => one.getClientRects().length)"
        )
        assert lines == [1, 1, 1]
        assert "as the step before" not in tab.page.inner_text("#weeks")
        tab.page.close()


def test_strangers_texts_stay_texts(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "replay.html"
    path.write_text(page_text(EVIL), encoding="utf-8")
    tab = Watched(browser, viewport=DESK)
    tab.page.goto(path.as_uri())
    assert tab.page.title() == "Replay of corner_shop"
    assert [url for url in tab.called if not url.startswith(("file:", "data:,"))] == []
    tab.page.close()


def test_the_same_replay_gives_the_same_bytes_and_may_be_empty() -> None:
    assert page_text() == page_text()
    nothing = render_page("corner_shop", "corner_shop", [told()], None, [], [], 7)
    assert "No list's outcome has matured" in nothing
