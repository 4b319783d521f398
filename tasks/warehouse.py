"""The only door to DuckDB: the lake, scratch databases, and SQL files with bound values.

A `Connection` belongs to one thread; `cursor()` gives another thread its own. The lake is a
DuckLake: Parquet data files, encrypted, and a catalog in PostgreSQL; within a process it is
opened once and shared.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from importlib import import_module, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import duckdb

from tasks.errors import DiskFailure, HoldfastError, InternalError, ServiceDown, StoredDataCorrupt
from tasks.handles import Snapshot
from tasks.lake_tables import make_tables
from tasks.moments import read_clock
from tasks.postgres import Database, advisory_lock, find_database
from tasks.quoting import literal as literal
from tasks.quoting import quote as quote

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.settings import Settings

Values = Mapping[str, Any]

_EXTENSIONS = ("ducklake", "postgres_scanner", "httpfs")
_BASE_CONFIG = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
# Rows up to this many live in the catalog until a flush; above, they are a data file at once.
_INLINING_ROW_LIMIT = 50


@lru_cache(maxsize=256)
def _read_sql(path: Path) -> str:
    return path.read_text(encoding="utf-8")


class Connection:
    """A DuckDB cursor of one thread. Values are bound by `$name`; unused ones are left out."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor

    def _run(self, sql: str, values: Values | None) -> duckdb.DuckDBPyConnection:
        try:
            statements = self._cursor.extract_statements(sql)
            if not statements:
                raise InternalError("An SQL text holds no statement.")
            for statement in statements:
                names = statement.named_parameters
                bound = {name: (values or {})[name] for name in names}
                result = self._cursor.execute(statement, bound or None)
        except KeyError as error:
            raise InternalError(
                f"No value is bound for ${error.args[0]}.", found=sql[:200]
            ) from error
        except duckdb.Error as error:
            raise _translate(error) from error
        except RuntimeError as error:
            # What a signal's handler raises comes out of a running query as its cause. Within a
            # flow SIGTERM's is Prefect's: taken for an error, a retry would swallow the signal.
            cause = error.__cause__
            if cause is not None and not isinstance(cause, Exception):
                raise cause from None
            raise
        return result

    def execute(self, sql: str, values: Values | None = None) -> None:
        """Run one or more statements; the result of the last is dropped."""
        self._run(sql, values)

    def run(
        self,
        path: Path,
        values: Values | None = None,
        *,
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Run a `.sql` file. `{key}` in it becomes the SQL text `names[key]`.

        `names` holds identifiers and fragments that we built (`quote`, `lake.main.orders`),
        never a value.
        """
        self._run(self.text(path, names=names), values)

    @staticmethod
    def text(path: Path, *, names: Mapping[str, str] | None = None) -> str:
        """The text of a `.sql` file with its `{key}` places filled."""
        sql = _read_sql(path)
        for key, value in (names or {}).items():
            sql = sql.replace("{" + key + "}", value)
        return sql

    def rows(self, sql: str, values: Values | None = None) -> list[dict[str, Any]]:
        """All rows as dictionaries; for small results."""
        result = self._run(sql, values)
        description = result.description or []
        columns = [column[0] for column in description]
        return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]

    def one(self, sql: str, values: Values | None = None) -> dict[str, Any]:
        """The only row."""
        rows = self.rows(sql, values)
        if len(rows) != 1:
            raise InternalError(f"One row was expected, {len(rows)} came.", found=sql[:200])
        return rows[0]

    def scalar(self, sql: str, values: Values | None = None) -> Any:
        """The only value of the only row."""
        row = self.one(sql, values)
        if len(row) != 1:
            raise InternalError(f"One column was expected, {len(row)} came.", found=sql[:200])
        return next(iter(row.values()))

    def arrow(self, sql: str, values: Values | None = None) -> pa.Table:
        """The whole result as an Arrow table."""
        try:
            return self._run(sql, values).to_arrow_table()
        except duckdb.Error as error:
            raise _translate(error) from error

    def batches(
        self, sql: str, values: Values | None = None, rows: int = 100_000
    ) -> Iterator[pa.RecordBatch]:
        """The result as a stream of Arrow batches; memory holds one at a time."""
        try:
            reader = self._run(sql, values).to_arrow_reader(rows)
            yield from reader
        except duckdb.Error as error:
            raise _translate(error) from error

    def load_arrow(self, name: str, table: pa.Table) -> None:
        """Make the Arrow table readable as a temporary view `name` of this connection."""
        self._cursor.register(name, table)

    def drop_arrow(self, name: str) -> None:
        """Forget a view made by `load_arrow`."""
        self._cursor.unregister(name)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self.execute("begin transaction")
        try:
            yield
        except BaseException:
            self._rollback()
            raise
        self.execute("commit")

    def _rollback(self) -> None:
        try:
            self._cursor.rollback()
        except duckdb.TransactionException:
            # A failed COMMIT has already ended the transaction; nothing is left to roll back.
            return

    def cursor(self) -> Connection:
        """A connection to the same database for another thread."""
        return Connection(_new_cursor(self._cursor))

    def interrupt(self) -> None:
        """Stop the running statement, from another thread."""
        self._cursor.interrupt()


class Lake(Connection):
    """The lake of one deployment: facts in `lake.main`, the ledger in `lake.ledger`."""

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, settings: Settings, database: Database
    ) -> None:
        super().__init__(cursor)
        self.settings = settings
        self.deployment = settings.deployment
        self.database = database
        self._check_lock: Callable[[], None] | None = None

    def cursor(self) -> Self:
        return type(self)(_new_cursor(self._cursor), self.settings, self.database)

    @contextmanager
    def writer_lock(self, purpose: str, wait_seconds: float | None = None) -> Iterator[None]:
        """Be the lake's only writer. Raises LockHeld (75) after the wait; readers never wait."""
        wait = self.settings.warehouse.lock_wait_seconds if wait_seconds is None else wait_seconds
        with advisory_lock(self.database, f"lake {self.deployment}", wait) as check:
            self._check_lock = check
            try:
                yield
            finally:
                self._check_lock = None

    @contextmanager
    def publish(
        self, author: str, message: str, extra: Mapping[str, Any] | None = None
    ) -> Iterator[None]:
        """One lake transaction with its commit message. Hold the writer lock around it."""
        with self.transaction():
            yield
            self.execute(
                "call lake.set_commit_message($author, $message, extra_info => $extra)",
                {
                    "author": author,
                    "message": message,
                    "extra": json.dumps(dict(extra or {}), default=str, sort_keys=True),
                },
            )
            if self._check_lock is not None:
                self._check_lock()

    def snapshot(self) -> Snapshot:
        """The newest version of the lake."""
        row = self.one(
            "select snapshot_id, snapshot_time from lake.snapshots()"
            " order by snapshot_id desc limit 1"
        )
        return Snapshot(int(row["snapshot_id"]), row["snapshot_time"].astimezone(UTC))

    def record_read(
        self,
        purpose: str,
        snapshot: Snapshot | int,
        as_of: datetime | None = None,
        known_by: datetime | None = None,
        run_id: str | None = None,
    ) -> None:
        """Append to `ledger.reads` which version a piece of work has read."""
        version = snapshot.snapshot_id if isinstance(snapshot, Snapshot) else snapshot
        with (
            self.writer_lock(f"record read {purpose}"),
            self.publish("holdfast", f"read: {purpose}", {"snapshot": version}),
        ):
            self.execute(
                "insert into lake.ledger.reads values"
                " ($purpose, $version, $as_of, $known_by, $run_id, $read_at)",
                {
                    "purpose": purpose,
                    "version": version,
                    "as_of": as_of,
                    "known_by": known_by,
                    "run_id": run_id,
                    "read_at": read_clock(),
                },
            )

    def tables(self) -> set[str]:
        """Names of the tables in `lake.main`."""
        return {
            row["table_name"]
            for row in self.rows(
                "select table_name from information_schema.tables"
                " where table_catalog = 'lake' and table_schema = 'main'"
            )
        }


def _translate(error: duckdb.Error) -> HoldfastError:
    """DuckDB's failures in the terms of our exit codes."""
    text = str(error).strip()
    first = text.splitlines()[0] if text else type(error).__name__
    lowered = text.lower()
    if "no space left" in lowered or "disk quota" in lowered or "read-only file system" in lowered:
        return DiskFailure("The disk refused a write.", found=first)
    if isinstance(error, duckdb.OutOfMemoryException):
        return DiskFailure(
            "The query needs more memory than `warehouse.memory_limit_mb` allows.",
            found=first,
            next_step="raise the limit, or free disk for spilling",
        )
    if (
        "connection refused" in lowered
        or "could not connect" in lowered
        or ("unable to connect" in lowered)
    ):
        return ServiceDown("The lake's catalog does not answer.", found=first)
    # Data files are encrypted with a tag a page, so a changed bit is noticed, not read.
    damaged = "aes tag" in lowered or "magic bytes" in lowered or "parquet" in lowered
    if damaged and isinstance(error, duckdb.IOException | duckdb.InvalidInputException):
        return StoredDataCorrupt(
            "A data file of the lake is damaged or gone.",
            found=first,
            next_step=(
                "put it back from a copy of the state directory; deliveries can be taken in anew"
                " from raw/ into a fresh lake"
            ),
        )
    return InternalError("A query failed.", found=first)


def _new_cursor(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    cursor = connection.cursor()
    # `TimeZone` is a setting of the session, and a cursor is a session of its own.
    cursor.execute("set TimeZone = 'UTC'")
    return cursor


def _extension_path(name: str) -> Path:
    root = Path(str(resources.files(import_module(f"duckdb_extension_{name}"))))
    return root / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"


def _identify(path: Path) -> tuple[str, int, int, int, int]:
    found = path.stat()
    return str(path), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _load_extensions(connection: duckdb.DuckDBPyConnection) -> None:
    """Load what a lake needs; from then on this database loads nothing without a signature."""
    for name in _EXTENSIONS:
        path = _extension_path(name)
        connection.execute(f"load {literal(str(path))}")
        _loaded.add(_identify(path))
    connection.execute("set allow_unsigned_extensions = false")


def _are_loaded() -> bool:
    """Whether this process holds the extensions already, their signatures checked.

    DuckDB hashes 100 MB to check them, 0.9 s of CPU for each new database, although the loader
    gives the code that the process has: the same files are checked once a process.
    """
    return bool(_loaded) and all(
        _identify(_extension_path(name)) in _loaded for name in _EXTENSIONS
    )


def _connect(
    memory_limit_mb: int, threads: int, temporary: Path | None, *, unsigned: bool = False
) -> duckdb.DuckDBPyConnection:
    config: dict[str, Any] = {
        **_BASE_CONFIG,
        "allow_unsigned_extensions": str(unsigned).lower(),
        "memory_limit": f"{memory_limit_mb}MB",
        "threads": str(threads),
    }
    if temporary is not None:
        temporary.mkdir(parents=True, exist_ok=True)
        config["temp_directory"] = str(temporary)
    connection = duckdb.connect(":memory:", config=config)
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set enable_progress_bar = false")
    return connection


@contextmanager
def scratch(
    *,
    memory_limit_mb: int = 1024,
    threads: int = 2,
    temporary: Path | None = None,
    allowed_directories: Sequence[Path] | None = None,
) -> Iterator[Connection]:
    """An in-memory database of its own.

    With `allowed_directories` it can touch no other file, load nothing and change no setting:
    what a delivered file says stays data (FAULTS 31).
    """
    connection = _connect(memory_limit_mb, threads, temporary)
    try:
        if allowed_directories is not None:
            roots = [str(path.resolve()) for path in allowed_directories]
            if temporary is not None:
                roots.append(str(temporary.resolve()))
            listed = ", ".join(literal(root + "/") for root in roots)
            connection.execute(f"set allowed_directories = [{listed}]")
            connection.execute("set enable_external_access = false")
            connection.execute("set lock_configuration = true")
        yield Connection(connection)
    finally:
        connection.close()


def lake_schema(deployment: str) -> str:
    """The catalog schema of a deployment's lake: a PostgreSQL identifier of its own."""
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in deployment.lower())
    if plain == deployment:
        return f"lake_{plain}"[:60]
    return f"lake_{plain[:40]}_{hashlib.sha256(deployment.encode()).hexdigest()[:8]}"


_open: dict[tuple[str, str], tuple[duckdb.DuckDBPyConnection, Database]] = {}
_open_guard = threading.Lock()
# The extensions' files that this process has loaded with their signatures checked.
_loaded: set[tuple[str, int, int, int, int]] = set()


@contextmanager
def open_lake(settings: Settings) -> Iterator[Lake]:
    """The deployment's lake, made on first use.

    A process attaches it once; each caller gets a cursor of its own, so callers in several
    threads are safe.
    """
    key = (str(settings.home), settings.deployment)
    with _open_guard:
        if key not in _open:
            _open[key] = _attach(settings)
        connection, database = _open[key]
    lake = Lake(_new_cursor(connection), settings, database)
    try:
        yield lake
    finally:
        lake._cursor.close()


def close_lakes() -> None:
    """Detach every lake of this process; the next `open_lake` attaches anew."""
    with _open_guard:
        for connection, _ in _open.values():
            connection.close()
        _open.clear()


def _attach(settings: Settings) -> tuple[duckdb.DuckDBPyConnection, Database]:
    database = find_database(settings.home)
    warehouse = settings.warehouse
    data_path = settings.home / "lake" / settings.deployment
    connection = _connect_lake(settings)
    try:
        with advisory_lock(database, f"attach {settings.deployment}", warehouse.lock_wait_seconds):
            _attach_catalog(connection, database, lake_schema(settings.deployment), data_path)
            make_tables(connection)
    except duckdb.Error as error:
        connection.close()
        raise _translate(error) from error
    return connection, database


def _connect_lake(settings: Settings) -> duckdb.DuckDBPyConnection:
    warehouse = settings.warehouse
    return _connect(
        warehouse.memory_limit_mb,
        warehouse.threads,
        settings.home / "spill",
        unsigned=_are_loaded(),
    )


@contextmanager
def attach_apart(
    settings: Settings, database: Database, schema: str, data_path: Path
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The DuckLake catalog in `schema` as `lake`, in a DuckDB of its own that ends with it."""
    connection = _connect_lake(settings)
    try:
        _attach_catalog(connection, database, schema, data_path)
        yield _new_cursor(connection)
    except duckdb.Error as error:
        raise _translate(error) from error
    finally:
        connection.close()


def _attach_catalog(
    connection: duckdb.DuckDBPyConnection, database: Database, schema: str, data_path: Path
) -> None:
    data_path.mkdir(parents=True, exist_ok=True)
    data_path.chmod(0o700)
    _load_extensions(connection)
    connection.execute(
        f"attach {literal('ducklake:postgres:' + database.libpq())} as lake"
        f" (data_path {literal(str(data_path))}, metadata_schema {literal(schema)},"
        f" encrypted, data_inlining_row_limit {_INLINING_ROW_LIMIT})"
    )
