"""A segmentation as files: everything that assigning and MLflow need, and nothing of a customer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from tasks.findings import Words
from tasks.keeping import MODEL_CODE, load_module, write_texts
from tasks.keeping import hash_texts as hash_texts
from tasks.segments import model_code
from tasks.segments.candidates import Segmentation


class Assigner(Protocol):
    """An opened segmentation: rows of features in, segment_ids out. Columns are taken by name."""

    feature_names: tuple[str, ...]
    segment_ids: dict[int, str]
    names: dict[str, dict[str, str]]

    def predict(self, features: Any) -> NDArray[np.object_]:
        """The segment_id of each row of an Arrow table, shape (rows,)."""
        ...

    def predict_matrix(self, matrix: NDArray[np.float64]) -> NDArray[np.object_]:
        """The same of columns in the order of `feature_names`."""
        ...


@dataclass(frozen=True, slots=True)
class NamedLabel:
    """A label of a segmentation with the id that keeps its meaning, and its name."""

    label: int
    segment_id: str
    words: Words


def render_model(segmentation: Segmentation, labels: Sequence[NamedLabel]) -> dict[str, str]:
    """The files of a model directory by name; the same segmentation gives the same bytes."""
    segments = [
        {"label": one.label, "segment_id": one.segment_id, "en": one.words.en, "ko": one.words.ko}
        for one in sorted(labels, key=lambda one: one.label)
    ]
    return {
        "segmentation.json": _json(segmentation),
        "segments.json": _json({"segments": segments}),
        MODEL_CODE: Path(model_code.__file__).read_text(encoding="utf-8"),
    }


def write_model(directory: Path, files: Mapping[str, str]) -> Path:
    """Write the files to `directory`, durable, all or nothing; one that holds them is kept.

    Raises DiskFailure (73).
    """
    return write_texts(directory, files, "segments.model_written")


def open_files(directory: Path, files: Mapping[str, str]) -> Assigner:
    """Open a segmentation in this process; its files are verified here, at the last moment."""
    return cast(Assigner, load_module(directory, files).open_model(str(directory)))


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
