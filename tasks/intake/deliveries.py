"""What the sources of a deployment offer right now."""

from __future__ import annotations

import os
import re
import stat
from fnmatch import fnmatchcase
from pathlib import Path

from tasks.errors import Refused
from tasks.handles import Delivery
from tasks.intake import databases, tables
from tasks.intake.rejection import OfferRefused, SourceAbsent, show
from tasks.settings import Settings
from tasks.sources import NAME_PATTERN, FilesSource, PostgresSource, Source

_NAME = re.compile(NAME_PATTERN.replace("^", r"\A").replace("$", r"\Z"))
# What a file's name ends in and its batch's name does not.
_SUFFIXES = (".gz", ".csv", ".tsv", ".txt", ".parquet")
CHECKSUM_SUFFIX = ".sha256"
# Where the bytes of a replay come from: no folder of a source.
REPLAYED = "replayed by hand"


def discover(settings: Settings) -> list[Delivery]:
    """Every delivery of every source: sources as declared, their parts in order of name.

    Raises OfferRefused (77) for a file that is a link or has a name off the allow-list,
    ConfigurationError (78) for a folder, file or package that is not there, ServiceDown (69) for
    a database that does not answer. An optional source whose folder or file is not there offers
    nothing.
    """
    found: list[Delivery] = []
    for name, source in settings.intake.sources.items():
        try:
            found.extend(_list_deliveries(name, source, settings))
        except SourceAbsent:
            if not source.optional:
                raise
        except Refused as refusal:
            offer = OfferRefused(refusal.what, found=refusal.found, next_step=refusal.next_step)
            offer.source = name
            raise offer from refusal
    return found


def _list_deliveries(name: str, source: Source, settings: Settings) -> list[Delivery]:
    if isinstance(source, PostgresSource):
        parts = databases.list_parts(name, source)
        location = databases.describe_location(source)
    elif isinstance(source, FilesSource) and source.pattern is not None:
        return _discover_files(name, source)
    else:
        parts = tables.list_parts(name, source, settings)
        location = tables.describe_location(name, source)
    return [_deliver(name, part, source, location) for part in parts]


def check_name(batch_name: str) -> tuple[str, str]:
    """The two parts of a batch's name. Raises Refused (77) unless each is on the allow-list."""
    parts = batch_name.split("/")
    if len(parts) != 2 or not all(_is_plain(part) for part in parts):
        raise Refused(
            f"{show(batch_name)} cannot be the name of a batch.",
            found="allowed are <source>/<part>, each of 1 to 100 of A-Z a-z 0-9 . _ -",
            next_step="rename the file at its source",
        )
    return parts[0], parts[1]


def is_whole_file(source: Source) -> bool:
    """Whether the source's batches are files as delivered, not parts that we cut."""
    return isinstance(source, FilesSource) and source.pattern is not None


def _is_plain(part: str) -> bool:
    return bool(_NAME.match(part)) and part.strip(".") != ""


def _deliver(name: str, part: str, source: Source, location: str) -> Delivery:
    batch_name = f"{name}/{part}"
    check_name(batch_name)
    return Delivery(batch_name, name, source.table, location)


def _discover_files(name: str, source: FilesSource) -> list[Delivery]:
    try:
        entries = sorted(os.scandir(source.folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        raise SourceAbsent(
            f"intake source {name}: there is no folder {source.folder}.",
            next_step="make it, or set HOLDFAST_DATA to the folder of the data sets",
        ) from None
    deliveries: dict[str, Delivery] = {}
    for entry in entries:
        if not fnmatchcase(entry.name, source.pattern or "") or _is_aside(entry.name):
            continue
        if not _is_plain(entry.name):
            raise Refused(
                f"intake source {name}: a file is named {show(entry.name)}.",
                found="allowed are 1 to 100 of A-Z a-z 0-9 . _ -",
                next_step="rename it at its source, or take it out of the folder",
            )
        mode = entry.stat(follow_symlinks=False).st_mode
        if not stat.S_ISREG(mode):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "no regular file"
            raise Refused(
                f"intake source {name}: {entry.name} is {kind}.",
                next_step="deliver the file itself",
            )
        delivery = _deliver(name, _stem(entry.name), source, str(Path(entry.path)))
        if delivery.batch_name in deliveries:
            other = Path(deliveries[delivery.batch_name].location).name
            raise Refused(
                f"intake source {name}: {other} and {entry.name} would be one batch,"
                f" {delivery.batch_name}.",
                next_step="rename one of them",
            )
        deliveries[delivery.batch_name] = delivery
    return sorted(deliveries.values(), key=lambda delivery: delivery.batch_name)


def _is_aside(file_name: str) -> bool:
    """Hidden files and checksums are not deliveries."""
    return file_name.startswith(".") or file_name.endswith(CHECKSUM_SUFFIX)


def _stem(file_name: str) -> str:
    stem = file_name
    for suffix in _SUFFIXES:
        if stem.endswith(suffix) and stem != suffix:
            stem = stem[: -len(suffix)]
    return stem
