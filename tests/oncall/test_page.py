"""The page as text: escaped everywhere, its policy the one of its own style."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.oncall.drawing import draw_trend
from tasks.oncall.page import (
    Notice,
    Viewer,
    build_policy,
    render_item,
    render_login,
    render_message,
    render_queue,
)
from tasks.oncall.trends import Point, Trend, describe_usual, format_figure

from .made_up import PREVIEW, START, FakeDesk, plain_report

VIEWER = Viewer("ann", "token")


class Outline(HTMLParser):
    """The tags of a page with their attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def names(self) -> list[str]:
        return [tag for tag, _ in self.tags]


def render_with(text: str) -> str:
    """Every page text that may come from a stranger, at once."""
    base = plain_report()
    rule = replace(
        base.rules[0],
        column=text,
        observed=text + "!",
        limit=text,
        reason=text,
        trend=Trend(
            tuple(replace(point, batch_name=text) for point in base.rules[0].trend.points),
            base.rules[0].trend.usual,
        ),
    )
    report = plain_report(
        headline=text,
        source=text,
        rules=(rule,),
        batches=tuple(replace(batch, batch_name=text, reason=text) for batch in base.batches),
        rows=tuple(replace(row, line=text, reason=text) for row in base.rows),
        history=tuple(replace(entry, what=text, reason=text) for entry in base.history),
        rows_batch_name=text,
        requested_by=text,
        preview={**PREVIEW, "notes": [text]},
    )
    return render_item(report, viewer=VIEWER, notice=Notice("done", text, (text,)))


@functools.cache
def outline_tame() -> Outline:
    return Outline(render_with("plain"))


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60) | st.sampled_from([
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'-alert(1)-'",
    "</style><script>", "{{ 7 * 7 }}", "javascript:alert(1)", "&lt;b&gt;", "]]><svg onload=x>",
]))  # fmt: skip
def test_no_text_of_a_stranger_becomes_markup(text: str) -> None:
    tame, wild = outline_tame(), Outline(render_with(text))
    # The same elements in the same order: the text has made none and has ended none.
    assert wild.names == tame.names
    for (tag, attributes), (_, before) in zip(wild.tags, tame.tags, strict=True):
        assert [name for name, _ in attributes] == [name for name, _ in before], tag


def test_text_that_turns_around_is_shown_as_what_it_is() -> None:
    page = render_with("gpj.exe\u202e\x00\x1b[31m")
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert "\ufffd" in page


def test_the_policy_allows_our_style_and_nothing_else() -> None:
    page = render_item(plain_report())
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = build_policy()
    assert f"style-src 'sha256-{digest}'" in policy
    for part in ("default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'",
                 "form-action 'self'", "img-src data:"):  # fmt: skip
        assert part in policy
    assert "unsafe" not in policy
    # A browser takes `frame-ancestors` from the header alone and complains of it in a file.
    meta = dict(Outline(page).tags[Outline(page).names.index("meta") + 1][1])
    assert meta["http-equiv"] == "Content-Security-Policy"
    assert "frame-ancestors" not in (meta["content"] or "")
    assert "form-action 'none'" in (meta["content"] or "")


def test_no_page_has_a_script_an_inline_style_or_anything_from_elsewhere() -> None:
    desk = FakeDesk()
    pages = [
        render_item(plain_report(preview=PREVIEW), viewer=VIEWER, refresh_seconds=2),
        render_item(plain_report()),
        render_queue(desk.queue("shop", resolved=False), ["shop"], viewer=VIEWER),
        render_login("/"),
        render_message("Refused", ["why"], refresh_to="/"),
    ]
    for page in pages:
        for tag, attributes in Outline(page).tags:
            assert tag not in ("script", "iframe", "object", "embed", "base", "img")
            for name, value in attributes:
                assert not name.startswith("on")
                assert name != "style"
                assert "://" not in (value or "")


def test_a_file_has_no_form_and_a_served_page_carries_what_was_seen() -> None:
    assert "form" not in Outline(render_item(plain_report())).names
    served = Outline(render_item(plain_report(), viewer=VIEWER, can_preview=True))
    hidden = [dict(a) for tag, a in served.tags if tag == "input" and ("type", "hidden") in a]
    assert {h["name"]: h["value"] for h in hidden}["seen"] == "stamp-1"
    assert served.names.count("form") == 5  # log out, preview, replay, waive, discard
    resolved = render_item(plain_report(state="resolved", resolution="replayed"), viewer=VIEWER)
    assert "Decide as" not in resolved


def test_headings_tables_and_plots_have_names() -> None:
    outline = Outline(render_item(plain_report(preview=PREVIEW), viewer=VIEWER))
    assert outline.names.count("h1") == 1
    assert outline.names.count("table") == outline.names.count("caption") == 2
    (plot,) = [dict(a) for tag, a in outline.tags if tag == "svg"]
    assert plot["role"] == "img"
    assert plot["aria-label"] == (
        "shift:net_amount over 13 batches, 1 of them refused; the newest is 98.7"
    )
    text = " ".join(outline.text)
    assert "orders/2026-11-13 (number 13): 98.7, refused (quarantined)" in text
    assert "limit 5" in text
    assert "log scale" in text


def points(*figures: float | None) -> tuple[Point, ...]:
    return tuple(
        Point(n, f"b{n}", "accepted", True, False, START, figure, None, 2.0)
        for n, figure in enumerate(figures)
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=12))
def test_any_figures_can_be_drawn(figures: list[float | None]) -> None:
    found = points(*figures)
    drawn = str(draw_trend(Trend(found, describe_usual(found, 0)), "x", is_share=False))
    assert bool(drawn) == (sum(figure is not None for figure in figures) >= 2)
    assert "nan" not in drawn
    for height in re.findall(r'cy="([-\d.e+]+)"', drawn):
        assert 0 <= float(height) <= 150


def test_figures_are_said_in_their_own_form() -> None:
    assert format_figure(0.1234, is_share=True) == "12.3%"
    assert format_figure(0.00031, is_share=True) == "0.031%"
    assert format_figure(98.7, is_share=False) == "98.7"
    assert format_figure(1234567.8, is_share=False) == "1,234,568"
