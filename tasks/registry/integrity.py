"""Does a model do what it did on the day it was let in? Tried in a throw-away process.

LightGBM reads a damaged file as a crash or, worse, as other predictions. Its checksums are compared
first (`tasks.keeping`); its first load happens in a process of its own, whose predictions on
made-up golden rows must be those of the day it was registered.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tasks.errors import Refused, Tampered
from tasks.handles import Predictor
from tasks.keeping import GOLDEN_ROWS, golden_rows, load_module

_GOLDEN_TOLERANCE = 1e-9


Row = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class TrialLoad:
    """What a model gave in a process of its own, and what that cost.

    `golden` are its probabilities for the golden rows, `asked` those for the rows that were given;
    `milliseconds` is the fastest of a few runs over 1,000 rows, `size_bytes` all its files.
    """

    golden: tuple[float, ...]
    asked: tuple[float, ...]
    milliseconds: float
    size_bytes: int


def try_apart(
    directory: Path,
    feature_names: Sequence[str],
    timeout_seconds: float,
    rows: Sequence[Row] = (),
) -> TrialLoad:
    """Load the model in a throw-away process; predict the golden rows and `rows`.

    Raises Refused (77) if it does not load, hangs, gives something that is no probability, or if
    its model text is not what LightGBM would write itself.
    """
    request = {
        "directory": str(directory),
        "names": list(feature_names),
        "rows": [*golden_rows(feature_names), *rows],
    }
    loader = Path(__file__).with_name("trial_load.py")
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-B", str(loader)],
            input=json.dumps(request),
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # a damaged file may be quoted in what the process complains of
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
        milliseconds = float(answer["milliseconds"])
    except (ValueError, KeyError, TypeError):
        raise _refuse_load(directory, "its answer is no list of numbers") from None
    sound = all(math.isfinite(value) and 0 <= value <= 1 for value in probabilities)
    if answer.get("canonical") is not True:
        raise _refuse_load(directory, "model.lgb.txt says something else than it seems to")
    if len(probabilities) != GOLDEN_ROWS + len(rows) or not sound:
        raise _refuse_load(directory, "it gives something other than probabilities")
    size = sum(path.stat().st_size for path in directory.iterdir() if path.is_file())
    golden, asked = probabilities[:GOLDEN_ROWS], probabilities[GOLDEN_ROWS:]
    return TrialLoad(golden, asked, milliseconds, size)


def predict_apart(
    directory: Path, feature_names: Sequence[str], timeout_seconds: float
) -> tuple[float, ...]:
    """The golden rows' probabilities by a model in a throw-away process; as `try_apart`."""
    return try_apart(directory, feature_names, timeout_seconds).golden


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
        raise Tampered(
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
