"""Scores as files that a CRM, a spreadsheet or a program can read: CSV and Parquet.

A CSV opened in a spreadsheet is a program: a text that starts with = + - @ or a control character
is taken for a formula. Such texts get an apostrophe in front; numbers are numbers and stay as they
are. Files are written aside, made durable and renamed, so a reader sees a whole file or the old
one. The same rows give the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from tasks.crash import crash_point
from tasks.errors import DiskFailure

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# OWASP ASVS 1.2.10, and the full-width forms that East Asian spreadsheets take for the same.
_TRIGGERS = "=+\\-@＝＋－＠"
# A cell may hold lines, and a spreadsheet that expects semicolons or tabs splits at those.
_AFTER_BREAK = f"([\\r\\n;\\t][ \\v\\f]*)([{_TRIGGERS}])"
_AT_START = f"\\A([\\s\\v]*[{_TRIGGERS}]|[\\t\\r\\n\\x00])"
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file of an export: where it is to be, where it is now, and its checksum."""

    kind: str
    path: Path
    aside: Path
    sha256: str
    rows: int


def escape_formulas(column: Any) -> Any:
    """A text column that no spreadsheet takes for a formula; an Arrow array of the same length.

    A text that is harmless comes back unchanged.
    """
    column = pc.replace_substring_regex(column, pattern=_AFTER_BREAK, replacement=r"\1'\2")
    return pc.replace_substring_regex(column, pattern=_AT_START, replacement=r"'\1")


def write_files(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    directory: Path,
    stem: str,
    *,
    byte_order_mark: bool,
) -> tuple[ExportFile, ExportFile]:
    """Write `<stem>.csv` and `<stem>.parquet` aside in `directory`; `put_in_place` renames them.

    Memory holds one batch. Raises DiskFailure (73).
    """
    paths = {kind: directory / f"{stem}.{kind}" for kind in ("csv", "parquet")}
    asides = {
        kind: path.with_name(f".{path.name}.{os.getpid()}.partial") for kind, path in paths.items()
    }
    rows = 0
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_leftovers(directory)
        with ExitStack() as stack:
            raw = stack.enter_context(asides["csv"].open("wb"))
            if byte_order_mark:
                raw.write(_BYTE_ORDER_MARK)
            text = stack.enter_context(pyarrow.csv.CSVWriter(raw, schema))
            binary = stack.enter_context(
                pyarrow.parquet.ParquetWriter(asides["parquet"], schema, compression="zstd")
            )
            for batch in batches:
                rows += batch.num_rows
                typed = batch.cast(schema)
                binary.write_batch(typed)
                text.write_batch(_escape_batch(typed))
        for aside in asides.values():
            with aside.open("rb") as file:
                os.fsync(file.fileno())
    except OSError as error:
        for aside in asides.values():
            aside.unlink(missing_ok=True)
        raise DiskFailure(
            "The scores could not be exported.",
            found=f"{directory}: {error.strerror or error}",
            next_step="free some room, then run the same command again",
        ) from error
    crash_point("scoring.files_written")
    made = [
        ExportFile(kind, paths[kind], asides[kind], hash_file(asides[kind]), rows)
        for kind in ("csv", "parquet")
    ]
    return made[0], made[1]


def put_in_place(file: ExportFile) -> None:
    """Give a file its name: at once for whoever reads it, and durably."""
    file.aside.replace(file.path)
    descriptor = os.open(file.path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    crash_point(f"scoring.{file.kind}_renamed")


def hash_file(path: Path) -> str:
    """sha256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _remove_leftovers(directory: Path) -> None:
    """Take away what killed processes have left half-written."""
    for path in directory.glob(".*.partial"):
        process = path.name.split(".")[-2]
        if process.isdigit() and not Path("/proc", process).exists():
            path.unlink(missing_ok=True)


def _escape_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [
        escape_formulas(column) if pa.types.is_string(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def read_head(path: Path, rows: int) -> list[dict[str, Any]]:
    """The first rows of an exported Parquet list, which is in order of rank."""
    with pyarrow.parquet.ParquetFile(path) as file:
        head = next(file.iter_batches(batch_size=rows), None)
        return head.to_pylist() if head is not None else []
