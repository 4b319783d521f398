"""What strict reading makes of a file that is as declared."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tasks.contracts import CONTRACTS
from tasks.errors import ConfigurationError, StoredDataCorrupt
from tasks.intake.lines import field_pattern, line_pattern, split_line
from tasks.intake.reading import stage
from tasks.warehouse import Connection, scratch
from tests.intake.shop import COLUMNS, GOOD, HEADER, MAP, Shop, rows_of


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_a_good_file_becomes_typed_rows_with_their_lines(shop: Shop) -> None:
    staged = shop.stage(GOOD)
    rows = rows_of(staged)
    assert staged.received_rows == len(rows) == 3
    assert staged.known_basis == "observed"
    assert rows[2] == {
        "customer_id": "cid",
        "order_id": "o3",
        "line_id": None,
        "ordered_at": datetime(2011, 10, 4, 9, 30, tzinfo=UTC),
        "product_id": None,
        "category": None,
        "channel": None,
        "quantity": Decimal("-1.0000"),
        "net_amount": Decimal("-9.5000"),
        "discount_amount": None,
        "currency": "EUR",
        "is_return": True,
        "row_number": 4,
        "raw_line": "cid,o3,2011-10-04T09:30:00Z,-1,-9.50",
        "received_at": None,
    }
    assert not [path for path in shop.staged_files() if path.name.startswith(".")]


def test_the_staged_columns_have_the_types_of_the_contract(shop: Shop) -> None:
    staged = shop.stage(GOOD)
    with scratch() as connection:
        described = connection.rows(
            "describe select * from read_parquet($path)", {"path": str(staged.staged_path)}
        )
    found = {row["column_name"]: row["column_type"] for row in described}
    expected = {
        column.name: column.type.replace("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE")
        for column in CONTRACTS["orders"].columns
    }
    assert found == expected | {
        "row_number": "BIGINT",
        "raw_line": "VARCHAR",
        "received_at": "TIMESTAMP WITH TIME ZONE",
    }


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(GOOD.encode(), id="plain"),
        pytest.param(b"\xef\xbb\xbf" + GOOD.encode(), id="byte order mark"),
        pytest.param(GOOD.replace("\n", "\r\n").encode(), id="CR LF"),
        pytest.param(GOOD.rstrip("\n").encode(), id="no end of line at the end"),
        pytest.param(GOOD.encode() + b"\n\n\n", id="blank lines at the end"),
        pytest.param(gzip.compress(GOOD.encode()), id="gzip"),
        pytest.param(
            gzip.compress(GOOD.encode()[:40]) + gzip.compress(GOOD.encode()[40:]), id="two members"
        ),
        pytest.param(GOOD.replace("ann", '"ann"').encode(), id="quoted"),
    ],
)
def test_harmless_differences_of_form_give_the_same_rows(shop: Shop, content: bytes) -> None:
    def essence(rows: list[dict[str, object]]) -> list[dict[str, object]]:
        return [{k: v for k, v in row.items() if k != "raw_line"} for row in rows]

    assert essence(shop.read(content)) == essence(shop.read(GOOD, "good.csv"))


def test_a_missing_end_of_line_is_noted_and_can_be_refused(tmp_path: Path) -> None:
    lenient, strict = tmp_path / "a", tmp_path / "b"
    lenient.mkdir()
    strict.mkdir()
    cut = GOOD.rstrip("\n")
    assert Shop(lenient).stage(cut).notes == ("the last line has no end of line",)
    with pytest.raises(Exception, match="MALFORMED: the last line does not end"):
        Shop(strict, text={"final_newline": "required"}).stage(cut)


def test_tabs_follow_from_the_name(shop: Shop) -> None:
    assert len(shop.read(GOOD.replace(",", "\t"), "t.tsv")) == 3
    assert len(shop.read(gzip.compress(GOOD.replace(",", "\t").encode()), "u.tsv.gz")) == 3


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "cp949"])
def test_other_encodings_are_read_as_declared(tmp_path: Path, encoding: str) -> None:
    shop = Shop(tmp_path, text={"encoding": encoding})
    name = "김철수" if encoding == "cp949" else "Zoë"
    assert shop.read(GOOD.replace("ann", name).encode(encoding))[0]["customer_id"] == name


def test_values_over_several_lines_only_where_declared(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text={"newlines_in_values": True})
    rows = shop.read(
        f'{HEADER}\nann,"o\n\n1",2011-10-03T12:00:00Z,1,9.50\n"b ""x""",o2,2011-10-03T12:00Z,1,1\n'
    )
    assert [(r["row_number"], r["customer_id"], r["order_id"]) for r in rows] == [
        (2, "ann", "o\n\n1"),
        (5, 'b "x"', "o2"),
    ]


def test_texts_that_mean_missing(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text={"missing": ["", "NA", "-"]})
    rows = shop.read(f"{HEADER}\nNA,o1,2011-10-03T12:00Z,1,-\n,o2,2011-10-03T12:00Z,,1\n")
    assert [(r["customer_id"], r["net_amount"], r["quantity"]) for r in rows] == [
        (None, None, Decimal(1)),
        (None, Decimal(1), None),
    ]


def test_rows_without_a_required_value_are_kept_for_validation(shop: Shop) -> None:
    rows = shop.read(f"{HEADER}\n,o1,2011-10-03T12:00Z,1,1\nann,o2,,1,1\n")
    assert [(r["customer_id"], r["ordered_at"] is None) for r in rows] == [
        (None, False),
        ("ann", True),
    ]


def test_a_declared_backfill_says_when_each_row_was_known(tmp_path: Path) -> None:
    shop = Shop(tmp_path, known={"basis": "declared", "lag_days": 1.5})
    staged = shop.stage(GOOD)
    assert staged.known_basis == "declared"
    assert staged.declared_lag_days == 1.5
    assert rows_of(staged)[0]["received_at"] == datetime(2011, 10, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("known", "name", "expected"),
    [
        ({"basis": "declared", "at": "2011-01-05"}, "x.csv", datetime(2011, 1, 5, tzinfo=UTC)),
        (
            {"basis": "declared", "at": "period_end"},
            "2011-10.csv",
            datetime(2011, 11, 1, tzinfo=UTC),
        ),
        (
            {"basis": "declared", "at": "period_end", "lag_days": 2},
            "2011-12-31.csv",
            datetime(2012, 1, 3, tzinfo=UTC),
        ),
    ],
)
def test_a_backfill_may_be_known_at_its_batch_own_date(
    tmp_path: Path, known: dict[str, object], name: str, expected: datetime
) -> None:
    rows = Shop(tmp_path, known=known).read(GOOD, name)
    assert {row["received_at"] for row in rows} == {expected}


def test_a_period_needs_a_name_that_is_one(tmp_path: Path) -> None:
    shop = Shop(tmp_path, known={"basis": "declared", "at": "period_end"})
    with pytest.raises(ConfigurationError, match="needs a name such as 2011-10"):
        shop.stage(GOOD, "october.csv")


def test_our_copy_is_verified_before_it_is_read(shop: Shop) -> None:
    raw = shop.keep(GOOD)
    raw.raw_path.chmod(0o600)
    raw.raw_path.write_text(GOOD.replace("9.50", "9.51"))
    with pytest.raises(StoredDataCorrupt, match="has changed"):
        stage(raw, shop.source, CONTRACTS["orders"], shop.settings)


def test_an_expression_that_makes_or_drops_rows_is_configuration(tmp_path: Path) -> None:
    shop = Shop(tmp_path, map=MAP | {"quantity": "unnest([1, 2])"})
    with pytest.raises(ConfigurationError):
        shop.stage(GOOD)


@pytest.mark.parametrize(
    "expression",
    ["quantiy", "quantity, 1", "quantity); drop table x; select (1", "count(*)", "quantity +"],
)
def test_a_wrong_expression_is_configuration(tmp_path: Path, expression: str) -> None:
    shop = Shop(tmp_path, map=MAP | {"quantity": expression})
    with pytest.raises(ConfigurationError):
        shop.stage(GOOD)
    assert shop.staged_files() == []


def test_an_expression_reaches_no_file(tmp_path: Path) -> None:
    shop = Shop(tmp_path, map=MAP | {"channel": "(select content from read_text('/etc/hostname'))"})
    with pytest.raises(Exception, match=r"disabled by configuration|is not right"):
        shop.stage(GOOD)


def test_parquet_rows_are_the_same_as_those_of_text(shop: Shop) -> None:
    path = shop.folder / "p.parquet"
    with scratch() as connection:
        connection.execute(
            "copy (select * from (values"
            " ('ann', 'o1', timestamptz '2011-10-03 12:00:00+00', 1, 9.5::double),"
            " ('bob', 'o2', timestamptz '2011-10-03 13:00:00+00', 2, 19.25),"
            " ('cid', 'o3', timestamptz '2011-10-04 09:30:00+00', -1, -9.5))"
            f" as t(customer, \"order\", time, quantity, amount)) to '{path}' (format parquet)"
        )
    content = path.read_bytes()
    path.unlink()
    text = shop.read(GOOD)
    rows = shop.read(content, "p.parquet")
    drop = {"raw_line", "row_number"}
    assert [{k: v for k, v in r.items() if k not in drop} for r in rows] == [
        {k: v for k, v in r.items() if k not in drop} for r in text
    ]
    assert [row["row_number"] for row in rows] == [1, 2, 3]
    assert '"customer":"ann"' in rows[0]["raw_line"]


fields = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs",)), max_size=8
)


@hypothesis_settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(fields, min_size=1, max_size=6), st.sampled_from([",", ";", "\t", "|"]))
def test_a_written_line_is_split_as_it_was_written(values: list[str], delimiter: str) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow(values)
    assert split_line(text.getvalue(), delimiter) == values


@pytest.mark.sql
@hypothesis_settings(max_examples=100, deadline=None)
@given(st.lists(st.text('ab",;\n', max_size=12), min_size=1, max_size=20))
def test_sql_splits_lines_as_python_does(lines: list[str]) -> None:
    from pathlib import Path as P

    sql = Connection.text(P("tasks/intake/sql/text_records.sql").resolve()).replace(
        "from read_parquet($lines_path)",
        "from (select unnest($lines) as raw_line, 1 as row_number)",
    )
    with scratch() as connection:
        found = connection.rows(
            sql,
            {
                "lines": lines,
                "delimiter": ",",
                "line_pattern": line_pattern(","),
                "field_pattern": field_pattern(","),
            },
        )
    for row in found:
        line = row["raw_line"]
        assert row["fields"] == split_line(line, ","), line


def test_every_delivered_column_is_declared_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="differ only in upper and lower case"):
        Shop(tmp_path, columns=COLUMNS | {"Customer": "text"})
