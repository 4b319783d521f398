"""Is this model the one that was let in? Asked before any of its files is parsed.

LightGBM reads a damaged file as a crash or, worse, as other predictions; so checksums of every
file stand in the ledger and are compared first, and a model's first load happens in a throw-away
process whose predictions on made-up golden rows must be those of the day it was registered.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast
from uuid import uuid4

from tasks.crash import crash_point
from tasks.errors import DiskFailure, InternalError, Refused, StoredDataCorrupt
from tasks.handles import Predictor

MODEL_CODE = "model_code.py"
_GOLDEN_ROWS = 24
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
_GOLDEN_TOLERANCE = 1e-9
_READ_BYTES = 1 << 20


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
            raise Refused(
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
        raise Refused(
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
    raise Refused(
        "A model's files are not those that were let in; it is not loaded.",
        found="; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names)
        + f" in {directory}",
        next_step="find out who changed them; then train again, or restore the directory",
    )


def keep_copy(source: Path, target: Path, expected: Mapping[str, str]) -> Path:
    """Copy a model's files to `target`, durable and verified, all or nothing; the place taken.

    A `target` that already holds exactly these files is kept. One that holds others (the tracking
    store was rebuilt and counts from 1 again) makes us take `<target>-<hash>`.
    """
    if target.exists():
        if _holds(target, expected):
            return target
        target = second_place(target, expected)
        if target.is_dir():
            verify_model(target, expected)
            return target
    aside = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
    try:
        aside.mkdir(parents=True, mode=0o700)
        for name in expected:
            with (source / name).open("rb") as reader, (aside / name).open("xb") as writer:
                shutil.copyfileobj(reader, writer)
                writer.flush()
                os.fsync(writer.fileno())
        verify_model(aside, expected)
        crash_point("registry.copy_written")
        _sync_directory(aside)
        try:
            aside.rename(target)
        except OSError:
            # Another process has kept the same version first; its files must be the same.
            verify_model(target, expected)
        _sync_directory(target.parent)
    except OSError as error:
        raise DiskFailure(
            "A copy of the model could not be kept.", found=f"{target}: {error.strerror or error}"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    crash_point("registry.copy_renamed")
    return target


def second_place(target: Path, files: Mapping[str, str]) -> Path:
    """Where a model is kept whose own directory holds something else."""
    return target.with_name(f"{target.name}-{combine_hashes(files)[:12]}")


def golden_rows(feature_names: Sequence[str]) -> list[list[float | None]]:
    """Made-up rows, the same for the same features: shape (24, features), None for missing."""
    rows = []
    for number in range(_GOLDEN_ROWS):
        row = []
        for name in feature_names:
            drawn = hashlib.sha256(f"{number} {name}".encode()).digest()
            row.append(_GOLDEN_VALUES[int.from_bytes(drawn[:4], "big") % len(_GOLDEN_VALUES)])
        rows.append(row)
    return rows


def predict_apart(
    directory: Path, feature_names: Sequence[str], timeout_seconds: float
) -> tuple[float, ...]:
    """Load the model in a throw-away process and predict the golden rows.

    Raises Refused (77) if it does not load, hangs, gives something that is no probability, or if
    its model text is not what LightGBM would write itself.
    """
    request = {
        "directory": str(directory),
        "names": list(feature_names),
        "rows": golden_rows(feature_names),
    }
    loader = Path(__file__).with_name("trial_load.py")
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-B", str(loader)],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _refuse_load(directory, f"no answer within {timeout_seconds:g} s") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise _refuse_load(directory, f"exit {done.returncode}: {last[:300]}")
    try:
        answer = json.loads(done.stdout)
        probabilities = tuple(float(value) for value in answer["probabilities"])
    except (ValueError, KeyError, TypeError):
        raise _refuse_load(directory, "its answer is no list of numbers") from None
    sound = all(math.isfinite(value) and 0 <= value <= 1 for value in probabilities)
    if answer.get("canonical") is not True:
        raise _refuse_load(directory, "model.lgb.txt says something else than it seems to")
    if len(probabilities) != _GOLDEN_ROWS or not sound:
        raise _refuse_load(directory, "it gives something other than probabilities")
    return probabilities


def check_golden(
    directory: Path,
    feature_names: Sequence[str],
    expected: Sequence[float],
    timeout_seconds: float,
) -> None:
    """Refuse (77) a model whose golden predictions are not those of its registration."""
    found = predict_apart(directory, feature_names, timeout_seconds)
    worst = max(
        (abs(one - other) for one, other in zip(found, expected, strict=False)), default=math.inf
    )
    if len(found) != len(expected) or not worst <= _GOLDEN_TOLERANCE:
        raise Refused(
            "A model predicts other numbers than on the day it was registered.",
            found=f"off by up to {worst:.3g} on {len(expected)} golden rows in {directory}",
            next_step="install the versions of requirements.lock, or train again",
        )


def load_predictor(directory: Path, files: Mapping[str, str]) -> Predictor:
    """Open a model in this process; its files are verified here, at the last moment."""
    verify_model(directory, files)
    # Under this name the file leaves MLflow alone.
    spec = importlib.util.spec_from_file_location("holdfast_model", directory / MODEL_CODE)
    if spec is None or spec.loader is None:
        raise InternalError("A model's code is no module.", found=str(directory / MODEL_CODE))
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return cast(Predictor, module.open_model(str(directory)))


def _holds(directory: Path, expected: Mapping[str, str]) -> bool:
    try:
        verify_model(directory, expected)
    except (Refused, StoredDataCorrupt):
        return False
    return True


def _refuse_load(directory: Path, found: str) -> Refused:
    return Refused(
        "A model does not load; it is not let in.",
        found=f"{found} ({directory})",
        next_step="train again; the champion goes on serving",
    )


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
