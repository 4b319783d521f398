"""Rules that a clustering must beat: the classical RFM groups, and fifths by value.

RFM: customers are cut into fifths by recency, frequency and money; the fifth of recency and the
mean fifth of the other two name the group, by the table below, which holds the usual eleven names
in eight.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.findings import Words
from tasks.groups import SegmentFeature, SegmentsSettings
from tasks.segments.candidates import Segmentation, learn_fill
from tasks.segments.data import VALUE_COLUMN
from tasks.segments.model_code import FORMAT

Matrix = NDArray[np.float64]

# Label, segment_id and name.
RFM_GROUPS: tuple[tuple[str, Words], ...] = (
    ("champions", Words(en="Champions", ko="최우수 고객")),
    ("loyal", Words(en="Loyal", ko="충성 고객")),
    ("potential", Words(en="Potential loyalists", ko="잠재 충성 고객")),
    ("new", Words(en="New or occasional", ko="신규·가끔 고객")),
    ("attention", Words(en="Need attention", ko="관심 필요 고객")),
    ("at_risk", Words(en="At risk", ko="이탈 위험 고객")),
    ("cannot_lose", Words(en="Cannot lose them", ko="놓치면 안 될 고객")),
    ("hibernating", Words(en="Hibernating", ko="휴면 고객")),
)
# Rows: recency from the longest ago to the latest; columns: frequency and money, low to high.
_RFM_TABLE = (
    (7, 7, 5, 5, 6),
    (7, 7, 5, 5, 6),
    (4, 4, 4, 1, 1),
    (3, 2, 2, 1, 1),
    (3, 2, 2, 0, 0),
)
FIFTHS: tuple[tuple[str, Words], ...] = (
    ("value_1", Words(en="Lowest fifth by value", ko="가치 하위 20%")),
    ("value_2", Words(en="Second fifth by value", ko="가치 하위 20~40%")),
    ("value_3", Words(en="Middle fifth by value", ko="가치 중위 20%")),
    ("value_4", Words(en="Fourth fifth by value", ko="가치 상위 20~40%")),
    ("value_5", Words(en="Top fifth by value", ko="가치 상위 20%")),
)
_FIFTHS = (0.2, 0.4, 0.6, 0.8)


def rfm_features(settings: SegmentsSettings) -> tuple[str, str, str]:
    """Recency, frequency and money, by name."""
    return settings.rfm.recency, settings.rfm.frequency, settings.rfm.money


def has_rfm(names: Sequence[str], settings: SegmentsSettings) -> bool:
    """Whether the features that the classical groups need are there."""
    return set(rfm_features(settings)) <= set(names)


def fit_rfm(matrix: Matrix, names: Sequence[str], settings: SegmentsSettings) -> Segmentation:
    """The classical groups, their fifths cut from these rows."""
    features = rfm_features(settings)
    segmentation = _plain(matrix, names, features, settings, "RFM groups")
    segmentation["assign"] = {
        "kind": "rfm",
        "edges": [_edges(matrix, names, name, segmentation) for name in features],
        "table": [list(row) for row in _RFM_TABLE],
    }
    return segmentation


def fit_fifths(matrix: Matrix, names: Sequence[str], settings: SegmentsSettings) -> Segmentation:
    """Fifths of `value_amount`."""
    segmentation = _plain(matrix, names, (VALUE_COLUMN,), settings, "fifths by value")
    segmentation["assign"] = {
        "kind": "bands",
        "edges": _edges(matrix, names, VALUE_COLUMN, segmentation),
    }
    return segmentation


def _plain(
    matrix: Matrix,
    names: Sequence[str],
    features: Sequence[str],
    settings: SegmentsSettings,
    method: str,
) -> Segmentation:
    nothing = SegmentFeature(fill="zero", skewed=False)
    return {
        "format": FORMAT,
        "method": method,
        "feature_names": list(features),
        "prepare": [
            {
                "fill": learn_fill(
                    matrix[:, list(names).index(name)], settings.features.get(name, nothing)
                ),
                "log": False,
                "kind": "linear",
                "centre": 0.0,
                "scale": 1.0,
                # JSON knows no infinity; no amount and no number of days is larger.
                "limit": 1e300,
            }
            for name in features
        ],
        "project": None,
    }


def _edges(
    matrix: Matrix, names: Sequence[str], name: str, segmentation: Segmentation
) -> list[float]:
    column = matrix[:, list(names).index(name)]
    fill = segmentation["prepare"][segmentation["feature_names"].index(name)]["fill"]
    edges: list[float] = np.quantile(np.where(np.isfinite(column), column, fill), _FIFTHS).tolist()
    return edges
