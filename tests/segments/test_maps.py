"""Maps and figures: the same for the same data, small, and warned of; the degenerate cases."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tasks.errors import DataRejected
from tasks.findings import Contest, MapPoint, Movement, Segment, SegmentFindings, Words
from tasks.segments.figures import CAPTION, draw_map, draw_movements, draw_tree, write_figures
from tasks.segments.maps import Maps, draw_maps, link_centroids

NAMES = ["a", "b", "c"]


def made_up(rows: int = 60) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    ids = np.array(["s01", "s02", "s03"], dtype=object)[np.arange(rows) % 3]
    centres = {"s01": (0, 0, 0), "s02": (6, 0, 0), "s03": (0, 7, 1)}
    matrix = np.array([centres[key] for key in ids]) + random.normal(size=(rows, 3))
    matrix[0, 2] = np.nan
    return matrix, ids


@pytest.fixture(scope="module")
def drawn() -> Maps:
    matrix, ids = made_up()
    return draw_maps(matrix, NAMES, ids, seed=1)


def test_same_data_and_seed_same_points(drawn: Maps) -> None:
    matrix, ids = made_up()
    again = draw_maps(matrix, NAMES, ids, seed=1)
    assert (again.pca, again.tsne, again.heat, again.tree) == (
        drawn.pca,
        drawn.tsne,
        drawn.heat,
        drawn.tree,
    )
    assert len(drawn.pca) == len(drawn.tsne) == 60
    assert set(drawn.seconds) == {"pca", "tsne"}


def test_groups_far_apart_lie_apart(drawn: Maps) -> None:
    for points in (drawn.pca, drawn.tsne):
        places = {
            key: np.array([(p.x, p.y) for p in points if p.segment_id == key])
            for key in ("s01", "s02", "s03")
        }
        centres = {key: own.mean(axis=0) for key, own in places.items()}
        for key, own in places.items():
            distances = {k: np.linalg.norm(own - c, axis=1).mean() for k, c in centres.items()}
            assert min(distances, key=lambda k: distances[k]) == key
    assert 0.9 > sum(drawn.axis_shares) > 0.6


def test_tree_joins_the_nearest_first(drawn: Maps) -> None:
    assert drawn.tree_ids == ("s01", "s02", "s03")
    assert len(drawn.tree) == 2
    assert drawn.tree[-1][3] == 3.0
    assert drawn.tree[0][2] <= drawn.tree[1][2]
    assert link_centroids(np.array([[1.0], [1.2], [9.0]]))[0][:2] == (0.0, 1.0)


def test_sample_holds_each_segment_by_its_share() -> None:
    ids = np.array(["s01"] * 900 + ["s02"] * 99 + ["s03"], dtype=object)
    matrix = np.random.default_rng(0).normal(size=(1000, 1))
    found = draw_maps(matrix, ["a"], ids, sample_rows=100)
    assert Counter(point.segment_id for point in found.pca) == {"s01": 90, "s02": 9, "s03": 1}


@pytest.mark.parametrize(
    ("matrix", "ids"),
    [
        ([[1.0, 2.0]], ["s01"]),
        ([[math.nan, 2.0]] * 20, ["s01"] * 20),
        ([[math.nan, 2.0]] * 20, ["s01", "s02"] * 10),
        ([[float(i), 3.0] for i in range(20)], ["s01", "s02"] * 10),
    ],
    ids=["one customer", "one segment", "nothing varies", "one feature varies"],
)
def test_degenerate_data_are_drawn_flat(matrix: list[list[float]], ids: list[str]) -> None:
    found = draw_maps(np.array(matrix), ["a", "b"], ids)
    assert len(found.pca) == len(found.tsne) == len(ids)
    assert all(math.isfinite(p.x) and math.isfinite(p.y) for p in (*found.pca, *found.tsne))
    assert len(found.tree) == len(set(ids)) - 1
    assert set(found.heat) == set(ids)


def test_nobody_is_refused() -> None:
    with pytest.raises(DataRejected, match="no customers"):
        draw_maps(np.empty((0, 2)), ["a", "b"], [])


def test_infinite_is_refused() -> None:
    with pytest.raises(DataRejected, match="infinite"):
        draw_maps([[math.inf]], ["a"], ["s01"])


def make_findings(drawn: Maps) -> SegmentFindings:
    from datetime import UTC, datetime
    from decimal import Decimal

    night = datetime(2026, 1, 1, tzinfo=UTC)
    zero = Decimal(0)
    segments = tuple(
        Segment(
            segment_id=key, name=Words(en=f"Group {key}", ko=f"집단 {key}"), customers=20,
            customers_share=1 / 3, risk_share=None, churn_share=None, value_amount=zero,
            spent_365_amount=zero, at_risk_amount=zero, traits=(), conditions=(), sql="true",
            precision_share=1.0, recall_share=1.0,
        )
        for key in drawn.tree_ids
    )  # fmt: skip
    return SegmentFindings(
        deployment="d", as_of=night, known_by=night, snapshot_id=1, currency="GBP",
        segmentation_id="x", model_name="d.segments", model_version=1, method="kmeans",
        contest=Contest(
            served="kmeans", served_kind="model", rival="rfm", measure="m", higher_is_better=True,
            served_figure=1.0, rival_figure=0.0, difference=1.0, reason="",
        ),
        measures={}, segments=segments, agreement_share=1.0, moved_from=night,
        movements=(
            Movement(from_id="new", to_id="s01", customers=2),
            Movement(from_id="s02", to_id="gone", customers=1),
            Movement(from_id="s02", to_id="s02", customers=3),
        ),
        events=(), alarms=(), pca_map=drawn.pca, tsne_map=drawn.tsne,
        heat_features=tuple(Words(en=name, ko=name) for name in NAMES), heat=drawn.heat,
        tree=drawn.tree,
    )  # fmt: skip


def test_figures_are_written_without_network(drawn: Maps, tmp_path: Path) -> None:
    files = write_figures(
        make_findings(drawn), tmp_path / "f", trials=[(0.3, 0.9, 0.1), (0.2, 0.8, 0.3)], chosen=0
    )
    assert {file.name for file in files} == {
        "segments.html",
        "profiles_heat.png",
        "map_pca.png",
        "map_tsne.png",
    }
    page = (tmp_path / "f" / "segments.html").read_text(encoding="utf-8")
    assert '<script src="' not in page
    assert page.count(CAPTION) == 2
    assert "Group s01" in page
    for part in ("movements", "profiles_radar", "tree", "pareto"):
        assert f'id="{part}"' in page


def test_movements_keep_both_sides_apart(drawn: Maps) -> None:
    figure = draw_movements(make_findings(drawn).movements, {"s01": "One"})
    (flow,) = figure.data
    assert list(flow.node.label) == ["s02", "new", "One", "s02", "gone"]
    assert sorted(zip(flow.link.source, flow.link.target, flow.link.value, strict=True)) == [
        (0, 3, 3),
        (0, 4, 1),
        (1, 2, 2),
    ]


def test_map_warns_underneath() -> None:
    figure = draw_map([MapPoint(x=0.0, y=1.0, segment_id="s01")], {}, "Map")
    assert [note.text for note in figure.layout.annotations] == [CAPTION]


def test_no_tree_for_one_segment() -> None:
    assert draw_tree((), ["All"]).data == ()
