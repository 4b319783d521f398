"""What a report says of an item, as values, as one screen, and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.cells import cell_len

from tasks.errors import UsageError
from tasks.handles import Cause, Incident, Waiver
from tasks.incidents.causes import cause_of_stop, causes_of_held
from tasks.incidents.waivers import append_waiver
from tasks.oncall.commands import suggest_commands
from tasks.oncall.publishing import publish_report, report_path
from tasks.oncall.text import SCREEN_COLUMNS, SCREEN_LINES, render_markdown, render_text
from tasks.settings import Settings
from tasks.warehouse import Lake, open_lake

from ..conftest import MakeSettings
from .made_up import (
    PREVIEW,
    START,
    add_batch,
    filling,
    make_queue,
    make_report,
    plain_report,
    present,
    sample,
    shift,
)

pytestmark = pytest.mark.sql

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def queue(make_settings: MakeSettings) -> Iterator[Lake]:
    """A lake with one open item, a waiver, and rows held back as a second item."""
    with open_lake(make_settings()) as lake:
        make_queue(lake, name=f"orders/{SCRIPT}")
        cause = causes_of_held("orders", (present(61),))[0]
        with filling(lake):
            add_batch(lake, 14, (shift(1.0, passed=True), present(61)), aside=61, join=cause)
        waiver = Waiver(
            "w1", "orders", ("volume",), "leave_out", "Black Friday", "ann",
            START, START + timedelta(days=30),
        )  # fmt: skip
        with lake.writer_lock("test"), lake.publish("tester", "waive"):
            append_waiver(lake, waiver, None)
        yield lake


def test_it_says_what_broke_since_when_and_why(queue: Lake) -> None:
    report = make_report(queue)
    assert (report.name, report.code, report.state) == ("item-1", "UNIT_SHIFT", "open")
    assert report.opened_at == START + timedelta(days=13)
    assert "cents" in report.likely
    assert [rule.key for rule in report.rules] == ["shift:net_amount", "customer_id_present"]
    assert report.rules[0].found == "trailing ratio 98.7"
    assert report.rules[1].found == "61 of 9,811 rows (0.6%)"
    assert [batch.batch_number for batch in report.batches] == [13]
    assert (report.received_rows, report.quarantined_rows) == (9811, 9811)
    assert [w.says for w in report.waivers] == ["waived by ann until 2026-12-01: Black Friday"]
    assert [entry.what for entry in report.history] == ["open"]
    assert report.serving is not None
    assert json.loads(json.dumps(report.as_dictionary()))["rules"][0]["key"] == "shift:net_amount"


def test_a_trend_tells_good_batches_from_refused_ones(queue: Lake) -> None:
    trend = make_report(queue).rules[0].trend
    assert [point.is_accepted for point in trend.points] == [True] * 12 + [False, True]
    assert [point.in_item for point in trend.points] == [False] * 12 + [True, False]
    assert trend.usual is not None
    assert trend.usual.batches == 12  # the one after the item's is no past of it
    assert (trend.usual.lowest, trend.usual.middle, trend.usual.highest) == (0.88, 1.0, 1.12)
    last = trend.points[-2]
    assert (last.figure, last.lower_limit, last.upper_limit) == (98.7, 0.2, 5.0)


def test_rows_held_back_are_about_one_rule(queue: Lake) -> None:
    asked: list[tuple[int, str | None]] = []

    def remember(number: int, rule: str | None):  # type: ignore[no-untyped-def]
        asked.append((number, rule))
        return sample(number, rule)

    report = make_report(queue, "item-2", sample=remember)
    assert [rule.key for rule in report.rules] == ["customer_id_present"]
    assert asked == [(14, "customer_id_present")]


def test_one_screen_holds_it(queue: Lake) -> None:
    text = render_text(make_report(queue, preview=PREVIEW))
    lines = text.splitlines()
    assert len(lines) <= SCREEN_LINES
    assert max(cell_len(line) for line in lines) <= SCREEN_COLUMNS
    for said in ("UNIT_SHIFT", "usually 1 (0.88 to 1.12 in 12 good batches)", "trailing ratio 98.7",
                 "goes on serving", "+18,234.50 GBP", "quarantine waive item-1"):  # fmt: skip
        # A long path breaks the command's line, as a shell would read it.
        assert said in " ".join(text.replace("\\\n", " ").split())


def test_a_long_report_still_fits_and_hides_no_control_character() -> None:
    wild = "\x1b[31m 価格\u202e\r\n" * 60
    base = plain_report()
    report = plain_report(
        headline=wild,
        batches=base.batches * 12,
        rules=base.rules * 12,
        rows=base.rows * 20,
        history=base.history * 40,
        preview={**PREVIEW, "notes": [wild] * 9},
        likely=wild,
    )
    text = render_text(report)
    assert len(text.splitlines()) <= SCREEN_LINES
    assert max(cell_len(line) for line in text.splitlines()) <= SCREEN_COLUMNS
    assert all(c.isprintable() or c == "\n" for c in text)


def test_markdown_holds_no_markup_of_strangers(queue: Lake) -> None:
    markdown = render_markdown(make_report(queue), "http://127.0.0.1:4300/d/x/item-1")
    assert SCRIPT not in markdown
    assert "<script" not in markdown
    assert "&#60;script&#62;" in markdown


def test_where_rows_say_something_of_a_person_only_numbers_are_shown(lake: Lake) -> None:
    rule = present(3)
    cause = cause_of_stop("customers", (rule,))
    with filling(lake):
        add_batch(
            lake, 1, (rule,), state="quarantined", aside=9811, table="customers", join=cause,
            source="customers",
        )  # fmt: skip
    report = make_report(lake)
    assert not report.rows_shown
    assert [row.row_number for row in report.rows] == [12, 18, 24, 30, 36]
    assert {row.line for row in report.rows} == {None}
    assert "99999X" not in json.dumps(report.as_dictionary())
    assert "lines 12, 18, 24, 30, 36" in render_text(report)


def test_a_storm_is_one_item_and_keeps_the_good_batches_in_the_plot(lake: Lake) -> None:
    make_queue(lake, good=25)
    results = (shift(99.0, passed=False),)
    cause = cause_of_stop("orders", results)
    with filling(lake):
        for number in range(27, 47):
            add_batch(lake, number, results, state="quarantined", aside=9811, join=cause)
    report = make_report(lake)
    assert (report.batches_total, len(report.batches)) == (21, 12)
    assert report.rules[0].batches == 21
    trend = report.rules[0].trend
    assert len(trend.points) == 30
    assert sum(point.is_accepted for point in trend.points) == 20
    assert trend.usual is not None
    assert trend.usual.batches == 20


def test_an_unknown_item_is_a_mistake_of_usage(queue: Lake) -> None:
    with pytest.raises(UsageError, match="no item 'item-99'"):
        make_report(queue, "item-99")


def test_the_file_is_private_and_replaced_whole(
    queue: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A port at which nobody listens: a dead MLflow costs seconds and changes nothing.
    monkeypatch.setenv("HOLDFAST_TRACKING_URI", "http://127.0.0.1:9")
    report = make_report(queue)
    for _ in range(2):
        published = publish_report(queue.settings, report)
    path = report_path(queue.settings, "item-1")
    assert published.path == path
    assert published.run_id is None
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert oct(path.parent.stat().st_mode & 0o777) == "0o700"
    assert [p.name for p in Path(path.parent).iterdir()] == ["item-1.html"]
    text = path.read_text(encoding="utf-8")
    assert "&lt;script&gt;" in text
    assert SCRIPT not in text
    assert "<form" not in text


@pytest.mark.parametrize(
    ("rules", "offered"),
    [
        (["shift:net_amount"], True),
        # Nothing was judged: it could not be read, or its columns or rows are not there.
        ([], False),
        (["columns"], False),
        (["rows"], False),
    ],
)
def test_nobody_is_sent_to_a_waiver_that_would_be_refused(
    settings: Settings, rules: list[str], offered: bool
) -> None:
    cause = Cause("orders|stop|X|", "X", "stop", "orders", "", "it is broken")
    now = datetime(2026, 11, 26, tzinfo=UTC)
    incident = Incident(1, cause, "orders", "open", None, now, now, "night", "", (7,))
    lines = [command.line for command in suggest_commands(incident, rules, settings, now)]
    assert any(" waive " in line for line in lines) is offered
    assert any("--waive" in line for line in lines) is offered
    assert any(" discard " in line for line in lines)
    assert any("--file" in line for line in lines)
