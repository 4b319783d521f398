"""Prefect's server: on PostgreSQL and loopback, behind a login, and asked over its HTTP API.

Prefect's own server has no login, takes calls from any origin and looks at no Host header; with
an auth string each call needs the password, with CSRF on each change needs a token too.

Prefect's migrations want PostgreSQL's extension pg_trgm, for indexes that make the search for a
part of a name quick among very many names. The embedded PostgreSQL has no extensions. Run as a
module this is the child process itself: where the extension is missing it runs Prefect's own
migrations without those indexes, and then becomes `prefect server`.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tasks.errors import ServiceDown
from tasks.postgres import (
    DATABASE_URL_VARIABLE,
    Database,
    advisory_lock,
    connect,
    parse_url,
)
from tasks.services.environment import (
    build_child_environment,
    build_environment,
    prefect_login,
)
from tasks.services.processes import LOOPBACK, Server, answers

DATABASE = "prefect"
NAME = "Prefect"
_TIMEOUT_SECONDS = 10.0
_MIGRATION_SECONDS = 120.0


def plan_server(home: Path, port: int, database: Database) -> Server:
    """The server process. Its passwords go through the environment, which `ps` does not show."""
    base = f"http://{LOOPBACK}:{port}"
    origins = f"{base},http://localhost:{port}"
    environment = {
        **build_child_environment(home),
        **build_environment(home),
        "PREFECT_API_DATABASE_CONNECTION_URL": database.url("asyncpg"),
        "PREFECT_SERVER_API_AUTH_STRING": prefect_login(home),
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origins,
        "PREFECT_SERVER_API_HOST": LOOPBACK,
        # Both, or the page calls port 4200 whatever port it came from.
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_UI_API_URL": f"{base}/api",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
        DATABASE_URL_VARIABLE: database.url("psycopg2").replace("+psycopg2", ""),
    }
    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
        environment.pop(name, None)  # those of a client; this is the server
    return Server(
        name=NAME,
        arguments=[sys.executable, "-m", "tasks.services.prefect_server"],
        environment=environment,
        log=home / "logs" / "prefect.log",
        is_ready=lambda: answers(f"{base}/api/health"),
    )


def login_header(login: str) -> dict[str, str]:
    """HTTP's basic authentication."""
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


class PrefectApi:
    """The few calls that we make without importing Prefect, which takes seconds."""

    def __init__(self, api_url: str, login: str, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        self._timeout_seconds = timeout_seconds
        self._url = api_url.rstrip("/")
        self._headers = {**login_header(login), "Content-Type": "application/json"}
        self._client = str(uuid.uuid4())
        self._has_token = False

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """POST; the first one fetches the token that changes need."""
        if not self._has_token:
            found = self.get(f"/csrf-token?client={self._client}")
            self._headers["Prefect-Csrf-Token"] = found["token"]
            self._headers["Prefect-Csrf-Client"] = self._client
            self._has_token = True
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        request = urllib.request.Request(  # noqa: S310  (the address is ours or the user's own)
            f"{self._url}{path}",
            method=method,
            headers=self._headers,
            data=json.dumps(body).encode() if body is not None else None,
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_seconds) as response:  # noqa: S310
                text = response.read()
        except urllib.error.HTTPError as error:
            raise ServiceDown(
                f"Prefect refused {method} {path}.",
                found=f"{error.code}: {error.read()[:300].decode(errors='replace')}",
            ) from error
        except OSError as error:
            raise ServiceDown(
                f"Prefect's server at {self._url} does not answer.",
                found=str(error),
                next_step="holdfast up",
            ) from error
        return json.loads(text) if text else None


def migrate(database: Database) -> None:
    """Bring Prefect's tables up to date where its own way would fail for want of pg_trgm."""
    if _has_trigrams(database):
        return  # the server does it by itself
    from importlib.metadata import version

    stamp = f"prefect {version('prefect')}"
    if _read_stamp(database) == stamp:
        return
    with advisory_lock(database, "prefect upgrade", _MIGRATION_SECONDS):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import anyio
            from alembic import op
            from prefect.server.database.alembic_commands import alembic_upgrade

            execute = op.execute

            def execute_without_trigrams(statement: Any, *args: Any, **kwargs: Any) -> None:
                if "trgm" not in str(statement):
                    execute(statement, *args, **kwargs)

            async def upgrade() -> None:
                # Prefect's migrations call back into the event loop of the thread above them.
                await anyio.to_thread.run_sync(alembic_upgrade)

            with patch.object(op, "execute", execute_without_trigrams):
                anyio.run(upgrade)
        _write_stamp(database, stamp)


def _has_trigrams(database: Database) -> bool:
    connection = connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1 from pg_available_extensions where name = 'pg_trgm'")
            return cursor.fetchone() is not None
    finally:
        connection.close()


def _read_stamp(database: Database) -> str | None:
    """Which Prefect the tables were last migrated by: a comment on its own version table."""
    connection = connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select obj_description(to_regclass('alembic_version'), 'pg_class')")
            row = cursor.fetchone()
            return str(row[0]) if row is not None and row[0] is not None else None
    finally:
        connection.close()


def _write_stamp(database: Database, stamp: str) -> None:
    connection = connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute("comment on table alembic_version is %s", (stamp,))
    finally:
        connection.close()


def main() -> None:
    """Migrate the database, then become the server."""
    migrate(parse_url(os.environ[DATABASE_URL_VARIABLE]))
    arguments = [sys.executable, "-m", "prefect", "server", "start", "--analytics-off"]
    arguments += ["--host", LOOPBACK, "--port", os.environ["PREFECT_SERVER_API_PORT"]]
    os.execv(sys.executable, arguments)  # noqa: S606  (it takes this process over, id and all)


if __name__ == "__main__":
    main()
