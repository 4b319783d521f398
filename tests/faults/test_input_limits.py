"""Faults 26 to 31: too large, bombs, swapped files, hostile names and hostile text."""

from __future__ import annotations

import csv
import gzip
import struct
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tasks.contracts import CONTRACTS
from tasks.errors import Refused
from tasks.intake.deliveries import check_name, discover
from tasks.intake.raw import keep_raw
from tasks.intake.reading import stage
from tasks.intake.rejection import BatchRejected
from tests.faults.test_input_text import refuse
from tests.intake.shop import COLUMNS, GOOD, HEADER, MAP, Shop, rows_of

pytestmark = pytest.mark.faults


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


# ---------------------------------------------------------------- row 26: limits


def test_a_file_too_large_is_refused_before_it_is_copied(tmp_path: Path) -> None:
    shop = Shop(tmp_path, limits={"maximum_file_mb": 0.0001})
    with pytest.raises(BatchRejected, match="LIMIT"):
        shop.keep(GOOD)
    assert [p for p in (shop.home / "raw").rglob("*") if p.is_file()] == []


def test_too_many_rows(tmp_path: Path) -> None:
    shop = Shop(tmp_path, limits={"maximum_rows": 2})
    assert refuse(shop, GOOD).code == "LIMIT"


def test_a_value_of_three_megabytes(shop: Shop) -> None:
    error = refuse(shop, GOOD.replace("bob", "b" * 3_000_000))
    assert (error.code, error.lines) == ("LIMIT", (3,))


def test_a_line_without_end(shop: Shop) -> None:
    error = refuse(shop, HEADER + "\n" + "x" * 12_000_000)
    assert (error.code, error.lines) == ("LIMIT", (2,))


def test_a_quote_that_swallows_the_file_stays_bounded(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text={"newlines_in_values": True}, limits={"maximum_cell_kb": 10})
    content = HEADER + '\n"open' + GOOD * 5_000
    error = refuse(shop, content)
    assert (error.code, error.lines) == ("MALFORMED", (2,))


def test_ten_thousand_columns(shop: Shop) -> None:
    error = refuse(shop, ",".join(f"c{n}" for n in range(10_000)) + "\n1\n")
    assert (error.code, error.lines) == ("LIMIT", (1,))


# ---------------------------------------------------------------- row 27: bombs and damage


def test_a_gzip_of_zeros(shop: Shop) -> None:
    bomb = gzip.compress(b"0" * 60_000_000)
    assert len(bomb) < 100_000
    assert refuse(shop, bomb).code in ("BOMB", "LIMIT")


def test_a_gzip_of_good_lines_that_never_ends(shop: Shop) -> None:
    bomb = gzip.compress(HEADER.encode() + b"\n" + GOOD.splitlines()[1].encode() * 2_000_000)
    assert refuse(shop, bomb).code in ("BOMB", "LIMIT")
    lines = HEADER.encode() + b"\n" + (GOOD.splitlines()[1] + "\n").encode() * 1_500_000
    assert refuse(shop, gzip.compress(lines)).code == "BOMB"


def test_more_than_may_be_unpacked(tmp_path: Path) -> None:
    shop = Shop(tmp_path, limits={"maximum_unpacked_mb": 0.0001})
    assert refuse(shop, gzip.compress(GOOD.encode())).code == "BOMB"


@pytest.mark.parametrize("cut", [3, 12, 40, -1, -9])
def test_a_gzip_that_is_cut_off_or_damaged(shop: Shop, cut: int) -> None:
    packed = gzip.compress(GOOD.encode())
    assert refuse(shop, packed[:cut]).code in ("MALFORMED", "EMPTY")
    turned = bytearray(packed)
    turned[cut] ^= 0xFF
    with pytest.raises(BatchRejected):
        shop.stage(bytes(turned))


def good_table(rows: int = 3) -> pa.Table:
    return pa.table(
        {
            "customer": [f"c{n}" for n in range(rows)],
            "order": [f"o{n}" for n in range(rows)],
            "time": pa.array([0] * rows, pa.timestamp("us", "UTC")),
            "quantity": [1] * rows,
            "amount": [9.5] * rows,
        }
    )


def write_parquet(path: Path, table: pa.Table, **options: Any) -> bytes:
    pq.write_table(table, path, **options)
    content = path.read_bytes()
    path.unlink()
    return content


def test_a_damaged_parquet(shop: Shop, tmp_path: Path) -> None:
    content = write_parquet(tmp_path / "t", good_table())
    damaged = [
        content[:-4] + b"XXXX",
        content[: len(content) // 2],
        content[:-8] + struct.pack("<I", 1 << 30) + b"PAR1",
        content[:-8] + struct.pack("<I", 0) + b"PAR1",
        content[:-200] + b"\xff" * 100 + content[-100:],
        b"PAR1",
        b"PAR1" * 5,
    ]
    for number, one in enumerate(damaged):
        assert refuse(shop, one, f"d{number}.parquet").code == "MALFORMED"


def test_parquet_that_unpacks_to_far_more(shop: Shop, tmp_path: Path) -> None:
    """A few kilobytes whose one value of 200 kB stands in every one of 200,000 rows: 40 GB."""
    rows = 200_000
    table = good_table(rows).set_column(
        1,
        "order",
        pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["x" * 200_000]),
    )
    content = write_parquet(tmp_path / "t", table, compression="zstd")
    assert len(content) < 2_000_000
    assert refuse(shop, content, "b.parquet").code == "BOMB"


def test_parquet_of_too_many_rows(tmp_path: Path) -> None:
    shop = Shop(tmp_path, limits={"maximum_rows": 2})
    assert refuse(shop, write_parquet(tmp_path / "t", good_table()), "b.parquet").code == "LIMIT"


@pytest.mark.parametrize(
    ("table", "code"),
    [
        pytest.param(good_table(0), "EMPTY", id="no rows"),
        pytest.param(good_table().drop_columns(["amount"]), "SCHEMA", id="a column missing"),
        pytest.param(
            good_table().append_column("amount", pa.array([1, 2, 3])), "SCHEMA", id="doubled"
        ),
        pytest.param(
            good_table().set_column(0, "customer", pa.array([1.0, 2.0, 3.0])),
            "SCHEMA",
            id="identifiers as floats",
        ),
        pytest.param(
            good_table().set_column(4, "amount", pa.array([1.0, float("nan"), 3.0])),
            "NONFINITE",
            id="NaN",
        ),
        pytest.param(
            good_table().set_column(2, "time", pa.array([0, 1, 2], pa.timestamp("us"))),
            "TZ",
            id="times without a zone",
        ),
        pytest.param(
            good_table().set_column(3, "quantity", pa.array(["1", "2", "1,5"])),
            "FORMAT",
            id="text where numbers were",
        ),
    ],
)
def test_parquet_that_is_not_as_declared(
    shop: Shop, tmp_path: Path, table: pa.Table, code: str
) -> None:
    error = refuse(shop, write_parquet(tmp_path / "t", table), "b.parquet")
    assert error.code == code


def test_identifiers_beyond_a_float_stay_exact_in_parquet(shop: Shop, tmp_path: Path) -> None:
    table = good_table().set_column(0, "customer", pa.array([2**53 + 1, 7, -1]))
    rows = shop.read(write_parquet(tmp_path / "t", table), "b.parquet")
    assert [row["customer_id"] for row in rows] == ["9007199254740993", "7", "-1"]


# ---------------------------------------------------------------- row 29: swapped files


def test_what_is_read_is_what_was_kept(shop: Shop) -> None:
    path = shop.deliver(GOOD, "a.csv")
    [delivery] = discover(shop.settings)
    raw = keep_raw(delivery, shop.settings)
    path.write_text(GOOD.replace("9.50", "999"))
    staged = stage(raw, shop.source, CONTRACTS["orders"], shop.settings)
    assert staged.raw.content_hash == raw.content_hash
    assert staged.raw.raw_path.read_text() == GOOD


# ---------------------------------------------------------------- row 30: names


@pytest.mark.parametrize(
    "name",
    [
        "b*.csv",
        "a b.csv",
        "a\nb.csv",
        "a'b.csv",
        "ä.csv",
        "[a].csv",
        "x" * 101 + ".csv",
        "$(id).csv",
    ],
)
def test_a_hostile_file_name_is_refused(shop: Shop, name: str) -> None:
    (shop.folder / name).write_text(GOOD)
    with pytest.raises(Refused) as error:
        discover(shop.settings)
    assert error.value.exit_code == 77
    assert "\n" not in error.value.what


def test_links_are_refused(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text(GOOD)
    (shop.folder / "a.csv").symlink_to(tmp_path / "real.csv")
    with pytest.raises(Refused, match="symbolic link"):
        discover(shop.settings)


@given(st.text(max_size=130))
def test_a_name_is_plain_or_refused(part: str) -> None:
    plain = (
        0 < len(part) <= 100
        and all(c.isascii() and (c.isalnum() or c in "._-") for c in part)
        and part.strip(".") != ""
    )
    try:
        check_name(f"shop/{part}")
    except Refused:
        assert not plain
    else:
        assert plain


# ---------------------------------------------------------------- row 31: SQL in names and values

PAYLOADS = [
    'x"; drop table orders; --',
    "x' or '1'='1",
    "{{7*7}}",
    "!!python/object/apply:os.system ['id']",
    "$lines_path",
    "{records}",
    "'); copy (select 1) to '/tmp/owned.csv'; --",
    "read_text('/etc/hostname')",
    "<script>alert(1)</script>",
    "%s%s%n",
    "=cmd|' /C calc'!A0",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_sql_in_a_value_stays_text(shop: Shop, payload: str) -> None:
    quoted = '"' + payload.replace('"', '""') + '"'
    rows = shop.read(GOOD.replace("ann", quoted).replace("o2", quoted))
    assert [row["customer_id"] for row in rows] == [payload, "bob", "cid"]
    assert rows[1]["order_id"] == payload


@pytest.mark.parametrize("payload", PAYLOADS)
def test_sql_in_an_undeclared_column_name_is_dropped(shop: Shop, payload: str) -> None:
    quoted = '"' + payload.replace('"', '""') + '"'
    lines = GOOD.splitlines()
    content = "\n".join([f"{lines[0]},{quoted}"] + [f"{line},x" for line in lines[1:]]) + "\n"
    assert len(shop.read(content)) == 3


@pytest.mark.parametrize("payload", PAYLOADS)
def test_sql_in_a_declared_column_name_is_a_name(tmp_path: Path, payload: str) -> None:
    columns = {(payload if key == "customer" else key): kind for key, kind in COLUMNS.items()}
    name = '"' + payload.replace('"', '""') + '"'
    shop = Shop(tmp_path, columns=columns, map=MAP | {"customer_id": name})
    content = GOOD.replace("customer", name, 1)
    assert [row["customer_id"] for row in shop.read(content)] == ["ann", "bob", "cid"]


# ---------------------------------------------------------------- any good file, broken anywhere


def mutate(content: bytes, kind: str, at: int, piece: bytes) -> bytes:
    at %= len(content) + 1
    if kind == "insert":
        return content[:at] + piece + content[at:]
    if kind == "replace":
        return content[:at] + piece + content[at + len(piece) :]
    if kind == "delete":
        return content[:at] + content[at + len(piece) :]
    if kind == "truncate":
        return content[:at]
    lines = content.splitlines(keepends=True)
    line = at % len(lines)
    if kind == "repeat line":
        return b"".join(lines[: line + 1] + lines[line:])
    return b"".join(lines[:line] + lines[line + 1 :])


PIECES = [b'"', b",", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xc3\xa4", b";", b" ", b"-", b"e",
          b"NaN", b"1,5", b"''", b"\t", b"999", b".", b'""', b"\xef\xbb\xbf"]  # fmt: skip


@pytest.fixture(scope="module")
def mutated(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("mutated"))


@hypothesis_settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    kind=st.sampled_from(["insert", "replace", "delete", "truncate", "repeat line", "drop line"]),
    at=st.integers(0, 400),
    piece=st.sampled_from(PIECES),
)
def test_a_mutated_file_is_refused_by_name_or_read_line_by_line(
    mutated: Shop, kind: str, at: int, piece: bytes
) -> None:
    """Accepted changes are those that leave a well-formed file: then each line is one row.

    Python's own strict reader, over each line by itself, is the judge of what a line says.
    """
    content = mutate(GOOD.encode(), kind, at, piece)
    path = mutated.deliver(content, "m.csv")
    [delivery] = discover(mutated.settings)
    try:
        raw = keep_raw(delivery, mutated.settings)
        staged = stage(raw, mutated.source, CONTRACTS["orders"], mutated.settings)
    except BatchRejected:
        return
    finally:
        path.unlink()
    text = content.decode().removeprefix("\ufeff").replace("\r\n", "\n")
    lines = text.rstrip("\n").split("\n")
    header = next(csv.reader([lines[0]], strict=True))
    expected = [
        dict(zip(header, next(csv.reader([line], strict=True)), strict=True)) for line in lines[1:]
    ]
    rows = rows_of(staged)
    assert [row["customer_id"] or "" for row in rows] == [row["customer"] for row in expected]
    assert [row["order_id"] or "" for row in rows] == [row["order"] for row in expected]
    assert [float(row["net_amount"]) if row["net_amount"] is not None else "" for row in rows] == [
        round(float(row["amount"]), 4) if row["amount"] else "" for row in expected
    ]
    assert [row["row_number"] for row in rows] == list(range(2, len(lines) + 1))
