"""The report as text: one screen for a terminal, and Markdown for Prefect's artifact."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta

from tasks.escaping import escape_markdown, escape_text
from tasks.oncall.impact import impact_lines
from tasks.oncall.report import FailedRule, IncidentReport
from tasks.oncall.trends import Trend, format_figure

SCREEN_LINES = 40
SCREEN_COLUMNS = 100
_BARS = "▁▂▃▄▅▆▇█"
_MOST = {"batches": 3, "rules": 4, "rows": 5, "waivers": 2, "history": 3, "impact": 6}


def render_text(report: IncidentReport) -> str:
    """At most 40 lines of at most 100 columns, without markup or control characters.

    What finds no room is counted; the page and `--json` have all of it.
    """
    fixed = [*_head(report), *_next(report)]
    room = SCREEN_LINES - len(fixed)
    parts = [
        _rules(report),
        _batches(report),
        _impact(report),
        _rows(report),
        _waivers(report),
        _history(report),
    ]
    body: list[str] = []
    for part in parts:
        if not part:
            continue
        left = room - len(body)
        if left < len(part):
            part = [*part[: max(0, left - 1)], "  ..."][: max(0, left)]
        body += part
    lines = [*_head(report), *body, *_next(report)]
    return "\n".join(_cut(line) for line in lines)


def render_markdown(report: IncidentReport, url: str = "") -> str:
    """For Prefect's artifact: every text of a delivery stands as entities, none as markup."""
    e = escape_markdown
    lines = [
        f"## {e(report.name)} {e(report.code)}: {e(report.headline)}",
        "",
        f"**{e(describe_state(report))}**, since {e(format_time(report.opened_at))}."
        f" {e(describe_serving(report))}",
        "",
        *([f"Found: {e(report.found)}", ""] if report.found else []),
        f"Likely: {e(report.likely)}",
        "",
    ]
    if url:
        lines += [f"[Open the page and decide]({url})", ""]
    if report.batches:
        lines += ["| batch | number | state | rows | aside | since |", "|---|---|---|---|---|---|"]
        lines += [
            _table_row(
                batch.batch_name,
                str(batch.batch_number),
                batch.state,
                f"{batch.received_rows:,}",
                f"{batch.quarantined_rows:,}",
                format_time(batch.recorded_at),
            )
            for batch in report.batches
        ]
        lines += _more(report.batches_total - len(report.batches), "batches")
    if report.rules:
        lines += ["| rule | level | found | limit | usual |", "|---|---|---|---|---|"]
        lines += [
            _table_row(rule.key, rule.severity, rule.found, rule.limit, describe_usual(rule))
            for rule in report.rules
        ]
        lines += _more(report.rules_total - len(report.rules), "rules")
    if report.preview is not None:
        lines += [*(f"- {e(line)}" for line in impact_lines(report.preview)), ""]
    if report.waivers:
        lines += [*(f"- {e(', '.join(w.rules))} {e(w.says)}" for w in report.waivers), ""]
    if report.commands:
        lines += ["Next:", ""]
        lines += [f"- {e(c.purpose)}: <code>{e(c.line)}</code>" for c in report.commands]
    return "\n".join(lines).rstrip() + "\n"


def describe_state(report: IncidentReport) -> str:
    """`open`, `resolved: replayed by ann`, `waiting for a second person (asked by ann)`."""
    if report.state == "resolved":
        return f"resolved: {report.resolution or 'done'} by {report.actor}"
    if report.state == "waiting":
        return f"waiting for a second person (asked by {report.requested_by or report.actor})"
    return report.state


def describe_serving(report: IncidentReport) -> str:
    """That the champion goes on, or that there is none."""
    serving = report.serving
    if serving is None:
        return "There is no champion yet; nothing is served."
    return f"The champion {serving.name} version {serving.version} goes on serving."


def describe_usual(rule: FailedRule) -> str:
    """`usually 1.02 (0.91 to 1.13 in 29 good batches)`; empty where there is no past."""
    usual = rule.trend.usual
    if usual is None:
        return ""
    middle, low, high = (
        format_figure(value, is_share=rule.is_share)
        for value in (usual.middle, usual.lowest, usual.highest)
    )
    many = f"{usual.batches} good batch{'es' if usual.batches != 1 else ''}"
    return f"usually {middle} ({low} to {high} in {many})"


def describe_age(since: datetime, now: datetime) -> str:
    """`12 min`, `5 h`, `3 days`."""
    age = max(now - since, timedelta(0))
    if age < timedelta(hours=1):
        return f"{age.total_seconds() // 60:.0f} min"
    if age < timedelta(days=2):
        return f"{age.total_seconds() // 3600:.0f} h"
    return f"{age.days} days"


def format_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def draw_sparkline(trend: Trend) -> str:
    """A bar a batch, oldest first; a cross stands after those of refused ones."""
    figures = [point.figure for point in trend.drawn if point.figure is not None]
    if len(figures) < 2:
        return ""
    low, high = min(figures), max(figures)
    span = (high - low) or 1.0
    return "".join(
        _BARS[round((figure - low) / span * (len(_BARS) - 1))] + ("" if point.is_accepted else "x")
        for point, figure in zip(trend.drawn, figures, strict=True)
    )


def _head(report: IncidentReport) -> list[str]:
    age = describe_age(report.opened_at, report.asked_at)
    return [
        f"{report.name}  {report.code}  {describe_state(report)}",
        f"  {report.headline}",
        f"  {report.level} in {report.source or 'no source'}, since"
        f" {format_time(report.opened_at)} ({age})",
        *([f"  Found: {report.found}"] if report.found else []),
        f"  Likely: {report.likely}",
        f"  {describe_serving(report)}",
    ]


def _rules(report: IncidentReport) -> list[str]:
    if not report.rules:
        return []
    lines = [f"Rules broken: {report.rules_total}"]
    for rule in report.rules[: _MOST["rules"]]:
        limit = f" (limit {rule.limit})" if rule.limit else ""
        lines.append(f"  {rule.severity:<10} {rule.key}: {rule.found}{limit}")
        past = "  ".join(
            part for part in (draw_sparkline(rule.trend), describe_usual(rule)) if part
        )
        if past:
            lines.append(f"{'':<13}{past}")
    return lines


def _batches(report: IncidentReport) -> list[str]:
    if not report.batches:
        return []
    lines = [
        f"Batches: {report.batches_total:,}, {report.batches_aside:,} of them refused;"
        f" {report.quarantined_rows:,} of {report.received_rows:,} rows aside"
    ]
    for batch in report.batches[: _MOST["batches"]]:
        lines.append(
            f"  {batch.batch_number:>5} {batch.state:<11} {batch.quarantined_rows:>12,} of"
            f" {batch.received_rows:>12,} aside  {format_time(batch.recorded_at)}"
            f"  {batch.batch_name}"
        )
    return lines


def _rows(report: IncidentReport) -> list[str]:
    if not report.rows:
        return []
    lines = [f"Rows aside in {report.rows_batch_name}: {report.rows_total:,}, personal data masked"]
    if not report.rows_shown:
        numbers = ", ".join(f"{row.row_number:,}" for row in report.rows)
        return [*lines, f"  lines {numbers}"]
    return lines + [
        f"  {row.row_number:>9,}  {row.rule}: {row.line or ''}"
        for row in report.rows[: _MOST["rows"]]
    ]


def _impact(report: IncidentReport) -> list[str]:
    if report.preview is None:
        return []
    return ["Impact of waiving it:"] + [
        f"  {line}" for line in impact_lines(report.preview)[: _MOST["impact"]]
    ]


def _waivers(report: IncidentReport) -> list[str]:
    if not report.waivers:
        return []
    shown = report.waivers[: _MOST["waivers"]]
    return [f"Waivers in force: {len(report.waivers)}"] + [
        f"  {', '.join(waiver.rules)} {waiver.says}" for waiver in shown
    ]


def _history(report: IncidentReport) -> list[str]:
    if len(report.history) < 2:
        return []
    return ["History:"] + [
        f"  {format_time(entry.recorded_at)}  {entry.what} by {entry.actor}: {entry.reason}"
        for entry in report.history[-_MOST["history"] :]
    ]


def _next(report: IncidentReport) -> list[str]:
    lines = ["Next:"]
    for command in report.commands:
        lines += list(_fold(command.line))
    return lines


def _fold(line: str) -> Iterator[str]:
    """A command over as many lines as it needs, each but the last ending in a backslash."""
    current = " "
    for part in shlex.split(line):
        quoted = escape_text(shlex.quote(part))
        if current.strip() and len(current) + len(quoted) + 3 > SCREEN_COLUMNS:
            yield f"{current} \\"
            current = "     "
        current += f" {quoted}"
    yield current


def _table_row(*cells: str) -> str:
    return "| " + " | ".join(escape_markdown(cell) for cell in cells) + " |"


def _more(count: int, what: str) -> list[str]:
    return ([f"\n... and {count:,} {what} more"] if count > 0 else []) + [""]


def _cut(line: str) -> str:
    """One line of at most 100 columns; characters of double width count twice."""
    from rich.cells import cell_len, set_cell_size

    plain = "".join(c if c.isprintable() else " " for c in line)
    if cell_len(plain) <= SCREEN_COLUMNS:
        return plain
    return set_cell_size(plain, SCREEN_COLUMNS - 1).rstrip() + "…"
