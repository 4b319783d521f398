"""Why a value was refused: asked only once a batch has failed, so it may be slow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks.intake.mapping import Delivered, Mapping, place
from tasks.intake.masking import shape_of
from tasks.intake.rejection import BatchRejected, Code, show
from tasks.sources import SourceSettings
from tasks.warehouse import Connection, literal, quote

_NONFINITE = r"(?i)[+-]?(?:nan|inf|infinity|1\.#(?:inf|ind|qnan)\d*)"
_PLAIN_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_OTHER_NUMBER = r"[+-]?\d{1,3}(?:[.,' \x{00a0}\x{202f}]?\d{3})*(?:[.,]\d*)?|[+-]?[.,]\d+"
_ISO_NAIVE = r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?"
_ISO_AWARE = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)"
_ANY_DATE = r"\d{1,4}[-/. ]\d{1,2}[-/. ]\d{1,4}(?:[ T,].*)?|\d{8}(?:T?\d{4,6})?"
# A number such as 1.000, in which the point can part thousands as well as decimals.
_TWO_READINGS = r"[+-]?\d{1,3}(?:\.\d{3})+"

_PROBLEMS: dict[Code, str] = {
    "NONFINITE": "is no finite number",
    "FORMAT": "is written in another notation than declared",
    "TZ": "is a time that its zone cannot place",
    "TYPE": "is not of the declared type",
}


def explain_column(
    connection: Connection,
    mapping: Mapping,
    column: Delivered,
    number: int,
    source: SourceSettings,
    batch_name: str,
    values: dict[str, Any],
) -> BatchRejected:
    """The refusal for a delivered column with values that are not of its declared type."""
    delivered = quote(place(number))
    text = f"cast({delivered} as varchar)"
    code = _code(text, column, source)
    found = connection.rows(
        f"select {code} as code, count(*) as count, min(row_number, 5) as lines,"
        f" arg_min({text}, row_number) as sample"
        f" from ({mapping.typed}) as typed"
        f" where {delivered} is not null and {quote(column.name)} is null"
        " group by all order by min(row_number)",
        values,
    )
    worst = found[0]
    kind: Code = worst["code"]
    sample = "" if column.name.lower() in mapping.personal else f"such as {_sample(kind, worst)}"
    others = ", ".join(f"{row['code']} {row['count']:,}" for row in found[1:])
    detail = "; ".join(part for part in (sample, f"also {others}" if others else "") if part)
    count = worst["count"]
    return BatchRejected(
        kind,
        batch_name,
        f"'{column.name}' ({column.declared.type}) {_PROBLEMS[kind]} in {count:,}"
        f" {'row' if count == 1 else 'rows'}",
        lines=worst["lines"],
        count=count,
        column=column.name,
        found=detail,
        next_step=_next_step(kind, column, source),
    )


def _sample(kind: Code, worst: dict[str, Any]) -> str:
    # What is a number or a date in whatever notation is shown. Another text may be anything: in a
    # line whose fields have slipped it is the neighbour's, and that may be personal.
    text = worst["sample"]
    return show(shape_of(text) if kind == "TYPE" else text)


def explain_mapped(
    connection: Connection,
    mapping: Mapping,
    expression: tuple[str, str, str],
    batch_name: str,
    values: dict[str, Any],
) -> BatchRejected:
    """The refusal for a canonical column whose expression gives values beyond its type."""
    name, sql, kind = expression
    infinite = f"cast({sql} as varchar) in ('nan', 'inf', '-inf')"
    found = connection.one(
        "select count(*) as count, min(row_number, 5) as lines,"
        f" count(*) filter ({infinite}) as infinite from ({mapping.typed}) as typed"
        f" where {sql} is not null and (try_cast({sql} as {kind}) is null or {infinite})",
        values,
    )
    code: Code = "NONFINITE" if found["infinite"] else "TYPE"
    return BatchRejected(
        code,
        batch_name,
        f"`map.{name}` gives values that {kind} cannot hold",
        lines=found["lines"] or (),
        count=found["count"],
        column=name,
        next_step="correct the values at the source, or the expression",
    )


def refuse_ambiguous_numbers(
    connection: Connection,
    mapping: Mapping,
    columns: Sequence[Delivered],
    source: SourceSettings,
    batch_name: str,
    values: dict[str, Any],
) -> None:
    """Refuse a column in which every number with a point could be thousands as well.

    Asked only where the source does not declare `number_format`. Raises BatchRejected FORMAT.
    """
    asked = [
        (number, column)
        for number, column in enumerate(columns)
        if column.is_text and column.declared.type == "number" and source.text.number_format is None
    ]
    if not asked:
        return
    counts = ", ".join(
        f"count(*) filter (contains({quote(place(number))}, '.')) as {quote(f'pointed {number}')},"
        f" count(*) filter (contains({quote(place(number))}, '.')"
        f" and regexp_full_match({quote(place(number))}, {literal(_TWO_READINGS)}))"
        f" as {quote(f'double {number}')}"
        for number, _ in asked
    )
    found = connection.one(f"select {counts} from ({mapping.typed}) as typed", values)
    for number, column in asked:
        pointed, double = found[f"pointed {number}"], found[f"double {number}"]
        if pointed and pointed == double:
            lines = connection.scalar(
                f"select min(row_number, 5) from ({mapping.typed}) as typed"
                f" where contains({quote(place(number))}, '.')",
                values,
            )
            raise BatchRejected(
                "FORMAT",
                batch_name,
                f"each number with a point in '{column.name}' has two readings, as 1.000 has",
                lines=lines,
                count=pointed,
                column=column.name,
                next_step="say `text: {number_format: '1234.56'}` or '1.234,56' for the source",
            )


def _code(text: str, column: Delivered, source: SourceSettings) -> str:
    """SQL that names what is wrong with a refused value."""

    def matches(pattern: str) -> str:
        return f"regexp_full_match({text}, {literal(pattern)})"

    kind = column.declared.type
    if kind in ("number", "integer"):
        too_large = f"{matches(_PLAIN_NUMBER)} and not isfinite(try_cast({text} as double))"
        declared = source.text.number_format or "1234.56"
        other = f"when {matches(_OTHER_NUMBER)} then 'FORMAT'"
        if kind == "integer" and declared == "1234.56":
            # 1.5 in an integer column is another type, not another notation.
            other = f"when {matches(_PLAIN_NUMBER)} then 'TYPE' {other}"
        return (
            f"case when {matches(_NONFINITE)} or ({too_large}) then 'NONFINITE' {other}"
            " else 'TYPE' end"
        )
    if kind == "timestamp" and not column.is_text:
        return "'TZ'"
    if kind == "timestamp" and column.declared.format is not None:
        # The declared form that parses and still gives no moment: the zone is at fault.
        parsed = f"try_strptime({text}, {literal(column.declared.format)}) is not null"
        return (
            f"case when {parsed} then 'TZ' when {matches(_ANY_DATE)} then 'FORMAT' else 'TYPE' end"
        )
    if kind == "timestamp":
        return (
            f"case when {matches(_ISO_NAIVE)} and try_cast({text} as timestamp) is not null"
            f" then 'TZ' when {matches(_ISO_NAIVE)} or {matches(_ISO_AWARE)} then 'TYPE'"
            f" when {matches(_ANY_DATE)} then 'FORMAT' else 'TYPE' end"
        )
    return "'TYPE'"


def _next_step(code: Code, column: Delivered, source: SourceSettings) -> str:
    if code == "FORMAT" and column.declared.type == "timestamp":
        return f"deliver ISO 8601, or declare `{column.name}: {{type: timestamp, format: ...}}`"
    if code == "FORMAT":
        return "deliver 1234.56, or declare `text.number_format` of the source"
    if code == "TZ" and source.time_zone is None:
        return "deliver times with their offset, or declare `time_zone` of the source"
    if code == "TZ":
        return (
            f"{source.time_zone} has these hours twice or not at all: deliver offsets, or declare"
            " `ambiguous_times` and `skipped_times`"
        )
    return ""
