"""What a deployment's sources offer, and what they may not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.errors import ConfigurationError, Refused, ServiceDown
from tasks.handles import RawBatch
from tasks.intake import tables
from tasks.intake.deliveries import check_name, discover
from tasks.intake.raw import keep_raw
from tasks.intake.tables import cut_parts, period_bounds
from tasks.settings import Settings, load_settings
from tasks.warehouse import scratch
from tests.intake.shop import GOOD, MAP, Shop, rows_of

COLUMNS = {
    "customer": "text",
    "order": "text",
    "time": "timestamp",
    "quantity": "integer",
    "amount": "number",
}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def names(settings: Settings) -> list[str]:
    return [delivery.batch_name for delivery in discover(settings)]


def test_files_are_offered_in_order_of_their_names(shop: Shop) -> None:
    for name in ("2011-10.csv", "2011-09.csv.gz", "b.parquet", "a.tsv", ".hidden", "a.tsv.sha256"):
        shop.deliver(GOOD, name)
    assert names(shop.settings) == ["shop/2011-09", "shop/2011-10", "shop/a", "shop/b"]


def test_only_the_pattern_is_offered(tmp_path: Path) -> None:
    shop = Shop(tmp_path, pattern="orders-*.csv")
    shop.deliver(GOOD, "orders-1.csv")
    shop.deliver(GOOD, "read me.txt")
    assert names(shop.settings) == ["shop/orders-1"]


def test_two_files_of_one_name_are_refused(shop: Shop) -> None:
    shop.deliver(GOOD, "a.csv")
    shop.deliver(GOOD, "a.csv.gz")
    with pytest.raises(Refused, match="would be one batch, shop/a"):
        discover(shop.settings)


def test_a_missing_folder_is_configuration(tmp_path: Path) -> None:
    shop = Shop(tmp_path, folder=str(tmp_path / "nowhere"))
    with pytest.raises(ConfigurationError, match="there is no folder"):
        discover(shop.settings)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "shop",
        "shop/",
        "shop/a/b",
        "shop/..",
        "shop/a b",
        "shop/a\nb",
        "shop/*",
        "shop/" + "a" * 101,
    ],
)
def test_batch_names_are_of_the_allow_list(name: str) -> None:
    with pytest.raises(Refused) as refusal:
        check_name(name)
    assert refusal.value.exit_code == 77
    assert "\n" not in refusal.value.what


def make_table(directory: Path, **source: Any) -> Settings:
    """A deployment whose only source cuts a Parquet file of five lines in three months."""
    folder = directory / "tables"
    folder.mkdir()
    with scratch() as connection:
        connection.execute(
            "copy (select * from (values"
            " ('bob', 'o3', timestamp '2011-11-01 00:00:00', 3, 3.5::double),"
            " ('ann', 'o1', timestamp '2011-09-30 23:59:59', 1, 1.5),"
            " ('ann', 'o2', timestamp '2011-10-01 00:00:00', 2, 0.1::double + 0.2::double),"
            " (null, 'o5', null, 5, 5.5),"
            " ('c,\"d\"', 'o4', timestamp '2011-11-30 12:00:00', 4, 4.5))"
            f" as t(customer, \"order\", time, quantity, amount)) to '{folder}/t.parquet'"
            " (format parquet)"
        )
        connection.execute(
            f"copy (select 'ann' as customer, 'x' as extra) to '{folder}/u.parquet'"
            " (format parquet)"
        )
    declared = {
        "kind": "files",
        "table": "orders",
        "folder": str(folder),
        "files": {"lines": "t.parquet"},
        "split": {"by": "month", "time": "time"},
        "time_zone": "UTC",
        "columns": COLUMNS,
        "map": MAP,
    }
    path = directory / "tables.yaml"
    path.write_text(yaml.safe_dump({"intake": {"sources": {"shop": declared | source}}}))
    return load_settings(path, home=directory / "home")


def keep_all(settings: Settings) -> list[RawBatch]:
    return [keep_raw(delivery, settings) for delivery in discover(settings)]


def test_a_table_is_cut_by_month_and_no_row_is_lost(tmp_path: Path) -> None:
    settings = make_table(tmp_path)
    assert names(settings) == ["shop/2011-09", "shop/2011-10", "shop/2011-11", "shop/undated"]
    kept = [raw.raw_path.read_text() for raw in keep_all(settings)]
    assert kept[0] == "customer,order,time,quantity,amount\nann,o1,2011-09-30 23:59:59,1,1.5\n"
    assert kept[1].endswith("ann,o2,2011-10-01 00:00:00,2,0.30000000000000004\n")
    assert [text.count("\n") - 1 for text in kept] == [1, 1, 2, 1]


def test_the_same_rows_give_the_same_bytes_whatever_their_order(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = make_table(tmp_path / "a"), make_table(tmp_path / "b")
    path = tmp_path / "b" / "tables" / "t.parquet"
    with scratch() as connection:
        connection.execute(
            f"create table t as select * from read_parquet('{path}') order by quantity desc"
        )
        connection.execute(f"copy t to '{path}' (format parquet, compression gzip)")
    assert [raw.content_hash for raw in keep_all(one)] == [
        raw.content_hash for raw in keep_all(other)
    ]


def test_an_unchanged_part_is_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_table(tmp_path)
    first = keep_all(settings)

    def refuse(*_: object) -> None:
        raise AssertionError("written again")

    deliveries = discover(settings)
    with monkeypatch.context() as patched:
        patched.setattr(tables, "write_part", refuse)
        assert [keep_raw(delivery, settings) for delivery in deliveries] == first
    first[1].raw_path.write_text("damaged")
    assert keep_all(settings) == first
    assert first[1].raw_path.read_text() != "damaged"
    path = tmp_path / "tables" / "t.parquet"
    with scratch() as connection:
        connection.execute(
            f"create table t as select * replace (quantity + 1 as quantity)"
            f" from read_parquet('{path}')"
        )
        connection.execute(f"copy t to '{path}' (format parquet)")
    assert not {raw.content_hash for raw in keep_all(settings)} & {
        raw.content_hash for raw in first
    }


def test_days_and_settling(tmp_path: Path) -> None:
    settings = make_table(
        tmp_path, split={"by": "day", "time": "time", "settle_days": 1}, query="select * from lines"
    )
    assert names(settings)[:2] == ["shop/2011-09-30", "shop/2011-10-01"]
    (tmp_path / "later").mkdir()
    soon = make_table(
        tmp_path / "later",
        query="select * replace (time + (current_date - date '2011-11-30') * interval 1 day"
        " as time) from lines",
        split={"by": "month", "time": "time", "settle_days": 1},
    )
    assert len(names(soon)) < 4  # the month of today is not over


def test_a_query_joins_files(tmp_path: Path) -> None:
    settings = make_table(
        tmp_path,
        files={"lines": "t.parquet", "more": "u.parquet"},
        query="select lines.*, more.extra from lines left join more using (customer)",
        columns=COLUMNS | {"extra": "text"},
        map=MAP | {"channel": "extra"},
    )
    assert keep_all(settings)[0].raw_path.read_text().endswith(",1.5,x\n")


def test_a_query_reads_nothing_but_its_files(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    settings = make_table(tmp_path, query=f"select * from read_csv('{tmp_path}/secret.csv')")
    with pytest.raises(Exception, match=r"disabled by configuration|is not right"):
        discover(settings)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"query": "select nothing from lines"}, "is not right"),
        ({"query": "selec"}, "is not right"),
        ({"files": {"lines": "absent.parquet"}}, "there is no file absent.parquet"),
    ],
)
def test_wrong_tables_are_configuration(
    tmp_path: Path, source: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        discover(make_table(tmp_path, **source))


@pytest.mark.parametrize(
    "source",
    [
        {"files": {"lines": "../t.parquet"}},
        {"files": {"lines": "/etc/hostname"}},
        {"files": {"lines": "*.parquet"}},
        {"files": {"a; drop": "t.parquet"}},
        {"pattern": "*.csv"},
        {"pattern": "../*.csv", "files": {}, "split": None},
        {"files": {}, "split": None},
        {"files": {"a": "a.parquet", "b": "b.parquet"}},
        {"table": "order"},
        {"map": MAP | {"customr_id": "customer"}},
        {"map": {}},
        {"time_zone": "Europe/Londn"},
        {"known": {"basis": "declared"}},
        {"known": {"basis": "observed", "lag_days": 1}},
        {"known": {"basis": "declared", "at": "2011-01-01", "lag_days": 1}},
        {"columns": COLUMNS | {"quantity": {"type": "integer", "format": "%d"}}},
        {"columns": COLUMNS | {"row_number": "integer"}},
        {"columns": {}},
        {"unknown_setting": 1},
    ],
)
def test_sources_that_cannot_be_are_configuration(tmp_path: Path, source: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as error:
        make_table(tmp_path, **source)
    assert error.value.exit_code == 78


def test_a_symbolic_link_in_place_of_a_table_is_refused(tmp_path: Path) -> None:
    settings = make_table(tmp_path)
    path = tmp_path / "tables" / "t.parquet"
    path.rename(tmp_path / "elsewhere.parquet")
    path.symlink_to(tmp_path / "elsewhere.parquet")
    with pytest.raises(Refused, match="symbolic link"):
        discover(settings)


def test_parts_cut_into_files_are_read_back_as_they_were(tmp_path: Path) -> None:
    from tasks.contracts import CONTRACTS
    from tasks.intake.reading import stage

    settings = make_table(tmp_path)
    paths = cut_parts("shop", settings, tmp_path / "cut")
    assert [path.name for path in paths][:2] == ["2011-09.csv.gz", "2011-10.csv.gz"]
    before = [path.read_bytes() for path in paths]
    assert [p.read_bytes() for p in cut_parts("shop", settings, tmp_path / "cut")] == before
    directory = tmp_path / "files"
    directory.mkdir()
    shop = Shop(directory, time_zone="UTC", text={"number_format": "1234.56"})
    direct = [
        row
        for raw in keep_all(settings)
        for row in rows_of(
            stage(raw, settings.intake.sources["shop"], CONTRACTS["orders"], settings)
        )
    ]
    again = [row for path in paths for row in shop.read(path.read_bytes(), path.name)]
    assert again == direct


def test_a_package_that_is_not_installed_is_configuration(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    declared = {
        "kind": "package",
        "package": "no_such_package",
        "table": "orders",
        "files": {"lines": "data/t.parquet"},
        "columns": COLUMNS,
        "map": MAP,
        "split": {"by": "month", "time": "time"},
    }
    path.write_text(yaml.safe_dump({"intake": {"sources": {"shop": declared}}}))
    with pytest.raises(ConfigurationError, match="no_such_package is not installed"):
        discover(load_settings(path, home=tmp_path))


def make_postgres(directory: Path, **source: Any) -> Settings:
    declared = {
        "kind": "postgres",
        "table": "orders",
        "url_variable": "SHOP_DATABASE_URL",
        "query": "table shop_orders",
        "split": {"by": "month", "time": "time"},
        "columns": COLUMNS,
        "map": MAP,
    }
    path = directory / "postgres.yaml"
    path.write_text(yaml.safe_dump({"intake": {"sources": {"shop": declared | source}}}))
    return load_settings(path, home=directory / "home")


def test_a_database_needs_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make_postgres(tmp_path)
    monkeypatch.delenv("SHOP_DATABASE_URL", raising=False)
    with pytest.raises(ConfigurationError, match="needs the environment variable"):
        discover(settings)


def test_a_database_that_is_down_is_said_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_postgres(tmp_path)
    monkeypatch.setenv("SHOP_DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:1/shop")
    with pytest.raises(ServiceDown) as error:
        discover(settings)
    assert error.value.exit_code == 69
    assert "hunter2" not in str(error.value)


@pytest.mark.flow
def test_a_table_of_postgresql_becomes_months(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.contracts import CONTRACTS
    from tasks.intake.reading import stage
    from tasks.postgres import connect, find_database

    database = find_database(home)
    connection = connect(database)
    with connection, connection.cursor() as cursor:
        cursor.execute("drop table if exists shop_orders")
        cursor.execute(
            'create table shop_orders (customer text, "order" bigint, time timestamptz,'
            " quantity integer, amount numeric(30, 10))"
        )
        cursor.execute(
            "insert into shop_orders values"
            " ('0042', 9007199254740993, '2011-10-31 23:30:00+00', 1, 0.1234567891),"
            " (E'line\\nbreak, \"quoted\"', 2, '2011-11-01 08:00:00+09', -2, 5),"
            " (null, 3, '2011-12-01 00:00:00+00', 3, null)"
        )
    connection.close()
    monkeypatch.setenv("SHOP_DATABASE_URL", database.libpq())
    settings = make_postgres(tmp_path)
    assert names(settings) == ["shop/2011-10", "shop/2011-12"]
    raws = keep_all(settings)
    assert [raw.content_hash for raw in raws] == [raw.content_hash for raw in keep_all(settings)]
    source = settings.intake.sources["shop"]
    rows = [
        row for raw in raws for row in rows_of(stage(raw, source, CONTRACTS["orders"], settings))
    ]
    assert sorted((row["customer_id"] or "", row["order_id"]) for row in rows) == [
        ("", "3"),
        ("0042", "9007199254740993"),
        ('line\nbreak, "quoted"', "2"),
    ]
    with pytest.raises(ConfigurationError, match="refuses the query"):
        discover(make_postgres(tmp_path, query="delete from shop_orders returning *"))


def test_periods_have_their_bounds() -> None:
    assert [str(day) for day in period_bounds("2011-12")] == ["2011-12-01", "2012-01-01"]
    assert [str(day) for day in period_bounds("2012-02-29")] == ["2012-02-29", "2012-03-01"]


def test_pipes_and_folders_are_no_deliveries(shop: Shop) -> None:
    os.mkfifo(shop.folder / "pipe.csv")
    with pytest.raises(Refused, match="no regular file"):
        discover(shop.settings)
