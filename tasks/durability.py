"""Files that are whole or not there, also when the machine stops in between."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from tasks.errors import DiskFailure


def write_page(path: Path, text: str) -> None:
    """Write a page for its owner alone: a reader sees the whole of it or the one before.

    Raises DiskFailure (73).
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        try:
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise DiskFailure(
            f"The page {path} cannot be written.", found=str(error.strerror or error)
        ) from error


def sync_directory(directory: Path) -> None:
    """Make a rename in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
