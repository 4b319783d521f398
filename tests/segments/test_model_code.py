"""A stored segmentation assigns as the library that found it, and says what it cannot read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.errors import Refused, StoredDataCorrupt
from tasks.findings import Words
from tasks.groups import SegmentFeature, SegmentsSettings
from tasks.segments.candidates import Setting, assign_rows, fit_setting
from tasks.segments.model_code import assign
from tasks.segments.model_files import NamedLabel, hash_texts, open_files, render_model, write_model
from tasks.settings import load_settings

NAMES = ("a", "b", "c")
GIVEN = load_settings("online_retail").segments.model_copy(
    update={
        "features": {
            "a": SegmentFeature(fill="largest", skewed=True),
            "b": SegmentFeature(fill="zero"),
            "c": SegmentFeature(),
        },
        "density_rows": 300,
        "micro_groups": 40,
    }
)


def make_rows(rows: int = 400) -> np.ndarray:
    random = np.random.default_rng(5)
    centres = np.array([[1, 1, 1], [50, 5, 1], [3, 9, 9], [400, 2, 5], [20, 0, 12]], dtype=float)
    matrix = centres[np.arange(rows) % 5] * random.lognormal(0, 0.08, (rows, 3))
    matrix[::23, 1] = np.nan
    return matrix


def setting(method: str, **changed: Any) -> Setting:
    plain = {
        "method": method,
        "feature_set": "all",
        "feature_names": NAMES,
        "scaling": "standard",
        "logarithm": True,
        "dimensions": 0,
        "groups": 5,
    }
    return Setting(**{**plain, **changed})


@pytest.mark.parametrize(
    "method", ["kmeans", "minibatch", "bisecting", "mixture", "ward", "density"]
)
@pytest.mark.parametrize(
    "changed",
    [{}, {"scaling": "rank"}, {"scaling": "robust", "dimensions": 2}, {"diagonal": True}],
)
def test_every_method_finds_planted_groups_again(method: str, changed: dict[str, Any]) -> None:
    matrix = make_rows()
    if method == "density" and changed.get("scaling") == "rank":
        return  # ranks have no dense places
    found = fit_setting(matrix, NAMES, setting(method, **changed), GIVEN, seed=1)
    labels = assign_rows(matrix, NAMES, found)
    planted = np.arange(len(matrix)) % 5
    table = np.zeros((5, 5))
    np.add.at(table, (planted, labels), 1)
    assert table.max(axis=1).sum() / len(matrix) > 0.9
    # What is stored as JSON says the same.
    assert (assign_rows(matrix, NAMES, json.loads(json.dumps(found))) == labels).all()


def test_a_mixture_assigns_as_the_library() -> None:
    from sklearn.mixture import GaussianMixture

    rows = np.random.default_rng(0).normal(size=(300, 3)) * (1, 2, 3)
    rows[:150] += 4
    mixture = GaussianMixture(3, random_state=1).fit(rows)
    stored = {
        "feature_names": list(NAMES),
        "prepare": [
            {"fill": 0, "log": False, "kind": "linear", "centre": 0, "scale": 1, "limit": 99}
        ]
        * 3,
        "project": None,
        "assign": {
            "kind": "mixture",
            "weights": mixture.weights_.tolist(),
            "means": mixture.means_.tolist(),
            "roots": mixture.precisions_cholesky_.tolist(),
        },
    }
    assert (assign(rows, stored) == mixture.predict(rows)).all()


@given(
    arrays(
        np.float64,
        st.tuples(st.integers(0, 30), st.just(3)),
        elements=st.floats(allow_nan=True, allow_infinity=True, width=64),
    )
)
@settings(max_examples=50, deadline=None)
def test_any_row_gets_one_of_the_groups_whatever_stands_in_it(matrix: np.ndarray) -> None:
    labels = assign_rows(matrix, NAMES, FOUND)
    assert labels.shape == (len(matrix),)
    assert set(labels.tolist()) <= set(range(5))
    # A customer's group does not depend on who else is asked about.
    for row in range(len(matrix)):
        assert assign_rows(matrix[row : row + 1], NAMES, FOUND)[0] == labels[row]


FOUND = fit_setting(make_rows(), NAMES, setting("kmeans"), GIVEN, seed=1)


def keep(directory: Path) -> dict[str, str]:
    named = [NamedLabel(n, f"s{n + 1:02d}", Words(en=f"G{n}", ko=f"{n}군")) for n in range(5)]
    files = render_model(FOUND, named)
    write_model(directory, files)
    return hash_texts(files)


def test_a_kept_model_answers_arrow_and_pandas_alike(tmp_path: Path) -> None:
    files = keep(tmp_path / "1")
    model = open_files(tmp_path / "1", files)
    matrix = make_rows(50)
    columns = {name: matrix[:, place] for place, name in reversed(list(enumerate(NAMES)))}
    arrow = pa.table({name: pa.array(c, from_pandas=True) for name, c in columns.items()})
    expected = model.predict_matrix(matrix).tolist()
    assert model.predict(arrow).tolist() == expected
    assert model.predict(pd.DataFrame(columns)).tolist() == expected
    assert model.names["s02"] == {"en": "G1", "ko": "1군"}
    with pytest.raises(ValueError, match="1 are missing: b"):
        model.predict(arrow.drop_columns(["b"]))
    with pytest.raises(ValueError, match="'b' is string, not a number"):
        model.predict(arrow.set_column(1, "b", pa.array(["x"] * 50)))


def test_changed_files_are_not_loaded(tmp_path: Path) -> None:
    files = keep(tmp_path / "1")
    with pytest.raises(StoredDataCorrupt, match="gone"):
        open_files(tmp_path / "2", files)
    path = tmp_path / "1" / "segments.json"
    path.write_text(path.read_text().replace("G1", "G2"))
    with pytest.raises(Refused, match=r"segments\.json"):
        open_files(tmp_path / "1", files)
    # Written again, the directory holds what it should.
    assert keep(tmp_path / "1") == files
    open_files(tmp_path / "1", files)


def test_settings_that_cannot_hold_are_refused() -> None:
    plain = load_settings("online_retail").segments.model_dump(mode="json")
    for change, said in (
        ({"minimum_groups": 9}, "more than `maximum_groups`"),
        ({"minimum_share": 0.2, "minimum_groups": 6}, "more than everybody"),
        ({"features": {}}, "names none"),
        ({"feature_sets": {"all": ["recency_days", "amount_365"]}}, "all features together"),
        ({"feature_sets": {"x": ["recency_days"]}}, "fewer than two"),
        ({"feature_sets": {"x": ["recency_days", "nothing"]}}, "not declared"),
        ({"weights": {"separation": 0, "stability": 0, "usefulness": 0}}, "above 0"),
    ):
        with pytest.raises(ValueError, match=said):
            SegmentsSettings.model_validate_json(json.dumps({**plain, **change}))
