"""Scores the customers of a challenger's arm in a process of its own, which may die of it.

Run as a script by `serving.predict_arm`, isolated from our packages. Standard input is JSON:
{"directory", "features", "answers", "chunk_rows", "first_chunk", "reasons"}. For each chunk of rows
it writes `<n>.arrow` (probability, reason_1..3) or `<n>.failed` into `answers`, aside and renamed,
so that what it did before it died counts.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

_REASONS = 3


def main() -> int:
    """Load the model, then answer chunk by chunk; a chunk that throws is told, the next goes on."""
    import pyarrow as pa
    import pyarrow.feather as feather

    request = json.load(sys.stdin)
    predictor = _open(Path(request["directory"]))
    features = feather.read_table(request["features"], memory_map=False)
    answers, size = Path(request["answers"]), int(request["chunk_rows"])
    for number, start in enumerate(range(0, features.num_rows, size)):
        if number < int(request["first_chunk"]):
            continue
        chunk = features.slice(start, size)
        try:
            answer = _answer(predictor, chunk, int(request["reasons"]))
        except Exception as error:  # noqa: BLE001 - whatever a challenger throws is counted
            _write(answers / f"{number}.failed", type(error).__name__.encode())
            continue
        sink = pa.BufferOutputStream()
        feather.write_feather(answer, sink, compression="uncompressed")
        _write(answers / f"{number}.arrow", sink.getvalue().to_pybytes())
    return 0


def _open(directory: Path) -> Any:
    spec = importlib.util.spec_from_file_location("holdfast_model", directory / "model_code.py")
    if spec is None or spec.loader is None:
        raise ImportError("model_code.py is no module")
    sys.dont_write_bytecode = True
    # LightGBM imports it where it is there, a second of work for nothing that is used here.
    sys.modules["sklearn"] = None  # type: ignore[assignment]
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.open_model(str(directory))


def _answer(predictor: Any, chunk: Any, reasons: int) -> Any:
    import pyarrow as pa

    probability = [float(value) for value in predictor.predict(chunk)]
    told = predictor.reasons(chunk)
    if len(probability) != chunk.num_rows or len(told) != chunk.num_rows:
        raise ValueError("it does not answer once a customer")
    columns = {"probability": pa.array(probability, pa.float64())}
    for place in range(_REASONS):
        columns[f"reason_{place + 1}"] = pa.array(
            [row[place] if place < min(reasons, len(row)) else None for row in told], pa.string()
        )
    return pa.table(columns)


def _write(path: Path, content: bytes) -> None:
    aside = path.with_suffix(".partial")
    aside.write_bytes(content)
    aside.rename(path)


if __name__ == "__main__":
    sys.exit(main())
