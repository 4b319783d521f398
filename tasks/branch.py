"""A branch of the lake that is thrown away: try a change on all the data, and leave no trace.

The catalog's tables are copied in one transaction into a schema of their own; the data files are
not copied but named by their whole paths, and only read. What is written on the branch goes below
a folder of its own. At the end schema and folder are removed; what a killed process has left is
removed by the next branch, which knows it by its lock: PostgreSQL frees a lock with its holder.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tasks.errors import InternalError, LockHeld, ServiceDown
from tasks.postgres import Database, advisory_lock, connect
from tasks.warehouse import Lake, Values, attach_apart, lake_schema, open_lake

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PsycopgCursor

    from tasks.settings import Settings

# No lake's schema begins so (`lake_schema`), so no sweep can ever take a lake for a branch.
_PREFIX = "branch_"
_NAME = re.compile(r"branch_[a-z0-9_]{1,44}_[0-9a-f]{8}")
_MARK = "holdfast: a branch, to be thrown away"
_FOLDER = "branches"
# These remove files that a catalog names, or that it does not name; a branch names the lake's.
_FORBIDDEN = re.compile(
    r"merge_adjacent_files|rewrite_data_files|cleanup_old_files|delete_orphaned_files"
    r"|expire_snapshots|add_data_files|\bcheckpoint\b|\battach\b|\bdetach\b",
    re.IGNORECASE,
)
_NEVER_COMPACT = 2**31
# The list of tables is read a moment before they are; DuckLake may drop one in between.
_COPY_ATTEMPTS = 3


class Branch(Lake):
    """A lake to try things on. `settings.home` is its own folder, so all it writes goes with it."""

    def _run(self, sql: str, values: Values | None) -> Any:
        found = _FORBIDDEN.search(sql)
        if found is not None:
            raise InternalError(
                f"'{found[0]}' must not run on a branch: it could remove files of the lake.",
                found=sql[:200],
            )
        return super()._run(sql, values)

    @contextmanager
    def writer_lock(self, purpose: str, wait_seconds: float | None = None) -> Iterator[None]:
        """Nothing to wait for: nobody else knows this branch."""
        yield


@contextmanager
def open_branch(settings: Settings) -> Iterator[Branch]:
    """The lake as it is now, on a branch that ends with the block, whatever happens in it.

    Nobody waits for it and it waits for nobody. It reads files that a merge may replace
    meanwhile; those stay for `warehouse.keep_merged_hours`. Raises ServiceDown (69).
    """
    with open_lake(settings) as lake:
        database = lake.database
    _sweep(settings.home, database)
    name = f"{_PREFIX}{settings.deployment[:40]}_{uuid4().hex[:8]}"
    folder = settings.home / _FOLDER / name
    with advisory_lock(database, name, 0):
        try:
            folder.mkdir(parents=True, mode=0o700)
            data_path = folder / "lake"
            _copy_catalog(database, lake_schema(settings.deployment), name, data_path)
            own = _own_settings(settings, folder)
            with attach_apart(own, database, name, data_path) as cursor:
                yield Branch(cursor, own, database)
        finally:
            _remove(database, name, folder)


def _own_settings(settings: Settings, folder: Path) -> Settings:
    warehouse = settings.warehouse.model_copy(update={"compact_after_files": _NEVER_COMPACT})
    return settings.model_copy(update={"home": folder, "warehouse": warehouse})


def _copy_catalog(database: Database, origin: str, name: str, data_path: Path) -> None:
    import psycopg2
    import psycopg2.errors

    for attempt in range(1, _COPY_ATTEMPTS + 1):
        try:
            with closing(connect(database)) as connection:
                connection.set_session(isolation_level="REPEATABLE READ", autocommit=False)
                with connection, connection.cursor() as cursor:
                    _copy_tables(cursor, origin, name)
                    _rewrite_paths(cursor, name, data_path)
            return
        except psycopg2.errors.UndefinedTable:
            if attempt == _COPY_ATTEMPTS:
                raise
        except psycopg2.Error as error:
            raise ServiceDown(
                "The lake's catalog could not be copied for a branch.",
                found=str(error).strip().splitlines()[0],
                next_step="run the same command again; nothing was changed",
            ) from error


def _copy_tables(cursor: PsycopgCursor, origin: str, name: str) -> None:
    from psycopg2.sql import SQL, Identifier, Literal

    cursor.execute(
        "select tablename from pg_tables where schemaname = %s order by tablename", (origin,)
    )
    tables = [str(row[0]) for row in cursor.fetchall()]
    cursor.execute(SQL("create schema {}").format(Identifier(name)))
    cursor.execute(SQL("comment on schema {} is {}").format(Identifier(name), Literal(_MARK)))
    for table in tables:
        # Unlogged: nobody wants it back after a crash of the server.
        cursor.execute(
            SQL(
                "create unlogged table {copy} (like {table} including all);"
                "insert into {copy} select * from {table}"
            ).format(copy=Identifier(name, table), table=Identifier(origin, table))
        )


def _rewrite_paths(cursor: PsycopgCursor, name: str, data_path: Path) -> None:
    """The lake's files by their whole paths; whatever is new, below the branch's own folder."""
    from psycopg2.sql import SQL, Identifier

    cursor.execute(SQL("set local search_path to {}").format(Identifier(name)))
    for table in ("ducklake_data_file", "ducklake_delete_file"):
        cursor.execute(
            SQL(
                "update {} as file set path_is_relative = false, path ="
                " case when t.path_is_relative then"
                "   case when s.path_is_relative then m.value else '' end || s.path else '' end"
                " || t.path || file.path"
                " from (select distinct table_id, schema_id, path, path_is_relative"
                "   from ducklake_table) as t, ducklake_schema as s, ducklake_metadata as m"
                " where t.table_id = file.table_id and s.schema_id = t.schema_id"
                " and m.key = 'data_path' and m.scope is null and file.path_is_relative"
            ).format(Identifier(table))
        )
        cursor.execute(
            SQL("select count(*) from {} where path_is_relative").format(Identifier(table))
        )
        row = cursor.fetchone()
        if row is None or row[0]:
            raise InternalError("A data file of the lake has no path that a branch can name.")
    cursor.execute("update ducklake_schema set path_is_relative = true, path = schema_id || '/'")
    cursor.execute("update ducklake_table set path_is_relative = true, path = table_id || '/'")
    cursor.execute(
        "update ducklake_metadata set value = %s where key = 'data_path'", (f"{data_path}/",)
    )
    cursor.execute("delete from ducklake_files_scheduled_for_deletion")


def _sweep(home: Path, database: Database) -> None:
    """Remove the branches whose process is gone: theirs is no lock any more."""
    with closing(connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select nspname from pg_namespace"
            " where obj_description(oid, 'pg_namespace') = %s and left(nspname, %s) = %s",
            (_MARK, len(_PREFIX), _PREFIX),
        )
        names = {str(row[0]) for row in cursor.fetchall()}
    folder = home / _FOLDER
    if folder.is_dir():
        names |= {entry.name for entry in folder.iterdir()}
    for name in sorted(name for name in names if _NAME.fullmatch(name)):
        try:
            with advisory_lock(database, name, 0):
                _remove(database, name, folder / name)
        except LockHeld:
            continue  # somebody is at work on it


def _remove(database: Database, name: str, folder: Path) -> None:
    from psycopg2.sql import SQL, Identifier

    shutil.rmtree(folder, ignore_errors=True)
    with closing(connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute(SQL("drop schema if exists {} cascade").format(Identifier(name)))
