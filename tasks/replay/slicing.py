"""History cut into the deliveries that would have come: each row in the first after it was known.

A row is in the slice of the first night whose moment lies at or after the time at which it was
known by the source's own declaration (`known`): nothing is offered before it could have come. The
columns are those of the delivery, as text; mapping, checks and everything else are the night's.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.contracts import CONTRACTS
from tasks.errors import ConfigurationError, UsageError
from tasks.replay.weeks import Week
from tasks.sources import FilesSource, PackageSource, PostgresSource, Source, TableSource
from tasks.warehouse import Connection, literal, quote, scratch

if TYPE_CHECKING:
    from tasks.settings import Settings

_CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt")


@dataclass(frozen=True, slots=True)
class Slice:
    """A delivery of history: `part` is the last day that it covers; from which step it is there."""

    source: str
    part: str
    path: Path
    delivered_at: datetime
    as_of: datetime


def cut_history(
    settings: Settings, weeks: Sequence[Week], every_days: int, folder: Path
) -> list[Slice]:
    """Every slice of every source up to the last step, written once below `folder`.

    What is older than the first step is cut the same way, since rules compare a delivery with
    those before it. Written aside and renamed, so that a killed cut is made anew.
    """
    slices: list[Slice] = []
    for name, source in settings.intake.sources.items():
        target = folder / name
        if not target.is_dir():
            aside = folder / f".{name}.aside"
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            _cut(settings, name, source, weeks, every_days, aside)
            aside.replace(target)
        slices += _list(name, target, weeks, every_days)
    return sorted(slices, key=lambda one: (one.delivered_at, one.source, one.part))


def _list(name: str, target: Path, weeks: Sequence[Week], every_days: int) -> list[Slice]:
    found = []
    first = weeks[0]
    for path in sorted(target.glob("*.csv")):
        last_day = datetime.fromisoformat(path.stem).replace(tzinfo=UTC)
        as_of = last_day + timedelta(days=1)
        moment = as_of + (first.moment - first.as_of)
        found.append(Slice(name, path.stem, path, moment, as_of))
    return found


def _cut(
    settings: Settings,
    name: str,
    source: Source,
    weeks: Sequence[Week],
    every_days: int,
    target: Path,
) -> None:
    with scratch(
        memory_limit_mb=settings.warehouse.memory_limit_mb,
        threads=1,  # each slice is one file, its rows in order
        temporary=settings.home / "spill",
    ) as connection:
        relation = _read_raw(connection, name, source)
        known = _known_time(connection, source)
        # Steps count from the first night; what was known before has numbers below zero.
        number = (
            f"coalesce(ceil((epoch({known}) - $first) / $step), 0)::bigint"
            if known is not None
            else "0::bigint"
        )
        connection.execute(
            f"create temp table cut as select *, {number} as holdfast_number from {relation}",
            {"first": weeks[0].moment.timestamp(), "step": every_days * 86_400.0},
        )
        numbers = connection.rows(
            "select distinct holdfast_number as number from cut"
            " where holdfast_number < $steps order by number",
            {"steps": len(weeks)},
        )
        present = {row["column_name"] for row in connection.rows("describe cut")}
        listed = ", ".join(quote(column) for column in source.columns if column in present)
        for row in numbers:
            as_of = weeks[0].as_of + timedelta(days=every_days * int(row["number"]))
            path = target / f"{as_of - timedelta(days=1):%Y-%m-%d}.csv"
            connection.execute(
                f"copy (select {listed} from cut where holdfast_number = $number"
                f" order by all) to {literal(str(path))} (format csv, header true)",
                {"number": int(row["number"])},
            )


def _read_raw(connection: Connection, name: str, source: Source) -> str:
    """The rows as delivered, as a relation of the connection."""
    if isinstance(source, PostgresSource):
        raise UsageError(
            f"intake source {name}: a database says what it holds now, not what it held then.",
            next_step="replay a deployment whose sources are files or packages",
        )
    if isinstance(source, FilesSource) and source.pattern is not None:
        return _read_files(name, source)
    for relation, path in _locate(name, source).items():
        connection.execute(
            f"create temp view {quote(relation)} as select * from read_parquet"
            f"({literal(str(path))})"
        )
    query = source.query or f"select * from {quote(next(iter(source.files)))}"
    return f"({query}) as delivered"


def _read_files(name: str, source: FilesSource) -> str:
    paths = sorted(
        path
        for path in source.folder.glob("*")
        if path.is_file() and fnmatchcase(path.name, source.pattern or "")
    )
    if not paths:
        raise UsageError(
            f"intake source {name}: there is nothing in {source.folder}.",
            next_step="deliver history there, or make some: holdfast simulate",
        )
    listed = "[" + ", ".join(literal(str(path)) for path in paths) + "]"
    if all(path.name.endswith(_CSV) for path in paths):
        delimiter = source.text.delimiter or ","
        return (
            f"read_csv({listed}, header = true, all_varchar = true, union_by_name = true,"
            f" auto_detect = false, delim = {literal(delimiter)}, quote = '\"', escape = '\"',"
            f" columns = {_columns(paths[0], delimiter)})"
        )
    return f"read_parquet({listed}, union_by_name = true)"


def _columns(path: Path, delimiter: str) -> str:
    import csv
    import gzip

    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file, delimiter=delimiter))
    return "{" + ", ".join(f"{literal(column)}: 'VARCHAR'" for column in header) + "}"


def _locate(name: str, source: TableSource) -> dict[str, Path]:
    from importlib.util import find_spec

    if isinstance(source, PackageSource):
        spec = find_spec(source.package)
        if spec is None or not spec.submodule_search_locations:
            raise ConfigurationError(f"intake source {name}: {source.package} is not installed.")
        folder = Path(next(iter(spec.submodule_search_locations)))
    else:
        assert isinstance(source, FilesSource)
        folder = source.folder
    missing = [path for path in source.files.values() if not (folder / path).is_file()]
    if missing:
        raise ConfigurationError(
            f"intake source {name}: there is no file {missing[0]}.",
            found=f"looked in {folder}",
            next_step="set HOLDFAST_DATA to the folder of the data sets",
        )
    return {relation: folder / path for relation, path in source.files.items()}


def _known_time(connection: Connection, source: Source) -> str | None:
    """SQL of the moment (UTC) at which a row was known; None: before the first night."""
    known = source.known
    if known.at is not None and known.at != "period_end":
        return None
    contract = CONTRACTS[source.table]
    event = source.map.get(contract.event_time)
    if event is None:
        return None
    # A time without an offset is one of the source's zone, as for the mapping.
    connection.execute(f"set TimeZone = {literal(source.time_zone or 'UTC')}")
    seconds = (known.lag_days or 0.0) * 86_400
    return f"try_cast(({event}) as timestamptz) + to_seconds({seconds})"
