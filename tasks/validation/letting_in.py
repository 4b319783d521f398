"""A stopped batch let in by decision: its verdict as if no rule could stop it.

Rows that a quarantine rule sets aside stay aside, and so does a row without a value that its
table requires, whatever was decided: nothing can be computed from it.
"""

from __future__ import annotations

from dataclasses import replace

from tasks.contracts import CONTRACTS
from tasks.errors import DataRejected
from tasks.handles import StagedBatch, Verdict
from tasks.settings import Settings
from tasks.validation.judging import rejects_path
from tasks.warehouse import Connection, literal, quote, scratch

INCOMPLETE = "value_required"


def let_in(staged: StagedBatch, verdict: Verdict, settings: Settings) -> Verdict:
    """The verdict 'accepted' in place of 'stopped', with the rows that can be taken in.

    Raises DataRejected (65) where no row can: the batch is empty, its columns are not its
    table's, or each row is set aside by itself.
    """
    if verdict.outcome == "accepted":
        return verdict
    shape = [r for r in verdict.results if not r.passed and r.rule in ("columns", "rows")]
    if shape and (not staged.received_rows or shape[0].rule == "columns"):
        raise DataRejected(
            f"batch {staged.batch_name} cannot be let in: {shape[0].reason}",
            found=shape[0].observed,
            next_step="have it delivered anew, or mend the mapping of its source",
        )
    path = staged.staged_path
    with scratch(
        memory_limit_mb=settings.warehouse.memory_limit_mb,
        threads=settings.warehouse.threads,
        temporary=settings.home / "spill" / "validation",
        allowed_directories=[path.parent],
    ) as connection:
        aside = _set_aside(connection, staged, verdict)
    if aside == staged.received_rows:
        causes = [r for r in verdict.results if not r.passed and r.failed_rows]
        raise DataRejected(
            f"batch {staged.batch_name} cannot be let in: each of its"
            f" {staged.received_rows:,} rows is set aside by itself.",
            found="; ".join(
                f"{r.rule} {r.column}: {r.failed_rows:,} rows"
                for r in sorted(causes, key=lambda r: -r.failed_rows)[:5]
            ),
            next_step="correct the file, or waive the rules that set its rows aside",
        )
    return replace(
        verdict,
        outcome="accepted",
        accepted_rows=staged.received_rows - aside,
        quarantined_rows=aside,
        rejects_path=rejects_path(path) if aside else None,
    )


def _set_aside(connection: Connection, staged: StagedBatch, verdict: Verdict) -> int:
    """Write the rows that stay aside, those of the verdict and the incomplete; how many."""
    contract = CONTRACTS[staged.table]
    required = [column.name for column in contract.columns if not column.nullable]
    incomplete = " or ".join(f"{quote(name)} is null" for name in required)
    connection.execute(
        "create temp table rejects (row_number bigint, rule varchar, reason varchar,"
        " raw_line varchar)"
    )
    if verdict.rejects_path is not None:
        connection.execute(
            "insert into rejects select row_number, rule, reason, raw_line"
            " from read_parquet($rejects)",
            {"rejects": str(verdict.rejects_path)},
        )
    connection.execute(
        "insert into rejects select row_number, $rule, 'a required value is missing', raw_line"
        f" from read_parquet($staged) where ({incomplete})"
        " and row_number not in (select row_number from rejects)",
        {"staged": str(staged.staged_path), "rule": INCOMPLETE},
    )
    aside = int(connection.scalar("select count(distinct row_number) from rejects"))
    if aside:
        target = rejects_path(staged.staged_path)
        written = target.with_suffix(".let_in")
        connection.execute(
            f"copy (from rejects order by row_number, rule) to {literal(str(written))}"
            " (format parquet, compression zstd)"
        )
        written.replace(target)
    return aside
