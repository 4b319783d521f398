"""The figure of value against risk: a bubble a group."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tasks.findings import Segment, SegmentFindings
from tasks.portrait.marks import Mark, Marks
from tasks.portrait.plotting import Figure, Spec, axis, layout, money_axis, plain
from tasks.portrait.wording import Speech

# What the figure is drawn for; the labels of bubbles are placed for it.
_WIDTH, _HEIGHT = 860, 440
_LARGEST_BUBBLE, _SMALLEST_BUBBLE = 64.0, 16.0
# Values that differ by more are drawn on a logarithmic scale.
_LOG_RATIO = 20.0


def worth_of(segment: Segment) -> float:
    """What one customer of the group is worth on average."""
    return float(segment.value_amount) / max(1, segment.customers)


def draw_grid(found: SegmentFindings, marks: Marks, speech: Speech) -> Figure | None:
    """Groups by risk and worth, None where no group has a risk."""
    placed = [one for one in found.segments if one.risk_share is not None]
    if not placed:
        return None
    risks = [float(one.risk_share or 0.0) for one in placed]
    worths = [worth_of(one) for one in placed]
    most = max(one.customers for one in placed)
    sizes = [
        max(_SMALLEST_BUBBLE, _LARGEST_BUBBLE * math.sqrt(one.customers / max(1, most)))
        for one in placed
    ]
    own = [marks.of(one.segment_id) for one in placed]
    is_log = min(worths) > 0 and max(worths) / min(worths) > _LOG_RATIO
    heights = [math.log10(worth) for worth in worths] if is_log else worths
    across, upwards = _room(risks, floor=0.0), _room(heights, floor=None if is_log else 0.0)
    hovers = [
        f"<b>{plain(mark.name)}</b><br>{speech.say('column.risk')}: {speech.share(risk)}"
        f"<br>{speech.say('column.worth')}: {speech.money(worth)}"
        f"<br>{speech.say('column.customers')}: {speech.count(one.customers)}"
        f"<br>{speech.say('column.at_risk')}: {speech.money(one.at_risk_amount)}"
        for one, mark, risk, worth in zip(placed, own, risks, worths, strict=True)
    ]
    total = sum(one.customers for one in placed) or 1
    mean_risk = sum(one.customers * risk for one, risk in zip(placed, risks, strict=True)) / total
    mean_worth = sum(float(one.value_amount) for one in placed) / total
    middle = math.log10(mean_worth) if is_log and mean_worth > 0 else mean_worth
    y_axis = money_axis(speech, speech.say("column.worth"))
    y_axis["range"] = list(upwards)
    if is_log:
        ticks = _log_ticks(*upwards)
        y_axis |= {"type": "log", "tickvals": ticks}
        y_axis |= {"ticktext": [speech.money_short(one) for one in ticks]}
    spec: Spec = {
        "data": [
            {
                "type": "scatter",
                "mode": "markers+text",
                "x": risks,
                "y": worths,
                "text": [mark.letter for mark in own],
                "textfont": {"color": [mark.letter_color for mark in own], "size": 13},
                "marker": {
                    "size": sizes,
                    "color": [mark.color for mark in own],
                    "opacity": 0.92,
                    "line": {"color": "$card", "width": 2},
                },
                "hovertext": hovers,
                "hoverinfo": "text",
                "cliponaxis": False,
            }
        ],
        "layout": layout(
            _HEIGHT,
            xaxis=axis(speech.say("column.risk"), tickformat=".0%", range=list(across)),
            yaxis=y_axis,
            shapes=[
                _guide(x0=mean_risk, x1=mean_risk, y0=0, y1=1, yref="paper"),
                _guide(y0=_on_axis(middle, is_log), y1=_on_axis(middle, is_log), xref="paper"),
            ],
            annotations=[
                *_corners(speech),
                *_names(own, risks, heights, sizes, across, upwards),
            ],
        ),
    }
    columns = ("segment", "customers", "risk", "worth", "at_risk")
    return Figure(
        "grid",
        speech.say("grid.figure", n=len(placed)),
        spec,
        tuple(speech.say(f"column.{name}") for name in columns),
        tuple(
            (
                f"{mark.letter} {mark.name}",
                speech.count(one.customers),
                speech.share(risk),
                speech.money(worth),
                speech.money(one.at_risk_amount),
            )
            for one, mark, risk, worth in zip(placed, own, risks, worths, strict=True)
        ),
    )


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 of every power of ten in between; `low` and `high` are logarithms."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    return [one for one in ticks if low <= math.log10(one) <= high]


def _on_axis(value: float, is_log: bool) -> float:
    """Shapes are placed by values where annotations are placed by logarithms."""
    return 10**value if is_log else value


def _room(values: Sequence[float], floor: float | None) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = (high - low) * 0.2 or abs(high) * 0.3 or 1.0
    low -= room
    if floor is not None and low < floor:
        low = floor - room * 0.35
    return low, high + room


def _guide(**place: object) -> Spec:
    where = {"x0": 0, "x1": 1, "y0": 0, "y1": 1} | place
    line = {"color": "$soft", "width": 1, "dash": "dot"}
    return {"type": "line", "layer": "below", "line": line, **where}


def _corners(speech: Speech) -> list[Spec]:
    places = (("save", 1, 1), ("keep", 0, 1), ("watch", 1, 0), ("leave", 0, 0))
    return [
        {
            "name": "wide",
            "text": speech.say(f"grid.{key}"),
            "xref": "paper",
            "yref": "paper",
            "x": x,
            "y": y,
            "xanchor": "right" if x else "left",
            "yanchor": "top" if y else "bottom",
            "showarrow": False,
            "font": {"size": 12, "color": "$soft"},
        }
        for key, x, y in places
    ]


def _names(
    own: Sequence[Mark],
    across: Sequence[float],
    upwards: Sequence[float],
    sizes: Sequence[float],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
) -> list[Spec]:
    """Names beside their bubbles, each where it covers least of what is there already."""
    width, height = _WIDTH - 80, _HEIGHT - 70
    centers = [
        (
            (x - x_range[0]) / (x_range[1] - x_range[0]) * width,
            (y - y_range[0]) / (y_range[1] - y_range[0]) * height,
        )
        for x, y in zip(across, upwards, strict=True)
    ]
    taken = [
        (x - size / 2, y - size / 2, x + size / 2, y + size / 2)
        for (x, y), size in zip(centers, sizes, strict=True)
    ]
    # The words in the corners.
    taken += [(0, 0, 230, 18), (width - 230, 0, width, 18)]
    taken += [(0, height - 18, 230, height), (width - 230, height - 18, width, height)]
    drawn: list[Spec] = []
    for place in sorted(range(len(own)), key=lambda one: -sizes[one]):
        name = plain(own[place].name)
        half = sum(13.0 if ord(character) > 0x2E80 else 7.2 for character in own[place].name) / 2
        x, y = centers[place]
        reach = sizes[place] / 2 + 11
        choices = [
            (0.0, reach, x - half, "center"),
            (0.0, -reach, x - half, "center"),
            (reach - 5, 0.0, x + reach, "left"),
            (5 - reach, 0.0, x - reach - 2 * half, "right"),
        ]

        def cost(choice: tuple[float, float, float, str], half: float, y: float) -> float:
            box = (choice[2], y + choice[1] - 8, choice[2] + 2 * half, y + choice[1] + 8)
            outside = max(0.0, -box[0]) + max(0.0, box[2] - width)
            return outside * 16 + sum(_overlap(box, other) for other in taken)

        best = min(choices, key=lambda one: cost(one, half, y))
        taken.append((best[2], y + best[1] - 8, best[2] + 2 * half, y + best[1] + 8))
        drawn.append(
            {
                "name": "wide",
                "text": name,
                "x": across[place],
                "y": upwards[place],
                "xshift": best[0],
                "yshift": best[1],
                "xanchor": best[3],
                "showarrow": False,
                "font": {"size": 13, "color": "$ink"},
            }
        )
    return drawn


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)
