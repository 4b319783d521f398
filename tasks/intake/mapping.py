"""From delivered columns to a canonical table, as SQL: nothing is cast without being counted.

A delivered value is first typed by its declaration in `columns`, strictly, then the expressions
of `map` make the canonical columns, which are cast to the contract's types. A value that a step
turns into NULL is a fault, and `reading` refuses the batch for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from tasks.contracts import Contract
from tasks.errors import ConfigurationError, HoldfastError, suggest
from tasks.intake.rejection import BatchRejected, show
from tasks.intake.tables import period_bounds
from tasks.sources import RawColumn, SourceSettings
from tasks.warehouse import Connection, literal, quote

_DAY = r"\d{4}-\d\d-\d\d"
_CLOCK = r"[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?"
_OFFSET = r"(?:Z|[+-](?:0\d|1[0-8])(?::?[0-5]\d)?)"
# What is a number in each notation, and which of its characters to replace.
_NUMBERS: dict[str, tuple[str, str, tuple[tuple[str, str], ...]]] = {
    "1234.56": (r"\d+", r"\.", ()),
    "1234,56": (r"\d+", ",", ((",", "."),)),
    "1,234.56": (r"(?:\d{1,3}(?:,\d{3})+|\d+)", r"\.", ((",", ""),)),
    "1.234,56": (r"(?:\d{1,3}(?:\.\d{3})+|\d+)", ",", ((".", ""), (",", "."))),
}
_TRUE = ("true", "t", "1", "yes", "y")
_FALSE = ("false", "f", "0", "no", "n")
_INTEGERS = {
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "HUGEINT",
}
_NAIVE_TIMES = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "DATE"}
_ZONED_TIME = "TIMESTAMP WITH TIME ZONE"
# Zones are looked at for changes of the clock in these years.
_FIRST_YEAR, _LAST_YEAR = 1970, 2100


@dataclass(frozen=True, slots=True)
class Delivered:
    """A declared column as it came: `sql` is its place in the records, `type` DuckDB's."""

    name: str
    declared: RawColumn
    sql: str
    type: str = "VARCHAR"

    @property
    def is_text(self) -> bool:
        return self.type == "VARCHAR"


def match_columns(
    names: Sequence[str], source: SourceSettings, batch_name: str
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Position (from 0) of each declared column among the delivered, and a note on the others.

    Raises BatchRejected SCHEMA for a missing or doubled column, and for an extra one where the
    source says so.
    """
    missing = [name for name in source.columns if name not in names]
    if missing and not _names_columns(names, source):
        # A first line of data: its values are not repeated, for they may be somebody's.
        raise BatchRejected(
            "SCHEMA",
            batch_name,
            f"the first line names none of the columns, such as '{missing[0]}': is there a header?",
            lines=(1,),
            column=missing[0],
            next_step="deliver the file with its header, or change `columns` of the source",
        )
    doubled = sorted({name for name in names if list(names).count(name) > 1})
    if doubled:
        raise BatchRejected(
            "SCHEMA",
            batch_name,
            f"the column {show(doubled[0])} stands {list(names).count(doubled[0])} times",
            lines=(1,),
            column=doubled[0] if doubled[0] in source.columns else "",
        )
    extra = [name for name in names if name not in source.columns]
    if missing:
        hints = [_nearest(name, extra) for name in missing]
        raise BatchRejected(
            "SCHEMA",
            batch_name,
            "missing: "
            + ", ".join(f"'{name}'{hint}" for name, hint in zip(missing, hints, strict=True)),
            lines=(1,),
            column=missing[0],
            available=[show(name) for name in list(names)[:30]],
            next_step="rename it at the source, or change `columns` and `map` of the source",
        )
    if extra and source.extra_columns == "reject":
        raise BatchRejected(
            "SCHEMA",
            batch_name,
            f"not declared: {', '.join(show(name) for name in extra[:10])}",
            lines=(1,),
            next_step="declare it in `columns`, or say `extra_columns: drop`",
        )
    notes: tuple[str, ...] = ()
    if extra:
        shown = ", ".join(show(name) for name in extra[:10])
        more = f" and {len(extra) - 10} more" if len(extra) > 10 else ""
        notes = (f"dropped columns that are not declared: {shown}{more}",)
    return {name: names.index(name) for name in source.columns}, notes


def _names_columns(names: Sequence[str], source: SourceSettings) -> bool:
    """Whether a declared column is named at all, be it in a longer name or between semicolons."""
    header = "\n".join(names).lower()
    return any(name.lower() in header for name in source.columns)


def _nearest(name: str, extra: Sequence[str]) -> str:
    folded = {other.lower().replace(" ", "_"): other for other in extra}
    near = folded.get(name.lower().replace(" ", "_"))
    if near is None and suggest(name, extra):
        near = suggest(name, extra).removeprefix("Did you mean '").removesuffix("'?")
    return f" (is it {show(near)}?)" if near is not None else ""


def type_column(column: Delivered, source: SourceSettings, batch_name: str) -> str:
    """SQL that gives the column its declared type, and NULL for what is not of that type.

    Raises BatchRejected SCHEMA where the delivered type cannot be read as the declared one.
    """
    kind = column.declared.type
    value = column.sql
    if column.is_text:
        return _type_text(value, column.declared, source)
    if kind == "text" and (column.type in _INTEGERS or column.type in ("UUID", "BOOLEAN", "DATE")):
        return f"cast({value} as varchar)"
    if kind == "text" and column.type.startswith(("DECIMAL", "ENUM")):
        return f"cast({value} as varchar)"
    if kind == "integer" and column.type in _INTEGERS:
        return f"try_cast({value} as bigint)"
    if kind == "number" and column.type in _INTEGERS | {"DOUBLE", "FLOAT"}:
        return f"case when isfinite(cast({value} as double)) then cast({value} as double) end"
    if kind == "number" and column.type.startswith("DECIMAL"):
        return f"cast({value} as double)"
    if kind == "boolean" and column.type == "BOOLEAN":
        return value
    if kind == "timestamp" and column.type == _ZONED_TIME:
        return f"case when isfinite({value}) then {value} end"
    if kind == "timestamp" and column.type in _NAIVE_TIMES:
        finite = f"case when isfinite({value}) then cast({value} as timestamp) end"
        return to_utc(finite, source)
    raise BatchRejected(
        "SCHEMA",
        batch_name,
        f"'{column.name}' is declared as {kind} and delivered as {show(column.type)}",
        column=column.name,
        next_step="deliver it as declared; an identifier as text or as whole numbers"
        if kind == "text"
        else "deliver it as declared, or change `columns` of the source",
    )


def _type_text(value: str, declared: RawColumn, source: SourceSettings) -> str:
    if declared.type == "text":
        return value
    if declared.type in ("integer", "number"):
        pattern, plain = _number(value, source, whole=declared.type == "integer")
        matched = f"regexp_full_match({value}, {literal(pattern)})"
        if declared.type == "integer":
            return f"case when {matched} then try_cast({plain} as bigint) end"
        number = f"try_cast({plain} as double)"
        return f"case when {matched} and isfinite({number}) then {number} end"
    if declared.type == "boolean":
        return (
            f"case when lower({value}) in ({_listed(_TRUE)}) then true"
            f" when lower({value}) in ({_listed(_FALSE)}) then false end"
        )
    if declared.format is not None:
        parsed = f"try_strptime({value}, {literal(declared.format)})"
        if "%z" in declared.format or "%Z" in declared.format:
            return f"try_cast({parsed} as timestamptz)"
        return to_utc(parsed, source)
    naive = f"regexp_full_match({value}, {literal(f'{_DAY}(?:{_CLOCK})?')})"
    aware = f"regexp_full_match({value}, {literal(_DAY + _CLOCK + _OFFSET)})"
    zoned = to_utc(f"try_cast({value} as timestamp)", source)
    # DuckDB reads an offset only after seconds.
    seconds = f"regexp_replace({value}, '^(.{{16}})([Z+-])', '\\1:00\\2')"
    return (
        f"case when {naive} then {zoned} when {aware} then try_cast({seconds} as timestamptz) end"
    )


def _number(value: str, source: SourceSettings, *, whole: bool) -> tuple[str, str]:
    digits, point, replaced = _NUMBERS[source.text.number_format or "1234.56"]
    fraction = "" if whole else f"(?:{point}\\d*)?"
    bare = "" if whole else f"|{point}\\d+"
    exponent = "" if whole else r"(?:[eE][+-]?\d+)?"
    plain = value
    for old, new in replaced:
        plain = f"replace({plain}, {literal(old)}, {literal(new)})"
    return f"[+-]?(?:{digits}{fraction}{bare}){exponent}", plain


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(literal(text) for text in texts)


def to_utc(naive: str, source: SourceSettings) -> str:
    """SQL for the moment that a local time of the source's zone means; NULL where it has none.

    NULL also for an hour that the zone has twice or not at all, unless the source says which.
    """
    zone = source.time_zone
    if zone is None:
        return "cast(null as timestamptz)"
    plain = f"timezone({literal(zone)}, {naive})"
    days, shifts = clock_changes(zone)
    if not days:
        return plain
    months = ", ".join(str(month) for month in sorted({day.month for day in days}))
    dates = ", ".join(f"date '{day}'" for day in days)
    local = f"timezone({literal(zone)}, {plain})"
    earlier = later = plain
    for shift in shifts:
        step = f"to_seconds({shift})"
        before = f"timezone({literal(zone)}, {plain} - {step})"
        after = f"timezone({literal(zone)}, {plain} + {step})"
        earlier = f"case when {before} = {naive} then {plain} - {step} else {earlier} end"
        later = f"case when {after} = {naive} then {plain} + {step} else {later} end"
    chosen = {
        "earlier": earlier,
        "later": later,
        "reject": f"case when ({earlier}) = ({later}) then {plain} end",
    }[source.ambiguous_times]
    skipped = plain if source.skipped_times == "shift" else "cast(null as timestamptz)"
    careful = f"case when {local} <> {naive} then {skipped} else {chosen} end"
    return (
        f"case when month({naive}) in ({months}) then"
        f" case when cast({naive} as date) in ({dates}) then {careful} else {plain} end"
        f" else {plain} end"
    )


@lru_cache(maxsize=64)
def clock_changes(zone: str) -> tuple[tuple[date, ...], tuple[int, ...]]:
    """Local days near a change of the zone's clock, and the seconds by which it changes."""
    info = ZoneInfo(zone)
    days: set[date] = set()
    shifts: set[int] = set()
    moment = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)
    offset = moment.astimezone(info).utcoffset()
    while moment.year < _LAST_YEAR:
        following = moment + timedelta(days=1)
        next_offset = following.astimezone(info).utcoffset()
        if next_offset != offset and offset is not None and next_offset is not None:
            shifts.add(abs(int((next_offset - offset).total_seconds())))
            first = moment.astimezone(info).date()
            # The change lies in one UTC day, which touches up to three local days.
            days.update(first + timedelta(days=n) for n in (0, 1, 2))
        moment, offset = following, next_offset
    return tuple(sorted(days)), tuple(sorted(shifts))


@dataclass(frozen=True, slots=True)
class Mapping:
    """The SQL of one batch: `typed` gives the delivered columns, `columns` the canonical."""

    typed: str
    expressions: tuple[tuple[str, str, str], ...]
    """Of each mapped column: its name, the SQL before the cast, the contract's type."""
    personal: frozenset[str]
    """Delivered columns, in lower case, of which no value may be shown."""

    def select(self, contract: Contract, received_at: str) -> str:
        """SQL for the staged rows: contract columns, row_number, raw_line, received_at."""
        given = {name: (sql, kind) for name, sql, kind in self.expressions}
        columns = [
            f"try_cast({given[column.name][0]} as {column.type}) as {quote(column.name)}"
            if column.name in given
            else f"cast(null as {column.type}) as {quote(column.name)}"
            for column in contract.columns
        ]
        return (
            f"select *, {received_at} as received_at from (select {', '.join(columns)},"
            f" row_number, raw_line from ({self.typed}) as typed) as mapped"
        )


def build_mapping(
    connection: Connection,
    records: str,
    columns: Sequence[Delivered],
    source: SourceSettings,
    contract: Contract,
    batch_name: str,
) -> Mapping:
    """Put together the SQL of a batch whose `records` hold row_number, raw_line and the columns.

    Raises ConfigurationError (78) for an expression that is not right, BatchRejected SCHEMA.
    """
    texts = ", ".join(
        f"{_as_delivered(column, source)} as {quote(place(number))}"
        for number, column in enumerate(columns)
    )
    typed_columns = ", ".join(
        f"{type_column(_placed(column, number), source, batch_name)} as {quote(column.name)}"
        for number, column in enumerate(columns)
    )
    typed = (
        f"select *, {typed_columns} from"
        f" (select row_number, raw_line, {texts} from ({records}) as records) as texts"
    )
    expressions: list[tuple[str, str, str]] = []
    personal: set[str] = {column.name.lower() for column in columns}
    harmless: set[str] = set()
    for column in contract.columns:
        if column.name not in source.map:
            continue
        expression = source.map[column.name]
        used = _columns_of(connection, expression, column.name, batch_name)
        if not column.personal:
            harmless |= used
    for column in contract.columns:
        if column.personal and column.name in source.map:
            harmless -= _columns_of(connection, source.map[column.name], column.name, batch_name)
    for column in contract.columns:
        if column.name in source.map:
            sql = f"({source.map[column.name]})"
            expressions.append((column.name, sql, column.type))
    return Mapping(typed, tuple(expressions), frozenset(personal - harmless))


def zone_expressions(
    connection: Connection,
    mapping: Mapping,
    source: SourceSettings,
    batch_name: str,
    values: dict[str, Any],
) -> Mapping:
    """The mapping with times of expressions that have no zone given the source's.

    Binds every expression; raises ConfigurationError (78) for one that names no column, or that
    gives a time without a zone where the source declares none.
    """
    changed: list[tuple[str, str, str]] = []
    for name, sql, kind in mapping.expressions:
        described = ask(
            connection,
            f"describe select {sql} as value from ({mapping.typed}) as typed",
            values,
            f"{batch_name.split('/')[0]}: `map.{name}`",
        )
        found = str(described[0]["column_type"])
        if kind == "TIMESTAMPTZ" and found in _NAIVE_TIMES:
            if source.time_zone is None:
                raise ConfigurationError(
                    f"intake source {batch_name.split('/')[0]}: `map.{name}` gives a time"
                    " without a zone.",
                    next_step="declare `time_zone`, or write TIMESTAMPTZ with an offset",
                )
            sql = f"({to_utc(f'cast({sql} as timestamp)', source)})"
        changed.append((name, sql, kind))
    return Mapping(mapping.typed, tuple(changed), mapping.personal)


def place(number: int) -> str:
    """Name of the delivered form of a column, which no header can have by accident."""
    return f"delivered {number}"


def received_at(contract: Contract, source: SourceSettings, batch_name: str) -> str:
    """SQL for when a row was known by declaration; NULL where that is its publication.

    Raises ConfigurationError (78) where `at: period_end` meets a name that is no period.
    """
    known = source.known
    if known.basis == "observed":
        return "cast(null as timestamptz)"
    lag = f"to_microseconds({round((known.lag_days or 0) * 86_400_000_000)})"
    if known.at is None:
        return f"{quote(contract.event_time)} + {lag}"
    if isinstance(known.at, date):
        return f"timestamptz '{known.at} 00:00:00+00'"
    part = batch_name.split("/")[-1]
    try:
        _, after = period_bounds(part)
    except ValueError:
        raise ConfigurationError(
            f"batch {batch_name}: `known.at: period_end` needs a name such as 2011-10.",
            next_step="rename the file, or declare `lag_days`",
        ) from None
    return f"timestamptz '{after} 00:00:00+00' + {lag}"


def ask(
    connection: Connection, sql: str, values: dict[str, Any], where: str
) -> list[dict[str, Any]]:
    """Rows of a statement that holds the deployment's own SQL; a fault in it is configuration."""
    try:
        return connection.rows(sql, values)
    except HoldfastError as error:
        kind = type(error.__cause__).__name__
        if kind in ("BinderException", "ParserException", "CatalogException"):
            raise ConfigurationError(
                f"intake source {where} is not right.", found=error.found
            ) from (error)
        raise


def _as_delivered(column: Delivered, source: SourceSettings) -> str:
    if not column.is_text or not source.text.missing:
        return column.sql
    return f"case when {column.sql} not in ({_listed(source.text.missing)}) then {column.sql} end"


def _placed(column: Delivered, number: int) -> Delivered:
    return Delivered(column.name, column.declared, quote(place(number)), column.type)


def _columns_of(
    connection: Connection, expression: str, name: str, batch_name: str
) -> frozenset[str]:
    """Lower-case names of what the expression refers to; it must be one expression."""
    where = f"{batch_name.split('/')[0]}: `map.{name}`"
    parsed = json.loads(
        connection.scalar("select json_serialize_sql($sql)", {"sql": f"select {expression}"})
    )
    if parsed.get("error"):
        raise ConfigurationError(
            f"intake source {where} is no SQL expression.",
            found=str(parsed.get("error_message", "")),
            next_step="put a column whose name is a word of SQL between double quotes: '\"order\"'",
        )
    statements = parsed["statements"]
    if len(statements) != 1 or len(statements[0]["node"].get("select_list", ())) != 1:
        raise ConfigurationError(f"intake source {where} is more than one SQL expression.")
    return frozenset(_references(statements))


def _references(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        if tree.get("class") == "COLUMN_REF":
            yield str(tree["column_names"][-1]).lower()
        for item in tree.values():
            yield from _references(item)
    elif isinstance(tree, list):
        for item in tree:
            yield from _references(item)
