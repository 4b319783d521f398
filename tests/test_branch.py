"""A branch of the lake: all the data at hand, nothing of it changed, and nothing left behind."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tasks.branch import Branch, open_branch
from tasks.errors import InternalError
from tasks.intake.compaction import compact_tables
from tasks.postgres import connect
from tasks.settings import PROJECT, Settings
from tasks.warehouse import Lake, open_lake
from tests.features.shop import put_random_shop

from .conftest import MakeSettings

pytestmark = pytest.mark.sql


def files_of(settings: Settings) -> dict[str, str]:
    """The hash of every data file of the lake."""
    folder = settings.home / "lake" / settings.deployment
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def traces(lake: Lake) -> list[str]:
    """Schemas and folders of branches of the lake's deployment."""
    with closing(connect(lake.database)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select nspname from pg_namespace where nspname like %s",
            (f"branch\\_{lake.deployment}\\_%",),
        )
        schemas = [str(row[0]) for row in cursor.fetchall()]
    folders = (lake.settings.home / "branches").glob(f"branch_{lake.deployment}_*")
    return schemas + [path.name for path in folders]


def write_reads(lake: Lake, count: int, purpose: str = "x") -> None:
    with lake.writer_lock("test"), lake.publish("test", "reads"):
        lake.execute(
            "insert into lake.ledger.reads"
            " select $purpose, range, null, null, null, now() from range($count)",
            {"purpose": purpose, "count": count},
        )


@pytest.fixture(scope="module")
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings()


@pytest.fixture(scope="module")
def filled(settings: Settings) -> Iterator[Lake]:
    """Rows in files, rows kept in the catalog, deleted rows, and a file replaced by a merge."""
    with open_lake(settings) as lake:
        fill(lake)
        yield lake


def fill(lake: Lake) -> None:
    put_random_shop(lake, 200, 200)
    for count in (500, 3, 400, 5):
        write_reads(lake, count)
    with lake.writer_lock("test"), lake.publish("test", "fewer"):
        lake.execute("delete from lake.ledger.reads where snapshot_id % 7 = 0")
    compact_tables(lake, force=True)
    write_reads(lake, 2, "after the merge")
    with lake.writer_lock("test"), lake.publish("test", "fewer again"):
        lake.execute("delete from lake.ledger.reads where snapshot_id % 5 = 0")


SEEN = (
    "select (select count(*) from lake.main.orders) as lines,"
    " (select sum(net_amount) from lake.main.orders) as amount,"
    " (select sum(hash(purpose, snapshot_id)) from lake.ledger.reads) as readings"
)


def test_it_sees_all_and_changes_nothing(filled: Lake, settings: Settings) -> None:
    before, seen, files = filled.snapshot(), filled.one(SEEN), files_of(settings)
    assert files
    with open_branch(settings) as branch:
        assert branch.snapshot() == before
        assert branch.one(SEEN) == seen
        # The past is there too.
        past = f"select count(*) from lake.ledger.reads at (version => {before.snapshot_id - 2})"
        assert branch.scalar(past) == filled.scalar(past)
        write_reads(branch, 700, "on the branch")
        write_reads(branch, 2, "on the branch")
        with branch.publish("test", "gone"):
            branch.execute("delete from lake.main.orders where customer_id < 'c00100'")
            branch.execute("create table lake.main.tried as select 1 as n from range(1000)")
        assert branch.snapshot().snapshot_id == before.snapshot_id + 3
        assert branch.cursor().scalar("select count(*) from lake.main.tried") == 1000
        assert branch.scalar("select count(*) from lake.main.orders") < seen["lines"]
        assert filled.one(SEEN) == seen
        written = [p for p in branch.settings.home.rglob("*.parquet") if p.is_file()]
        assert len(written) >= 3
        assert files_of(settings) == files
    assert (filled.snapshot(), filled.one(SEEN), files_of(settings)) == (before, seen, files)
    assert traces(filled) == []
    write_reads(filled, 1)  # and the lake goes on


def test_it_holds_up_no_writer_and_sees_nothing_of_it(filled: Lake, settings: Settings) -> None:
    with filled.writer_lock("somebody else"), open_branch(settings) as branch:
        seen = branch.one(SEEN)
        with filled.publish("test", "meanwhile"):
            filled.execute("insert into lake.ledger.reads values ('x', 1, null, null, null, now())")
        assert branch.one(SEEN) == seen
        with branch.writer_lock("on the branch", wait_seconds=0):
            write_reads(branch, 1)


@pytest.mark.faults
def test_no_merge_can_reach_the_lakes_files(filled: Lake, settings: Settings) -> None:
    files = files_of(settings)
    with open_branch(settings) as branch:
        for _ in range(15):
            write_reads(branch, 60)
        assert compact_tables(branch) == []  # a lake with so many files would be merged
        with pytest.raises(InternalError, match="must not run on a branch"):
            compact_tables(branch, force=True)
        for sql in (
            "call ducklake_cleanup_old_files('lake', cleanup_all => true)",
            "call ducklake_delete_orphaned_files('lake', cleanup_all => true)",
            "call lake.expire_snapshots(older_than => now())",
            "use lake; CHECKPOINT",
        ):
            with pytest.raises(InternalError, match="must not run on a branch"):
                branch.execute(sql)
            with pytest.raises(InternalError, match="must not run on a branch"):
                branch.cursor().rows(sql)
    assert files_of(settings) == files


def test_an_error_leaves_nothing_behind(filled: Lake, settings: Settings) -> None:
    def fail() -> None:
        with open_branch(settings) as branch:
            write_reads(branch, 100)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert traces(filled) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from tasks.branch import open_branch
from tasks.settings import load_settings
with open_branch(load_settings(Path(sys.argv[1]), home=Path(sys.argv[2]))) as branch:
    with branch.publish("test", "half"):
        branch.execute("delete from lake.main.orders")
        branch.execute("create table lake.main.tried as select 1 as n from range(1000)")
    with branch.transaction():
        branch.execute("create table lake.main.again as select 1 as n from range(1000)")
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.faults
def test_what_a_killed_one_leaves_is_cleared_by_the_next(filled: Lake, settings: Settings) -> None:
    before, seen, files = filled.snapshot(), filled.one(SEEN), files_of(settings)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, settings.called, str(settings.home)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (filled.snapshot(), filled.one(SEEN), files_of(settings)) == (before, seen, files)
    assert len(traces(filled)) == 2
    with open_branch(settings) as branch, open_branch(settings) as other:
        # Theirs alone: what is at work is left alone, what is dead is gone.
        assert sorted(traces(filled)) == sorted(
            2 * [opened.settings.home.name for opened in (branch, other)]
        )
        assert isinstance(branch, Branch)
        assert branch.one(SEEN) == other.one(SEEN) == seen
    assert traces(filled) == []


def test_a_deployment_named_like_a_branch_is_never_swept(make_settings: MakeSettings) -> None:
    settings = make_settings("branch_shop_0123abcd")
    with open_lake(settings) as lake:
        write_reads(lake, 3)
        with open_branch(settings):
            pass
        assert lake.scalar("select count(*) from lake.ledger.reads") == 3


def test_the_branches_folder_is_private(settings: Settings) -> None:
    with open_branch(settings) as branch:
        folder: Path = branch.settings.home
        assert folder.is_relative_to(settings.home)
        assert folder.stat().st_mode & 0o777 == 0o700
