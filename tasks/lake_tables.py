"""The tables of a lake, made when it is opened, and what a later version adds to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.contracts import CONTRACTS, LEDGER, SCORES, SYSTEM_COLUMNS, Column
from tasks.evidence import PUBLISHED_TABLES
from tasks.quoting import quote
from tasks.rollout_tables import ROLLOUT_TABLES

if TYPE_CHECKING:
    import duckdb


def make_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables that are not there, and add the columns that an earlier version lacks."""
    present = {
        (schema, table)
        for schema, table in connection.execute(
            "select table_schema, table_name from information_schema.tables"
            " where table_catalog = 'lake'"
        ).fetchall()
    }
    wanted: list[tuple[str, str, tuple[Column, ...]]] = [
        ("ledger", name, columns) for name, columns in {**LEDGER, **ROLLOUT_TABLES}.items()
    ]
    wanted += [("main", name, one.columns + SYSTEM_COLUMNS) for name, one in CONTRACTS.items()]
    wanted += [("main", name, columns) for name, columns in PUBLISHED_TABLES.items()]
    if ("main", "scores") in present:
        # The first scoring makes it; here it only gets the columns of a later version.
        wanted.append(("main", "scores", SCORES))
    missing = [entry for entry in wanted if entry[:2] not in present]
    grown = _find_new_columns(connection, [entry for entry in wanted if entry[:2] in present])
    if not missing and not grown:
        return
    connection.execute("begin transaction")
    for schema, name, column in grown:
        connection.execute(
            f"alter table lake.{schema}.{quote(name)} add column {quote(column.name)} {column.type}"
        )
    connection.execute("create schema if not exists lake.ledger")
    for schema, name, columns in missing:
        listed = ", ".join(f"{quote(column.name)} {column.type}" for column in columns)
        connection.execute(f"create table lake.{schema}.{quote(name)} ({listed})")
        contract = CONTRACTS.get(name) if schema == "main" else None
        if contract is not None:
            # Facts are kept in the order in which features read them, file by file; merging
            # files (intake/compaction) keeps to it.
            connection.execute(
                f"alter table lake.{schema}.{quote(name)} set sorted by"
                f" ({quote('customer_id')} asc, {quote(contract.event_time)} asc)"
            )
    connection.execute("commit")


def _find_new_columns(
    connection: duckdb.DuckDBPyConnection, wanted: Sequence[tuple[str, str, tuple[Column, ...]]]
) -> list[tuple[str, str, Column]]:
    """Columns that a lake made by an earlier version lacks; its rows have NULL there."""
    present = {
        (schema, table, column)
        for schema, table, column in connection.execute(
            "select table_schema, table_name, column_name from information_schema.columns"
            " where table_catalog = 'lake'"
        ).fetchall()
    }
    return [
        (schema, name, column)
        for schema, name, columns in wanted
        for column in columns
        if (schema, name, column.name) not in present
    ]
