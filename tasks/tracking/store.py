"""The tracking store itself: where it is, whether it answers, and its tables' version.

Left alone, MLflow waits for minutes for a store that is down, and several processes on a fresh
one fail at migrating it. Here a store answers within seconds or ends in ServiceDown (69), and it
is migrated once, under a lock.
"""

from __future__ import annotations

import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tasks.errors import ConfigurationError, HoldfastError, Refused, ServiceDown, TrackingDown
from tasks.postgres import (
    Database,
    advisory_lock,
    connect,
    ensure_database,
    find_database,
    parse_url,
)

if TYPE_CHECKING:
    from tasks.settings import Settings

URI_VARIABLE = "HOLDFAST_TRACKING_URI"
DATABASE = "mlflow"
_MIGRATION_WAIT_SECONDS = 120.0


def resolve_store(settings: Settings) -> tuple[str, Database | None]:
    """The store's URI for MLflow, and its database where the store is PostgreSQL.

    The URI may hold a password: it goes to clients and servers, never into a log.
    """
    chosen = os.environ.get(URI_VARIABLE) or settings.tracking.uri
    if not chosen:
        lake = find_database(settings.home)
        database = ensure_database(lake, DATABASE)
    elif chosen.startswith("postgres"):
        scheme, _, rest = chosen.partition("://")
        database = parse_url(f"{scheme.partition('+')[0]}://{rest}")
    elif chosen.startswith(("http://", "https://", "sqlite:")):
        return chosen, None
    else:
        raise ConfigurationError(
            "`tracking.uri` is no store that MLflow can use here.",
            found=f"Its scheme is '{chosen.partition(':')[0]}'.",
            available=("http://", "https://", "postgresql://", "sqlite:///"),
        )
    url = database.url("psycopg2")
    timeout = f"connect_timeout={settings.tracking.timeout_seconds}"
    return f"{url}{'&' if '?' in url else '?'}{timeout}", database


def artifact_location(settings: Settings, uri: str) -> str | None:
    """Where the experiment keeps files: set, or our own directory, or the server's choice."""
    if settings.tracking.artifact_location:
        return settings.tracking.artifact_location
    if uri.startswith("http"):
        return None
    directory = settings.home / "mlflow" / "artifacts" / settings.deployment
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return directory.resolve().as_uri()


def quieten(settings: Settings) -> None:
    """Set what MLflow reads from the environment at import and at every request."""
    tracking = settings.tracking
    os.environ.update(
        {
            "DO_NOT_TRACK": "true",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(tracking.retries),
            "MLFLOW_HTTP_REQUEST_TIMEOUT": str(tracking.timeout_seconds),
            "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
            "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
            "MLFLOW_LOGGING_LEVEL": "ERROR",
        }
    )
    logging.getLogger("alembic").setLevel(logging.ERROR)


def probe(settings: Settings, uri: str, database: Database | None) -> None:
    """Ask the store for a sign of life before MLflow does, whose own patience is minutes."""
    tries = settings.tracking.retries + 1
    for attempt in range(tries):
        try:
            if database is not None:
                connect(database).close()
            elif uri.startswith("http"):
                health = f"{uri.rstrip('/')}/health"
                with urllib.request.urlopen(  # noqa: S310 - the scheme was checked
                    health, timeout=settings.tracking.timeout_seconds
                ) as answer:
                    answer.read(64)
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                raise Refused(
                    "The MLflow server refuses us.",
                    found=f"{_place(uri)} answers {error.code}.",
                    next_step="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
                ) from None
            if error.code == 404:
                return  # a server of another make has no /health, but it lives
            failure: Exception = error
        except (OSError, ServiceDown) as error:
            failure = error
        else:
            return
        if attempt + 1 < tries:
            time.sleep(0.2 * 2**attempt)
    raise _down(uri, failure) from failure


def migrate(database: Database, uri: str) -> None:
    """Bring the store's tables to this MLflow's version, once, whoever else asks now.

    Several processes on a fresh store would run the migrations at once and fail.
    """
    from mlflow.store.db import utils

    head = utils._get_latest_schema_revision()
    if _schema_version(database) == head:
        return
    with answers(uri), advisory_lock(database, "mlflow upgrade", _MIGRATION_WAIT_SECONDS):
        found = _schema_version(database)
        if found == head:
            return
        if found is not None and not _knows_revision(found):
            raise ConfigurationError(
                "The MLflow store was made by a newer MLflow than the one installed.",
                found=f"It is at revision {found}, we know up to {head}.",
                next_step="install the version of requirements.lock that goes with the store",
            )
        import sqlalchemy

        engine = sqlalchemy.create_engine(uri)
        try:
            if utils._is_empty_database(engine):
                utils._initialize_tables(engine)
            else:
                utils._upgrade_db(engine)
        finally:
            engine.dispose()


def _knows_revision(revision: str) -> bool:
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError
    from mlflow.store.db import utils

    try:
        script = ScriptDirectory.from_config(utils._get_alembic_config(db_url=""))
        return script.get_revision(revision) is not None
    except CommandError:
        return False


def _schema_version(database: Database) -> str | None:
    connection = connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select to_regclass('alembic_version')")
            row = cursor.fetchone()
            if row is None or row[0] is None:
                return None
            cursor.execute("select version_num from alembic_version")
            row = cursor.fetchone()
            return str(row[0]) if row is not None else None
    finally:
        connection.close()


@contextmanager
def answers(uri: str) -> Iterator[None]:
    """Turn the ways in which a store fails to answer into TrackingDown (69)."""
    try:
        yield
    except HoldfastError:
        raise
    except Exception as error:
        if is_outage(error):
            raise _down(uri, error) from error
        raise


def is_outage(error: Exception) -> bool:
    """Whether an error of MLflow means that its store does not answer, now."""
    import requests
    import sqlalchemy.exc
    from mlflow.exceptions import MlflowException

    if isinstance(error, sqlalchemy.exc.DBAPIError | requests.RequestException | ConnectionError):
        return True
    signs = ("API request to", "Connection refused", "Max retries", "OperationalError")
    return isinstance(error, MlflowException) and any(sign in str(error) for sign in signs)


def _down(uri: str, error: Exception) -> TrackingDown:
    return TrackingDown(
        "The MLflow store does not answer.",
        found=f"{_place(uri)}: {type(error).__name__}",
        next_step="start it, or correct `tracking.uri`; the champion goes on serving meanwhile",
    )


def _place(uri: str) -> str:
    """Scheme, host and port of a URI: no user, no password, no query."""
    parts = urlsplit(uri)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or 'local'}{port}"
