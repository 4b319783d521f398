"""Tables of a PostgreSQL database as batches of text.

A part is what `COPY ... TO STDOUT (FORMAT csv)` says in one read-only transaction: PostgreSQL's
own text of each value, so nothing is rounded on the way, with the rows in a fixed order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import ConfigurationError, ServiceDown
from tasks.intake.tables import UNDATED, period_bounds, select_parts
from tasks.sources import PostgresSource

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PostgresConnection

_CONNECT_TIMEOUT_SECONDS = 10


def list_parts(name: str, source: PostgresSource) -> list[str]:
    """Second parts of the source's batch names, in order of time."""
    if source.split is None:
        return [source.part]
    form = "YYYY-MM" if source.split.by == "month" else "YYYY-MM-DD"
    with _connected(name, source) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"select distinct to_char(({source.split.time})::timestamp, %s)"
            f" from ({_statement(source)}) as delivered",
            (form,),
        )
        return select_parts([row[0] for row in cursor.fetchall()], source.split)


def write_part(name: str, source: PostgresSource, part: str, target: Path) -> None:
    """Write the rows of one part to `target` as CSV with a header."""
    condition = "true"
    if source.split is not None:
        moment = f"({source.split.time})::timestamp"
        if part == UNDATED:
            condition = f"{moment} is null"
        else:
            first, after = period_bounds(part)
            condition = f"{moment} >= date '{first}' and {moment} < date '{after}'"
    with (
        _connected(name, source) as connection,
        connection.cursor() as cursor,
        target.open("wb") as file,
    ):
        cursor.copy_expert(
            f"copy (select * from ({_statement(source)}) as delivered where {condition}"
            ' order by delivered::text collate "C") to stdout (format csv, header true)',
            file,
        )


def describe_location(source: PostgresSource) -> str:
    """Where a part comes from, in words for the ledger; never the URL, which holds a password."""
    return f"PostgreSQL at ${source.url_variable}: {' '.join(source.query.split())[:200]}"


def _statement(source: PostgresSource) -> str:
    text = source.query.strip().rstrip(";")
    words = text.split()
    if len(words) == 2 and words[0].lower() == "table":
        return f"select * from {words[1]}"
    return text


@contextmanager
def _connected(name: str, source: PostgresSource) -> Iterator[PostgresConnection]:
    import psycopg2

    url = os.environ.get(source.url_variable)
    if not url:
        raise ConfigurationError(
            f"intake source {name} needs the environment variable {source.url_variable}.",
            next_step="set it to postgresql://user:password@host:port/database",
        )
    try:
        connection = psycopg2.connect(
            url,
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            application_name="holdfast intake",
            # One form of text whatever the server's defaults, so equal rows give equal bytes.
            options=(
                f"-c statement_timeout={source.timeout_seconds * 1000} -c TimeZone=UTC"
                " -c DateStyle=ISO,YMD -c extra_float_digits=1 -c client_encoding=UTF8"
            ),
        )
    except psycopg2.OperationalError as error:
        # Only the kind of failure: the text may repeat parts of the URL.
        raise ServiceDown(
            f"intake source {name}: the database of ${source.url_variable} does not answer.",
            found=type(error).__name__,
            next_step="check that it runs and that the URL is right, then run again",
        ) from None
    except psycopg2.ProgrammingError:
        raise ConfigurationError(
            f"intake source {name}: ${source.url_variable} is no PostgreSQL URL."
        ) from None
    try:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        yield connection
    except psycopg2.OperationalError as error:
        raise ServiceDown(
            f"intake source {name}: the database broke off.",
            found=(error.pgcode or type(error).__name__),
            next_step="run again; nothing was changed",
        ) from None
    except psycopg2.ProgrammingError as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigurationError(
            f"intake source {name}: the database refuses the query.", found=first
        ) from None
    finally:
        connection.close()
