"""Our own split of a staged batch into rows that go on and rows that are set aside.

All rules of single rows are looked at in one scan: each is a bit of a number, and a row whose
number is zero goes on. Rules that need the other rows find theirs beforehand.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.crash import crash_point
from tasks.errors import InternalError
from tasks.sections import RowRuleSettings
from tasks.validation.rules import LAKE_RULES, RowRule
from tasks.warehouse import Connection, literal, quote

if TYPE_CHECKING:
    import pyarrow as pa

# A broken rule is a bit of a BIGINT; the sign bit stays free.
_MOST_RULES = 62


@dataclass(frozen=True, slots=True)
class Split:
    """How many rows break each rule, and how many break one whose severity sets rows aside."""

    broken_rows: Mapping[str, int]
    quarantined_rows: int


def split_rows(
    connection: Connection,
    staged: str,
    rules: Sequence[tuple[RowRule, RowRuleSettings]],
    values: Mapping[str, Any],
    *,
    from_lake: Mapping[str, pa.Table] | None = None,
    let_in: Mapping[str, frozenset[int]] | None = None,
) -> Split:
    """Find the rows of the staged Parquet file that break rules, and count them rule by rule.

    `from_lake` has the row numbers of rules that compare with the lake, by rule; one that is not
    there had nothing to be compared with. `let_in` are rules of which some row numbers are waived,
    or all where none is named: those rows are counted with their rule and not set aside for it.

    Leaves the temporary table `broken` (row_number BIGINT, rules BIGINT: a bit a rule) in the
    connection, for `write_rejects`. `values` are bound as `$name`.
    """
    if len(rules) > _MOST_RULES:
        raise InternalError(f"{len(rules)} rules on one table; {_MOST_RULES} fit in one scan.")
    # The tables from the lake have one column, `row_number`, which no rule names: names stay clear.
    bits, contents, joins = [], [], []
    for place, (rule, _) in enumerate(rules):
        if rule.distinct:
            contents.append(f"{_content(rule)} as content_{place}")
            continue
        condition = rule.broken
        if rule.name in LAKE_RULES:
            if rule.name not in (from_lake or {}):
                continue
            relation = f"of_lake_{place}"
            connection.load_arrow(relation, (from_lake or {})[rule.name])
            joins.append(f"left join {relation} on staged.row_number = {relation}.row_number")
            condition = f"{relation}.row_number is not null"
        bits.append(f"case when ({condition}) then {1 << place} else 0 end")
    mask = " + ".join(bits) or "0"
    connection.execute(
        "create or replace temp table looked as"
        f" select {', '.join(['staged.row_number', f'({mask})::bigint as rules', *contents])}"
        f" from read_parquet($staged) as staged {' '.join(joins)}",
        {**values, "staged": staged},
    )
    found = ["select row_number, rules from looked where rules <> 0"]
    for place, (rule, _) in enumerate(rules):
        if rule.distinct and _find_repeated(connection, staged, rule, place):
            found.append(f"select row_number, {1 << place} as rules from repeated_{place}")
    connection.execute(
        "create or replace temp table broken as"
        " select row_number, sum(rules)::bigint as rules"
        f" from ({' union all '.join(found)}) group by row_number"
    )
    connection.execute("drop table looked")
    groups = connection.rows("select rules, count(*) as members from broken group by rules")
    broken_rows = {
        rule.name: sum(int(g["members"]) for g in groups if int(g["rules"]) >> place & 1)
        for place, (rule, _) in enumerate(rules)
    }
    aside = _quarantine_mask(rules)
    if let_in:
        _let_in(connection, rules, let_in)
        groups = connection.rows("select rules, count(*) as members from broken group by rules")
    quarantined = sum(int(g["members"]) for g in groups if int(g["rules"]) & aside)
    return Split(broken_rows, quarantined)


def _let_in(
    connection: Connection,
    rules: Sequence[tuple[RowRule, RowRuleSettings]],
    let_in: Mapping[str, frozenset[int]],
) -> None:
    """Clear the bits of waived rules in `broken`, after they were counted."""
    for place, (rule, _) in enumerate(rules):
        numbers = let_in.get(rule.name)
        if numbers is None:
            continue
        connection.execute(
            f"update broken set rules = rules & ~({1 << place}::bigint)"
            " where len($numbers::bigint[]) = 0 or list_contains($numbers::bigint[], row_number)",
            {"numbers": sorted(numbers)},
        )


def write_rejects(
    connection: Connection,
    staged: str,
    rules: Sequence[tuple[RowRule, RowRuleSettings]],
    path: Path,
) -> Path:
    """Write the rows that are set aside, one a broken rule, in order, and return the path.

    Columns: row_number BIGINT, rule, reason, raw_line VARCHAR. Written beside and renamed, so
    that a file of this name is whole.
    """
    names = ", ".join(
        f"({1 << place}::bigint, {literal(rule.name)}, {literal(rule.reason)})"
        for place, (rule, settings) in enumerate(rules)
        if settings.severity == "quarantine"
    )
    partial = path.with_suffix(".partial")
    crash_point("validation.before_rejects")
    connection.execute(
        "create or replace temp table rejects as"
        f" with names(bit, rule, reason) as (values {names})"
        " select broken.row_number::bigint as row_number, names.rule, names.reason,"
        " staged.raw_line"
        " from broken join names on broken.rules & names.bit <> 0"
        " join read_parquet($staged) as staged on staged.row_number = broken.row_number"
        " order by row_number, rule",
        {"staged": staged},
    )
    connection.execute(
        f"copy (from rejects) to {literal(str(partial))} (format parquet, compression zstd)"
    )
    crash_point("validation.after_rejects")
    _make_durable(partial, path)
    crash_point("validation.after_rename")
    return path


def _content(rule: RowRule) -> str:
    """SQL of a row's hash in the columns of the rule, NULL for a row that it does not look at."""
    content = f"hash({', '.join(quote(name) for name in rule.distinct)})"
    if not rule.unless_null:
        return content
    present = " and ".join(f"{quote(name)} is not null" for name in rule.unless_null)
    return f"case when {present} then {content} end"


def _find_repeated(connection: Connection, staged: str, rule: RowRule, place: int) -> bool:
    """Rows but the first (by row number) of each group, in the temporary table `repeated_<place>`.

    Equal rows have equal hashes, so only rows whose hash occurs twice need the exact comparison:
    a window over everything costs several times more. False where there are none.
    """
    content = f"content_{place}"
    connection.execute(
        f"create or replace temp table several as select {content} from looked"
        f" where {content} is not null group by {content} having count(*) > 1"
    )
    if connection.scalar("select count(*) = 0 from several"):
        return False
    columns = ", ".join(quote(name) for name in rule.distinct)
    connection.execute(
        f"create or replace temp table candidates as select row_number from looked"
        f" where {content} in (select {content} from several)"
    )
    connection.execute(
        f"create or replace temp table repeated_{place} as"
        f" select row_number from read_parquet($staged)"
        " where row_number in (select row_number from candidates)"
        f" qualify row_number() over (partition by {columns} order by row_number) > 1",
        {"staged": staged},
    )
    return True


def _quarantine_mask(rules: Sequence[tuple[RowRule, RowRuleSettings]]) -> int:
    return sum(
        1 << place for place, (_, settings) in enumerate(rules) if settings.severity == "quarantine"
    )


def _make_durable(partial: Path, path: Path) -> None:
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
