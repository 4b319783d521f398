"""Keeps the tables in few files, each sorted by customer and event time.

Every publishing adds a file to its table; merging makes one of many without touching what a
snapshot sees. The tables are declared sorted when they are made, so DuckLake sorts what it
merges, spilling to disk beyond the memory limit. A killed merge leaves the table as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tasks.contracts import CONTRACTS
from tasks.crash import crash_point
from tasks.errors import LockHeld
from tasks.warehouse import Lake

# Ledger tables that grow by many small appends.
_LEDGER_TABLES = (
    "batches",
    "quarantine",
    "rule_results",
    "batch_statistics",
    "reads",
    "incidents",
    "incident_batches",
    "notices",
)
# A file larger than this is left alone: merging runs beyond it costs more than reading two.
TARGET_FILE_SIZE = "2GB"


@dataclass(frozen=True, slots=True)
class Compaction:
    """What one merge did."""

    schema: str
    table: str
    files_before: int
    files_after: int


def count_files(lake: Lake) -> dict[str, int]:
    """Data files of the newest version, by table."""
    rows = lake.rows(
        "select table_name, sum(file_count) as files from ducklake_table_info('lake')"
        " group by table_name"
    )
    return {row["table_name"]: int(row["files"]) for row in rows}


def compact_tables(lake: Lake, *, force: bool = False) -> list[Compaction]:
    """Merge each table that has more files than `warehouse.compact_after_files`; all, if forced.

    Waits for no other writer: if one is at work it will come here itself, and nothing is merged.
    Rows kept in the catalog because a batch was tiny are written out first, so that they are
    sorted with the rest.
    """
    files = count_files(lake)
    limit = -1 if force else lake.settings.warehouse.compact_after_files
    wanted = [
        (schema, table)
        for schema, table in (
            *(("main", table) for table in CONTRACTS),
            *(("ledger", table) for table in _LEDGER_TABLES),
        )
        if files.get(table, 0) > limit
    ]
    if not wanted:
        return []
    try:
        with lake.writer_lock("merge files", wait_seconds=0):
            for schema, table in wanted:
                _merge(lake, schema, table)
            _remove_replaced_files(lake)
            after = count_files(lake)
    except LockHeld:
        return []
    return [
        Compaction(schema, table, files.get(table, 0), after.get(table, 0))
        for schema, table in wanted
    ]


def _merge(lake: Lake, schema: str, table: str) -> None:
    crash_point("compact.before_merge")
    lake.execute(
        "call ducklake_flush_inlined_data("
        f"'lake', table_name => '{table}', schema_name => '{schema}')"
    )
    crash_point("compact.after_flush")
    lake.execute(f"call ducklake_merge_adjacent_files('lake', '{table}', schema => '{schema}')")
    crash_point("compact.after_merge")


def _remove_replaced_files(lake: Lake) -> None:
    """Delete files that a merge has replaced, and those that a killed process never committed.

    Only after `warehouse.keep_merged_hours`: a reader that began before the merge still reads them.
    """
    keep = timedelta(hours=lake.settings.warehouse.keep_merged_hours)
    limit = {"before": datetime.now(UTC) - keep}
    lake.execute("call ducklake_cleanup_old_files('lake', older_than => $before)", limit)
    crash_point("compact.after_cleanup")
    lake.execute("call ducklake_delete_orphaned_files('lake', older_than => $before)", limit)
