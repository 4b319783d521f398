"""How a stored model is opened and asked. A copy of this file stands in every model's directory.

It imports nothing of the project, so a champion keeps scoring whatever becomes of the code that
trained it: the batch scores open the directory with `open_model`, and MLflow's pyfunc loads this
very file as its model code, so both give the same numbers.

    signature.json     names and drivers of the features, words of the drivers
    calibration.json   from a raw score in (0, 1) to a probability
    model.lgb.txt      a LightGBM booster in its text format   (kind "model")
    rule.json          one feature, or the ratio of two        (kind "rule")

Whoever opens a directory has checked its checksums before: a damaged LightGBM file can kill the
process that reads it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = 1
# The package's own import and the loader of batch scores; under any other name it is MLflow.
_OWN_NAMES = ("tasks.churn.model_code", "holdfast_model")
_SMALLEST = 1e-9


def open_model(directory: str | Path) -> Model:
    """Open a verified model directory. Raises ValueError where a file says something else."""
    return Model(Path(directory))


def calibrate(raw: np.ndarray, calibration: dict[str, Any]) -> np.ndarray:
    """Raw scores in (0, 1) to probabilities: an increasing function, so the order stays.

    identity; beta: 1 / (1 + exp(-(a ln p - b ln(1 - p) + c))) with a, b > 0 (Kull et al. 2017),
    of which Platt's is the case a = b; isotonic: straight lines between the points `x`, `y`.
    """
    kind = calibration["kind"]
    raw = np.clip(np.asarray(raw, dtype=np.float64), _SMALLEST, 1 - _SMALLEST)
    if kind == "identity":
        return raw
    if kind in ("platt", "beta"):
        a, b, c = (float(calibration[name]) for name in "abc")
        return 1.0 / (1.0 + np.exp(-(a * np.log(raw) - b * np.log1p(-raw) + c)))
    if kind == "isotonic":
        return np.interp(raw, calibration["x"], calibration["y"])
    raise ValueError(f"calibration.json: unknown kind {kind!r}")


def rule_scores(columns: dict[str, np.ndarray], rule: dict[str, Any]) -> np.ndarray:
    """A rule's score in (0, 1), higher for leaving; missing features take the stored fallback."""

    def read(name: str) -> np.ndarray:
        values = np.asarray(columns[name], dtype=np.float64)
        return np.where(np.isfinite(values), values, float(rule["fallbacks"][name]))

    score = read(rule["feature"])
    if rule["divided_by"] is not None:
        score = score / np.maximum(read(rule["divided_by"]), float(rule["least_divisor"]))
    z = (score - float(rule["centre"])) / float(rule["scale"]) * float(rule["sign"])
    return 0.5 + 0.5 * z / (1.0 + np.abs(z))


class Model:
    """An opened model or rule."""

    def __init__(self, directory: Path) -> None:
        self.signature = _read(directory / "signature.json")
        if self.signature.get("format") != FORMAT:
            raise ValueError(
                f"signature.json: format {self.signature.get('format')!r}, not {FORMAT}"
            )
        self.kind: str = self.signature["kind"]
        self.feature_names: tuple[str, ...] = tuple(self.signature["feature_names"])
        self.drivers: tuple[str, ...] = tuple(self.signature["drivers"])
        self.words: dict[str, str] = self.signature["words"]
        self.calibration = _read(directory / "calibration.json")
        self.rule: dict[str, Any] | None = None
        self.booster: Any = None
        if self.kind == "rule":
            self.rule = _read(directory / "rule.json")
            return
        import lightgbm

        self.booster = lightgbm.Booster(model_file=str(directory / "model.lgb.txt"))
        if tuple(self.booster.feature_name()) != self.feature_names:
            raise ValueError("model.lgb.txt and signature.json name different features")

    def matrix(self, features: Any) -> np.ndarray:
        """An Arrow table or pandas frame as float64, (rows, features), by name in any order."""
        names = features.column_names if hasattr(features, "column_names") else features.columns
        present = set(names)
        missing = [name for name in self.feature_names if name not in present]
        if missing:
            raise ValueError(
                f"The model needs {len(self.feature_names)} features;"
                f" {len(missing)} are missing: {', '.join(missing[:5])}"
                + (", ..." if len(missing) > 5 else "")
            )
        rows = features.num_rows if hasattr(features, "num_rows") else len(features)
        matrix = np.empty((rows, len(self.feature_names)), dtype=np.float64)
        for place, name in enumerate(self.feature_names):
            matrix[:, place] = _numbers(features[name], name)
        return matrix

    def predict(self, features: Any) -> np.ndarray:
        """Calibrated probability of leaving, float64, shape (rows,)."""
        return self.predict_matrix(self.matrix(features))

    def predict_matrix(self, matrix: np.ndarray) -> np.ndarray:
        """As `predict`, of columns that are already in the order of `feature_names`."""
        return calibrate(self.raw_scores(matrix), self.calibration)

    def raw_scores(self, matrix: np.ndarray) -> np.ndarray:
        """Scores before calibration, in (0, 1), shape (rows,)."""
        if self.rule is not None:
            columns = {name: matrix[:, i] for i, name in enumerate(self.feature_names)}
            return rule_scores(columns, self.rule)
        if len(matrix) == 0:
            return np.empty(0)
        return np.asarray(self.booster.predict(matrix), dtype=np.float64)

    def contributions(self, matrix: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
        """What each driver adds to the log-odds before calibration: names, (rows, drivers).

        LightGBM's TreeSHAP, added up by driver; with the mean margin they sum to the margin.
        """
        names = tuple(dict.fromkeys(self.drivers))
        if self.rule is not None or len(matrix) == 0:
            return names, np.zeros((len(matrix), len(names)))
        member = np.zeros((len(self.drivers), len(names)))
        member[np.arange(len(self.drivers)), [names.index(d) for d in self.drivers]] = 1.0
        by_feature = np.asarray(self.booster.predict(matrix, pred_contrib=True))[:, :-1]
        return names, by_feature @ member

    def reasons(self, features: Any) -> list[tuple[str, ...]]:
        """Up to three drivers of each row that push towards leaving, in words, strongest first.

        One that carries less than the stored share of all the push is left out; a customer whom
        nothing pushes has none. A rule's reason is the rule.
        """
        return self.reasons_matrix(self.matrix(features))

    def reasons_matrix(self, matrix: np.ndarray) -> list[tuple[str, ...]]:
        """As `reasons`, of columns that are already in the order of `feature_names`."""
        if self.rule is not None:
            return [(self.rule["reason"],)] * len(matrix)
        names, pushes = self.contributions(matrix)
        words = [self.words[name] for name in names]
        pushes = np.maximum(pushes, 0.0)
        limit = self.signature["reason_minimum_share"] * pushes.sum(axis=1)
        order = np.argsort(-pushes, axis=1, kind="stable")[:, : self.signature["reason_maximum"]]
        return [
            tuple(words[place] for place in places if push[place] > 0 and push[place] >= least)
            for places, push, least in zip(order, pushes, limit, strict=True)
        ]


def _read(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def _numbers(column: Any, name: str) -> np.ndarray:
    if hasattr(column, "combine_chunks"):  # Arrow, where a missing number is NULL
        import pyarrow

        try:
            column = column.cast(pyarrow.float64()).combine_chunks()
        except pyarrow.ArrowException:
            raise ValueError(f"The feature '{name}' is {column.type}, not a number") from None
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

    class ChurnModel(mlflow.pyfunc.PythonModel):
        """The model for `mlflow.pyfunc.load_model`."""

        def load_context(self, context: Any) -> None:
            self.model = open_model(context.artifacts["model"])

        def predict(self, context, model_input, params=None):
            """`probability`, and `reason_1` to `reason_3` in words (None where there are fewer)."""
            matrix = self.model.matrix(model_input)
            reasons = self.model.reasons_matrix(matrix)
            output = {"probability": self.model.predict_matrix(matrix)}
            for place in range(3):
                output[f"reason_{place + 1}"] = [
                    row[place] if place < len(row) else None for row in reasons
                ]
            return pd.DataFrame(output)

    return ChurnModel()


if __name__ not in _OWN_NAMES:
    _register_with_mlflow()
