"""The SQLAlchemy dialect through which Great Expectations reads DuckDB.

Great Expectations reads a cursor after it has given its connection back to the pool; the pool's
rollback then ends DuckDB's streaming result ("list index out of range"). Every validation only
reads one immutable Parquet file, so there is nothing to begin, commit or roll back.

Each connection is an in-memory database of its own that can open the directories it is given and
nothing else, so what stands in a delivered file stays data.
"""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path
from typing import Any

import duckdb_sqlalchemy
from sqlalchemy.dialects import registry

from tasks.warehouse import literal

DIALECT = "holdfast_duckdb"

# Where the databases opened in this context may read and spill, and what they may hold.
allowed_directory: ContextVar[Path | None] = ContextVar("allowed_directory", default=None)
spill_directory: ContextVar[Path | None] = ContextVar("spill_directory", default=None)
memory_limit_mb: ContextVar[int] = ContextVar("memory_limit_mb", default=1024)
threads: ContextVar[int] = ContextVar("threads", default=2)


class ReadOnlyDuckDB(duckdb_sqlalchemy.Dialect):
    """DuckDB without transactions, for reading."""

    # Great Expectations tells dialects apart by this name.
    name = "duckdb"
    supports_statement_cache = False

    def connect(self, *arguments: Any, **parameters: Any) -> Any:
        connection = super().connect(*arguments, **parameters)
        for statement in _harden():
            connection.execute(statement)
        return connection

    def do_begin(self, dbapi_connection: Any) -> None:
        """Nothing to begin: statements only read."""

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Nothing to undo, and a result may still be read."""

    def do_commit(self, dbapi_connection: Any) -> None:
        """Nothing to keep."""


def _harden() -> list[str]:
    statements = [
        "set TimeZone = 'UTC'",
        "set enable_progress_bar = false",
        "set autoinstall_known_extensions = false",
        # Parquet's column statistics leave NaN out: by them `x <= 1` would be true of each row.
        "set disabled_optimizers = 'statistics_propagation'",
        f"set memory_limit = '{int(memory_limit_mb.get())}MB'",
        f"set threads = {int(threads.get())}",
    ]
    directory, spill = allowed_directory.get(), spill_directory.get()
    if spill is not None:
        statements.append(f"set temp_directory = {literal(str(spill.resolve()))}")
    if directory is not None:
        roots = [directory] if spill is None else [directory, spill]
        listed = ", ".join(literal(f"{root.resolve()}/") for root in roots)
        statements += [
            f"set allowed_directories = [{listed}]",
            "set enable_external_access = false",
            "set lock_configuration = true",
        ]
    return statements


def register() -> str:
    """Make the dialect known to SQLAlchemy and return the address of an in-memory database."""
    registry.register(DIALECT, __name__, ReadOnlyDuckDB.__name__)
    return f"{DIALECT}:///:memory:"
