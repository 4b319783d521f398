"""On-call's page in a real browser: nothing of a stranger runs, and a decision can be taken."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.oncall.page import render_item
from tasks.oncall.server import make_app
from tasks.oncall.trends import Trend

from ..oncall.made_up import PREVIEW, FakeDesk, plain_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.page

EVIL = (
    "<script>document.title='owned'</script>"
    "<img src='http://127.0.0.1:9/x.png' onerror=\"document.title='owned'\">"
    "\"'><svg onload=\"document.title='owned'\"></title></style>"
)
PEOPLE = {"ann": "ann's secret", "bob": "bob's secret"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    assert path is not None, "apt-get install chromium"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


class Watched:
    """A tab that remembers whom it called and what it complained of."""

    def __init__(self, browser: Browser, **options: object) -> None:
        self.page: Page = browser.new_page(**options)  # type: ignore[arg-type]
        self.called: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.called.append(request.url))
        self.page.on("console", lambda said: self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open_alone(self, path: Path) -> None:
        """Open a file that needs nobody: it calls no address and complains of nothing."""
        self.page.goto(path.as_uri())
        assert [url for url in self.called if not url.startswith(("file:", "data:,"))] == []
        assert self.complaints == []


@pytest.fixture
def tab(browser: Browser) -> Iterator[Watched]:
    found = Watched(browser, viewport={"width": 390, "height": 844})
    yield found
    found.page.close()


def evil_report():  # type: ignore[no-untyped-def]
    """A report in which every text of a delivery wants to run."""
    base = plain_report()
    rule = base.rules[0]
    points = tuple(replace(point, batch_name=EVIL) for point in rule.trend.points)
    evil = replace(rule, column=EVIL, observed=EVIL, trend=Trend(points, rule.trend.usual))
    return plain_report(
        headline=EVIL,
        rules=(evil,),
        batches=tuple(replace(batch, batch_name=EVIL) for batch in base.batches),
        rows=tuple(replace(row, line=EVIL) for row in base.rows),
        preview={**PREVIEW, "notes": [EVIL]},
    )


def test_a_file_runs_nothing_and_calls_nobody(tab: Watched, tmp_path: Path) -> None:
    path = tmp_path / "item-7.html"
    path.write_text(render_item(evil_report()), encoding="utf-8")
    tab.page.goto(path.as_uri())
    assert tab.page.title() == "item-7 UNIT_SHIFT · Holdfast on-call"
    assert [url for url in tab.called if url not in (path.as_uri(), "data:,")] == []
    assert tab.complaints == []
    shown = tab.page.inner_text("main")
    assert shown.count("<script>document.title='owned'</script>") >= 4  # as text
    assert tab.page.locator("script, img, main svg svg").count() == 0
    # The style is applied, so the policy's hash is the style's.
    assert tab.page.evaluate("getComputedStyle(document.querySelector('.tag')).fontWeight") == "600"
    # It fits on a telephone.
    assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_policy_holds_where_escaping_would_fail(tab: Watched, tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.3)
    evil = EVIL.replace(":9/", f":{listener.getsockname()[1]}/")
    page = render_item(plain_report())
    broken = page.replace("<main", f"{evil}<b id=w style='color:red'>x</b><main", 1)
    assert broken != page
    path = tmp_path / "broken.html"
    path.write_text(broken, encoding="utf-8")
    tab.page.goto(path.as_uri())
    assert tab.page.title() == "item-7 UNIT_SHIFT · Holdfast on-call"
    # The browser names the request that it has refused; nobody was called.
    with listener, pytest.raises(TimeoutError):
        listener.accept()
    assert any("Content Security Policy" in complaint for complaint in tab.complaints)
    color = tab.page.evaluate("getComputedStyle(document.getElementById('w')).color")
    assert color != "rgb(255, 0, 0)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(browser: Browser, tmp_path: Path, scheme: str) -> None:
    """At least 4.5 to 1 between each text and what lies behind it (WCAG AA)."""
    path = tmp_path / "item.html"
    path.write_text(render_item(plain_report(preview=PREVIEW)), encoding="utf-8")
    tab = Watched(browser, color_scheme=scheme)
    tab.page.goto(path.as_uri())
    worst = tab.page.evaluate(_WORST_CONTRAST)
    tab.page.close()
    assert worst["ratio"] >= 4.5, worst


_WORST_CONTRAST = """() => {
  const lum = c => { const v = c.map(x => { x /= 255;
    return x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4; });
    return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
  const parse = s => (s.match(/[\\d.]+/g) || []).map(Number);
  const behind = e => { for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length && (c.length < 4 || c[3] > 0)) return c.slice(0, 3); } return [255, 255, 255]; };
  let worst = { ratio: 99 };
  for (const e of document.querySelectorAll('main *, header *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    const s = getComputedStyle(e);
    if (e.tagName === 'title') continue;
    const fore = e.ownerSVGElement ? s.fill : s.color;
    const [a, b] = [lum(parse(fore).slice(0, 3)), lum(behind(e))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < worst.ratio) worst = { ratio, tag: e.tagName, text: e.textContent };
  }
  return worst; }"""


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def address(desk: FakeDesk, tmp_path: Path) -> Iterator[str]:
    """The served page at a free port of loopback."""
    import uvicorn

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    app = make_app(desk, PEOPLE, port=port, uploads=tmp_path / "uploads")
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def log_in(tab: Watched, address: str, person: str = "ann", password: str = "") -> None:
    tab.page.goto(f"{address}/d/shop/item-7")
    tab.page.fill("input[name=person]", person)
    tab.page.fill("input[name=password]", password or PEOPLE[person])
    tab.page.click("button[type=submit]")


def test_a_decision_is_taken_in_the_browser(
    tab: Watched, address: str, desk: FakeDesk, tmp_path: Path
) -> None:
    log_in(tab, address, password="wrong")
    assert "Name or password is wrong." in tab.page.inner_text("main")
    log_in(tab, address)
    assert tab.page.url == f"{address}/d/shop/item-7"
    assert tab.page.evaluate("document.cookie") == ""  # not for a page's own eyes

    # What it costs, first.
    tab.page.click("text=Preview the impact")
    tab.page.wait_for_selector("text=The preview is done.", timeout=15_000)
    assert "+18,234.50 GBP" in tab.page.inner_text("main")

    # The corrected file, then, while the page waits beside it.
    corrected = tmp_path / "orders.csv"
    corrected.write_bytes(b"a,b\r\n1,2\r\n")
    desk.hold.clear()
    tab.page.click("summary:has-text('Fix and replay')")
    form = tab.page.locator("details:has-text('Fix and replay')")
    form.locator("input[type=file]").set_input_files(corrected)
    form.locator("textarea").fill("the till was in cents")
    form.locator("button").click()
    assert "is being carried out" in tab.page.inner_text("main")
    desk.hold.set()
    tab.page.wait_for_selector("text=The replay is done.", timeout=15_000)
    assert "item-7 is replayed by ann" in tab.page.inner_text("main")
    assert "Decide as" not in tab.page.inner_text("main")
    assert desk.files == [corrected.read_bytes()]
    assert {url.split("/")[2] for url in tab.called if url.startswith("http")} == {address[7:]}
    assert [c for c in tab.complaints if "401" not in c] == []


def test_a_page_that_is_too_old_is_refused(tab: Watched, address: str, desk: FakeDesk) -> None:
    log_in(tab, address)
    desk.stamp = "stamp-2"  # somebody else has been there meanwhile
    tab.page.click("summary:has-text('Discard')")
    form = tab.page.locator("details:has-text('Discard')")
    form.locator("textarea").fill("a test file")
    form.locator("button").click()
    tab.page.wait_for_selector("text=The discard was refused.", timeout=15_000)
    assert "has changed since you looked" in tab.page.inner_text("main")
    assert desk.asked == []


def test_a_page_of_somebody_else_can_do_nothing(
    browser: Browser, address: str, desk: FakeDesk, tmp_path: Path
) -> None:
    """Another site in the same browser: a form to us, and us in a frame."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{address}/login")
    page.fill("input[name=person]", "ann")
    page.fill("input[name=password]", PEOPLE["ann"])
    page.click("button[type=submit]")
    target = f"{address}/d/shop/item-7/decide"
    evil = tmp_path / "evil.html"
    evil.write_text(
        f"<form method=post enctype=multipart/form-data action='{target}'>"
        "<input name=decision value=discard><input name=reason value=x>"
        f"<button>go</button></form><iframe src='{address}/d/shop/item-7'></iframe>",
        encoding="utf-8",
    )
    other = context.new_page()
    other.goto(evil.as_uri())
    assert "Decide as" not in "".join(
        frame.content() for frame in other.frames if frame != other.main_frame
    )
    other.click("button")
    assert "A change must come from a page of ours." in other.inner_text("main")
    # By a name that resolves to us, but is not ours.
    answer = context.new_page().goto(f"http://evil.localhost:{address.rsplit(':')[-1]}/login")
    assert answer is not None
    assert answer.status == 403
    assert desk.asked == []
    context.close()
