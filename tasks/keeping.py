"""Models as files in our keeping: hashed, copied whole or not at all, verified before a load.

Checksums of every file stand in the ledger and are compared before any of them is parsed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from io import BytesIO, FileIO
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, Literal
from uuid import uuid4

from tasks.crash import crash_point
from tasks.durability import sync_directory
from tasks.errors import (
    DiskFailure,
    HoldfastError,
    InternalError,
    Refused,
    StoredDataCorrupt,
    Tampered,
)

MODEL_CODE = "model_code.py"
# Under this name the file leaves MLflow alone.
_MODULE = "holdfast_model"
_READ_BYTES = 1 << 20
GOLDEN_ROWS = 24
# Amounts, days, counts and shares as features have them; None is a missing value.
_GOLDEN_VALUES = (
    None,
    -30.0,
    -1.0,
    0.0,
    0.1,
    0.5,
    0.9,
    1.0,
    2.0,
    5.0,
    14.0,
    45.0,
    120.0,
    365.0,
    900.0,
)


def hash_files(directory: Path, *, ignore_bytecode: bool = False) -> dict[str, str]:
    """sha256 of each file by its name; the directory holds plain files alone.

    `ignore_bytecode` leaves out a `__pycache__` of a model just trained. In a kept model it is
    refused: Python would run what lies there in place of `model_code.py`.
    Raises StoredDataCorrupt (74) where there is no such directory or no file in it, Refused (77)
    for a link or a directory among the files.
    """
    if not directory.is_dir():
        raise StoredDataCorrupt("The files of a model are gone.", found=f"There is no {directory}.")
    hashes: dict[str, str] = {}
    for path in sorted(directory.iterdir()):
        if ignore_bytecode and path.name == "__pycache__":
            continue
        if path.is_symlink() or not path.is_file():
            raise Tampered(
                "A model's directory holds something other than plain files.",
                found=f"{path.name} in {directory}",
            )
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
        hashes[path.name] = digest.hexdigest()
    if not hashes:
        raise StoredDataCorrupt("The files of a model are gone.", found=f"{directory} is empty.")
    return hashes


def combine_hashes(files: Mapping[str, str]) -> str:
    """One sha256 for a model: over `<name> <sha256>` lines in name order."""
    lines = "".join(f"{name} {files[name]}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def verify_model(directory: Path, expected: Mapping[str, str]) -> None:
    """Compare every file with its checksum in the ledger; parse nothing.

    Raises Refused (77) naming the files that differ, are missing or were added, and where the
    ledger has no checksums; StoredDataCorrupt (74) where the files are gone altogether.
    """
    if not expected:
        raise Tampered(
            "A model without checksums in the ledger is not loaded.", found=str(directory)
        )
    found = hash_files(directory)
    if found == dict(expected):
        return
    parts = {
        "changed": sorted(n for n in expected if n in found and found[n] != expected[n]),
        "missing": sorted(set(expected) - set(found)),
        "added": sorted(set(found) - set(expected)),
    }
    raise Tampered(
        "A model's files are not those that were let in; it is not loaded.",
        found="; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names)
        + f" in {directory}",
        next_step="find out who changed them; then train again, or restore the directory",
    )


def describe_damage(error: HoldfastError) -> tuple[Literal["changed", "missing"], str]:
    """What has become of files that were refused or are corrupt, in a word and in detail."""
    word: Literal["changed", "missing"] = (
        "missing" if isinstance(error, StoredDataCorrupt) else "changed"
    )
    return word, error.found or error.what


def holds_files(directory: Path, expected: Mapping[str, str]) -> bool:
    """Whether a directory holds exactly these files."""
    try:
        verify_model(directory, expected)
    except (Refused, StoredDataCorrupt):
        return False
    return True


def hash_texts(files: Mapping[str, str]) -> dict[str, str]:
    """sha256 of each file by its name, as they will stand on disk."""
    return {name: hashlib.sha256(text.encode("utf-8")).hexdigest() for name, text in files.items()}


def write_texts(directory: Path, files: Mapping[str, str], written: str) -> Path:
    """Write the files to `directory`, durable, all or nothing; one that holds them is kept.

    `written` names the crash point before they have their name. Raises DiskFailure (73).
    """
    hashes = hash_texts(files)
    if not holds_files(directory, hashes):
        contents = {name: partial(BytesIO, text.encode("utf-8")) for name, text in files.items()}
        _place_whole(directory, contents, hashes, written, replaces_damaged=True)
    return directory


def read_texts(directory: Path, expected: Mapping[str, str]) -> dict[str, str]:
    """The files of a directory, of which these very bytes have the ledger's checksums.

    Raises Refused (77) where they have not, StoredDataCorrupt (74) where they are gone.
    """
    verify_model(directory, expected)
    texts = {}
    for name, checksum in expected.items():
        content = (directory / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != checksum:
            raise Tampered(
                "A model's files changed while they were read; it is not loaded.",
                found=f"{name} in {directory}",
            )
        texts[name] = content.decode("utf-8")
    return texts


def keep_copy(source: Path, target: Path, expected: Mapping[str, str]) -> Path:
    """Copy a model's files to `target`, durable and verified, all or nothing; the place taken.

    A `target` that already holds exactly these files is kept. One that holds others (the tracking
    store was rebuilt and counts from 1 again) makes us take `<target>-<hash>`.
    """
    if target.exists():
        if holds_files(target, expected):
            return target
        target = second_place(target, expected)
        if target.is_dir():
            verify_model(target, expected)
            return target
    contents = {name: partial(FileIO, source / name) for name in expected}
    _place_whole(target, contents, expected, "registry.copy_written", replaces_damaged=False)
    crash_point("registry.copy_renamed")
    return target


def _place_whole(
    target: Path,
    contents: Mapping[str, Callable[[], BinaryIO]],
    expected: Mapping[str, str],
    written: str,
    *,
    replaces_damaged: bool,
) -> None:
    """Write the files beside `target`, durable and verified, then give them its name at once.

    `written` names the crash point in between. Where `replaces_damaged`, a `target` that holds
    something else gives way; otherwise Refused (77), StoredDataCorrupt (74). Raises DiskFailure
    (73).
    """
    aside = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
    try:
        aside.mkdir(parents=True, mode=0o700)
        for name, open_content in contents.items():
            with open_content() as reader, (aside / name).open("xb") as writer:
                shutil.copyfileobj(reader, writer)
                writer.flush()
                os.fsync(writer.fileno())
        verify_model(aside, expected)
        crash_point(written)
        sync_directory(aside)
        try:
            aside.rename(target)
        except OSError:
            # Another process has kept the same first, and may be reading it; or it is damaged.
            if not replaces_damaged:
                verify_model(target, expected)
            elif not holds_files(target, expected):
                shutil.rmtree(target, ignore_errors=True)
                aside.rename(target)
        sync_directory(target.parent)
    except OSError as error:
        raise DiskFailure(
            "A model's files could not be kept.", found=f"{target}: {error.strerror or error}"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def second_place(target: Path, files: Mapping[str, str]) -> Path:
    """Where a model is kept whose own directory holds something else."""
    return target.with_name(f"{target.name}-{combine_hashes(files)[:12]}")


def load_module(directory: Path, files: Mapping[str, str]) -> ModuleType:
    """Run a model's code in this process; its files are verified here, at the last moment."""
    verify_model(directory, files)
    spec = importlib.util.spec_from_file_location(_MODULE, directory / MODEL_CODE)
    if spec is None or spec.loader is None:
        raise InternalError("A model's code is no module.", found=str(directory / MODEL_CODE))
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


def golden_rows(feature_names: Sequence[str]) -> list[list[float | None]]:
    """Made-up rows, the same for the same features: shape (24, features), None for missing."""
    rows = []
    for number in range(GOLDEN_ROWS):
        row = []
        for name in feature_names:
            drawn = hashlib.sha256(f"{number} {name}".encode()).digest()
            row.append(_GOLDEN_VALUES[int.from_bytes(drawn[:4], "big") % len(_GOLDEN_VALUES)])
        rows.append(row)
    return rows
