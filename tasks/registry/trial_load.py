"""Loads a model directory in a process of its own and prints what it predicts.

Run as a script by `integrity.predict_apart`, isolated from our packages: a damaged LightGBM file
can kill the process that reads it (24 of 25 truncations do), and that must be this one.
Standard input: {"directory", "names", "rows"}; standard output: {"probabilities", "milliseconds",
"canonical"}.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Any

# Customers in the timed predictions, and how often: the fastest run is the machine's least busy.
_TIMED_ROWS = 1000
_TIMED_RUNS = 3


def main() -> int:
    """Read the request, load, predict, print; any failure is a traceback and exit 1."""
    request = json.load(sys.stdin)
    directory = Path(request["directory"])
    spec = importlib.util.spec_from_file_location("holdfast_model", directory / "model_code.py")
    if spec is None or spec.loader is None:
        raise ImportError("model_code.py is no module")
    sys.dont_write_bytecode = True
    # LightGBM imports it where it is there, a second of work for nothing that is used here.
    sys.modules["sklearn"] = None  # type: ignore[assignment]
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    predictor = module.open_model(str(directory))
    rows, names = request["rows"], request["names"]
    probabilities = [float(value) for value in predictor.predict(tabulate(names, rows))]
    timed = tabulate(names, [rows[place % len(rows)] for place in range(_TIMED_ROWS)])
    answer = {
        "probabilities": probabilities,
        "milliseconds": min(time_prediction(predictor, timed) for _ in range(_TIMED_RUNS)),
        "canonical": is_canonical(directory),
    }
    json.dump(answer, sys.stdout)
    return 0


def tabulate(names: list[str], rows: list[list[float | None]]) -> Any:
    """Rows as an Arrow table of doubles, None as NULL."""
    import pyarrow as pa

    columns = list(zip(*rows, strict=True))
    return pa.table(
        {
            name: pa.array(column, type=pa.float64())
            for name, column in zip(names, columns, strict=True)
        }
    )


def time_prediction(predictor: Any, table: Any) -> float:
    """Milliseconds that the table's predictions take."""
    start = time.perf_counter()
    predictor.predict(table)
    return (time.perf_counter() - start) * 1000


def is_canonical(directory: Path) -> bool:
    """Whether LightGBM writes the model back as the very text that it read.

    A text with a line twice, or with parameters of its own, is read without a word and means
    something else than it seems to.
    """
    path = directory / "model.lgb.txt"
    if not path.exists():
        return True
    import lightgbm

    text = path.read_bytes()
    booster = lightgbm.Booster(model_str=text.decode("utf-8"))
    written: str = booster.model_to_string()
    return written.encode("utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
