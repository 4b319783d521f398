"""Raw lines as on-call sees them: the break visible, the person not."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from tasks.intake.masking import harmless_columns, mask_line, read_header
from tasks.sources import FilesSource, Source

HEADER = ("id", "mail", "name", "time", "quantity", "amount", "secret")


@pytest.fixture
def source(tmp_path: Path) -> FilesSource:
    """Orders whose customer is told by a mail address; `secret` is delivered and not declared."""
    found: Source = TypeAdapter[Source](Source).validate_json(
        '{"kind": "files", "table": "orders", "pattern": "*.csv", "folder": "'
        + str(tmp_path)
        + '", "columns": {"id": "text", "mail": "text", "name": "text", "time": "timestamp",'
        ' "quantity": "number", "amount": "number"}, "map": {"customer_id": "lower(mail)",'
        ' "order_id": "id || mail", "product_id": "id", "ordered_at": "time",'
        ' "quantity": "quantity", "net_amount": "quantity * amount", "currency": "\'GBP\'",'
        ' "is_return": "quantity < 0"}}'
    )
    assert isinstance(found, FilesSource)
    return found


def test_only_columns_proved_harmless_are_shown(source: FilesSource) -> None:
    """And of those what can be theirs: a word where a number belongs may be somebody's name."""
    assert harmless_columns(source) == {"id", "time", "quantity", "amount"}
    line = '7,"Ann.O@x.de",Ann,2011-10-03,many,1.5,geheim ü9'
    assert mask_line(line, source, HEADER) == "7,Xxx.X@x.xx,Xxx,2011-10-03,xxxx,1.5,xxxxxx x9"


@pytest.mark.parametrize(
    "line",
    ["7,ann@x.de", '7,"ann@x.de,Ann', "7,ann@x.de,Ann,2011-10-03,1,1.5,s,more", "ann " * 200],
)
def test_a_line_that_does_not_fit_the_header_is_masked_whole(
    source: FilesSource, line: str
) -> None:
    masked = mask_line(line, source, HEADER)
    assert "ann" not in masked.lower()
    assert masked.count(",") == line[:400].count(",")


def test_without_source_or_header_everything_is_masked(source: FilesSource) -> None:
    assert mask_line("a1,Ü\x1b[31m\n", None, HEADER) == "x9,X.[99x."
    assert mask_line("abc,1", source, None) == "xxx,9"


def test_a_table_row_names_its_own_columns(source: FilesSource) -> None:
    line = '{"id":"7","mail":"ann@x.de","quantity":3,"secret":null}'
    assert mask_line(line, source, None) == (
        '{"id": "7", "mail": "xxx@x.xx", "quantity": 3, "xxxxxx": null}'
    )
    assert mask_line('{"broken": ann', source, None) == '{"xxxxxx": xxx'


def test_the_header_is_read_from_plain_and_packed_files(
    source: FilesSource, tmp_path: Path
) -> None:
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.write_bytes(b"\xef\xbb\xbfid,mail\r\n1,x\r\n")
    packed.write_bytes(gzip.compress(b"id,mail\n1,x\n"))
    assert read_header(plain, source) == ("id", "mail")
    assert read_header(packed, source) == ("id", "mail")
    packed.write_bytes(packed.read_bytes()[:9])
    assert read_header(packed, source) is None
    assert read_header(tmp_path / "gone", source) is None
