"""Bad rows out as CSV with their raw line and rule, and back in, corrected.

What comes back is not a set of loose rows: the kept bytes are written once more with the corrected
lines in their places, and that file is read and judged like any delivery. So the batch stays one
file with one hash, and a line that was corrected wrongly is refused by the same rules.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from tasks.errors import UsageError, suggest
from tasks.handles import Batch, RawBatch
from tasks.incidents.decisions import append_decision, check_author, make_decision
from tasks.intake.disk import disk_failures
from tasks.intake.lines import split_line
from tasks.intake.masking import read_delimiter, read_header
from tasks.intake.raw import find_source, raw_path
from tasks.intake.replay import demand_new, find_case, keep_written, recall_raw, write_private
from tasks.moments import read_clock
from tasks.sources import Source
from tasks.warehouse import Lake

if TYPE_CHECKING:
    import pyarrow as pa

# Before the delivered columns, which keep their own names.
LEADING = ("batch_number", "row_number", "rules", "reasons", "raw_line")
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
# What a spreadsheet would take for a formula gets an apostrophe, and so does what has one already,
# so that taking one away gives back exactly what was there.
_GUARDED = re.compile(r"[\s]*[=+\-@＝＋－＠'\t\r\n]")
_PLAIN_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?")
_LARGEST_CELL = 16_000_000


@dataclass(frozen=True, slots=True)
class Correction:
    """A row as it shall be: a whole new line, or values of some columns.

    It takes the place of `lines` lines of the file: a record may hold ends of lines in quotes.
    """

    row_number: int
    line: str | None
    values: Mapping[str, str]
    lines: int = 1


@dataclass(frozen=True, slots=True)
class _Held:
    """A row that is held back, with the rules that it broke."""

    row_number: int
    rules: str
    reasons: str
    raw_line: str


def export_rows(
    lake: Lake, batch: Batch, path: Path, *, author: str, rule: str | None = None
) -> int:
    """Write the refused rows of a batch to a new file that its owner alone can read; how many.

    Who took personal data out is a decision of the ledger. Raises UsageError (64) where the file
    is there or no single row was refused, DiskFailure (73).
    """
    name = check_author(author)
    text, count = render_rows(lake, batch, rule=rule)
    demand_new(path)
    incident = find_case(lake, str(batch.batch_number)).incident
    evidence = {
        "batch_number": batch.batch_number,
        "rows": count,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "at": read_clock().isoformat(),
    }
    decision = make_decision(incident, "rows exported", name, f"{count} rows, unmasked", evidence)
    with (
        lake.writer_lock(f"export {batch.batch_name}"),
        lake.publish(name, f"export rows of {batch.batch_name}", evidence),
    ):
        append_decision(lake, **decision, decided_at=read_clock())
    # The file comes last: no rows are out of which the ledger does not say who has them.
    write_private(path, text)
    return count


def render_rows(lake: Lake, batch: Batch, *, rule: str | None = None) -> tuple[str, int]:
    """The refused rows of a batch as CSV text, and how many. It holds what was delivered, unmasked.

    Columns: batch_number, row_number, rules, reasons, raw_line, then the delivered columns. Texts
    that a spreadsheet would run as a formula have an apostrophe in front, which comes off again on
    the way back. Raises UsageError (64) for a batch of which no single row was refused.
    """
    source = find_source(batch.source, lake.settings)
    held = list(_read_held(lake, batch, rule))
    if not held:
        raise UsageError(
            f"No single row of {batch.batch_name} was refused; the batch was, as a whole.",
            next_step="correct it at its source and replay it with --file",
        )
    header = _read_names(batch, source, lake)
    delimiter = _read_delimiter(batch, source, lake)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*LEADING, *(guard(name) for name in header)))
    for row in held:
        values = _split(row.raw_line, delimiter, header)
        cells = [values.get(name, "") for name in header]
        leading = (batch.batch_number, row.row_number, row.rules, row.reasons, guard(row.raw_line))
        writer.writerow((*leading, *(guard(cell) for cell in cells)))
    return text.getvalue(), len(held)


def read_corrections(lake: Lake, batch: Batch, path: Path) -> list[Correction]:
    """The rows of an exported file that were changed. Unchanged ones stay as they were.

    A changed `raw_line` replaces the whole line; otherwise changed columns do. Raises UsageError
    (64) for a file of another batch, an unknown column or row, or a row changed in both ways.
    """
    source = find_source(batch.source, lake.settings)
    header = _read_names(batch, source, lake)
    delimiter = _read_delimiter(batch, source, lake)
    held = {row.row_number: row for row in _read_held(lake, batch, None)}
    corrections: list[Correction] = []
    with _opened_csv(path) as reader:
        _check_columns(path, reader.fieldnames or (), header)
        for place, row in enumerate(reader, start=2):
            found = _find_row(path, place, row, batch, held)
            correction = _compare(
                path, place, row, found, _split(found.raw_line, delimiter, header)
            )
            if correction is not None:
                corrections.append(correction)
    numbers = [correction.row_number for correction in corrections]
    twice = next((number for number in numbers if numbers.count(number) > 1), None)
    if twice is not None:
        raise UsageError(f"{path}: row {twice} is corrected twice.")
    if not corrections:
        raise UsageError(
            f"{path}: no row was changed, so there is nothing to take back.",
            next_step="change the columns after raw_line, save as CSV, and give it again",
        )
    return corrections


def apply_corrections(lake: Lake, batch: Batch, corrections: Sequence[Correction]) -> RawBatch:
    """The kept bytes with the corrected rows in place, as a new file in our keeping.

    Compressed as the first was; lines that were not corrected keep their bytes.
    """
    settings = lake.settings
    raw = recall_raw(batch, settings)
    source = find_source(batch.source, settings)
    by_row = {correction.row_number: correction for correction in corrections}
    with raw.raw_path.open("rb") as file:
        is_parquet = file.read(4) == _PARQUET

    def write(target: Path) -> None:
        with disk_failures(f"writing the correction of {batch.batch_name}"):
            if is_parquet:
                _rewrite_parquet(raw.raw_path, target, by_row)
            else:
                header = _read_names(batch, source, lake)
                _rewrite_text(raw.raw_path, target, by_row, source, header)

    return keep_written(batch, settings, write)


def guard(text: str) -> str:
    """A text that no spreadsheet runs; numbers stay numbers. `unguard` gives it back exactly."""
    if _GUARDED.match(text) and not _PLAIN_NUMBER.fullmatch(text):
        return "'" + text
    return text


def unguard(text: str) -> str:
    """What `guard` was given."""
    if text.startswith("'") and _GUARDED.match(text[1:]):
        return text[1:]
    return text


def _read_held(lake: Lake, batch: Batch, rule: str | None) -> Iterator[_Held]:
    rows = lake.rows(
        "select row_number, string_agg(rule, ', ' order by rule) as rules,"
        " string_agg(distinct reason, '; ' order by reason) as reasons,"
        " any_value(raw_line) as raw_line from lake.ledger.quarantine"
        " where batch_number = $number"
        " group by row_number"
        " having (any_value(raw_line) is not null or $unread)"
        " and ($rule is null or list_contains(list(rule), $rule)) order by row_number",
        {
            "number": batch.batch_number,
            "rule": rule,
            # Of a delivery that could not be read, the lines that were named have no text yet.
            "unread": isinstance(batch.report.get("rejection"), Mapping),
        },
    )
    missing = {int(row["row_number"]) for row in rows if row["raw_line"] is None}
    lines = _read_lines(lake, batch, missing) if missing else {}
    for row in rows:
        number = int(row["row_number"])
        line = row["raw_line"] if row["raw_line"] is not None else lines.get(number)
        if line is not None:
            yield _Held(number, row["rules"], row["reasons"], line)


def _read_lines(lake: Lake, batch: Batch, numbers: set[int]) -> dict[int, str]:
    """Lines of the kept text file by number; none where it is no text that can be decoded."""
    path = raw_path(batch.content_hash, lake.settings)
    source = find_source(batch.source, lake.settings)
    if not path.is_file():
        return {}
    found = {}
    with _opened_text(path, source) as file:
        for number, line in enumerate(file, start=1):
            if number in numbers:
                found[number] = line.rstrip("\r\n")
                if len(found) == len(numbers):
                    break
    return found


def _read_names(batch: Batch, source: Source, lake: Lake) -> tuple[str, ...]:
    """The delivered columns in their order: of the text file's header, or as declared."""
    header = read_header(raw_path(batch.content_hash, lake.settings), source)
    return header if header is not None else tuple(source.columns)


def _read_delimiter(batch: Batch, source: Source, lake: Lake) -> str:
    return read_delimiter(raw_path(batch.content_hash, lake.settings), source)


def _split(line: str, delimiter: str, header: Sequence[str]) -> dict[str, str]:
    """The values of a raw line by column; empty where it cannot be split."""
    if line.startswith("{"):
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return {name: _as_text(value) for name, value in found.items()}
    fields = split_line(line, delimiter)
    if fields is None or len(fields) != len(header):
        return {}
    return dict(zip(header, fields, strict=True))


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


@contextmanager
def _opened_csv(path: Path) -> Iterator[csv.DictReader[str]]:
    limit = csv.field_size_limit(_LARGEST_CELL)
    try:
        # A spreadsheet saves its CSV with a mark.
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield csv.DictReader(file, strict=True)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"{path} cannot be read as the CSV that `quarantine export` writes.",
            found=str(error).splitlines()[0],
            next_step="save it as CSV, UTF-8, with commas",
        ) from None
    finally:
        csv.field_size_limit(limit)


def _check_columns(path: Path, found: Sequence[str], header: Sequence[str]) -> None:
    wanted = [*LEADING, *(guard(name) for name in header)]
    for name in found:
        if name not in wanted:
            raise UsageError(
                f"{path}: there is no column '{name}' in this batch.",
                found=suggest(name, wanted),
                available=wanted,
            )
    twice = next((name for name in found if list(found).count(name) > 1), None)
    if twice is not None:
        # Which of them is meant would be a guess, and a wrong row number corrects another row.
        raise UsageError(
            f"{path}: the column '{twice}' stands twice.",
            next_step=f"correct raw_line instead, and take the second '{twice}' out",
        )
    for name in ("batch_number", "row_number"):
        if name not in found:
            raise UsageError(f"{path}: the column '{name}' is missing.", available=found)


def _find_row(
    path: Path,
    place: int,
    row: Mapping[str | None, str | None],
    batch: Batch,
    held: Mapping[int, _Held],
) -> _Held:
    if None in row:
        raise UsageError(
            f"{path}, line {place}: it has more values than columns.",
            next_step="put a value that holds a comma in quotes",
        )
    if str(row["batch_number"]).strip() != str(batch.batch_number):
        raise UsageError(
            f"{path}, line {place}: it is of batch number {str(row['batch_number'])[:20]!r}, not of"
            f" {batch.batch_name}, number {batch.batch_number}.",
            next_step="export this batch's rows and correct those",
        )
    number = str(row["row_number"]).strip()
    found = held.get(int(number)) if number.isascii() and number.isdigit() else None
    if found is None:
        raise UsageError(
            f"{path}, line {place}: no refused row has the number {number[:20]!r}.",
            next_step="only rows that were exported can be corrected",
        )
    return found


def _compare(
    path: Path,
    place: int,
    row: Mapping[str, str | None],
    held: _Held,
    before: Mapping[str, str],
) -> Correction | None:
    line = row.get("raw_line")
    given = unguard(line) if line is not None else held.raw_line
    changed_line = given.replace("\r\n", "\n") != held.raw_line.replace("\r\n", "\n")
    values = {
        unguard(name): unguard(value)
        for name, value in row.items()
        if name not in LEADING
        and value is not None
        and unguard(value) != before.get(unguard(name), "")
    }
    if changed_line and values:
        raise UsageError(
            f"{path}, line {place}: both raw_line and {', '.join(values)} were changed.",
            next_step="change one of them; the other then follows",
        )
    # Counted in what was exported: a quote that was never closed would take in the whole file.
    lines = 1 + held.raw_line.count("\n")
    if changed_line:
        return Correction(held.row_number, given, {}, lines)
    return Correction(held.row_number, None, values, lines) if values else None


@contextmanager
def _opened_text(path: Path, source: Source) -> Iterator[TextIO]:
    """The file's text by lines that end in LF, their ends kept; undecodable bytes pass through."""
    with path.open("rb") as plain:
        packed = plain.read(2) == _GZIP
    opened = gzip.open if packed else open
    with (
        cast("IO[bytes]", opened(path, "rb")) as binary,
        io.TextIOWrapper(
            binary, encoding=source.text.encoding, errors="surrogateescape", newline="\n"
        ) as text,
    ):
        yield text


def _rewrite_text(
    raw: Path,
    target: Path,
    corrections: Mapping[int, Correction],
    source: Source,
    header: Sequence[str],
) -> None:
    with raw.open("rb") as plain:
        packed = plain.read(2) == _GZIP
    delimiter = read_delimiter(raw, source)
    with target.open("xb") as file:
        # No name and no time inside: equal rows are equal bytes.
        zipped = gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) if packed else None
        binary = cast("IO[bytes]", zipped if zipped is not None else file)
        out = io.TextIOWrapper(
            binary, encoding=source.text.encoding, errors="surrogateescape", newline=""
        )
        with _opened_text(raw, source) as lines:
            numbered = enumerate(lines, start=1)
            for number, line in numbered:
                correction = corrections.get(number)
                if correction is None:
                    out.write(line)
                    continue
                record = line
                for _, more in islice(numbered, correction.lines - 1):
                    record += more
                ending = record[len(record.rstrip("\r\n")) :]
                record = record.rstrip("\r\n")
                corrected = _correct_line(record, correction, header, delimiter)
                _check_encoding(number, corrected, source.text.encoding)
                out.write(corrected + ending)
        out.flush()
        out.detach()
        if zipped is not None:
            zipped.close()


def _check_encoding(number: int, text: str, encoding: str) -> None:
    try:
        text.encode(encoding, errors="surrogateescape")
    except UnicodeEncodeError as error:
        raise UsageError(
            f"Row {number}: the source's files are {encoding}, which has no {text[error.start]!a}.",
            next_step="write it with other letters, or replay a whole file with --file",
        ) from None


def _correct_line(
    record: str, correction: Correction, header: Sequence[str], delimiter: str
) -> str:
    if correction.line is not None:
        return correction.line
    fields = split_line(record, delimiter)
    if fields is None or len(fields) != len(header):
        fields = [""] * len(header)
    merged = [
        correction.values.get(name, value) for name, value in zip(header, fields, strict=True)
    ]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow(merged)
    return text.getvalue()


def _rewrite_parquet(raw: Path, target: Path, corrections: Mapping[int, Correction]) -> None:
    """The same file, a batch of rows at a time; row numbers count from 1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(raw) as file, pq.ParquetWriter(target, file.schema_arrow) as writer:
        first = 1
        for rows in file.iter_batches():
            numbers = [n for n in range(first, first + rows.num_rows) if n in corrections]
            table = pa.Table.from_batches([rows], schema=file.schema_arrow)
            for number in numbers:
                table = _correct_row(table, number - first, corrections[number])
            writer.write_table(table)
            first += rows.num_rows


def _correct_row(table: pa.Table, place: int, correction: Correction) -> pa.Table:
    import pyarrow as pa

    values = dict(correction.values)
    if correction.line is not None:
        try:
            found = json.loads(correction.line)
        except ValueError as error:
            raise UsageError(
                f"Row {correction.row_number}: raw_line is not the JSON object it was.",
                found=str(error),
            ) from None
        if not isinstance(found, dict):
            raise UsageError(
                f"Row {correction.row_number}: raw_line is not the JSON object it was."
            )
        values = {name: _as_text(value) for name, value in found.items()}
    for name, text in values.items():
        position = table.schema.get_field_index(name)
        if position < 0:
            raise UsageError(f"Row {correction.row_number}: there is no column '{name}'.")
        kind = table.schema.field(position).type
        try:
            value = pa.scalar(None if text == "" else text, pa.string()).cast(kind)
        except pa.ArrowInvalid as error:
            raise UsageError(
                f"Row {correction.row_number}: '{name}' is a column of {kind}.",
                found=str(error).splitlines()[0][:200],
            ) from None
        column = table.column(position)
        pieces = [column.slice(0, place), pa.chunked_array([pa.array([value.as_py()], kind)]),
                  column.slice(place + 1)]  # fmt: skip
        chunks = [chunk for piece in pieces for chunk in piece.chunks]
        table = table.set_column(
            position, table.schema.field(position), pa.chunked_array(chunks, kind)
        )
    return table
