"""Raw bytes read strictly into a staged file, or refused by name: nothing in between.

The file is read with a fixed dialect as text, every value is typed by its declaration, every
canonical column cast to its contract, and each value that does not survive is counted. Only when
none is left is the staged file written, aside first. All SQL over delivered data runs in a
database that can open no other file and change no setting.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from tasks.contracts import Contract
from tasks.crash import crash_point
from tasks.errors import ConfigurationError, HoldfastError, InternalError
from tasks.handles import RawBatch, StagedBatch
from tasks.intake.deliveries import REPLAYED, check_name, is_whole_file
from tasks.intake.diagnosis import explain_column, explain_mapped, refuse_ambiguous_numbers
from tasks.intake.disk import aside, disk_failures, private_directory, settle
from tasks.intake.inspection import inspect_parquet
from tasks.intake.lines import LineFile, field_pattern, line_pattern, write_lines
from tasks.intake.mapping import (
    Delivered,
    Mapping,
    ask,
    build_mapping,
    match_columns,
    place,
    received_at,
    zone_expressions,
)
from tasks.intake.masking import read_delimiter
from tasks.intake.raw import verify_raw
from tasks.intake.rejection import BatchRejected
from tasks.settings import Settings
from tasks.sources import Source, TextSettings
from tasks.warehouse import Connection, literal, quote, scratch

_SQL = Path(__file__).parent / "sql"
_PARQUET = b"PAR1"


def stage(raw: RawBatch, source: Source, contract: Contract, settings: Settings) -> StagedBatch:
    """Read our copy of a batch into `home/staging/<deployment>/<hash>/<batch>/staged.parquet`.

    The file has the contract's columns, `row_number BIGINT` (the line in the file, header = 1;
    for Parquet the row from 1), `raw_line VARCHAR` and `received_at TIMESTAMPTZ` (NULL: known
    since its publication). Rows without a required value are kept, for validation to set aside.

    Raises BatchRejected (65) for a batch that is not as declared, StoredDataCorrupt (74) where
    our copy has changed, ConfigurationError (78) where the mapping is wrong, DiskFailure (73).
    """
    name, part = check_name(raw.delivery.batch_name)
    if source.table != contract.table:
        raise ConfigurationError(
            f"intake source {name} goes to {source.table}, not to {contract.table}."
        )
    verify_raw(raw)
    folder = settings.home / "staging" / settings.deployment
    final = folder / raw.content_hash / name / part / "staged.parquet"
    with raw.raw_path.open("rb") as file:
        is_parquet = file.read(len(_PARQUET)) == _PARQUET
    # The staged file is written in the folder of lines, which the sandbox may write.
    with aside(folder, ".lines") as lines_path, aside(folder, ".parquet") as written:
        if is_parquet and is_whole_file(source):
            reading = _Reading(raw, source, contract, settings, folder)
            rows, notes = reading.read_parquet(written)
        else:
            text = _text_settings(source)
            delimiter = _delimiter(raw, source, text)
            with disk_failures(f"writing {lines_path.name}"):
                lines = write_lines(
                    raw.raw_path,
                    lines_path,
                    raw.delivery.batch_name,
                    text,
                    delimiter,
                    settings.intake.limits,
                )
            crash_point("intake.stage.after_lines")
            reading = _Reading(raw, source, contract, settings, folder)
            rows, notes = reading.read_lines(lines, delimiter, written)
        settle(written, final, "intake.stage")
    return StagedBatch(
        raw=raw,
        staged_path=final,
        received_rows=rows,
        known_basis=source.known.basis,
        declared_lag_days=source.known.lag_days,
        notes=notes,
    )


def _text_settings(source: Source) -> TextSettings:
    """The dialect of a batch: as declared, or the one that we wrote the part in."""
    if is_whole_file(source):
        return source.text
    return TextSettings(
        delimiter=",", newlines_in_values=True, number_format="1234.56", missing=source.text.missing
    )


def _delimiter(raw: RawBatch, source: Source, text: TextSettings) -> str:
    if text.delimiter is not None:
        return text.delimiter
    if raw.delivery.location == REPLAYED:
        # Its name is gone; its header says which of the two it was written with.
        return read_delimiter(raw.raw_path, source)
    return "\t" if raw.delivery.location.removesuffix(".gz").endswith(".tsv") else ","


class _Reading:
    """The reading of one batch."""

    def __init__(
        self, raw: RawBatch, source: Source, contract: Contract, settings: Settings, folder: Path
    ) -> None:
        self._raw = raw
        self._name = raw.delivery.batch_name
        self._source = source.model_copy(update={"text": _text_settings(source)})
        self._contract = contract
        self._settings = settings
        self._folder = folder

    def read_lines(
        self, lines: LineFile, delimiter: str, target: Path
    ) -> tuple[int, tuple[str, ...]]:
        """Stage a text file whose lines are numbered; gives its rows and notes."""
        positions, dropped = match_columns(lines.header, self._source, self._name)
        maximum_cell = int(self._settings.intake.limits.maximum_cell_kb * 1000)
        values: dict[str, Any] = {
            "lines_path": str(lines.path),
            "delimiter": delimiter,
            "line_pattern": line_pattern(delimiter),
            "field_pattern": field_pattern(delimiter),
            "columns": len(lines.header),
            "check_cells": lines.longest_line > maximum_cell,
            "maximum_cell": maximum_cell,
        }
        records = Connection.text(_SQL / "text_records.sql")
        columns = [
            Delivered(name, self._source.column(name), f"fields[{position + 1}]")
            for name, position in positions.items()
        ]
        with self._sandbox((self._folder,)) as connection:
            self._check_form(connection, records, values, lines)
            self._stage(connection, records, columns, values, lines.rows, target)
        return lines.rows, lines.notes + dropped

    def read_parquet(self, target: Path) -> tuple[int, tuple[str, ...]]:
        """Stage a delivered Parquet file; gives its rows and notes."""
        found = inspect_parquet(
            self._raw.raw_path,
            self._name,
            self._source.columns,
            self._settings.intake.limits,
        )
        positions, dropped = match_columns(
            [name for name, _ in found.columns], self._source, self._name
        )
        columns = [
            Delivered(name, self._source.column(name), quote(name), found.columns[position][1])
            for name, position in positions.items()
        ]
        packed = ", ".join(f"{quote(column.name)} := {quote(column.name)}" for column in columns)
        records = (
            f"select file_row_number + 1 as row_number, to_json(struct_pack({packed}))::varchar"
            f" as raw_line, {', '.join(quote(column.name) for column in columns)}"
            f" from read_parquet({literal(str(self._raw.raw_path))}, file_row_number = true)"
        )
        with self._sandbox((self._folder, self._raw.raw_path.parent)) as connection:
            self._stage(connection, records, columns, {}, found.rows, target)
        return found.rows, dropped

    def _sandbox(self, folders: Sequence[Path]) -> Any:
        warehouse = self._settings.warehouse
        return scratch(
            memory_limit_mb=warehouse.memory_limit_mb,
            threads=warehouse.threads,
            temporary=private_directory(self._settings.home / "spill"),
            allowed_directories=folders,
        )

    def _check_form(
        self, connection: Connection, records: str, values: dict[str, Any], lines: LineFile
    ) -> None:
        sql = Connection.text(_SQL / "text_form.sql", names={"records": records})
        form = connection.one(sql, values)
        if form["records"] != lines.rows:
            raise InternalError(
                f"batch {self._name}: {lines.rows:,} lines were written aside and"
                f" {form['records']:,} read back."
            )
        if form["quote_count"]:
            raise self._malformed("quotes are not in order", form, "quote")
        if form["ragged_count"]:
            raise self._malformed(
                f"{form['ragged_fields']:,} fields where the header has {len(lines.header):,}",
                form,
                "ragged",
            )
        if form["large_count"]:
            limit = self._settings.intake.limits.maximum_cell_kb
            raise BatchRejected(
                "LIMIT",
                self._name,
                f"a value of more than {limit * 1000:,.0f} characters",
                lines=form["large_lines"],
                count=form["large_count"],
            )

    def _malformed(
        self, problem: str, form: dict[str, Any], kind: Literal["quote", "ragged"]
    ) -> BatchRejected:
        return BatchRejected(
            "MALFORMED",
            self._name,
            problem,
            lines=form[f"{kind}_lines"],
            count=form[f"{kind}_count"],
        )

    def _stage(
        self,
        connection: Connection,
        records: str,
        columns: Sequence[Delivered],
        values: dict[str, Any],
        rows: int,
        target: Path,
    ) -> None:
        mapping = build_mapping(
            connection, records, columns, self._source, self._contract, self._name
        )
        mapping = zone_expressions(connection, mapping, self._source, self._name, values)
        self._check_values(connection, mapping, columns, values, rows)
        selected = mapping.select(
            self._contract, received_at(self._contract, self._source, self._name)
        )
        crash_point("intake.stage.before_write")
        with disk_failures(f"writing {target.name}"):
            connection.execute(
                f"copy ({selected}) to {literal(str(target))} (format parquet, compression zstd)",
                values,
            )
        staged = connection.scalar(
            "select count(*) from read_parquet($path)", {"path": str(target)}
        )
        if staged != rows:
            raise ConfigurationError(
                f"batch {self._name}: {rows:,} rows were read and {staged:,} mapped.",
                found="an expression of `map` makes or drops rows",
            )

    def _check_values(
        self,
        connection: Connection,
        mapping: Mapping,
        columns: Sequence[Delivered],
        values: dict[str, Any],
        rows: int,
    ) -> None:
        """Count what typing or mapping lost, and refuse the batch for the first column that did."""
        counts = [
            f"count(*) filter ({quote(place(number))} is not null and {quote(column.name)} is null)"
            f" as {quote(f'typed {number}')}"
            for number, column in enumerate(columns)
        ]
        for number, (_, sql, kind) in enumerate(mapping.expressions):
            lost = f"{sql} is not null and try_cast({sql} as {kind}) is null"
            if kind == "DOUBLE":
                lost += f" or not isfinite(try_cast({sql} as double))"
            counts.append(f"count(*) filter ({lost}) as {quote(f'mapped {number}')}")
        try:
            [found] = ask(
                connection,
                f"select count(*) as records, {', '.join(counts)} from ({mapping.typed}) as typed",
                values,
                f"{self._name.split('/')[0]}: `map`",
            )
        except HoldfastError as error:
            # The text of such a failure quotes the value, which may be personal.
            kind = type(error.__cause__).__name__
            if kind not in ("ConversionException", "OutOfRangeException", "InvalidInputException"):
                raise
            raise BatchRejected(
                "TYPE",
                self._name,
                f"an expression of `map` fails on a value ({kind})",
                next_step="write TRY_CAST in `map`, or correct the value at the source",
            ) from None
        if found["records"] != rows:
            raise InternalError(
                f"batch {self._name}: {rows:,} rows announced, {found['records']:,} read."
            )
        for number, column in enumerate(columns):
            if found[f"typed {number}"]:
                raise explain_column(
                    connection, mapping, column, number, self._source, self._name, values
                )
        refuse_ambiguous_numbers(connection, mapping, columns, self._source, self._name, values)
        for number, expression in enumerate(mapping.expressions):
            if found[f"mapped {number}"]:
                raise explain_mapped(connection, mapping, expression, self._name, values)
