"""Does a model do what it did on the day it was let in? Tried in a throw-away process.

LightGBM reads a damaged file as a crash or, worse, as other predictions. Its checksums are compared
first (`tasks.keeping`); its first load happens in a process of its own, whose predictions on
made-up golden rows must be those of the day it was registered.
"""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from tasks.errors import Refused
from tasks.handles import Predictor
from tasks.keeping import load_module

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
    return cast(Predictor, load_module(directory, files).open_model(str(directory)))


def _refuse_load(directory: Path, found: str) -> Refused:
    return Refused(
        "A model does not load; it is not let in.",
        found=f"{found} ({directory})",
        next_step="train again; the champion goes on serving",
    )
