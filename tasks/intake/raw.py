"""The bytes of each delivery, kept unchanged under the hash of their content."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tasks.crash import crash_point
from tasks.errors import ConfigurationError, LockHeld, Refused, StoredDataCorrupt
from tasks.handles import Delivery, RawBatch
from tasks.intake import databases, tables
from tasks.intake.deliveries import CHECKSUM_SUFFIX, check_name, is_whole_file
from tasks.intake.disk import aside, demand_space, disk_failures, private_directory, settle
from tasks.intake.rejection import BatchRejected, show
from tasks.settings import Settings
from tasks.sources import FilesSource, PostgresSource, Source, TableSource

_BLOCK_BYTES = 1 << 20
# Below the raw bytes: the fingerprint of each part that we cut, and the hash of its bytes.
_PARTS = "parts"
_SHA256 = re.compile(r"\A[0-9a-fA-F]{64}\Z")


def keep_raw(delivery: Delivery, settings: Settings) -> RawBatch:
    """Copy the delivery's bytes to `home/raw/<hash[:2]>/<hash>` and say their sha256.

    The copy is whole or absent, whenever the process dies; copying again changes nothing.
    Raises BatchRejected LIMIT (65) for a delivery that is too large, LockHeld (75) for a file
    that is still being written, Refused (77) for a link or a name off the allow-list,
    DiskFailure (73).
    """
    name, part = check_name(delivery.batch_name)
    source = find_source(name, settings)
    folder = private_directory(settings.home / "raw")
    fingerprint = ""
    if isinstance(source, TableSource) and not is_whole_file(source):
        fingerprint = tables.fingerprint_part(name, source, part)
        known = _recall_part(fingerprint, delivery, settings)
        if known is not None:
            return known
    crash_point("intake.raw.before_write")
    with aside(folder) as written:
        if is_whole_file(source) and isinstance(source, FilesSource):
            digest, size = _copy_file(delivery, source, written, settings)
        else:
            with disk_failures(f"writing {delivery.batch_name}"):
                if isinstance(source, PostgresSource):
                    databases.write_part(name, source, part, written)
                else:
                    tables.write_part(name, source, part, written, settings, delivery.batch_name)
            digest, size = hash_file(written)
            _check_size(size, delivery.batch_name, settings)
        final = raw_path(digest, settings)
        settle(written, final, "intake.raw")
    raw = RawBatch(delivery, digest, final, size)
    if fingerprint:
        _remember_part(fingerprint, raw, settings)
    return raw


def find_source(name: str, settings: Settings) -> Source:
    """The declaration of a source. Raises ConfigurationError (78) if there is none."""
    if name not in settings.intake.sources:
        raise ConfigurationError(
            f"{settings.deployment} has no intake source '{name}'.",
            available=settings.intake.sources,
        )
    return settings.intake.sources[name]


def raw_path(content_hash: str, settings: Settings) -> Path:
    """Where the bytes of this hash are kept. Raises Refused (77) for anything but a sha256."""
    if not _SHA256.match(content_hash):
        raise Refused(f"{show(content_hash)} is no sha256.")
    return settings.home / "raw" / content_hash[:2] / content_hash


def hash_file(path: Path) -> tuple[str, int]:
    """sha256 and size of a file, in one pass."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        for block in _blocks(file):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def verify_raw(raw: RawBatch) -> None:
    """Raise StoredDataCorrupt (74) unless our copy is still what its hash says."""
    if not raw.raw_path.is_file():
        raise StoredDataCorrupt(
            f"batch {raw.delivery.batch_name}: our copy of the raw bytes is gone.",
            found=f"sha256 {raw.content_hash}",
            next_step="deliver the batch again, or restore the state directory from its backup",
        )
    digest, _ = hash_file(raw.raw_path)
    if digest != raw.content_hash:
        raise StoredDataCorrupt(
            f"batch {raw.delivery.batch_name}: our copy of the raw bytes has changed.",
            found=f"sha256 {digest}, kept as {raw.content_hash}",
            next_step="deliver the batch again, or restore the state directory from its backup",
        )


def _recall_part(fingerprint: str, delivery: Delivery, settings: Settings) -> RawBatch | None:
    """The kept bytes of a part whose files have not changed since, if they are still whole."""
    memory = settings.home / "raw" / _PARTS / fingerprint
    if not memory.is_file():
        return None
    content_hash = memory.read_text(encoding="ascii", errors="replace").strip()
    if not _SHA256.match(content_hash):
        return None
    kept = raw_path(content_hash, settings)
    if not kept.is_file():
        return None
    digest, size = hash_file(kept)
    return RawBatch(delivery, digest, kept, size) if digest == content_hash else None


def _remember_part(fingerprint: str, raw: RawBatch, settings: Settings) -> None:
    """Saves the next night from writing every old part again to see that it is the same."""
    folder = settings.home / "raw" / _PARTS
    with aside(folder) as written:
        written.write_text(raw.content_hash, encoding="ascii")
        settle(written, folder / fingerprint, "intake.part")


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK_BYTES):
        yield block


def _check_size(size_bytes: int, batch_name: str, settings: Settings) -> None:
    limit = settings.intake.limits.maximum_file_mb
    if size_bytes > limit * 1e6:
        raise BatchRejected(
            "LIMIT",
            batch_name,
            f"{size_bytes / 1e6:,.1f} MB, allowed are {limit:,.1f} MB",
            next_step="deliver it in parts, or raise `intake.limits.maximum_file_mb`",
        )


def _copy_file(
    delivery: Delivery, source: FilesSource, written: Path, settings: Settings
) -> tuple[str, int]:
    path = Path(delivery.location)
    check_name(f"{delivery.source}/{path.name}")
    if path.parent != source.folder:
        raise Refused(f"batch {delivery.batch_name} is not in the folder of its source.")
    descriptor = _open_regular(path, delivery.batch_name)
    with os.fdopen(descriptor, "rb", closefd=True) as file:
        before = os.fstat(descriptor)
        _check_size(before.st_size, delivery.batch_name, settings)
        if time.time() - before.st_mtime < source.settle_seconds:
            raise _still_written(delivery, f"changed within {source.settle_seconds:g} s")
        demand_space(written.parent, before.st_size)
        digest = hashlib.sha256()
        size = 0
        with disk_failures(f"copying {path.name}"), written.open("xb") as copy:
            for block in _blocks(file):
                digest.update(block)
                size += len(block)
                if size > before.st_size:
                    break
                copy.write(block)
        after, named = os.fstat(descriptor), path.lstat()
    if not _same(before, after) or not _same(before, named) or size != before.st_size:
        raise _still_written(delivery, "it changed while it was read")
    if source.checksum_file:
        _compare_checksum(path, digest.hexdigest(), delivery)
    return digest.hexdigest(), size


def _open_regular(path: Path, batch_name: str) -> int:
    try:
        # Not blocking, because opening a pipe for reading waits for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Refused(f"batch {batch_name}: {path.name} is a symbolic link.") from None
        if error.errno == errno.ENOENT:
            raise LockHeld(
                f"batch {batch_name}: {path.name} was there a moment ago and is gone.",
                next_step="run again once it is delivered",
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise Refused(
                f"batch {batch_name}: no permission to read {path.name}.",
                next_step="give this user the right to read it",
            ) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Refused(f"batch {batch_name}: {path.name} is no regular file.")
    return descriptor


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns) == (
        other.st_dev,
        other.st_ino,
        other.st_size,
        other.st_mtime_ns,
    )


def _compare_checksum(path: Path, digest: str, delivery: Delivery) -> None:
    beside = path.with_name(path.name + CHECKSUM_SUFFIX)
    if beside.is_symlink() or not beside.is_file():
        raise _still_written(delivery, f"{beside.name} is not there yet")
    with beside.open("rb") as file:
        words = file.read(1_000).decode("ascii", errors="replace").split()
    if not words or words[0].lower() != digest:
        raise _still_written(delivery, f"{beside.name} says another sha256")


def _still_written(delivery: Delivery, why: str) -> LockHeld:
    return LockHeld(
        f"batch {delivery.batch_name} is still being written.",
        found=why,
        next_step="run again later; nothing was changed",
    )
