"""What on-call sees: rules, counts, limits, row numbers, the next command; nothing of a row."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tasks.handles import RuleResult, Verdict
from tasks.settings import Settings
from tasks.validation.history import NoHistory
from tasks.validation.judging import validate
from tasks.validation.report import escape_markdown, render_report, render_results
from tests.validation.drawing import draw, fill

NOW = datetime(2024, 4, 1, tzinfo=UTC)


@pytest.mark.sql
def test_a_stopped_batch_reads_like_the_terminal_expects(
    tmp_path: Path, settings: Settings
) -> None:
    staged = fill(
        tmp_path,
        "orders",
        1000,
        name="orders/2024-03-15",
        customer_id="case when n % 8 = 0 then null else 'person' || n end",
    )
    verdict = validate(staged, NoHistory(), settings, now=NOW)
    text = render_report(verdict, staged, deployment="shop", format="text")
    assert text.splitlines() == [
        "batch orders/2024-03-15 quarantined: 2 of 31 rules failed",
        "  customer_id  customer_id_present  125 of 1,000 rows (12.5%, limit 5% (stop))",
        "               quarantined_share    12.5% set aside"
        " (limit at most 2.0% (warn) and 10.0% (stop))",
        "  Review: holdfast -d shop quarantine show orders/2024-03-15"
        "     The champion still serves.",
    ]
    markdown = render_report(verdict, staged, deployment="shop")
    assert "Received 1,000 rows = accepted 0 + set aside 1,000." in markdown
    assert "125 of 1,000 &#40;12.5%&#41; rows" in markdown
    # The first rows that break the rule, by number; line 1 is the header.
    assert "| 2, 10, 18, 26, 34 |" in markdown
    assert "holdfast -d shop quarantine show orders/2024-03-15" in markdown
    assert "Not compared:" in markdown
    for report in (text, markdown):
        assert "person" not in report
        assert "line 2" not in report


@pytest.mark.sql
def test_an_accepted_batch_with_rows_set_aside(tmp_path: Path, lenient: Settings) -> None:
    staged = draw(tmp_path, "orders", "net_amount\n10\n-5")
    verdict = validate(staged, NoHistory(), lenient, now=NOW)
    text = render_report(verdict, staged, deployment="shop", format="text")
    assert text.splitlines()[0] == "batch orders/batch accepted: 1 of 2 rows set aside"
    assert "champion" not in text


def test_a_clean_batch_needs_no_command() -> None:
    verdict = Verdict(
        "accepted", 5, 5, 0, None, (RuleResult("rows", "", "stop", 5, 0, "", "5 rows", True),)
    )
    staged = _named("orders/1")
    assert render_report(verdict, staged, deployment="shop", format="text") == (
        "batch orders/1 accepted: 5 rows"
    )
    assert "Next" not in render_report(verdict, staged, deployment="shop")


PAYLOADS = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "a | b | c",
    "[click](javascript:alert(1))",
    "![x](http://evil.example/x.png)",
    "http://evil.example",
    "`code` **bold** ~~gone~~ # title",
    "line\nnext\r\n- item\x1b[31mred",
    "&lt;script&gt;",
    "{{7*7}} ${HOME} %s {0}",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_a_stranger_wrote_is_shown_not_followed(payload: str) -> None:
    escaped = escape_markdown(payload)
    assert not set(escaped) & set("<>|[]()`*_~#!:{}\n\r\x1b\"'$@") - {"#"}
    assert all(part.startswith("&#") for part in _entities(escaped))
    # Read by a browser it is the same text again, control characters apart.
    reader = _Reader()
    reader.feed(escaped)
    reader.close()
    assert reader.tags == []
    assert reader.text == "".join(c if c.isprintable() else " " for c in payload)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_reports_of_odd_names_and_values_stay_tables(payload: str) -> None:
    result = RuleResult("columns", payload, "stop", 3, 3, payload, payload, False, payload)
    verdict = Verdict("stopped", 3, 0, 3, None, (result,))
    for markdown in (
        render_report(verdict, _named(payload), deployment="shop"),
        render_results(payload, (result,)),
    ):
        reader = _Reader()
        reader.feed(markdown)
        assert set(reader.tags) <= {"code"}
        rows = [line for line in markdown.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in rows}) == 1
        assert "javascript:" not in markdown
        assert "](" not in markdown
    text = render_report(verdict, _named(payload), deployment="shop", format="text")
    assert len(text.splitlines()) == 3
    assert "\x1b" not in text


@pytest.mark.sql
def test_a_column_name_with_a_script_is_named_and_harmless(
    tmp_path: Path, settings: Settings
) -> None:
    import pyarrow.parquet as pq

    staged = fill(tmp_path, "orders", 3)
    table = pq.read_table(staged.staged_path)
    odd = table.append_column('x"><script>alert(1)</script>|', table.column("order_id"))
    pq.write_table(odd, staged.staged_path)
    verdict = validate(staged, NoHistory(), settings, now=NOW)
    assert verdict.outcome == "stopped"
    assert [r.rule for r in verdict.results if not r.passed] == ["columns"]
    markdown = render_report(verdict, staged, deployment="shop")
    assert "<script" not in markdown
    assert "&#60;script&#62;" in markdown


def _named(name: str):  # type: ignore[no-untyped-def]
    from tasks.handles import Delivery, RawBatch, StagedBatch

    path = Path("/nowhere")
    raw = RawBatch(Delivery(name, "orders", "orders", ""), "0" * 64, path, 1)
    return StagedBatch(raw, path, 3, "observed", None)


def _entities(text: str) -> list[str]:
    return [text[place : place + 2] for place, c in enumerate(text) if c == "&"]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data
