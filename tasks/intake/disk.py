"""Files that appear whole or not at all: written aside, synced, renamed, their folder synced.

A killed process leaves at most a file aside, which the next run clears away after a day.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.crash import crash_point
from tasks.durability import sync_directory
from tasks.errors import ConfigurationError, DiskFailure

_ASIDE_PREFIX = ".aside-"
_ASIDE_MAXIMUM_AGE_SECONDS = 86_400
# Left free, so that the database's own log and the ledger can still be written.
_RESERVE_BYTES = 64 * 1024 * 1024

_DISK_ERRORS = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
}  # fmt: skip


def private_directory(path: Path) -> Path:
    """The directory, made where it is missing, for its owner alone."""
    # DuckDB reads these characters in a path as a pattern, and no escape is left to us.
    if any(character in str(path) for character in "*?[\n"):
        raise ConfigurationError(
            f"The path {str(path)!r} has one of the characters * ? [ or an end of line.",
            next_step="choose another state directory in HOLDFAST_HOME",
        )
    with disk_failures(f"making {path}"):
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


@contextmanager
def disk_failures(action: str) -> Iterator[None]:
    """Turn the disk's refusals into DiskFailure (73); any other OSError passes."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise DiskFailure(
            f"The disk refused {action}.",
            found=os.strerror(error.errno),
            next_step="free space or mend the permission, then run again; nothing was changed",
        ) from error


def demand_space(folder: Path, needed_bytes: int) -> None:
    """Raise DiskFailure (73) unless the folder's disk has room for so much and a reserve."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + _RESERVE_BYTES:
        raise DiskFailure(
            f"{folder} has too little room.",
            found=(
                f"needed {(needed_bytes + _RESERVE_BYTES) / 1e6:,.0f} MB, free {free / 1e6:,.0f} MB"
            ),
            next_step="free space, then run again; nothing was changed",
        )


@contextmanager
def aside(folder: Path, suffix: str = "") -> Iterator[Path]:
    """A name in the folder to write to. Whatever is left under it at the end is removed."""
    private_directory(folder)
    _clear_old(folder)
    path = folder / f"{_ASIDE_PREFIX}{uuid.uuid4().hex}{suffix}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def settle(written: Path, final: Path, point: str) -> None:
    """Move a written file to its final name for good. `point` names its crash points."""
    crash_point(f"{point}.after_write")
    with disk_failures(f"writing {final}"):
        written.chmod(0o600)
        descriptor = os.open(written, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        crash_point(f"{point}.after_fsync")
        private_directory(final.parent)
        written.replace(final)
        crash_point(f"{point}.after_rename")
        for folder in {final.parent, written.parent, final.parent.parent}:
            sync_directory(folder)
    crash_point(f"{point}.after_sync")


def _clear_old(folder: Path) -> None:
    oldest = time.time() - _ASIDE_MAXIMUM_AGE_SECONDS
    for path in folder.glob(f"{_ASIDE_PREFIX}*"):
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
        except FileNotFoundError:
            continue  # another run has cleared it
