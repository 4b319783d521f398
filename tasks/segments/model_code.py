"""How stored segments are opened and asked. A copy of this file stands in every model's directory.

It imports nothing of the project, so a segmentation keeps assigning customers whatever becomes of
the code that found it: the nightly assignment opens the directory with `open_model`, and MLflow's
pyfunc loads this very file as its model code, so both put a customer into the same segment.

    segmentation.json   the features, how each is prepared, and how a prepared row is assigned
    segments.json       of each label its segment_id and its name in English and Korean

Whoever opens a directory has checked its checksums before.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = 1
# The package's own import and the loader of the nightly assignment; any other name is MLflow's.
_OWN_NAMES = ("tasks.segments.model_code", "holdfast_model")
# Rows prepared at a time: their distances to a few hundred points stay within tens of MB.
_BLOCK_ROWS = 50_000


def open_model(directory: str | Path) -> Model:
    """Open a verified model directory. Raises ValueError where a file says something else."""
    return Model(Path(directory))


def prepare(matrix: np.ndarray, segmentation: dict[str, Any]) -> np.ndarray:
    """Features as they are, NaN for missing, to the space that groups lie in: (rows, dimensions).

    linear: fill, logarithm of size where asked, centre and scale, no further out than `limit`;
    rank: straight lines between the quantiles `knots` and their `ranks`. Then the projection.
    """
    prepared = np.empty_like(matrix, dtype=np.float64)
    for place, how in enumerate(segmentation["prepare"]):
        column = np.asarray(matrix[:, place], dtype=np.float64)
        column = np.where(np.isfinite(column), column, how["fill"])
        if how["log"]:
            column = np.sign(column) * np.log1p(np.abs(column))
        if how["kind"] == "rank":
            column = np.interp(column, how["knots"], how["ranks"])
        else:
            column = (column - how["centre"]) / how["scale"]
            column = np.clip(column, -how["limit"], how["limit"])
        prepared[:, place] = column
    project = segmentation["project"]
    if project is not None:
        prepared = (prepared - np.asarray(project["mean"])) @ np.asarray(project["components"]).T
    return prepared


def assign(matrix: np.ndarray, segmentation: dict[str, Any]) -> np.ndarray:
    """The label of each row of features, int64, shape (rows,)."""
    how = segmentation["assign"]
    labels = np.empty(len(matrix), dtype=np.int64)
    for start in range(0, len(matrix), _BLOCK_ROWS):
        block = prepare(matrix[start : start + _BLOCK_ROWS], segmentation)
        labels[start : start + len(block)] = _ASSIGN[how["kind"]](block, how)
    return labels


def _assign_nearest(rows: np.ndarray, how: dict[str, Any]) -> np.ndarray:
    points = np.asarray(how["points"], dtype=np.float64)
    # |x|^2 is the same for all points, so it does not decide which is nearest.
    distances = (points**2).sum(axis=1) - 2.0 * (rows @ points.T)
    return np.asarray(how["groups"], dtype=np.int64)[np.argmin(distances, axis=1)]


def _assign_mixture(rows: np.ndarray, how: dict[str, Any]) -> np.ndarray:
    """The most probable component; `roots` are Cholesky factors of the inverse covariances."""
    scores = np.empty((len(rows), len(how["weights"])))
    for place, (mean, root) in enumerate(zip(how["means"], how["roots"], strict=True)):
        factor = np.asarray(root)
        offset = rows @ factor - np.asarray(mean) @ factor
        scores[:, place] = (
            np.log(how["weights"][place])
            + np.log(np.diag(factor)).sum()
            - 0.5 * (offset**2).sum(axis=1)
        )
    return np.argmax(scores, axis=1)


def _assign_rfm(rows: np.ndarray, how: dict[str, Any]) -> np.ndarray:
    """Columns recency, frequency, money; edges cut each into fifths, `table` names the group."""
    recency, frequency, money = (
        np.searchsorted(edges, rows[:, place], side="left")
        for place, edges in enumerate(how["edges"])
    )
    # The fewer days ago the better; frequency and money count together, halves upwards.
    together = (frequency + money + 1) // 2
    return np.asarray(how["table"], dtype=np.int64)[4 - recency, together]


def _assign_bands(rows: np.ndarray, how: dict[str, Any]) -> np.ndarray:
    """Bands of one column, the lowest first."""
    return np.searchsorted(how["edges"], rows[:, 0], side="left").astype(np.int64)


_ASSIGN = {
    "nearest": _assign_nearest,
    "mixture": _assign_mixture,
    "rfm": _assign_rfm,
    "bands": _assign_bands,
}


class Model:
    """An opened segmentation."""

    def __init__(self, directory: Path) -> None:
        self.segmentation = _read(directory / "segmentation.json")
        if self.segmentation.get("format") != FORMAT:
            raise ValueError(
                f"segmentation.json: format {self.segmentation.get('format')!r}, not {FORMAT}"
            )
        self.feature_names: tuple[str, ...] = tuple(self.segmentation["feature_names"])
        segments = _read(directory / "segments.json")["segments"]
        self.segment_ids: dict[int, str] = {one["label"]: one["segment_id"] for one in segments}
        self.names: dict[str, dict[str, str]] = {
            one["segment_id"]: {"en": one["en"], "ko": one["ko"]} for one in segments
        }
        most = max(self.segment_ids)
        self._by_label = np.array(
            [self.segment_ids.get(label, "") for label in range(most + 1)], dtype=object
        )

    def matrix(self, features: Any) -> np.ndarray:
        """An Arrow table or pandas frame as float64, (rows, features), by name in any order."""
        names = features.column_names if hasattr(features, "column_names") else features.columns
        missing = [name for name in self.feature_names if name not in set(names)]
        if missing:
            raise ValueError(
                f"The segments need {len(self.feature_names)} features;"
                f" {len(missing)} are missing: {', '.join(missing[:5])}"
                + (", ..." if len(missing) > 5 else "")
            )
        rows = features.num_rows if hasattr(features, "num_rows") else len(features)
        matrix = np.empty((rows, len(self.feature_names)), dtype=np.float64)
        for place, name in enumerate(self.feature_names):
            matrix[:, place] = _numbers(features[name], name)
        return matrix

    def predict(self, features: Any) -> np.ndarray:
        """The segment_id of each row, objects, shape (rows,)."""
        return self.predict_matrix(self.matrix(features))

    def predict_matrix(self, matrix: np.ndarray) -> np.ndarray:
        """As `predict`, of columns that are already in the order of `feature_names`."""
        labels = assign(matrix, self.segmentation)
        return self._by_label[labels] if len(labels) else np.empty(0, dtype=object)


def _read(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def _numbers(column: Any, name: str) -> np.ndarray:
    if hasattr(column, "cast"):  # Arrow, where a missing number is NULL
        import pyarrow

        try:
            column = column.cast(pyarrow.float64())
        except pyarrow.ArrowException:
            raise ValueError(f"The feature '{name}' is {column.type}, not a number") from None
        if hasattr(column, "combine_chunks"):
            column = column.combine_chunks()
        column = column.to_numpy(zero_copy_only=False)
    try:
        return np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"The feature '{name}' is not a number") from None


def _register_with_mlflow() -> None:
    import warnings

    import mlflow

    # MLflow asks for type hints, by which it would convert the input; the signature is explicit.
    # It sets its own filter while it warns, so the warning can only be caught, not filtered.
    with warnings.catch_warnings(record=True):
        mlflow.models.set_model(_make_pyfunc())


def _make_pyfunc() -> Any:
    import mlflow
    import pandas as pd

    class Segmentation(mlflow.pyfunc.PythonModel):
        """The model for `mlflow.pyfunc.load_model`."""

        def load_context(self, context: Any) -> None:
            self.model = open_model(context.artifacts["model"])

        def predict(self, context, model_input, params=None):
            """`segment_id`, and the segment's `name` in English and `name_ko` in Korean."""
            found = self.model.predict(model_input)
            names = self.model.names
            return pd.DataFrame(
                {
                    "segment_id": found,
                    "name": [names[one]["en"] for one in found],
                    "name_ko": [names[one]["ko"] for one in found],
                }
            )

    return Segmentation()


if __name__ not in _OWN_NAMES:
    _register_with_mlflow()
