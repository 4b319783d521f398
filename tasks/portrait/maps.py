"""Maps of the groups: for orientation, never as evidence of separation."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.findings import MapPoint, SegmentFindings
from tasks.portrait.marks import Mark, Marks
from tasks.portrait.plotting import Figure, Spec, axis, finite, layout, plain, thin, wrapped
from tasks.portrait.wording import Speech

_MOST_POINTS = 2_000
# Deviations beyond this all get the strongest colour.
_STRONGEST = 3.0
_DIVERGING = [[0.0, "#0072B2"], [0.5, "$card"], [1.0, "#D55E00"]]


def draw_map(points: Sequence[MapPoint], key: str, marks: Marks, speech: Speech) -> Figure | None:
    """A sample of customers in two dimensions, by group."""
    drawn: list[MapPoint] = thin(points, _MOST_POINTS)
    if not drawn:
        return None
    segments = sorted({one.segment_id for one in drawn}, key=lambda one: marks.of(one).letter)
    data = []
    for segment in segments:
        mark = marks.of(segment)
        own = [one for one in drawn if one.segment_id == segment]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [round(one.x, 3) for one in own],
                "y": [round(one.y, 3) for one in own],
                "marker": {
                    "color": mark.color,
                    "symbol": mark.shape,
                    "size": 5,
                    "opacity": 0.75,
                },
                "name": plain(mark.name),
                "hoverinfo": "name",
            }
        )
    hidden = {"showticklabels": False, "showgrid": False, "showline": True, "mirror": True}
    return Figure(
        key,
        speech.say(f"maps.{key}_figure", n=speech.count(len(drawn))),
        {
            "data": data,
            "layout": layout(360, xaxis=axis("", **hidden), yaxis=axis("", **hidden)),
        },
    )


def draw_heat(found: SegmentFindings, marks: Marks, speech: Speech) -> Figure | None:
    """Features down, groups across: how far a group's median lies from everybody's."""
    segments = [
        one.segment_id
        for one in found.segments
        if len(found.heat.get(one.segment_id, ())) == len(found.heat_features)
    ]
    segments.sort(key=lambda one: marks.of(one).letter)
    if not segments or not found.heat_features:
        return None
    features = [speech.words(one) for one in found.heat_features]
    figures = [[finite(found.heat[one][row]) for one in segments] for row in range(len(features))]
    names = [marks.of(one) for one in segments]
    down = axis("")
    down |= {
        "tickvals": list(range(len(features))),
        "ticktext": [wrapped(name, 28) for name in features],
        "narrowtext": [wrapped(name, 16, 2) for name in features],
        "tickfont": {"color": "$ink", "size": 12},
        "autorange": "reversed",
        "showgrid": False,
    }
    across = axis("")
    across |= {
        "tickvals": list(range(len(names))),
        "ticktext": [mark.letter for mark in names],
        "tickfont": {"color": "$ink", "size": 13},
        "tickangle": 0,
        "side": "top",
        "showgrid": False,
    }
    texts = [[_deviation(value) for value in row] for row in figures]
    spec: Spec = {
        "data": [
            {
                "type": "heatmap",
                "z": figures,
                "zmin": -_STRONGEST,
                "zmax": _STRONGEST,
                "colorscale": _DIVERGING,
                "showscale": False,
                "text": texts,
                "texttemplate": "%{text}",
                "textfont": {"size": 12},
                "hoverinfo": "skip",
                "xgap": 2,
                "ygap": 2,
            }
        ],
        "layout": layout(80 + 32 * len(features), xaxis=across, yaxis=down),
    }
    return Figure(
        "heat",
        speech.say("maps.heat_figure"),
        spec,
        ("", *(f"{mark.letter} {mark.name}" for mark in names)),
        tuple((name, *row) for name, row in zip(features, texts, strict=True)),
    )


def _deviation(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}".replace("-", "−") if abs(value) >= 0.05 else "0"


def draw_tree(found: SegmentFindings, marks: Marks, speech: Speech) -> Figure | None:
    """The dendrogram of the centroids, leaves on the left; None for fewer than two leaves.

    Leaves stand in the order of the profiles. A tree that does not fit them, or that joins a
    cluster which is not there yet, is not drawn.
    """
    leaves = len(found.tree) + 1
    if not found.tree or leaves != len(found.heat):
        return None
    own = [marks.of(segment_id) for segment_id in found.heat]
    children: dict[int, tuple[int, int]] = {}
    for row, (left, right, _distance, _size) in enumerate(found.tree):
        if not (0 <= left < leaves + row and 0 <= right < leaves + row and left != right):
            return None
        children[leaves + row] = (int(left), int(right))
    order = _walk(leaves + len(found.tree) - 1, children)
    if len(order) != leaves:
        return None
    heights = {leaf: float(place) for place, leaf in enumerate(order)}
    distances = dict.fromkeys(range(leaves), 0.0)
    across: list[float | None] = []
    upwards: list[float | None] = []
    rows = []
    for row, (_left, _right, distance, _size) in enumerate(found.tree):
        node = leaves + row
        first, second = children[node]
        heights[node] = (heights[first] + heights[second]) / 2
        distances[node] = finite(distance) or 0.0
        across += [distances[first], distances[node], distances[node], distances[second], None]
        upwards += [heights[first], heights[first], heights[second], heights[second], None]
        rows.append(
            (
                _letters(first, children, own),
                _letters(second, children, own),
                speech.figure(distance),
            )
        )
    labels = axis("")
    labels |= {
        "tickvals": list(range(leaves)),
        "ticktext": [wrapped(f"{own[leaf].letter} {own[leaf].name}", 26) for leaf in order],
        "narrowtext": [own[leaf].letter for leaf in order],
        "tickfont": {"color": "$ink", "size": 13},
        "showgrid": False,
        "range": [-0.6, leaves - 0.4],
    }
    spec: Spec = {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "x": across,
                "y": upwards,
                "line": {"color": "$soft", "width": 2},
                "hoverinfo": "skip",
            }
        ],
        "layout": layout(
            80 + 36 * leaves,
            xaxis=axis(speech.say("maps.distance"), range=[0, max(distances.values()) * 1.04]),
            yaxis=labels,
        ),
    }
    columns = (speech.say("column.segment"), speech.say("column.segment"))
    return Figure(
        "tree",
        speech.say("maps.tree_figure"),
        spec,
        (*columns, speech.say("maps.distance")),
        tuple(rows),
    )


def _walk(node: int, children: dict[int, tuple[int, int]]) -> list[int]:
    if node not in children:
        return [node]
    left, right = children[node]
    return _walk(left, children) + _walk(right, children)


def _letters(node: int, children: dict[int, tuple[int, int]], own: Sequence[Mark]) -> str:
    return " + ".join(own[leaf].letter for leaf in _walk(node, children))
