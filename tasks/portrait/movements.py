"""The figure of who moved where: groups before on the left, now on the right."""

from __future__ import annotations

from tasks.findings import SegmentFindings
from tasks.portrait.marks import Marks
from tasks.portrait.plotting import Figure, Spec, fade, layout, plain
from tasks.portrait.wording import Speech


def draw_movements(found: SegmentFindings, marks: Marks, speech: Speech) -> Figure | None:
    """Who went where, None without a month before."""
    moved = [one for one in found.movements if one.customers > 0]
    if not moved:
        return None
    before = sorted({one.from_id for one in moved}, key=lambda one: marks.of(one).letter)
    now = sorted({one.to_id for one in moved}, key=lambda one: marks.of(one).letter)
    sources = {segment_id: place for place, segment_id in enumerate(before)}
    targets = {segment_id: place + len(before) for place, segment_id in enumerate(now)}
    nodes = [marks.of(one) for one in (*before, *now)]
    spec: Spec = {
        "data": [
            {
                "type": "sankey",
                "arrangement": "fixed",
                "node": {
                    "label": [plain(mark.name) for mark in nodes],
                    "narrowtext": [
                        mark.letter if mark.order is not None else plain(mark.name)
                        for mark in nodes
                    ],
                    "color": [mark.color for mark in nodes],
                    "pad": 14,
                    "thickness": 16,
                    "line": {"width": 0},
                    "hovertemplate": "%{label}: %{value:,}<extra></extra>",
                },
                "link": {
                    "source": [sources[one.from_id] for one in moved],
                    "target": [targets[one.to_id] for one in moved],
                    "value": [one.customers for one in moved],
                    "color": [fade(marks.of(one.from_id).color, 0.38) for one in moved],
                    "customdata": [
                        f"{plain(marks.of(one.from_id).name)} → {plain(marks.of(one.to_id).name)}"
                        f"<br>{speech.say('unit.customers', n=speech.count(one.customers))}"
                        for one in moved
                    ],
                    "hovertemplate": "%{customdata}<extra></extra>",
                },
                "textfont": {"color": "$ink", "size": 13},
            }
        ],
        "layout": layout(max(320, 62 * max(len(before), len(now)))),
    }
    return Figure(
        "movements",
        speech.say("moves.figure"),
        spec,
        tuple(speech.say(f"column.{name}") for name in ("from", "to", "customers")),
        tuple(
            (marks.of(one.from_id).name, marks.of(one.to_id).name, speech.count(one.customers))
            for one in sorted(moved, key=lambda one: -one.customers)
        ),
    )
