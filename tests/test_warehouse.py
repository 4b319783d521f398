"""The lake and its connection: bound values, whole transactions, one writer, a closed sandbox."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from tasks import warehouse
from tasks.contracts import CONTRACTS, LEDGER
from tasks.errors import HoldfastError, InternalError, LockHeld, StoredDataCorrupt
from tasks.evidence import PUBLISHED_TABLES
from tasks.rollout_tables import ROLLOUT_TABLES
from tasks.settings import Settings
from tasks.warehouse import (
    Connection,
    Lake,
    close_lakes,
    lake_schema,
    literal,
    open_lake,
    quote,
    scratch,
)

from .conftest import MakeSettings

pytestmark = pytest.mark.sql


@pytest.mark.parametrize(
    ("name", "quoted"),
    [("a", '"a"'), ('a"b', '"a""b"'), ("select", '"select"'), ("a; drop b", '"a; drop b"')],
)
def test_identifier_is_quoted(name: str, quoted: str) -> None:
    assert quote(name) == quoted


@pytest.mark.parametrize("text", ["plain", "it's", "'; drop table x; --", "", "é\n"])
def test_literal_is_the_text_itself(text: str) -> None:
    with scratch() as connection:
        assert connection.scalar(f"select {literal(text)}") == text


@pytest.mark.parametrize("value", ["it's", "'; drop table x; --", 3, None, 2.5, True])
def test_values_are_bound(value: object) -> None:
    with scratch() as connection:
        assert connection.scalar("select $value", {"value": value, "unused": 1}) == value


def test_a_value_that_is_not_given_is_a_bug_of_ours() -> None:
    with scratch() as connection, pytest.raises(InternalError, match=r"\$missing"):
        connection.scalar("select $missing", {"other": 1})


@pytest.mark.parametrize(
    ("sql", "rows"), [("select 1 where false", 0), ("select * from range(2)", 2)]
)
def test_one_row_means_one(sql: str, rows: int) -> None:
    with scratch() as connection, pytest.raises(InternalError, match=f"{rows} came"):
        connection.one(sql)


def test_file_is_run_with_its_names_and_values(tmp_path: Path) -> None:
    path = tmp_path / "made.sql"
    path.write_text("-- grain\ncreate table {target} as select $n::int as n;", encoding="utf-8")
    with scratch() as connection:
        connection.run(path, {"n": 5}, names={"target": quote("odd name")})
        assert connection.scalar('select n from "odd name"') == 5


def test_transaction_is_all_or_nothing() -> None:
    with scratch() as connection:
        connection.execute("create table t (n int)")
        with pytest.raises(HoldfastError), connection.transaction():
            connection.execute("insert into t values (1); select * from no_such_table")
        assert connection.rows("select * from t") == []
        with connection.transaction():
            connection.execute("insert into t values (2)")
        assert connection.rows("select n from t") == [{"n": 2}]


def test_arrow_goes_in_and_comes_out() -> None:
    with scratch() as connection:
        connection.load_arrow("given", pa.table({"n": [1, 2, 3]}))
        assert connection.arrow("select sum(n) as s from given").to_pydict() == {"s": [6]}
        sizes = [b.num_rows for b in connection.batches("select * from range(10)", rows=4)]
        assert sum(sizes) == 10
        connection.drop_arrow("given")
        with pytest.raises(HoldfastError):
            connection.rows("select * from given")


def test_threads_with_cursors_of_their_own_get_their_own_rows() -> None:
    wrong: list[tuple[int, int]] = []

    def ask(connection: Connection, mine: int) -> None:
        for _ in range(50):
            found = connection.scalar("select $n::int", {"n": mine})
            if found != mine:
                wrong.append((mine, found))

    with scratch() as connection:
        threads = [
            threading.Thread(target=ask, args=(connection.cursor(), number)) for number in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@pytest.mark.faults
def test_sandbox_reads_what_it_may_and_nothing_else(tmp_path: Path) -> None:
    allowed, secret = tmp_path / "in", tmp_path / "secret.csv"
    allowed.mkdir()
    (allowed / "a.csv").write_text("n\n1\n", encoding="utf-8")
    secret.write_text("n\n2\n", encoding="utf-8")
    with scratch(allowed_directories=[allowed]) as connection:
        found = connection.rows(f"select * from read_csv({literal(str(allowed / 'a.csv'))})")
        assert found == [{"n": 1}]
        for attempt in (
            f"select * from read_csv({literal(str(secret))})",
            f"select * from read_csv({literal(str(allowed / '..' / 'secret.csv'))})",
            f"copy (select 1) to {literal(str(tmp_path / 'out.csv'))}",
            "set enable_external_access = true",
            "set threads = 1",
            "install httpfs",
            "load httpfs",
            f"attach {literal(str(tmp_path / 'x.duckdb'))}",
        ):
            with pytest.raises(HoldfastError):
                connection.execute(attempt)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("deployment", "schema"), [("shop", "lake_shop"), ("shop_2", "lake_shop_2")]
)
def test_schema_bears_the_deployments_name(deployment: str, schema: str) -> None:
    assert lake_schema(deployment) == schema


def test_schemas_of_like_names_differ() -> None:
    names = ["shop", "Shop", "shop-1", "shop_1", "x" * 39, "x" * 40]
    assert len({lake_schema(name) for name in names}) == len(names)
    assert all(len(lake_schema(name)) <= 63 for name in names)


def test_new_lake_has_every_table_and_no_row(lake: Lake) -> None:
    assert lake.tables() == set(CONTRACTS) | set(PUBLISHED_TABLES)
    for table, contract in CONTRACTS.items():
        columns = {row["column_name"] for row in lake.rows(f"describe lake.main.{table}")}
        assert set(contract.names) <= columns
    for table in (*LEDGER, *ROLLOUT_TABLES):
        assert lake.scalar(f"select count(*) from lake.ledger.{table}") == 0


def publish_reading(lake: Lake, purpose: str, count: int = 1) -> None:
    with lake.writer_lock(purpose), lake.publish("tester", f"read {purpose}", {"n": count}):
        lake.execute(
            "insert into lake.ledger.reads"
            " select $purpose, range, null, null, null, now() from range($count)",
            {"purpose": purpose, "count": count},
        )


def test_publication_carries_its_message(lake: Lake) -> None:
    publish_reading(lake, "audit")
    newest = lake.one(
        "select author, commit_message, commit_extra_info from lake.snapshots()"
        " order by snapshot_id desc limit 1"
    )
    assert newest == {
        "author": "tester",
        "commit_message": "read audit",
        "commit_extra_info": '{"n": 1}',
    }


def test_a_publication_that_fails_leaves_nothing(lake: Lake) -> None:
    before = lake.snapshot()
    with (
        pytest.raises(HoldfastError),
        lake.writer_lock("test"),
        lake.publish("tester", "half"),
    ):
        lake.execute(
            "insert into lake.ledger.reads values ('x', 1, null, null, null, now());"
            " select * from no_such_table"
        )
    assert lake.snapshot() == before
    assert lake.scalar("select count(*) from lake.ledger.reads") == 0
    publish_reading(lake, "after")  # the connection is still good


@pytest.mark.faults(55)
def test_the_past_can_be_asked(lake: Lake) -> None:
    publish_reading(lake, "first")
    then = lake.snapshot()
    publish_reading(lake, "second")
    count = "select count(*) from lake.ledger.reads"
    assert lake.scalar(count) == 2
    assert lake.scalar(f"{count} at (version => {then.snapshot_id})") == 1


def test_reads_are_recorded(lake: Lake) -> None:
    snapshot = lake.snapshot()
    as_of = datetime(2011, 9, 10, tzinfo=UTC)
    lake.record_read("features", snapshot, as_of=as_of, known_by=as_of, run_id="r1")
    found = lake.one("select purpose, snapshot_id, as_of, run_id from lake.ledger.reads")
    assert found["snapshot_id"] == snapshot.snapshot_id
    assert found["as_of"].astimezone(UTC) == as_of


def test_one_writer_at_a_time(lake: Lake, settings: Settings) -> None:
    with lake.writer_lock("first"), open_lake(settings) as other:
        with pytest.raises(LockHeld) as caught, other.writer_lock("second", wait_seconds=0.2):
            pytest.fail("two writers")
        assert caught.value.exit_code == 75
        assert other.scalar("select count(*) from lake.ledger.reads") == 0  # readers never wait


def test_two_deployments_see_nothing_of_each_other(make_settings: MakeSettings) -> None:
    with open_lake(make_settings()) as one, open_lake(make_settings()) as other:
        publish_reading(one, "mine")
        assert other.scalar("select count(*) from lake.ledger.reads") == 0


@pytest.mark.faults
def test_data_files_tell_nothing_without_the_catalog(lake: Lake, settings: Settings) -> None:
    marker = "a-customer-who-must-not-be-found"
    publish_reading(lake, marker, count=500)  # more than are kept in the catalog itself
    files = list((settings.home / "lake" / settings.deployment).rglob("*.parquet"))
    assert files
    assert all(marker.encode() not in path.read_bytes() for path in files)
    assert oct((settings.home / "lake" / settings.deployment).stat().st_mode & 0o777) == "0o700"


def test_times_are_utc(lake: Lake) -> None:
    found = lake.scalar("select timestamptz '2011-09-10 12:00:00'")
    assert found.astimezone(UTC) == datetime(2011, 9, 10, 12, tzinfo=UTC)
    assert lake.cursor().scalar("select current_setting('TimeZone')") == "UTC"


class Termination(BaseException):
    """As Prefect's, which its own handler of SIGTERM raises within a flow."""


@pytest.mark.parametrize("leaving", [SystemExit(143), KeyboardInterrupt(), Termination()])
def test_a_signal_in_the_middle_of_a_query_is_no_bug(leaving: BaseException) -> None:
    class Interrupted:
        """A cursor as DuckDB's ends when a signal's handler has raised meanwhile."""

        def extract_statements(self, _sql: str) -> None:
            raise RuntimeError("Query interrupted") from leaving

    with pytest.raises(type(leaving)) as left:
        Connection(Interrupted()).scalar("select 1")  # type: ignore[arg-type]
    assert left.value is leaving


@pytest.mark.faults(45)
def test_a_damaged_data_file_is_noticed_and_never_read(lake: Lake, settings: Settings) -> None:
    with lake.publish("test", "rows", {}):
        lake.execute("create table lake.main.numbers as select i as n from range(20000) r(i)")
    total = "select sum(n) from lake.main.numbers"
    expected = lake.scalar(total)
    (path,) = (settings.home / "lake" / settings.deployment).rglob("numbers/*.parquet")
    good = path.read_bytes()
    draw = random.Random(45)
    places = [0, len(good) - 1, *(draw.randrange(len(good)) for _ in range(20))]
    damaged = [good[:at] + bytes([good[at] ^ 1 << draw.randrange(8)]) + good[at + 1 :]
               for at in places]  # fmt: skip
    damaged += [good[:at] for at in (0, 3, 100, len(good) // 2, len(good) - 1)]
    noticed = 0
    for content in damaged:
        path.write_bytes(content)
        close_lakes()
        with open_lake(settings) as opened:
            try:
                assert opened.scalar(total) == expected  # a bit that nothing depends on
            except StoredDataCorrupt:
                noticed += 1
    assert noticed > 20
    path.unlink()
    close_lakes()
    with open_lake(settings) as opened, pytest.raises(StoredDataCorrupt, match="damaged or gone"):
        opened.scalar(total)


def test_a_tampered_extension_does_not_load_where_the_true_one_has(
    lake: Lake, make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert warehouse._are_loaded()
    said = lake.scalar("select current_setting('allow_unsigned_extensions')")
    assert said is False  # once what it needs is there, a lake loads nothing without a signature
    true_path = warehouse._extension_path
    tampered = tmp_path / "ducklake.duckdb_extension"
    text = bytearray(true_path("ducklake").read_bytes())
    text[-1] ^= 1  # of its signature
    tampered.write_bytes(text)
    monkeypatch.setattr(
        warehouse,
        "_extension_path",
        lambda name: tampered if name == "ducklake" else true_path(name),
    )
    assert not warehouse._are_loaded()
    with pytest.raises(HoldfastError, match="signature"), open_lake(make_settings()):
        pass
