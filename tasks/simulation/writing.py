"""Writes a simulated population to files, as a company would deliver them, and its truth aside.

    DIRECTORY/orders/2022-01.csv.gz ...      formats csv and monthly_parquet: one file a month
    DIRECTORY/orders/part-00000.parquet ...  format parquet: one file a chunk, sorted by customer
    DIRECTORY/{events,tickets,contacts,customers}/...      likewise
    DIRECTORY/truth/customers/part-00000.parquet ...       what nobody in business could know
    DIRECTORY/truth/faults/part-00000.parquet ...          what was planted, if dirty
    DIRECTORY/manifest.json                  the plan, the rows, every file with its hash

Everything is written beside DIRECTORY and takes its name in one rename: a killed run leaves a
folder `.DIRECTORY.aside-*`, which a later one clears away, and no half of a population. Memory
holds one chunk a thread.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import shutil
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from tasks.crash import crash_point
from tasks.errors import DiskFailure, StoredDataCorrupt, UsageError
from tasks.handles import Simulation
from tasks.populations import SimulationSettings
from tasks.progress import track
from tasks.settings import Settings
from tasks.simulation.process import (
    LINE_FAULTS,
    SQL,
    UNIT_FAULT,
    Plan,
    make_lives,
    make_orders,
    make_plan,
    make_sessions,
    make_world,
)
from tasks.warehouse import Connection, literal, scratch

Format = Literal["csv", "parquet", "monthly_parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)

_MANIFEST = "manifest.json"
_MANIFEST_VERSION = 1
_CSV = "format csv, header, timestampformat '%Y-%m-%dT%H:%M:%SZ'"
_PARQUET = "format parquet, compression zstd, row_group_size 122880"
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
_ASIDE_MAXIMUM_AGE_SECONDS = 86_400
_BLOCK_BYTES = 4 * 1024 * 1024

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Output:
    """One table that is written: its SQL file, and the month in whose file a row stands."""

    table: str
    sql: str
    month: str
    csv_columns: str = "*"


_LATE_MONTH = (
    "strftime($start_on::date + floor(at_day)::integer"
    " + case when fault = 'arrived_late' then interval 1 month else interval 0 month end, '%Y-%m')"
)
_DELIVERED = (
    _Output(
        "orders",
        "orders",
        _LATE_MONTH,
        "* replace (quantity::integer as quantity, net_amount::decimal(18, 2) as net_amount,"
        " discount_amount::decimal(18, 2) as discount_amount)",
    ),
    _Output("events", "session_events", "month_name($start_on, event_day)"),
    _Output("tickets", "tickets", "month_name($start_on, opened_day)"),
    _Output("contacts", "contacts", "month_name($start_on, contacted_day)"),
    _Output("customers", "customers", "month_name($start_on, joined_day)"),
)
_TRUTH = _Output("truth/customers", "truth_customers", "")
_FAULTS = _Output("truth/faults", "planted_faults", "")


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    rows: int
    sha256: str


def simulate(
    settings: Settings,
    *,
    customers: int,
    directory: Path,
    months: int | None = None,
    seed: int | None = None,
    format: Format = "csv",
    dirty_share: float = 0.0,
) -> Simulation:
    """Write `customers` simulated customers to `directory`, which must be new or empty.

    `months` and `seed` are those of `settings.simulation` unless given. `dirty_share` is the share
    of order lines that get a fault; what is planted is told in the truth. The same plan gives the
    same bytes, whatever the threads; the monthly formats whatever the chunks too.
    Raises UsageError (64) for a plan that cannot be or a directory in use, DiskFailure (73).
    """
    plan = make_plan(
        settings.simulation,
        customers=customers,
        months=months,
        seed=seed,
        dirty_share=dirty_share,
    )
    if format not in FORMATS:
        raise UsageError(f"There is no format '{format}'.", available=FORMATS)
    with _new_directory(directory.resolve()) as aside:
        writer = _Writer(plan, format, aside, settings.warehouse.threads)
        with scratch(
            memory_limit_mb=settings.warehouse.memory_limit_mb,
            # One thread a chunk: chunks run side by side, and each is written in its own order.
            threads=1,
            temporary=aside / "spill",
        ) as connection:
            files = writer.write(connection)
        for folder in ("spill", "parts"):
            shutil.rmtree(aside / folder, ignore_errors=True)
        _write_manifest(aside, plan, format, files)
        crash_point("simulation.before_rename")
    return load_simulation(directory.resolve())


def load_simulation(directory: Path) -> Simulation:
    """What a directory written by `simulate` holds. Raises StoredDataCorrupt (74) if it is none."""
    manifest = _read_manifest(directory)
    plan = manifest["plan"]
    return Simulation(
        directory=directory,
        customers=plan["customers"],
        months=plan["months"],
        seed=plan["seed"],
        start_on=date.fromisoformat(plan["population"]["start_on"]),
        end_on=read_plan(directory).end_on,
        format=manifest["format"],
        dirty_share=plan["dirty_share"],
        rows=manifest["rows"],
        planted_faults=manifest["planted_faults"],
        fingerprint=manifest["fingerprint"],
    )


def read_plan(directory: Path) -> Plan:
    """The plan by which a directory was written, its population included."""
    plan = _read_manifest(directory)["plan"]
    return Plan(
        customers=plan["customers"],
        months=plan["months"],
        seed=plan["seed"],
        dirty_share=plan["dirty_share"],
        population=SimulationSettings.model_validate_json(json.dumps(plan["population"])),
    )


class _Writer:
    """Makes the chunks of a plan side by side and writes them."""

    def __init__(self, plan: Plan, format: Format, aside: Path, threads: int) -> None:
        self.plan = plan
        self.format = format
        self.aside = aside
        self.threads = threads
        self.monthly = format != "parquet"
        self.suffix = "csv.gz" if format == "csv" else "parquet"
        self.values: dict[str, Any] = {}

    def write(self, connection: Connection) -> list[_File]:
        connection.execute("set partitioned_write_max_open_files = 1000")
        self.values = make_world(connection, self.plan)
        size = self.plan.population.chunk_customers
        starts = range(0, self.plan.customers, size)
        outputs = (*_DELIVERED, _TRUTH) + ((_FAULTS,) if self.plan.dirty_share else ())
        for output in outputs:
            (self.aside / output.table).mkdir(parents=True, exist_ok=True)
        files = [
            file
            for chunk in self._side_by_side(
                connection, starts, self._write_chunk, "customers from", str
            )
            for file in chunk
        ]
        if self.monthly:
            pairs = [(output, month) for output in _DELIVERED for month in self._months(output)]
            files += self._side_by_side(
                connection,
                pairs,
                self._join_month,
                "writing",
                lambda pair: f"{pair[0].table} {pair[1]}",
            )
        return sorted(files, key=lambda file: file.path)

    def _side_by_side(
        self,
        connection: Connection,
        items: Sequence[Item],
        work: Callable[[Connection, Item], Result],
        doing: str,
        name: Callable[[Item], str],
    ) -> list[Result]:
        """`work` on all items, each thread with a connection of its own; results in order."""
        own = threading.local()
        opened: list[Connection] = []

        def call(item: Item) -> Result:
            if not hasattr(own, "connection"):
                own.connection = connection.cursor()
                opened.append(own.connection)
            return work(own.connection, item)

        with ThreadPoolExecutor(max_workers=self.threads) as executor:
            futures = [executor.submit(call, item) for item in items]
            try:
                order = track(range(len(items)), doing, lambda n: name(items[n]))
                return [futures[n].result() for n in order]
            except BaseException:
                executor.shutdown(wait=False, cancel_futures=True)
                for each in opened:
                    each.interrupt()
                raise

    def _write_chunk(self, connection: Connection, first: int) -> list[_File]:
        size = self.plan.population.chunk_customers
        values = make_lives(connection, self.values, first, min(first + size, self.plan.customers))
        number = first // size
        make_orders(connection, values)
        lines = connection.text(SQL / "clean_lines.sql")
        if self.plan.dirty_share:
            connection.run(SQL / "faulty_lines.sql", values)
            lines = "faulty_lines"
        make_sessions(connection, values, self.plan.population.sessions.per_order)
        files = []
        for output in _DELIVERED:
            if self.monthly:
                self._write_parts(connection, output, number, values, lines)
            else:
                files.append(self._write_part(connection, output, number, values, lines))
        files.append(self._write_part(connection, _TRUTH, number, values, lines))
        if self.plan.dirty_share:
            files.append(self._write_part(connection, _FAULTS, number, values, lines))
            connection.execute("drop table faulty_lines")
        connection.execute("drop table order_lines; drop table session_arrivals")
        return files

    def _write_part(
        self,
        connection: Connection,
        output: _Output,
        number: int,
        values: dict[str, Any],
        lines: str,
    ) -> _File:
        sql = connection.text(SQL / f"{output.sql}.sql", names={"month": "", "lines": lines})
        path = self.aside / output.table / f"part-{number:05d}.parquet"
        return self._copy(connection, sql, path, _PARQUET, values)

    def _write_parts(
        self,
        connection: Connection,
        output: _Output,
        number: int,
        values: dict[str, Any],
        lines: str,
    ) -> None:
        month = f",\n    {output.month} as month"
        sql = connection.text(SQL / f"{output.sql}.sql", names={"month": month, "lines": lines})
        folder = self.aside / "parts" / output.table / f"{number:05d}"
        folder.mkdir(parents=True)
        connection.execute(
            f"copy ({sql}) to {literal(str(folder))} (format parquet, partition_by (month))", values
        )

    def _months(self, output: _Output) -> list[str]:
        found = (self.aside / "parts" / output.table).glob("*/month=*")
        return sorted({path.name.removeprefix("month=") for path in found})

    def _join_month(self, connection: Connection, pair: tuple[_Output, str]) -> _File:
        output, month = pair
        parts = sorted((self.aside / "parts" / output.table).glob(f"*/month={month}/*.parquet"))
        listed = ", ".join(literal(str(part)) for part in parts)
        rows = f"from read_parquet([{listed}], hive_partitioning = false)"
        path = self.aside / output.table / f"{month}.{self.suffix}"
        if self.format == "csv":
            plain = path.with_suffix("")
            file = self._copy(
                connection, f"select {output.csv_columns} {rows}", plain, _CSV, {}, path
            )
        else:
            file = self._copy(connection, f"select * {rows}", path, _PARQUET, {})
        for part in parts:
            part.unlink()
        return file

    def _copy(
        self,
        connection: Connection,
        sql: str,
        path: Path,
        options: str,
        values: dict[str, Any],
        packed: Path | None = None,
    ) -> _File:
        rows = connection.scalar(f"copy ({sql}) to {literal(str(path))} ({options})", values)
        if packed is not None:
            _pack(path, packed)
            path = packed
        return _File(str(path.relative_to(self.aside)), int(rows), _sync_and_hash(path))


def _pack(plain: Path, packed: Path) -> None:
    """Gzip without a time or name inside. DuckDB's own takes five times as long."""
    compressor = zlib.compressobj(level=1, wbits=zlib.MAX_WBITS | 16)
    with plain.open("rb") as source, packed.open("wb") as target:
        while block := source.read(_BLOCK_BYTES):
            target.write(compressor.compress(block))
        target.write(compressor.flush())
    plain.unlink()


def _sync_and_hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
        os.fsync(file.fileno())
    return digest.hexdigest()


@contextmanager
def _new_directory(directory: Path) -> Iterator[Path]:
    """A folder beside `directory` that takes its place at the end, or is removed."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(
            f"{directory} is in use.", next_step="name a directory that is new or empty"
        )
    prefix = f".{directory.name}.aside-"
    for old in directory.parent.glob(f"{glob.escape(prefix)}*"):
        # Left by a killed run; a younger one may belong to a run that is still at work.
        if old.stat().st_mtime < time.time() - _ASIDE_MAXIMUM_AGE_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    aside = directory.parent / f"{prefix}{uuid.uuid4().hex}"
    try:
        aside.mkdir(parents=True)
        yield aside
        aside.replace(directory)
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise DiskFailure(
            f"The disk refused writing {directory}.",
            found=os.strerror(error.errno),
            next_step="free space or mend the permission, then run again; nothing was left",
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_manifest(aside: Path, plan: Plan, format: Format, files: Sequence[_File]) -> None:
    tables = [output.table for output in (*_DELIVERED, _TRUTH)]
    planted = {}
    if plan.dirty_share:
        with scratch(threads=1) as connection:
            counted = connection.rows(
                "select fault, count(*) as lines from read_parquet($parts) group by fault",
                {"parts": [str(aside / f.path) for f in files if f.path.startswith(_FAULTS.table)]},
            )
        found = {row["fault"]: int(row["lines"]) for row in counted}
        planted = {fault: found.get(fault, 0) for fault in (*LINE_FAULTS, UNIT_FAULT)}
    manifest = {
        "version": _MANIFEST_VERSION,
        "plan": {
            "customers": plan.customers,
            "months": plan.months,
            "seed": plan.seed,
            "dirty_share": plan.dirty_share,
            "unit_month": plan.unit_month,
            "population": plan.population.model_dump(mode="json"),
        },
        "format": format,
        "rows": {
            table: sum(f.rows for f in files if str(Path(f.path).parent) == table)
            for table in tables
        },
        "planted_faults": planted,
        "files": {f.path: {"rows": f.rows, "sha256": f.sha256} for f in files},
        "fingerprint": hashlib.sha256(
            "\n".join(f"{f.path} {f.sha256}" for f in files).encode()
        ).hexdigest(),
    }
    path = aside / _MANIFEST
    path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _read_manifest(directory: Path) -> dict[str, Any]:
    path = directory / _MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{directory} holds no simulated population.",
            next_step="holdfast simulate --customers N --out DIRECTORY",
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StoredDataCorrupt(f"{path} is damaged.", found=str(error)) from None
    if manifest.get("version") != _MANIFEST_VERSION:
        raise StoredDataCorrupt(
            f"{path} is of another version.",
            found=f"found {manifest.get('version')}, {_MANIFEST_VERSION} is known",
        )
    return manifest
