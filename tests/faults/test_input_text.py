"""Faults of delivered text, rows 1 to 10 and 13: each a named rejection, never a half load."""

from __future__ import annotations

import gzip
import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from tasks.intake.rejection import BatchRejected
from tests.intake.shop import COLUMNS, GOOD, HEADER, MAP, Shop

pytestmark = pytest.mark.faults

LINES = GOOD.splitlines()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def refuse(shop: Shop, content: str | bytes, name: str = "") -> BatchRejected:
    """The rejection of a delivery, which has left its raw bytes and nothing else."""
    with pytest.raises(BatchRejected) as rejection:
        shop.stage(content, name)
    error = rejection.value
    assert error.exit_code == 65
    assert error.next_step
    assert "\n" not in error.problem
    assert shop.staged_files() == []
    # Customers are personal: no message names one.
    assert not re.search(r"\b(ann|bob|cid)\b", str(error))
    return error


def replaced(line: int, old: str, new: str) -> str:
    """The good file with a text replaced in one line (header = 1)."""
    lines = list(LINES)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- row 1: malformed


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        pytest.param(replaced(3, ",2,", ","), (3,), id="a field too few"),
        pytest.param(replaced(3, ",2,", ",2,,"), (3,), id="a field too many"),
        pytest.param(replaced(4, "cid,o3,2011-10-04T09:30:00Z,-1,", ""), (4,), id="one field"),
        pytest.param(replaced(2, "ann", '"ann'), (2,), id="a quote left open"),
        pytest.param(replaced(2, "ann", 'a"nn'), (2,), id="a quote inside"),
        pytest.param(replaced(2, "ann", '"ann"x'), (2,), id="text after the quote"),
        pytest.param(replaced(3, "bob", '"b\nob"'), (3, 4), id="an end of line in a quote"),
        pytest.param(GOOD.replace("\nbob", "\n\nbob"), (3,), id="a blank line"),
        pytest.param(GOOD.replace("bob", "bo\rb"), (3,), id="a carriage return"),
        pytest.param(GOOD.replace("\n", "\r"), (1,), id="only carriage returns"),
        pytest.param(replaced(1, "customer", '"customer'), (1,), id="a quote in the header"),
        pytest.param(GOOD.replace(",", ";").replace(";quan", ",quan"), (1,), id="two delimiters"),
    ],
)
def test_malformed(shop: Shop, content: str, lines: tuple[int, ...]) -> None:
    error = refuse(shop, content)
    assert error.code in ("MALFORMED", "SCHEMA")
    assert error.lines == lines


def test_another_delimiter_is_no_file_of_one_column(shop: Shop) -> None:
    error = refuse(shop, GOOD.replace(",", ";"))
    assert error.code == "SCHEMA"
    assert "'customer'" in error.problem


def test_an_open_quote_over_lines_is_found_where_it_opens(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text={"newlines_in_values": True})
    error = refuse(shop, replaced(3, "bob", '"bob'))
    assert (error.code, error.lines) == ("MALFORMED", (3,))


def test_only_the_first_lines_are_named_and_all_counted(shop: Shop) -> None:
    error = refuse(shop, HEADER + "\n" + "x\n" * 1_000)
    assert (error.code, error.lines, error.count) == ("MALFORMED", (2, 3, 4, 5, 6), 1_000)
    assert "lines 2, 3, 4, 5, 6 and 995 more" in str(error)


# ---------------------------------------------------------------- row 2: empty


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\xef\xbb\xbf",
        HEADER.encode(),
        HEADER.encode() + b"\n\n",
        gzip.compress(b"", mtime=0),
    ],
)
def test_empty(shop: Shop, content: bytes) -> None:
    assert refuse(shop, content).code == "EMPTY"


# ---------------------------------------------------------------- row 3: encoding


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (GOOD.replace("bob", "b\xf6b").encode("latin-1"), len(LINES[0]) + len(LINES[1]) + 3),
        (b"\xef\xbb\xbf" + GOOD.encode() + b"\xff", 3 + len(GOOD)),
        (GOOD.replace("bob", "b\0b").encode(), len(LINES[0]) + len(LINES[1]) + 3),
        (GOOD.encode("utf-16"), 0),
        (GOOD.encode("utf-16-le"), 1),
    ],
)
def test_encoding(shop: Shop, content: bytes, place: int) -> None:
    error = refuse(shop, content)
    assert error.code == "ENCODING"
    assert f"byte {place}" in error.found


@pytest.mark.parametrize("encoding", ["utf-16", "cp949", "shift_jis"])
def test_half_a_character_at_the_end(tmp_path: Path, encoding: str) -> None:
    shop = Shop(tmp_path, text={"encoding": encoding})
    assert refuse(shop, GOOD.encode(encoding) + b"\x81").code == "ENCODING"


def test_the_place_is_right_beyond_the_first_block(shop: Shop) -> None:
    good = HEADER + "\n" + "ann,o1,2011-10-03T12:00:00Z,1,9.50\n" * 200_000
    error = refuse(shop, good.encode() + b"\xff\n")
    assert error.lines == (200_002,)
    assert f"byte {len(good):,}" in error.found


# ---------------------------------------------------------------- rows 4 and 5: columns


@pytest.mark.parametrize("dropped", range(5))
def test_a_missing_column_is_named(shop: Shop, dropped: int) -> None:
    rows = [line.split(",") for line in LINES]
    name = rows[0][dropped]
    content = "\n".join(",".join(r[:dropped] + r[dropped + 1 :]) for r in rows) + "\n"
    error = refuse(shop, content)
    assert (error.code, error.column) == ("SCHEMA", name)


def test_a_renamed_column_is_met_with_the_nearest_name(shop: Shop) -> None:
    error = refuse(shop, GOOD.replace("quantity", "Quantity "))
    assert error.code == "SCHEMA"
    assert "missing: 'quantity' (is it 'Quantity '?)" in error.problem


def test_a_doubled_column_is_refused(shop: Shop) -> None:
    content = "\n".join(f"{line},{line.split(',')[-1]}" for line in LINES) + "\n"
    error = refuse(shop, content)
    assert (error.code, error.column) == ("SCHEMA", "amount")


def test_reordered_columns_give_the_same_rows(shop: Shop) -> None:
    def essence(content: str) -> list[dict[str, Any]]:
        return [{k: v for k, v in row.items() if k != "raw_line"} for row in shop.read(content)]

    rows = [line.split(",") for line in LINES]
    expected = essence(GOOD)
    for order in list(itertools.permutations(range(5)))[1::23]:
        assert essence("\n".join(",".join(r[i] for i in order) for r in rows) + "\n") == expected


def test_an_extra_column_is_dropped_with_a_note_or_refused(tmp_path: Path) -> None:
    content = "\n".join(f"{line},e{n}" for n, line in enumerate(LINES)) + "\n"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    staged = Shop(tmp_path / "a").stage(content)
    assert staged.notes == ("dropped columns that are not declared: 'e0'",)
    error = refuse(Shop(tmp_path / "b", extra_columns="reject"), content)
    assert (error.code, error.problem) == ("SCHEMA", "not declared: 'e0'")


# ---------------------------------------------------------------- row 6: a late change of type


@pytest.mark.parametrize(
    ("bad", "column"),
    [
        ("ann,o1,2011-10-03T12:00:00Z,one,9.50", "quantity"),
        ("ann,o1,2011-10-03T12:00:00Z,1.5,9.50", "quantity"),
        ("ann,o1,2011-10-03T12:00:00Z,1,free", "amount"),
        ("ann,o1,yesterday,1,9.50", "time"),
        ("ann,o1,2011-02-30T00:00:00Z,1,9.50", "time"),
    ],
)
def test_a_type_that_changes_at_row_50_001(shop: Shop, bad: str, column: str) -> None:
    content = HEADER + "\n" + (LINES[1] + "\n") * 50_000 + bad + "\n"
    error = refuse(shop, content)
    assert (error.code, error.lines, error.count) == ("TYPE", (50_002,), 1)
    assert error.column == column


# ---------------------------------------------------------------- row 7: another notation


@pytest.mark.parametrize(
    ("content", "column"),
    [
        (replaced(2, "9.50", '"1,50"'), "amount"),
        (replaced(2, "9.50", '"1.000,50"'), "amount"),
        (replaced(2, "9.50", '"1,000.50"'), "amount"),
        (replaced(2, "9.50", "1 000"), "amount"),
        (replaced(2, ",1,", ',"1,000",'), "quantity"),
        (replaced(2, "2011-10-03T12:00:00Z", "03/04/2011"), "time"),
        (replaced(2, "2011-10-03T12:00:00Z", "2011/10/03 12:00"), "time"),
        (replaced(2, "2011-10-03T12:00:00Z", "20111003"), "time"),
    ],
)
def test_another_notation(shop: Shop, content: str, column: str) -> None:
    error = refuse(shop, content)
    assert (error.code, error.column, error.lines) == ("FORMAT", column, (2,))


def test_numbers_of_two_readings_need_a_declaration(tmp_path: Path) -> None:
    content = GOOD.replace("19.25", "2.000").replace("9.50", "1.000")
    (tmp_path / "a").mkdir()
    error = refuse(Shop(tmp_path / "a"), content)
    assert (error.code, error.column, error.count) == ("FORMAT", "amount", 3)
    for form, amount in (("1234.56", 1), ("1.234,56", 1000)):
        directory = tmp_path / form
        directory.mkdir()
        rows = Shop(directory, text={"number_format": form}).read(content)
        assert rows[0]["net_amount"] == amount


def test_days_and_months_as_declared(tmp_path: Path) -> None:
    content = f"{HEADER}\nann,o1,03/04/2011,1,9.50\n"
    for number, (form, month) in enumerate((("%d/%m/%Y", 4), ("%m/%d/%Y", 3))):
        directory = tmp_path / str(number)
        directory.mkdir()
        columns = COLUMNS | {"time": {"type": "timestamp", "format": form}}
        rows = Shop(directory, columns=columns, time_zone="UTC").read(content)
        assert rows[0]["ordered_at"].month == month


# ---------------------------------------------------------------- row 8: identifiers


def test_identifiers_are_never_numbers(shop: Shop) -> None:
    identifiers = ["007", "0", "9007199254740993", "123456789012345678901234567890", "1e5", "-0",
                   "NaN", "0x1F", "1.10", "TRUE", "null", " 7", "２"]  # fmt: skip
    content = HEADER + "\n" + "".join(f"{i},{i},2011-10-03T12:00:00Z,1,9.50\n" for i in identifiers)
    rows = shop.read(content)
    assert [row["customer_id"] for row in rows] == identifiers
    assert [row["order_id"] for row in rows] == identifiers


# ---------------------------------------------------------------- row 10: not finite


@pytest.mark.parametrize("value", ["NaN", "nan", "inf", "-Infinity", "1e400", "-1e309", "1.#INF"])
def test_numbers_that_are_not_finite(shop: Shop, value: str) -> None:
    error = refuse(shop, replaced(3, "19.25", value))
    assert (error.code, error.column, error.lines) == ("NONFINITE", "amount", (3,))


def test_numbers_too_large_for_the_contract(shop: Shop) -> None:
    error = refuse(shop, replaced(3, "19.25", "1e30"))
    assert (error.code, error.column, error.lines) == ("TYPE", "net_amount", (3,))


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("cast(customer as double)", "TYPE"),
        ("ln(-amount)", "TYPE"),
        ("amount * 1e300", "TYPE"),
        ("amount / 0", "NONFINITE"),
        ("amount / 0 - amount / 0", "TYPE"),
    ],
)
def test_expressions_may_not_fail_or_overflow(tmp_path: Path, expression: str, code: str) -> None:
    shop = Shop(tmp_path, map=MAP | {"net_amount": expression})
    assert refuse(shop, GOOD).code == code


# ---------------------------------------------------------------- row 13: time zones


def test_a_time_without_a_zone(shop: Shop) -> None:
    error = refuse(shop, replaced(3, "T13:00:00Z", " 13:00:00"))
    assert (error.code, error.column, error.lines) == ("TZ", "time", (3,))
    assert "declare `time_zone`" in error.next_step


@pytest.mark.parametrize("local", ["2011-10-30 01:30:00", "2011-03-27 01:30:00"])
def test_the_nights_of_the_clock(tmp_path: Path, local: str) -> None:
    shop = Shop(tmp_path, time_zone="Europe/London")
    error = refuse(shop, replaced(3, "2011-10-03T13:00:00Z", local))
    assert (error.code, error.lines) == ("TZ", (3,))
    assert "Europe/London has these hours twice or not at all" in error.next_step
