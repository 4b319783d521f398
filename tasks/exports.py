"""Lists as files that a CRM, a spreadsheet or a program can read: CSV and Parquet.

A CSV opened in a spreadsheet is a program: a text that starts with = + - @ or a control character
is taken for a formula. Such texts get an apostrophe in front; numbers are numbers and stay as they
are. Files are written aside, made durable and renamed, so a reader sees a whole file or the old
one. The same rows give the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from tasks.contracts import Column
from tasks.crash import crash_point
from tasks.durability import sync_directory
from tasks.errors import DiskFailure
from tasks.moments import read_clock

if TYPE_CHECKING:
    from tasks.settings import Settings
    from tasks.warehouse import Lake

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# OWASP ASVS 1.2.10, and the full-width forms that East Asian spreadsheets take for the same.
_TRIGGERS = "=+\\-@＝＋－＠"
# A cell may hold lines, and a spreadsheet that expects semicolons or tabs splits at those.
_AFTER_BREAK = f"([\\r\\n;\\t][ \\v\\f]*)([{_TRIGGERS}])"
_AT_START = f"\\A([\\s\\v]*[{_TRIGGERS}]|[\\t\\r\\n\\x00])"
_READ_BYTES = 1 << 20
_ARROW_TYPES = {
    "VARCHAR": pa.string(),
    "BOOLEAN": pa.bool_(),
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "DOUBLE": pa.float64(),
    "DECIMAL(18,4)": pa.decimal128(18, 4),
    "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file of an export: where it is to be, where it is now, and its checksum."""

    kind: str
    path: Path
    aside: Path
    sha256: str
    rows: int


def export_directory(settings: Settings, as_of: datetime) -> Path:
    """Where the lists of a cut-off are: `exports/<deployment>/<date>`."""
    moment = as_of.astimezone(UTC)
    midnight = moment.hour == moment.minute == moment.second == 0
    name = moment.strftime("%Y-%m-%d" if midnight else "%Y-%m-%dT%H%M%SZ")
    return settings.home / "exports" / settings.deployment / name


def find_scoring(lake: Lake, as_of: datetime) -> str | None:
    """The scoring run of a cut-off that was exported last; None where it was not scored."""
    if "scores" not in lake.tables():
        return None
    found = lake.scalar(
        "select arg_max(export_id, exported_at) from lake.ledger.exports"
        " where kind = 'scores.parquet'"
        " and export_id in (select scoring_id from lake.main.scores where as_of = $as_of)",
        {"as_of": as_of},
    )
    return None if found is None else str(found)


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The stable schema of files that hold these columns, in their order."""
    return pa.schema([(column.name, _ARROW_TYPES[column.type]) for column in columns])


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
            f"The list '{stem}' could not be exported.",
            found=f"{directory}: {error.strerror or error}",
            next_step="free some room, then run the same command again",
        ) from error
    crash_point("exports.files_written")
    made = [
        ExportFile(kind, paths[kind], asides[kind], hash_file(asides[kind]), rows)
        for kind in ("csv", "parquet")
    ]
    return made[0], made[1]


def put_in_place(file: ExportFile) -> None:
    """Give a file its name: at once for whoever reads it, and durably."""
    file.aside.replace(file.path)
    sync_directory(file.path.parent)
    crash_point(f"exports.{file.path.name}_renamed")


def insert_exports(lake: Lake, export_id: str, files: Iterable[ExportFile]) -> None:
    """Append files to the ledger, each by its name; call it inside the publishing transaction."""
    for file in files:
        lake.execute(
            "insert into lake.ledger.exports (export_id, kind, path, sha256, rows, exported_at)"
            " values ($export_id, $kind, $path, $sha256, $rows, $exported_at)",
            {
                "export_id": export_id,
                "kind": file.path.name,
                "path": str(file.path.relative_to(lake.settings.home)),
                "sha256": file.sha256,
                "rows": file.rows,
                "exported_at": read_clock(),
            },
        )


def find_exports(lake: Lake, export_id: str) -> dict[str, dict[str, Any]]:
    """The files of a run as the ledger has them last, by name: kind, path, sha256, rows."""
    rows = lake.rows(
        "select kind, path, sha256, rows from lake.ledger.exports where export_id = $export_id"
        " qualify row_number() over (partition by kind order by exported_at desc) = 1"
        " order by kind",
        {"export_id": export_id},
    )
    return {row["kind"]: row for row in rows}


def is_whole(directory: Path, recorded: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether every file that the ledger names is there and is what it was."""
    return all(
        (directory / name).is_file() and hash_file(directory / name) == row["sha256"]
        for name, row in recorded.items()
    )


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
