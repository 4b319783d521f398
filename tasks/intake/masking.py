"""Raw lines for people: what is personal, or may be, is replaced by its shape.

On-call must see how a line is broken, not who stands in it. A field is shown as it is only where
the deployment's mapping proves it harmless: its column feeds canonical columns that no contract
calls personal. Everything else keeps its length, punctuation and kind of characters alone.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

from tasks.contracts import CONTRACTS
from tasks.intake.deliveries import is_whole_file
from tasks.intake.lines import split_line
from tasks.sources import Source

SHOWN_CHARACTERS = 400
_HEADER_BYTES = 1 << 20
# What a number or a time is written with, in whatever notation; NaN and inf too.
_NUMBER_OR_TIME = re.compile(r"[\d\s.,:'+\-/TZ]*(?:[eE][+-]?\d+)?|[+-]?(?i:nan|inf|infinity)")
_LONGEST_CURRENCY = 3
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"


def mask_line(line: str, source: Source | None, header: Sequence[str] | None) -> str:
    """The raw line with every field masked that is not known to be harmless.

    `header` are the delivered columns in the line's order; without it, or where the line does
    not split into as many fields, all of it is masked. A row of a table stands as a JSON object
    and carries its own names.
    """
    cut = line[:SHOWN_CHARACTERS]
    if source is None or len(line) > SHOWN_CHARACTERS:
        return shape_of(cut)
    harmless = harmless_columns(source)
    if line.startswith("{"):
        return _mask_object(line, harmless, source)
    if header is None:
        return shape_of(cut)
    delimiter = find_delimiter(source, header)
    fields = split_line(line, delimiter)
    if fields is None or len(fields) != len(header):
        return shape_of(cut)
    return delimiter.join(
        _printable(field) if _is_plain(name, field, source, harmless) else shape_of(field)
        for name, field in zip(header, fields, strict=True)
    )


def harmless_columns(source: Source) -> frozenset[str]:
    """Delivered columns that feed canonical columns, none of them personal."""
    contract = CONTRACTS[source.table]
    plain: set[str] = set()
    personal: set[str] = set()
    for canonical, expression in source.map.items():
        used = {name for name in source.columns if _mentions(expression, name)}
        (personal if contract.column(canonical).personal else plain).update(used)
    return frozenset(plain - personal)


def read_header(raw_path: Path, source: Source) -> tuple[str, ...] | None:
    """The first line of a kept text file, split; None for a table or a file that has none."""
    line = _read_first_line(raw_path, source)
    fields = split_line(line, find_delimiter(source, (line,))) if line is not None else None
    return tuple(fields) if fields else None


def read_delimiter(raw_path: Path, source: Source) -> str:
    """The delimiter of a kept text file, by its first line where none is declared."""
    return find_delimiter(source, (_read_first_line(raw_path, source) or "",))


def _read_first_line(raw_path: Path, source: Source) -> str | None:
    if not raw_path.is_file():
        return None
    with raw_path.open("rb") as file:
        start = file.read(_HEADER_BYTES)
    if start.startswith(_GZIP):
        try:
            with gzip.open(raw_path, "rb") as unpacked:
                start = unpacked.read(_HEADER_BYTES)
        except (OSError, EOFError, zlib.error):
            return None  # a damaged file has no header to go by: its lines are masked whole
    if start.startswith(_PARQUET):
        return None
    text = start.decode(source.text.encoding, errors="replace").lstrip("\ufeff")
    return text.splitlines()[0] if text else ""


def find_delimiter(source: Source, header: Sequence[str]) -> str:
    """The delimiter of a source's raw files: a comma in parts that we wrote ourselves.

    Undeclared, it is a tab where the header has tabs and no comma.
    """
    if not is_whole_file(source):
        return ","
    if source.text.delimiter:
        return source.text.delimiter
    return "\t" if any("\t" in name and "," not in name for name in header) else ","


def _is_plain(name: str, value: str, source: Source, harmless: frozenset[str]) -> bool:
    """Whether a value of a harmless column is of its column; in a slipped line it is another's."""
    if name not in harmless or "@" in value:
        return False
    kind = source.column(name).type
    if kind in ("number", "integer", "timestamp"):
        return _NUMBER_OR_TIME.fullmatch(value) is not None
    if source.map.get("currency", "").strip('"') == name:
        return len(value) <= _LONGEST_CURRENCY
    return True


def _mask_object(line: str, harmless: frozenset[str], source: Source) -> str:
    try:
        row = json.loads(line)
    except ValueError:
        return shape_of(line)
    if not isinstance(row, dict):
        return shape_of(line)
    # Written pair by pair: masked names may be equal, and none may swallow another.
    pairs = (
        f"{_json(name if name in source.columns else shape_of(name))}: "
        + _json(
            value
            if value is None
            or isinstance(value, bool)
            or _is_plain(name, str(value), source, harmless)
            else shape_of(str(value))
        )
        for name, value in row.items()
    )
    return _printable("{" + ", ".join(pairs) + "}")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _mentions(expression: str, column: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(column)}(?!\w)", expression, re.IGNORECASE) is not None


def shape_of(text: str) -> str:
    """`Ann-7` becomes `Xxx-9`: any digit 9, any letter x or X, any control character a dot."""
    return "".join(map(_kind, text))


def _kind(character: str) -> str:
    if character.isdigit():
        return "9"
    if character.isalpha():
        return "X" if character.isupper() else "x"
    return character if character.isprintable() else "."


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "." for character in text)
