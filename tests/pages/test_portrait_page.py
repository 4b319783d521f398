"""The customer page in a real browser: drawn, readable on a telephone, deaf to strangers."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.portrait.gathering import Portrait
from tasks.portrait.page import SECTIONS, render_page
from tasks.portrait.wording import LANGUAGES, Language

from ..portrait.made_up import EVIL, empty_portrait, evil_portrait, portrait
from .test_oncall_page import _WORST_CONTRAST, Watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.page

# Wide enough for columns, and the narrowest telephone that is still sold.
DESK, TELEPHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 780}
FIGURES = {"grid", "movements", "reasons", "survival", "calibration", "pca", "tsne", "heat", "tree"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    assert path is not None, "apt-get install chromium"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


def show(
    browser: Browser, directory: Path, text: str, *, wait: bool = True, **options: object
) -> Watched:
    """The page in a new tab, as a file; with its figures drawn."""
    path = directory / "customers.html"
    path.write_text(text, encoding="utf-8")
    tab = Watched(browser, **options)
    tab.page.goto(path.as_uri())
    if wait:
        tab.page.wait_for_selector("body[data-drawn=yes]", state="attached", timeout=120_000)
    return tab


@pytest.mark.parametrize("viewport", [DESK, TELEPHONE], ids=["desk", "telephone"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_whole_and_calls_nobody(
    browser: Browser, tmp_path: Path, language: Language, viewport: dict[str, int]
) -> None:
    tab = show(browser, tmp_path, render_page(portrait(), language), viewport=viewport)
    page = tab.page
    assert [url for url in tab.called if not url.startswith(("file:", "data:,"))] == []
    assert tab.complaints == []
    for name, _ in SECTIONS:
        assert page.locator(f"section#{name} h2").is_visible()
    drawn = page.evaluate(
        "[...document.querySelectorAll('[data-drawn] .main-svg')]"
        ".map(one => one.closest('[data-figure]').dataset.figure)"
    )
    assert FIGURES | {"forecast-0", "forecast-1", "forecast-2"} == set(drawn)
    # Nothing lies beyond the edge, and no figure is wider than its card.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(
        "[...document.querySelectorAll('.main-svg')].every(one =>"
        " one.getBoundingClientRect().right <= innerWidth)"
    )
    assert page.evaluate("document.documentElement.lang") == language
    tab.page.close()


def test_figures_have_words_and_tables(browser: Browser, tmp_path: Path) -> None:
    tab = show(browser, tmp_path, render_page(portrait(), "en"), viewport=DESK)
    page = tab.page
    wordless = page.evaluate(
        "[...document.querySelectorAll('[data-figure]')].filter(one => !one.ariaLabel"
        " || !one.closest('figure').querySelector('figcaption').textContent.trim()).length"
    )
    assert wordless == 0
    # With the keyboard alone: open a figure's table, and choose whose forecast to see.
    table = page.locator("#grid details summary")
    table.focus()
    page.keyboard.press("Enter")
    assert page.locator("#grid details table").is_visible()
    page.locator("#series").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("[data-series='1'] .main-svg")
    assert page.locator("[data-series='0']").is_hidden()
    # Everything within a figure keeps to its own size when the window changes.
    page.set_viewport_size(TELEPHONE)  # type: ignore[arg-type]
    page.wait_for_timeout(400)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert tab.complaints == []
    page.close()


def test_sql_can_be_copied(browser: Browser, tmp_path: Path) -> None:
    tab = show(browser, tmp_path, render_page(portrait(), "en"), wait=False, viewport=DESK)
    page = tab.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    card = page.locator("article.group").first
    card.locator("summary", has_text="SQL").click()
    button = card.locator("button.copy")
    button.click()
    page.wait_for_selector("text=Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == portrait().segments.segments[1].sql  # type: ignore[union-attr]
    page.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_strangers_are_read_not_obeyed(
    browser: Browser, tmp_path: Path, language: Language
) -> None:
    tab = show(browser, tmp_path, render_page(evil_portrait(), language), viewport=TELEPHONE)
    page = tab.page
    assert page.title() != "owned"
    assert [url for url in tab.called if not url.startswith(("file:", "data:,"))] == []
    assert tab.complaints == []
    assert page.locator("img, iframe, object, embed, main a[href^='http']").count() == 0
    assert page.inner_text("body").count(EVIL) >= 20
    # Plotly shows it as text too: in labels of its axes.
    labels = page.evaluate("document.querySelector('[data-figure=reasons] svg').textContent")
    assert "<script>" in labels
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()


def test_the_policy_holds_where_escaping_would_fail(browser: Browser, tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.3)
    evil = EVIL.replace(":9/", f":{listener.getsockname()[1]}/")
    made = render_page(portrait(), "en")
    broken = made.replace('<main class="wrap"', f'{evil}<main class="wrap"', 1)
    assert broken != made
    tab = show(browser, tmp_path, broken, viewport=DESK)
    with listener, pytest.raises(TimeoutError):
        listener.accept()
    assert tab.page.title() != "owned"
    assert any("Content Security Policy" in one for one in tab.complaints)
    tab.page.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_of_nothing_says_what_to_do(
    browser: Browser, tmp_path: Path, language: Language
) -> None:
    tab = show(browser, tmp_path, render_page(empty_portrait(), language), viewport=TELEPHONE)
    assert tab.complaints == []
    assert tab.page.locator(".missing button.copy").count() == 9
    assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab.page.close()


def test_without_unpacking_the_tables_still_tell(browser: Browser, tmp_path: Path) -> None:
    """A browser too old to unpack: the page says so beside each figure, and nothing breaks."""
    made = render_page(portrait(), "en")
    tab = Watched(browser, viewport=DESK)
    tab.page.add_init_script("delete window.DecompressionStream")
    path = tmp_path / "customers.html"
    path.write_text(made, encoding="utf-8")
    tab.page.goto(path.as_uri())
    tab.page.wait_for_selector("body[data-drawn=no]", state="attached")
    assert tab.page.locator("#grid .undrawn").is_visible()
    assert tab.page.locator("#grid .waiting").is_hidden()
    assert tab.complaints == []
    tab.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(browser: Browser, tmp_path: Path, scheme: str) -> None:
    """At least 4.5 to 1 between each text and what lies behind it (WCAG AA); axes are drawn."""
    made: Portrait = portrait()
    tab = show(
        browser,
        tmp_path,
        # Without figures: what lies behind a text of theirs is not its element's background.
        render_page(made, "en").replace('data-figure="', 'data-figured="'),
        viewport=DESK,
        color_scheme=scheme,
    )
    worst = tab.page.evaluate(_WORST_CONTRAST)
    tab.page.close()
    assert worst["ratio"] >= 4.5, worst


def test_it_prints_within_a_page_and_is_itself_again(browser: Browser, tmp_path: Path) -> None:
    tab = show(browser, tmp_path, render_page(portrait(), "en"), viewport=DESK)
    page = tab.page
    wide = "document.querySelector('#grid .main-svg').getBoundingClientRect().width"
    before = page.evaluate(wide)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 between its margins
    assert page.evaluate(wide) == 640
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("article.group pre").first.is_visible()
    page.emulate_media(media="screen")
    page.set_viewport_size(DESK)  # type: ignore[arg-type]
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.wait_for_timeout(500)
    assert page.evaluate(wide) == before
    assert page.locator("article.group pre").first.is_hidden()
    assert page.pdf(format="A4").startswith(b"%PDF")
    assert tab.complaints == []
    page.close()
