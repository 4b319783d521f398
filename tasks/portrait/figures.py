"""The figures of reasons, survival, value and forecasts."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.findings import (
    ForecastSeries,
    ReasonFindings,
    SurvivalCurve,
    ValueFindings,
)
from tasks.portrait.marks import PLAIN_COLOR, Marks
from tasks.portrait.plotting import (
    Figure,
    Spec,
    axis,
    fade,
    finite,
    layout,
    money_axis,
    plain,
    thin,
    wrapped,
)
from tasks.portrait.wording import Speech

_MOST_STEPS, _MOST_PERIODS = 120, 60
_BLUE, _ORANGE = "#0072B2", "#E69F00"


def draw_reasons(found: ReasonFindings, marks: Marks, speech: Speech) -> Figure | None:
    """Money at risk by reason, split by group; None where no reason holds."""
    words = {one.driver: speech.words(one.words) for one in found.drivers}
    cells = [one for one in found.cells if one.driver is not None and one.customers > 0]
    totals: dict[str, float] = {}
    for cell in cells:
        if cell.driver is not None:
            totals[cell.driver] = totals.get(cell.driver, 0.0) + float(cell.at_risk_amount)
    drivers = sorted(totals, key=lambda one: totals[one])
    if not drivers:
        return None
    segments = sorted({one.segment_id for one in cells}, key=lambda one: marks.of(one).letter)
    amounts = {(one.segment_id, one.driver): float(one.at_risk_amount) for one in cells}
    names = [words.get(one, one) for one in drivers]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "x": [amounts.get((segment, driver), 0.0) for driver in drivers],
            "y": list(range(len(drivers))),
            "marker": {"color": marks.of(segment).color, "line": {"color": "$card", "width": 1}},
            "hovertext": [
                f"{plain(name)}<br>{plain(marks.of(segment).name)}:"
                f" {speech.money(amounts.get((segment, driver), 0.0))}"
                for driver, name in zip(drivers, names, strict=True)
            ],
            "hoverinfo": "text",
        }
        for segment in segments
    ]
    labels = axis("")
    labels |= {
        "tickvals": list(range(len(drivers))),
        "ticktext": [wrapped(name, 26) for name in names],
        "narrowtext": [wrapped(name, 15, 2) for name in names],
        "tickfont": {"color": "$ink", "size": 13},
        "showgrid": False,
    }
    return Figure(
        "reasons",
        speech.say("reasons.figure"),
        {
            "data": data,
            "layout": layout(
                90 + 40 * len(drivers),
                barmode="stack",
                bargap=0.3,
                xaxis=money_axis(speech, speech.say("column.at_risk")),
                yaxis=labels,
            ),
        },
    )


def draw_survival(curves: Sequence[SurvivalCurve], marks: Marks, speech: Speech) -> Figure | None:
    """Share still there by days; the band belongs to everybody."""
    data: list[Spec] = []
    rows: list[tuple[str, ...]] = []
    for curve in sorted(curves, key=lambda one: one.segment_id is not None):
        mark = marks.of(curve.segment_id)
        points = thin(curve.points, _MOST_STEPS)
        if not points:
            continue
        days = [finite(point[0]) for point in points]
        if curve.segment_id is None:
            data += _band(
                days,
                [finite(point[2]) for point in points],
                [finite(point[3]) for point in points],
                PLAIN_COLOR,
                shape="hv",
            )
        data.append(
            {
                "type": "scatter",
                "mode": "lines+text",
                "x": days,
                "y": [finite(point[1]) for point in points],
                "line": {
                    "color": mark.color,
                    "width": 2.5 if curve.segment_id is None else 2,
                    "dash": "solid" if curve.segment_id is None else mark.dash,
                    "shape": "hv",
                },
                "text": [""] * (len(points) - 1) + [f" {mark.letter}"],
                "textposition": "middle right",
                "textfont": {"color": "$ink", "size": 12},
                "cliponaxis": False,
                "hovertext": [
                    f"{plain(mark.name)}<br>{speech.days(point[0])}: {speech.share(point[1])}"
                    for point in points
                ],
                "hoverinfo": "text",
            }
        )
        rows.append(
            (
                f"{mark.letter} {mark.name}".strip(),
                speech.count(curve.customers),
                speech.days(curve.median_days)
                if curve.median_days is not None
                else speech.say("leaving.more_stay"),
                speech.share(curve.points[-1][1]),
            )
        )
    if not data:
        return None
    return Figure(
        "survival",
        speech.say("leaving.figure"),
        {
            "data": data,
            "layout": layout(
                360,
                xaxis=axis(speech.say("leaving.days"), rangemode="tozero"),
                yaxis=axis(speech.say("leaving.still_there"), tickformat=".0%", rangemode="tozero"),
            )
            | {"margin": {"l": 8, "r": 28, "t": 12, "b": 8}},
        },
        (
            speech.say("column.segment"),
            speech.say("column.customers"),
            speech.say("leaving.median"),
            speech.say("leaving.still_there"),
        ),
        tuple(rows),
    )


def _band(
    across: Sequence[object],
    low: Sequence[float | None],
    high: Sequence[float | None],
    color: str,
    shape: str = "linear",
) -> list[Spec]:
    """The room between two lines, as two traces."""
    shared: Spec = {
        "type": "scatter",
        "mode": "lines",
        "x": list(across),
        "line": {"width": 0, "shape": shape, "color": color},
        "hoverinfo": "skip",
    }
    upper = {"y": list(high), "fill": "tonexty", "fillcolor": fade(color, 0.18)}
    return [{**shared, "y": list(low)}, {**shared, **upper}]


def draw_calibration(found: ValueFindings, speech: Speech) -> Figure | None:
    """Predicted and observed spend by tenth; None without tenths."""
    if not found.deciles:
        return None
    names = ("predicted", "observed")
    labels = [speech.say(f"value.{name}") for name in names]
    data = [
        {
            "type": "bar",
            "name": label,
            "x": list(range(1, len(found.deciles) + 1)),
            "y": [finite(pair[place]) for pair in found.deciles],
            "marker": {"color": (_BLUE, _ORANGE)[place]},
            "hovertext": [f"{label}: {speech.money(pair[place])}" for pair in found.deciles],
            "hoverinfo": "text",
        }
        for place, label in enumerate(labels)
    ]
    return Figure(
        "calibration",
        speech.say("value.figure"),
        {
            "data": data,
            "layout": layout(
                320,
                barmode="group",
                bargap=0.25,
                xaxis=axis(speech.say("value.decile"), dtick=1),
                yaxis=money_axis(speech, ""),
                showlegend=True,
                legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            )
            | {"margin": {"l": 8, "r": 12, "t": 40, "b": 8}},
        },
        (speech.say("value.decile"), *labels),
        tuple(
            (str(place), speech.money(pair[0]), speech.money(pair[1]))
            for place, pair in enumerate(found.deciles, 1)
        ),
    )


def draw_forecast(series: ForecastSeries, key: str, speech: Speech) -> Figure | None:
    """One series: what happened, what is expected, within which band."""
    if not series.history and not series.forecast:
        return None
    past = list(series.history)[-_MOST_PERIODS:]
    measure = speech.term(series.measure)

    def told(value: float) -> str:
        return tell_measure(series, value, speech)

    # The line goes on from the last figure that is known.
    joint = [(past[-1][0], past[-1][1], past[-1][1], past[-1][1])] if past else []
    ahead = joint + list(series.forecast)
    days = [one[0].strftime("%Y-%m-%d") for one in ahead]
    data = _band(days, [finite(one[2]) for one in ahead], [finite(one[3]) for one in ahead], _BLUE)
    data.append(
        {
            "type": "scatter",
            "mode": "lines",
            "x": days,
            "y": [finite(one[1]) for one in ahead],
            "line": {"color": _BLUE, "width": 2.5, "dash": "dash"},
            "hovertext": [
                f"{speech.period(one[0], series.period)}<br>{speech.say('forecasts.expected')}:"
                f" {told(one[1])}<br>{speech.say('forecasts.range')}:"
                f" {told(one[2])} ~ {told(one[3])}"
                for one in ahead
            ],
            "hoverinfo": "text",
        }
    )
    data.append(
        {
            "type": "scatter",
            "mode": "lines",
            "x": [one[0].strftime("%Y-%m-%d") for one in past],
            "y": [finite(one[1]) for one in past],
            "line": {"color": _BLUE, "width": 2.5},
            "hovertext": [
                f"{speech.period(one[0], series.period)}<br>{told(one[1])}" for one in past
            ],
            "hoverinfo": "text",
        }
    )
    if series.measure == "churn_rate":
        upwards = axis("", tickformat=".0%")
    elif series.measure == "revenue":
        upwards = money_axis(speech, "")
    else:
        upwards = axis("", tickformat="~s")
    return Figure(
        key,
        speech.say("forecasts.figure", measure=measure),
        {
            "data": data,
            "layout": layout(
                260,
                xaxis=axis("", type="date", tickformat="%Y-%m", nticks=4, tickangle=0),
                yaxis=upwards | {"rangemode": "tozero", "nticks": 5},
            ),
        },
        tuple(speech.say(f"forecasts.{name}") for name in ("period", "expected", "range")),
        tuple(
            (
                speech.period(one[0], series.period),
                told(one[1]),
                speech.say("served.range", low=told(one[2]), high=told(one[3])).strip("()"),
            )
            for one in series.forecast
        ),
    )


def tell_measure(series: ForecastSeries, value: float, speech: Speech) -> str:
    """A figure of a series with its unit."""
    if series.measure == "churn_rate":
        return speech.share(value)
    return speech.money(value) if series.measure == "revenue" else speech.count(value)
