"""Raw text as numbered lines: unpacked within bounds, decoded strictly, nothing guessed.

One pass over blocks of bytes at the speed of C; memory holds a block, whatever the file's size.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.intake.rejection import BatchRejected, show
from tasks.sources import IntakeLimits, TextSettings

_BLOCK_BYTES = 4 << 20
_GZIP = b"\x1f\x8b"
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# A small file may unpack to this much whatever its ratio: a week of equal lines is no bomb.
_RATIO_FROM_BYTES = 10_000_000
# A line may hold this many of the largest values allowed.
_CELLS_A_LINE = 16
_SCHEMA = pa.schema([("row_number", pa.int64()), ("raw_line", pa.string())])
# One field: quoted with its quotes doubled inside, or without any quote.
_FIELD = r'(?:"(?:[^"]|"")*"|[^"{delimiter}]*)'


@dataclass(frozen=True, slots=True)
class LineFile:
    """A Parquet file of lines (row_number BIGINT, header = line 1; raw_line VARCHAR).

    It holds the lines after the header; `header` are the names in the first.
    """

    path: Path
    header: tuple[str, ...]
    rows: int
    longest_line: int
    notes: tuple[str, ...]


def write_lines(
    raw_path: Path,
    target: Path,
    batch_name: str,
    text: TextSettings,
    delimiter: str,
    limits: IntakeLimits,
) -> LineFile:
    """Number the lines of a text file and write them to the Parquet file `target`.

    Raises BatchRejected: EMPTY, ENCODING, MALFORMED, LIMIT or BOMB.
    """
    reader = _Reader(batch_name, text, delimiter, limits)
    with (
        raw_path.open("rb") as file,
        pq.ParquetWriter(
            target, _SCHEMA, compression="none", use_dictionary=False, write_statistics=False
        ) as writer,
    ):
        for numbers, lines in reader.read(file):
            writer.write_batch(
                pa.record_batch(
                    [pa.array(numbers, pa.int64()), pa.array(lines, pa.string())], schema=_SCHEMA
                )
            )
    if reader.header is None:
        raise BatchRejected("EMPTY", batch_name, "the file has no bytes")
    if reader.rows == 0:
        raise BatchRejected("EMPTY", batch_name, "a header and no rows", lines=(1,))
    return LineFile(target, reader.header, reader.rows, reader.longest, tuple(reader.notes))


def split_line(line: str, delimiter: str) -> list[str] | None:
    """The fields of one line, or None where its quotes are not in order."""
    escaped = re.escape(delimiter)
    field = _FIELD.replace("{delimiter}", escaped)
    if not re.fullmatch(f"{field}(?:{escaped}{field})*", line, re.DOTALL):
        return None
    found = re.findall(f"{escaped}({field})", delimiter + line, re.DOTALL)
    return [f[1:-1].replace('""', '"') if f.startswith('"') else f for f in found]


def line_pattern(delimiter: str) -> str:
    """The pattern (RE2) of a line whose quotes are in order."""
    escaped = re.escape(delimiter)
    field = _FIELD.replace("{delimiter}", escaped)
    return f"(?s){field}(?:{escaped}{field})*"


def field_pattern(delimiter: str) -> str:
    """The pattern (RE2) of one field after its delimiter; group 1 is the field."""
    escaped = re.escape(delimiter)
    return f"(?s){escaped}({_FIELD.replace('{delimiter}', escaped)})"


class _Reader:
    """The state of one pass over a file."""

    def __init__(
        self, batch_name: str, text: TextSettings, delimiter: str, limits: IntakeLimits
    ) -> None:
        self.header: tuple[str, ...] | None = None
        self.rows = 0
        self.longest = 0
        self.notes: list[str] = []
        self._batch_name = batch_name
        self._text = text
        self._delimiter = delimiter
        self._limits = limits
        self._maximum_line = int(limits.maximum_cell_kb * 1000 * _CELLS_A_LINE)
        self._line = 0  # lines read so far
        self._open: list[str] = []  # lines of a record whose quote is not closed yet
        self._blank_from = 0  # first of the blank lines that end the file so far, or 0

    def read(self, file: BinaryIO) -> Iterator[tuple[list[int], list[str]]]:
        """Numbered lines after the header, a block at a time."""
        rest = ""
        ended = True
        for block in self._texts(self._unpacked(file)):
            block = rest + block
            cut = block.rfind("\n")
            if cut < 0:
                rest = block
            else:
                rest = block[cut + 1 :]
                yield from self._lines(block[:cut])
            if len(rest) > self._maximum_line:
                raise self._too_long(self._line + 1, len(rest))
        if rest:
            ended = False
            if self._text.final_newline == "required":
                raise BatchRejected(
                    "MALFORMED",
                    self._batch_name,
                    "the last line does not end: the file may be cut off",
                    lines=(self._line + 1,),
                )
            yield from self._lines(rest)
        if self._open:
            raise self._never_closed()
        if not ended:
            self.notes.append("the last line has no end of line")

    def _lines(self, block: str) -> Iterator[tuple[list[int], list[str]]]:
        if "\r" in block:
            block = block.replace("\r\n", "\n")
            block = block[:-1] if block.endswith("\r") else block
            if "\r" in block and not self._text.newlines_in_values:
                at = self._line + 1 + block[: block.index("\r")].count("\n")
                raise BatchRejected(
                    "MALFORMED",
                    self._batch_name,
                    "a carriage return inside a line",
                    lines=(at,),
                    found="lines end in LF or in CR LF",
                )
        lines = block.split("\n")
        first = self._line + 1
        self._line += len(lines)
        longest = max(map(len, lines))
        self.longest = max(self.longest, longest)
        if longest > self._maximum_line:
            raise self._too_long(
                first + next(i for i, line in enumerate(lines) if len(line) > self._maximum_line),
                longest,
            )
        numbers = list(range(first, first + len(lines)))
        if self._text.newlines_in_values and ('"' in block or self._open):
            numbers, lines = self._join(numbers, lines)
        if self.header is None and lines:
            self._take_header(lines[0])
            numbers, lines = numbers[1:], lines[1:]
        yield from self._without_blank_end(numbers, lines)

    def _join(self, numbers: list[int], lines: list[str]) -> tuple[list[int], list[str]]:
        """Put together the lines of a record that a quoted value spans."""
        starts: list[int] = []
        records: list[str] = []
        size = sum(map(len, self._open))
        for number, line in zip(numbers, lines, strict=True):
            closes = line.count('"') % 2 == 1
            if not self._open:
                if not closes:
                    starts.append(number)
                    records.append(line)
                    continue
                self._open_at = number
                self._open = [line]
                size = len(line)
                continue
            self._open.append(line)
            size += len(line) + 1
            if size > self._maximum_line:
                raise self._never_closed()
            if closes:
                starts.append(self._open_at)
                records.append("\n".join(self._open))
                self._open = []
        return starts, records

    def _without_blank_end(
        self, numbers: list[int], lines: list[str]
    ) -> Iterator[tuple[list[int], list[str]]]:
        """Hold back blank lines: at the end of the file they are nothing, before it they count."""
        kept = len(lines)
        while kept and lines[kept - 1] == "":
            kept -= 1
        if kept and self._blank_from:
            count = numbers[0] - self._blank_from
            held = list(range(self._blank_from, numbers[0]))
            numbers, lines = held + numbers, [""] * count + lines
            kept += count
            self._blank_from = 0
        if kept < len(lines) and not self._blank_from:
            self._blank_from = numbers[kept]
        if kept:
            self.rows += kept
            if self.rows > self._limits.maximum_rows:
                raise BatchRejected(
                    "LIMIT",
                    self._batch_name,
                    f"more than {self._limits.maximum_rows:,} rows",
                    next_step="deliver it in parts, or raise `intake.limits.maximum_rows`",
                )
            yield numbers[:kept], lines[:kept]

    def _take_header(self, line: str) -> None:
        limit = self._limits.maximum_columns
        if line.count(self._delimiter) >= limit * 4:
            raise self._too_wide(line.count(self._delimiter) + 1)
        names = split_line(line, self._delimiter)
        if names is None:
            raise BatchRejected(
                "MALFORMED", self._batch_name, "quotes in the header are not in order", lines=(1,)
            )
        if len(names) > limit:
            raise self._too_wide(len(names))
        self.header = tuple(names)

    def _too_wide(self, columns: int) -> BatchRejected:
        return BatchRejected(
            "LIMIT",
            self._batch_name,
            f"{columns:,} columns, allowed are {self._limits.maximum_columns:,}",
            lines=(1,),
        )

    def _too_long(self, line: int, length: int) -> BatchRejected:
        return BatchRejected(
            "LIMIT",
            self._batch_name,
            f"a line of {length:,} characters or more, allowed are {self._maximum_line:,}",
            lines=(line,),
        )

    def _never_closed(self) -> BatchRejected:
        return BatchRejected(
            "MALFORMED",
            self._batch_name,
            "a quote is opened and not closed",
            lines=(self._open_at,),
        )

    # ------------------------------------------------------------------ bytes to characters

    def _texts(self, blocks: Iterator[bytes]) -> Iterator[str]:
        if self._text.encoding in ("utf-16", "shift_jis", "cp949"):
            yield from self._decoded_by_state(blocks)
        else:
            yield from self._decoded_by_line(blocks)

    def _decoded_by_line(self, blocks: Iterator[bytes]) -> Iterator[str]:
        """Encodings in which the byte of LF is nothing else: cut there, then decode."""
        position = 0
        rest = b""
        for number, block in enumerate(blocks):
            if number == 0:
                delivered, block = block, self._without_mark(block)
                position = len(delivered) - len(block)
            self._refuse_nul(block, position + len(rest))
            block = rest + block
            cut = block.rfind(b"\n") + 1
            if cut == 0:
                rest = block
                if len(rest) > 4 * self._maximum_line:
                    raise self._too_long(self._line + 1, len(rest) // 4)
                continue
            yield self._decode(block[:cut], position)
            position += cut
            rest = block[cut:]
        if rest:
            yield self._decode(rest, position)

    def _without_mark(self, block: bytes) -> bytes:
        if block.startswith(_UTF16_MARKS):
            raise BatchRejected(
                "ENCODING",
                self._batch_name,
                "the file is UTF-16",
                found=f"byte 0, declared is {self._text.encoding}",
                next_step="deliver it as UTF-8, or say `text: {encoding: utf-16}`",
            )
        return block.removeprefix(_UTF8_MARK)

    def _refuse_nul(self, block: bytes, position: int) -> None:
        at = block.find(b"\0")
        if at >= 0:
            raise BatchRejected(
                "ENCODING",
                self._batch_name,
                "a NUL byte: this is no text",
                found=f"byte {position + at:,}",
            )

    def _decode(self, block: bytes, position: int) -> str:
        try:
            return block.decode(self._text.encoding)
        except UnicodeDecodeError as error:
            raise self._not_decoded(
                position + error.start,
                self._line + 1 + block[: error.start].count(b"\n"),
                block[error.start],
            ) from None

    def _decoded_by_state(self, blocks: Iterator[bytes]) -> Iterator[str]:
        """Encodings whose characters may hold any byte: one decoder that remembers."""
        import codecs

        decoder = codecs.getincrementaldecoder(self._text.encoding)()
        position = 0
        lines = 1
        for block in blocks:
            try:
                text = decoder.decode(block)
            except UnicodeDecodeError as error:
                raise self._not_decoded(position + error.start, lines, 0) from None
            if "\0" in text:
                self._refuse_nul(b"\0", position + text.index("\0"))
            position += len(block)
            lines += text.count("\n")
            yield text
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise self._not_decoded(position, lines, 0) from None

    def _not_decoded(self, position: int, line: int, byte: int) -> BatchRejected:
        return BatchRejected(
            "ENCODING",
            self._batch_name,
            f"bytes that are not {self._text.encoding}",
            lines=(line,),
            found=f"byte {position:,}" + (f" is 0x{byte:02x}" if byte else ""),
            next_step="deliver it in the declared encoding, or declare its own in `text.encoding`",
        )

    # ------------------------------------------------------------------ packed bytes to bytes

    def _unpacked(self, file: BinaryIO) -> Iterator[bytes]:
        start = file.read(2)
        file.seek(0)
        packed = start == _GZIP
        blocks = self._gunzipped(file) if packed else iter(lambda: file.read(_BLOCK_BYTES), b"")
        total = 0
        for block in blocks:
            total += len(block)
            if total > self._limits.maximum_unpacked_mb * 1e6:
                raise BatchRejected(
                    "BOMB" if packed else "LIMIT",
                    self._batch_name,
                    f"more than {self._limits.maximum_unpacked_mb:,.0f} MB once unpacked",
                )
            if packed and total > _RATIO_FROM_BYTES:
                ratio = total / max(1, file.tell())
                if ratio > self._limits.maximum_unpack_ratio:
                    raise BatchRejected(
                        "BOMB",
                        self._batch_name,
                        f"it unpacks to more than {self._limits.maximum_unpack_ratio:g} times"
                        " its size",
                        found=f"{total / 1e6:,.0f} MB from {file.tell():,} bytes so far",
                    )
            yield block

    def _gunzipped(self, file: BinaryIO) -> Iterator[bytes]:
        """The members of a gzip file, never more than a block unpacked at a time."""
        unpacker = zlib.decompressobj(31)
        packed = b""
        try:
            while True:
                packed = packed or file.read(_BLOCK_BYTES // 16)
                if not packed:
                    break
                if unpacker.eof:
                    unpacker = zlib.decompressobj(31)
                block = unpacker.decompress(packed, _BLOCK_BYTES)
                packed = unpacker.unconsumed_tail or unpacker.unused_data
                if block:
                    yield block
            while not unpacker.eof and (block := unpacker.decompress(b"", _BLOCK_BYTES)):
                yield block
        except zlib.error as error:
            raise BatchRejected(
                "MALFORMED",
                self._batch_name,
                "the gzip file is damaged",
                found=f"near byte {file.tell():,}: {show(str(error))}",
            ) from None
        if not unpacker.eof:
            raise BatchRejected(
                "MALFORMED",
                self._batch_name,
                "the gzip file ends too early",
                found=f"after {file.tell():,} bytes",
            )
