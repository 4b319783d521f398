"""No text of an export is a formula; no number is changed."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import DiskFailure
from tasks.exports import escape_formulas, hash_file, put_in_place, write_files

SCHEMA = pa.schema(
    [("customer_id", pa.string()), ("amount", pa.decimal128(18, 4)), ("share", pa.float64())]
)
TRIGGERS = "=+-@＝＋－＠"
ALPHABET = st.sampled_from([*TRIGGERS, *"\t\r\n \x0b\x0c;,\"'|a0한", "\x00", "cmd"])


def escape(text: str) -> str:
    escaped: str = escape_formulas(pa.array([text]))[0].as_py()
    return escaped


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet could take any line or part of the cell for a formula."""
    if cell[:1] in ("\t", "\r", "\n", "\x00"):
        return True
    for separator in ("\r", ";", "\t"):
        cell = cell.replace(separator, "\n")
    return any(part.strip(" \t\x0b\x0c")[:1] in tuple(TRIGGERS) for part in cell.split("\n"))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", "plain"),
        ("=1+1", "'=1+1"),
        ("+82 10 1234", "'+82 10 1234"),
        ("-5", "'-5"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t'=1"),
        ("\rx", "'\rx"),
        ("  =1", "'  =1"),
        ("a\n=1", "a\n'=1"),
        ("a\r\n@x", "a\r\n'@x"),
        ("a;=1", "a;'=1"),
        ("＝1", "'＝1"),
        ("a=b", "a=b"),
        ("a - b", "a - b"),
        ("", ""),
    ],
)
def test_table_of_texts(text: str, written: str) -> None:
    assert escape(text) == written


@given(st.lists(ALPHABET, max_size=12).map("".join))
def test_no_text_is_a_formula(text: str) -> None:
    escaped = escape(text)
    assert not is_formula(escaped), repr(escaped)
    assert escaped.replace("'", "") == text.replace("'", "")
    if not is_formula(text):
        assert escaped == text


@given(st.lists(st.lists(ALPHABET, max_size=8).map("".join), min_size=1, max_size=5))
def test_csv_reads_back_without_formulas(texts: list[str]) -> None:
    sink = io.BytesIO()
    schema = pa.schema([("customer_id", pa.string())])
    with pyarrow.csv.CSVWriter(sink, schema) as writer:
        writer.write_table(pa.table({"customer_id": escape_formulas(pa.array(texts))}))
    rows = list(csv.reader(io.StringIO(sink.getvalue().decode(), newline="")))
    assert [row[0] if row else "" for row in rows[1:]] == [escape(text) for text in texts]


def make_batch() -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [
            pa.array(["=cmd|'/c calc'!A0", "-1", None, '한국 "a", b']),
            pa.array([Decimal("-12.5000"), Decimal("3.0001"), None, Decimal("0")], SCHEMA[1].type),
            pa.array([-0.25, 1e-17, None, 0.1]),
        ],
        schema=SCHEMA,
    )


def test_numbers_are_not_altered_and_texts_are_escaped(tmp_path: Path) -> None:
    files = write_files([make_batch()], SCHEMA, tmp_path, "scores", byte_order_mark=True)
    for file in files:
        put_in_place(file)
        assert hash_file(file.path) == file.sha256
    raw = (tmp_path / "scores.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    assert rows[0] == ["customer_id", "amount", "share"]
    assert rows[1] == ["'=cmd|'/c calc'!A0", "-12.5000", "-0.25"]
    assert rows[2] == ["'-1", "3.0001", "1e-17"]
    assert rows[3] == ["", "", ""]
    assert rows[4][0] == '한국 "a", b'
    table = pa.parquet.read_table(tmp_path / "scores.parquet")
    assert table["customer_id"].to_pylist()[0] == "=cmd|'/c calc'!A0"
    assert table.schema.equals(SCHEMA)


def test_same_rows_same_bytes_however_batched(tmp_path: Path) -> None:
    whole = make_batch()
    halves = [whole.slice(0, 2), whole.slice(2)]
    one = write_files([whole], SCHEMA, tmp_path / "a", "scores", byte_order_mark=False)
    two = write_files(halves, SCHEMA, tmp_path / "b", "scores", byte_order_mark=False)
    assert one[0].sha256 == two[0].sha256


def test_nothing_has_the_final_name_before_it_is_whole(tmp_path: Path) -> None:
    write_files([make_batch()], SCHEMA, tmp_path, "scores", byte_order_mark=False)
    assert not (tmp_path / "scores.csv").exists()
    (tmp_path / ".scores.csv.999999999.partial").write_text("half")
    write_files([make_batch()], SCHEMA, tmp_path, "scores", byte_order_mark=False)
    assert not (tmp_path / ".scores.csv.999999999.partial").exists()


@pytest.mark.faults(39)
def test_a_full_disk_is_a_disk_failure_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tasks.exports.os.fsync", fail)
    with pytest.raises(DiskFailure, match="No space left"):
        write_files([make_batch()], SCHEMA, tmp_path, "scores", byte_order_mark=False)
    assert list(tmp_path.iterdir()) == []
