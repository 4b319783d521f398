"""Refused rows go out as CSV and come back: nothing else of the file changes by a byte."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import UsageError
from tasks.intake.corrections import (
    Correction,
    _rewrite_parquet,
    _rewrite_text,
    guard,
    unguard,
)
from tests.intake.shop import Shop


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_what_a_spreadsheet_could_run_is_guarded_and_comes_back_exactly(text: str) -> None:
    assert unguard(guard(text)) == text


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "'=1"])
def test_a_formula_is_guarded(text: str) -> None:
    assert guard(text) == "'" + text


@pytest.mark.parametrize("text", ["-9.50", "+3", "1e5", "ann", "2011-10-03", ""])
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert guard(text) == text


def rewrite(tmp_path: Path, raw: bytes, corrections: list[Correction], **source: Any) -> bytes:
    shop = Shop(tmp_path, **source)
    before, after = tmp_path / "before", tmp_path / "after"
    before.write_bytes(raw)
    header = ("customer", "order", "time", "quantity", "amount")
    _rewrite_text(before, after, {c.row_number: c for c in corrections}, shop.source, header)
    return after.read_bytes()


def test_only_the_corrected_line_changes(tmp_path: Path) -> None:
    raw = b"customer,order,time,quantity,amount\r\nann,1,t,1,2\r\nbob,2,t,1,\xff\r\nlast,3,t,1,2"
    found = rewrite(tmp_path, raw, [Correction(2, None, {"customer": 'A "nn", B'})])
    assert found == raw.replace(b"ann,", b'"A ""nn"", B",')


def test_a_packed_file_is_packed_again_and_a_quoted_end_of_line_is_one_record(
    tmp_path: Path,
) -> None:
    raw = b'customer,order,time,quantity,amount\n"an\nn",1,t,1,2\nbob,2,t,1,3\n'
    found = rewrite(
        tmp_path,
        gzip.compress(raw),
        [Correction(2, "ann,1,t,1,2", {}, lines=2)],
        text={"newlines_in_values": True},
    )
    assert gzip.decompress(found) == raw.replace(b'"an\nn"', b"ann")


def test_tabs_stay_tabs(tmp_path: Path) -> None:
    raw = b"customer\torder\ttime\tquantity\tamount\nann\t1\tt\t1\t2,5\n"
    found = rewrite(tmp_path, raw, [Correction(2, None, {"customer": "zoe"})])
    assert found == raw.replace(b"ann", b"zoe")


def test_a_row_of_a_parquet_file_keeps_the_types(tmp_path: Path) -> None:
    table = pa.table(
        {"customer": ["ann", None, "cid"], "amount": pa.array([1.5, 2.5, 3.5], pa.float64())}
    )
    before, after = tmp_path / "before.parquet", tmp_path / "after.parquet"
    pq.write_table(table, before)
    _rewrite_parquet(before, after, {2: Correction(2, None, {"customer": "bob", "amount": "4"})})
    found = pq.read_table(after)
    assert found.schema.equals(table.schema)
    assert found.to_pylist() == [
        {"customer": "ann", "amount": 1.5},
        {"customer": "bob", "amount": 4.0},
        {"customer": "cid", "amount": 3.5},
    ]
    with pytest.raises(UsageError, match="'amount' is a column of double"):
        _rewrite_parquet(before, tmp_path / "x", {1: Correction(1, None, {"amount": "four"})})
    with pytest.raises(UsageError, match="not the JSON object it was"):
        _rewrite_parquet(before, tmp_path / "y", {1: Correction(1, "[1]", {})})


def test_an_exported_file_is_plain_csv(tmp_path: Path) -> None:
    # What csv writes and reads back is what was guarded, with lines and quotes inside.
    cells = ["=1", 'say "hi"', "two\nlines", "a,b", "'x"]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([guard(cell) for cell in cells])
    [row] = list(csv.reader(io.StringIO(text.getvalue())))
    assert [unguard(cell) for cell in row] == cells


def test_rows_after_a_record_of_several_lines_keep_their_numbers(tmp_path: Path) -> None:
    raw = b'customer,order,time,quantity,amount\n"an\nn",1,t,1,2\nbob,2,t,1,3\ncid,3,t,1,4\n'
    corrections = [
        Correction(2, None, {"customer": "ann"}, lines=2),
        Correction(4, None, {"amount": "9"}),
    ]
    found = rewrite(tmp_path, raw, corrections, text={"newlines_in_values": True})
    assert found == raw.replace(b'"an\nn"', b"ann").replace(b"t,1,3", b"t,1,9")


def test_a_quote_that_was_never_closed_takes_no_other_line_with_it(tmp_path: Path) -> None:
    raw = b'customer,order,time,quantity,amount\n"ann,1,t,1,2\nbob,2,t,1,3\ncid,3,t,1,4\n'
    found = rewrite(tmp_path, raw, [Correction(2, "ann,1,t,1,2", {})])
    assert found == raw.replace(b'"ann', b"ann")


def test_a_text_that_the_delivery_cannot_hold_is_a_mistake_of_the_file(tmp_path: Path) -> None:
    raw = b"customer,order,time,quantity,amount\nann,1,t,1,2\n"
    with pytest.raises(UsageError, match=r"Row 2: .* latin-1"):
        rewrite(
            tmp_path,
            raw,
            [Correction(2, None, {"customer": "Łukasz"})],
            text={"encoding": "latin-1"},
        )
