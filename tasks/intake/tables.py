"""Tables that a query makes of named Parquet files, cut into the batches of a source.

A part is written as CSV with its rows in a fixed order, so that the same rows give the same bytes
whatever version, thread count or file layout they come from: the content hash is of the rows.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tasks.errors import ConfigurationError, HoldfastError, Refused
from tasks.intake.disk import private_directory
from tasks.intake.rejection import BatchRejected, SourceAbsent
from tasks.moments import read_clock
from tasks.settings import Settings
from tasks.sources import FilesSource, PackageSource, Split, TableSource
from tasks.warehouse import Connection, literal, quote, scratch

# Rows whose deciding time is missing; they are delivered too, for validation to judge.
UNDATED = "undated"
_FLOATS = ("DOUBLE", "FLOAT")


def list_parts(name: str, source: TableSource, settings: Settings) -> list[str]:
    """Second parts of the source's batch names, in order of time."""
    if source.split is None:
        return [source.part]
    with _opened(name, source, settings) as connection:
        rows = _asked(
            connection,
            f"select distinct strftime({_moment(source.split)}, $form) as part"
            f" from ({_query(source)}) as delivered order by part",
            {"form": period_form(source.split)},
            name,
        )
    return select_parts([row["part"] for row in rows], source.split)


def write_part(
    name: str, source: TableSource, part: str, target: Path, settings: Settings, batch_name: str
) -> None:
    """Write the rows of one part to `target` as CSV, ordered by all their columns."""
    values: dict[str, Any] = {}
    condition = "true"
    if source.split is not None:
        condition, values = _condition(source.split, part)
    with _opened(name, source, settings, target.parent) as connection:
        described = _asked(connection, f"describe ({_query(source)})", {}, name)
        for row in described:
            column = str(row["column_name"])
            if (
                column in source.columns
                and source.column(column).type == "text"
                and str(row["column_type"]) in _FLOATS
            ):
                raise BatchRejected(
                    "SCHEMA",
                    batch_name,
                    f"'{column}' is declared as text and delivered as a floating-point number",
                    column=column,
                    found="identifiers lose digits and leading zeros that way",
                    next_step="deliver it as text or as whole numbers",
                )
        _asked(
            connection,
            f"copy (select * from ({_query(source)}) as delivered where {condition}"
            f" order by all) to {literal(str(target))} (format csv, header true)",
            values,
            name,
        )


def cut_parts(name: str, settings: Settings, folder: Path, *, packed: bool = True) -> list[Path]:
    """Write every part of a source as a file of its own: `<part>.csv.gz`, or `.csv` unpacked.

    For handing data on as deliveries: a source of kind `files` with a `pattern` reads them back
    to the same rows. The bytes depend on the rows alone.
    """
    source = settings.intake.sources[name]
    if not isinstance(source, TableSource):
        raise ConfigurationError(f"intake source {name} is not cut from files.")
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for part in list_parts(name, source, settings):
        path = folder / f"{part}.csv"
        write_part(name, source, part, path, settings, f"{name}/{part}")
        if packed:
            target = path.with_suffix(".csv.gz")
            # No name and no time inside, which would make equal rows unequal bytes.
            with (
                path.open("rb") as plain,
                target.open("wb") as file,
                gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as zipped,
            ):
                shutil.copyfileobj(plain, zipped)
            path.unlink()
            path = target
        written.append(path)
    return written


def fingerprint_part(name: str, source: TableSource, part: str) -> str:
    """sha256 over what decides a part's bytes: its SQL and the state of its files on disk.

    The same fingerprint means the same bytes; another means that they must be written to know.
    The time of the inode's change is among it, which no copying or touching can set back.
    """
    files = {
        relation: [str(path), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns,
                   stat.st_ctime_ns]
        for relation, path in locate_files(name, source).items()
        for stat in (path.stat(),)
    }  # fmt: skip
    split = source.split.model_dump() if source.split else None
    texts = sorted(c for c in source.columns if source.column(c).type == "text")
    said = json.dumps([files, _query(source), split, part, texts], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def describe_location(name: str, source: TableSource) -> str:
    """Where a part comes from, in words for the ledger."""
    origin = source.package if isinstance(source, PackageSource) else _folder(name, source).name
    return f"{origin}: {', '.join(source.files.values())}"


def period_form(split: Split) -> str:
    """The strftime form of a period's name."""
    return "%Y-%m" if split.by == "month" else "%Y-%m-%d"


def period_bounds(part: str) -> tuple[date, date]:
    """First day of the period that a part's name says, and first day after it.

    Raises ValueError for a name that is no period.
    """
    if len(part) == 7:
        first = datetime.strptime(part, "%Y-%m").date()
        return first, (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    first = datetime.strptime(part, "%Y-%m-%d").date()
    return first, first + timedelta(days=1)


def select_parts(found: list[str | None], split: Split) -> list[str]:
    """The parts to offer: those whose period ended `settle_days` ago, then the undated rows."""
    today = read_clock().date()
    settled = [
        part
        for part in found
        if part is not None
        and (
            split.settle_days == 0
            or period_bounds(part)[1] + timedelta(days=split.settle_days) <= today
        )
    ]
    return sorted(settled) + ([UNDATED] if None in found else [])


def locate_files(name: str, source: TableSource) -> dict[str, Path]:
    """The file behind each relation of the query, each checked to be there."""
    folder = _folder(name, source)
    located: dict[str, Path] = {}
    for relation, relative in source.files.items():
        path = folder / relative
        if isinstance(source, FilesSource) and path.is_symlink():
            raise Refused(f"intake source {name}: {relative} is a symbolic link.")
        if not path.is_file():
            raise SourceAbsent(
                f"intake source {name}: there is no file {relative}.",
                found=f"looked in {folder}",
                available=sorted(p.name for p in path.parent.glob("*.parquet"))[:20],
                next_step="set HOLDFAST_DATA to the folder of the data sets, or mend `files`",
            )
        if path.suffix != ".parquet":
            raise ConfigurationError(
                f"intake source {name}: {relative} is no Parquet file.",
                next_step="deliver CSV with `pattern`, which keeps and checks each line",
            )
        located[relation] = path.resolve()
    return located


def _folder(name: str, source: TableSource) -> Path:
    if isinstance(source, FilesSource):
        return source.folder
    if not isinstance(source, PackageSource):
        raise ConfigurationError(f"intake source {name}: this kind has no files.")
    spec = find_spec(source.package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            f"intake source {name}: the package {source.package} is not installed.",
            next_step="install it into this environment; `make` installs those of the lock",
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _query(source: TableSource) -> str:
    return source.query or f"select * from {quote(next(iter(source.files)))}"


def _moment(split: Split) -> str:
    return f"cast(({split.time}) as timestamp)"


def _condition(split: Split, part: str) -> tuple[str, dict[str, Any]]:
    if part == UNDATED:
        return f"{_moment(split)} is null", {}
    first, after = period_bounds(part)
    return (
        f"{_moment(split)} >= cast($first as date) and {_moment(split)} < cast($after as date)",
        {"first": first.isoformat(), "after": after.isoformat()},
    )


@contextmanager
def _opened(
    name: str, source: TableSource, settings: Settings, target: Path | None = None
) -> Iterator[Connection]:
    """A sandboxed database in which the source's relations are views."""
    located = locate_files(name, source)
    folders = {path.parent for path in located.values()} | ({target} if target else set())
    with scratch(
        memory_limit_mb=settings.warehouse.memory_limit_mb,
        threads=settings.warehouse.threads,
        temporary=private_directory(settings.home / "spill"),
        allowed_directories=sorted(folders),
    ) as connection:
        for relation, path in located.items():
            _asked(
                connection,
                f"create temp view {quote(relation)} as"
                f" select * from read_parquet({literal(str(path))})",
                {},
                name,
            )
        yield connection


def _asked(
    connection: Connection, sql: str, values: dict[str, Any], name: str
) -> list[dict[str, Any]]:
    """Rows of a statement made of the deployment's own SQL; a fault in it is configuration."""
    try:
        return connection.rows(sql, values)
    except HoldfastError as error:
        if type(error.__cause__).__name__ in ("BinderException", "ParserException"):
            raise ConfigurationError(
                f"intake source {name}: `query` or `split.time` is not right.", found=error.found
            ) from error
        raise
