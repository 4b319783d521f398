"""Great Expectations' pages beside ours: nothing in them runs, is loaded, or is a value."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tasks.handles import StagedBatch
from tasks.settings import Settings
from tasks.validation.datadocs import clean_page
from tasks.validation.history import NoHistory
from tasks.validation.judging import validate

from ..conftest import MakeSettings
from ..validation.drawing import draw

SCRIPT = "<script>document.title='owned'</script>"


@pytest.mark.parametrize(
    ("page", "clean"),
    [
        ("<p onclick=x style='color:red' id=a>t</p>", '<p id="a">t</p>'),
        ("<script>x</script><p>t</p>", "<p>t</p>"),
        ("<a href='http://x'>t</a><a href='#x'>u</a>", '<a>t</a><a href="#x">u</a>'),
        ("<img src=http://x><link href=x><base href=x>", ""),
        ("<svg><p>t</p></svg>t &lt;b&gt;", "t &lt;b&gt;"),
        ("<a href='javascript:x'>t", "<a>t"),
    ],
)
def test_only_a_plain_page_is_left(page: str, clean: str) -> None:
    assert clean_page(page) == clean


def judge(staged: StagedBatch, settings: Settings) -> Path:
    verdict = validate(staged, NoHistory(), settings)
    assert not all(result.passed for result in verdict.results)
    (page,) = [
        path
        for path in (settings.home / "datadocs" / settings.deployment).glob("*.html")
        if path.name != "index.html"
    ]
    return page


@pytest.mark.page
def test_a_script_in_a_category_does_not_live_and_nobody_is_called(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    from playwright.sync_api import sync_playwright

    rows = "\n".join(
        f"{'-' if n == 3 else f'secret-{n}'} | {SCRIPT} | {SCRIPT if n == 4 else 'GBP'}"
        for n in range(1, 6)
    )
    staged = draw(tmp_path, "orders", f"customer_id | category | currency\n{rows}")
    page = judge(staged, make_settings())
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "secret-" not in text
    assert "://" not in text
    assert oct(page.stat().st_mode & 0o777) == "0o600"
    path = shutil.which("chromium")
    assert path is not None, "apt-get install chromium"
    called: list[str] = []
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.on("request", lambda request: called.append(request.url))
        tab.on("console", lambda said: complaints.append(said.text))
        for one in (page, page.with_name("index.html")):
            tab.goto(one.as_uri())
            assert tab.title().startswith("Data Docs")
            assert tab.locator("script, img, iframe, form").count() == 0
        tab.goto(page.as_uri())
        shown = tab.inner_text("body")
        browser.close()
    assert [url for url in called if not url.startswith(("file:", "data:"))] == []
    assert complaints == []
    assert "✗" in shown
    assert "customer_id" in shown
