"""What on-call sees of a verdict: rules, counts, shares, limits, row numbers, the next command.

No value of a row is in it. Names that come from a delivery (columns, categories, the batch) are
text that a stranger wrote: in Markdown each character that could be markup is written as an
entity, so it is shown and never followed.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from tasks.escaping import escape_markdown, escape_text
from tasks.handles import RuleResult, StagedBatch, Verdict

SHOWN_ROW_NUMBERS = 5


def render_report(
    verdict: Verdict,
    staged: StagedBatch,
    *,
    deployment: str,
    format: Literal["markdown", "text"] = "markdown",
) -> str:
    """The verdict for a person: Markdown for a Prefect artifact, or text for the terminal."""
    if format == "text":
        return _as_text(verdict, staged.batch_name, deployment)
    return _as_markdown(verdict, staged.batch_name, deployment, _sample(verdict.rejects_path))


def render_results(title: str, results: Sequence[RuleResult]) -> str:
    """The outcome of rules on a table of ours, as Markdown."""
    failed = _ordered(result for result in results if not result.passed)
    count = f"{len(failed)} of {len(results)} rules failed" if failed else "every rule is kept"
    lines = [f"## {escape_markdown(title)}: {count}", ""]
    if failed:
        lines += ["| rule | column | found | limit |", "|---|---|---|---|"]
        lines += [
            "| "
            + " | ".join(escape_markdown(c) for c in (r.rule, r.column, r.observed, r.limit))
            + " |"
            for r in failed
        ]
    return "\n".join(lines).rstrip() + "\n"


def _headline(verdict: Verdict, name: str) -> str:
    failed = [result for result in verdict.results if not result.passed]
    stopping = [result for result in failed if result.severity == "stop"]
    if verdict.outcome == "stopped":
        return f"batch {name} quarantined: {len(stopping)} of {len(verdict.results)} rules failed"
    if verdict.quarantined_rows:
        return (
            f"batch {name} accepted: {verdict.quarantined_rows:,} of"
            f" {verdict.received_rows:,} rows set aside"
        )
    return f"batch {name} accepted: {verdict.received_rows:,} rows"


def _describe(result: RuleResult) -> str:
    """`1,204 of 9,811 rows (12.3%, limit 5%)`, or the figure with its limit."""
    if result.observed:
        limit = f" (limit {result.limit})" if result.limit else ""
        return f"{result.observed}{limit}"
    share = f"{result.failed_rows / result.checked_rows:.1%}" if result.checked_rows else ""
    inside = ", ".join(
        part for part in (share, f"limit {result.limit}" * bool(result.limit)) if part
    )
    counts = f"{result.failed_rows:,} of {result.checked_rows:,} rows"
    return f"{counts} ({inside})" if inside else counts


def _next_command(deployment: str, name: str) -> str:
    return f"holdfast -d {shlex.quote(deployment)} quarantine show {shlex.quote(name)}"


def _ordered(results: Iterable[RuleResult]) -> list[RuleResult]:
    levels = ("stop", "quarantine", "warn")
    return sorted(results, key=lambda result: (levels.index(result.severity), -result.failed_rows))


def _as_text(verdict: Verdict, name: str, deployment: str) -> str:
    failed = _ordered(result for result in verdict.results if not result.passed)
    lines = [escape_text(_headline(verdict, name))]
    rows = [
        (escape_text(result.column), result.rule, escape_text(_describe(result)))
        for result in failed
        if verdict.outcome == "accepted" or result.severity == "stop"
    ]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(2)]
    lines += [f"  {c:<{widths[0]}}  {r:<{widths[1]}}  {text}" for c, r, text in rows]
    if verdict.quarantined_rows:
        review = f"  Review: {_next_command(deployment, name)}"
        still = "     The champion still serves." if verdict.outcome == "stopped" else ""
        lines.append(escape_text(review) + still)
    return "\n".join(lines)


def _as_markdown(
    verdict: Verdict, name: str, deployment: str, samples: Mapping[str, Sequence[int]]
) -> str:
    headline = escape_markdown(_headline(verdict, name))
    lines = [
        f"## {headline[0].upper()}{headline[1:]}",
        "",
        f"Received {verdict.received_rows:,} rows = accepted {verdict.accepted_rows:,}"
        f" + set aside {verdict.quarantined_rows:,}.",
        "",
    ]
    if verdict.outcome == "stopped":
        lines += [
            "Nothing of this batch was published and nothing after it has started."
            " The champion still serves.",
            "",
        ]
    failed = _ordered(result for result in verdict.results if not result.passed)
    if failed:
        lines += [
            "| rule | column | level | found | limit | why | rows, for example |",
            "|---|---|---|---|---|---|---|",
        ]
        for result in failed:
            counts = f"{result.failed_rows:,} of {result.checked_rows:,}"
            if result.checked_rows and result.failed_rows:
                counts += f" ({result.failed_rows / result.checked_rows:.1%})"
            cells = (
                result.rule,
                result.column,
                result.severity,
                result.observed or f"{counts} rows",
                result.limit,
                result.reason,
                ", ".join(str(number) for number in samples.get(result.rule, ())),
            )
            lines.append("| " + " | ".join(escape_markdown(cell) for cell in cells) + " |")
        lines.append("")
    if verdict.quarantined_rows:
        command = escape_markdown(_next_command(deployment, name))
        lines += [f"Next: <code>{command}</code>", ""]
    waiting = [result for result in verdict.results if result.passed and result.reason]
    if waiting:
        lines.append("Not compared:")
        lines += [
            f"- {escape_markdown(result.rule)} {escape_markdown(result.column)}:"
            f" {escape_markdown(result.reason)}"
            for result in waiting
        ]
        lines.append("")
    passed = sorted({r.rule for r in verdict.results if r.passed and not r.reason})
    if passed:
        lines.append("Passed: " + ", ".join(escape_markdown(rule) for rule in passed) + ".")
    return "\n".join(lines).rstrip() + "\n"


def _sample(rejects: Path | None) -> dict[str, list[int]]:
    """The first row numbers of each rule in the rejects file."""
    if rejects is None:
        return {}
    from tasks.warehouse import scratch

    with scratch(allowed_directories=[rejects.parent]) as connection:
        rows = connection.rows(
            "select rule, min(row_number, $shown) as numbers"
            " from read_parquet($rejects) group by rule",
            {"rejects": str(rejects), "shown": SHOWN_ROW_NUMBERS},
        )
    return {row["rule"]: [int(number) for number in row["numbers"]] for row in rows}
