"""The command that forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from flows.options import Json, chosen_deployment, open_settings, print_json

if TYPE_CHECKING:
    from tasks.findings import ForecastFindings


def forecast(context: typer.Context, as_json: Json = False) -> None:
    """Forecast churn rate, active base and revenue, in all and by segment, with intervals."""
    open_settings(context)
    from flows.forecast import forecast as flow
    from tasks.orchestration import start_flow

    found: ForecastFindings = start_flow(flow, chosen_deployment(context))
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        show_forecasts(found)


def show_forecasts(found: ForecastFindings) -> None:
    """Each series at its end and as far ahead as is told, and who tells it."""
    from flows import showing

    numbers = ("last", "ahead", "low", "high", "error", "rival's error")
    named = ("series", "segment", "served")
    table = showing.make_table(*named, *numbers, right=numbers)
    for one in found.series:
        _, *told = one.forecast[-1]
        style = "{:.2%}" if one.measure == "churn_rate" else "{:,.0f}"
        table.add_row(
            one.measure.replace("_", " "),
            showing.make_cell(one.segment_id or "all"),
            one.contest.served.replace("_", " "),
            *(style.format(value) for value in (one.history[-1][1], *told)),
            f"{one.contest.served_figure:.3f}",
            f"{one.contest.rival_figure:.3f}",
        )
    console = showing.open_console()
    if found.series:
        console.print(table)
        ends = max(one.forecast[-1][0] for one in found.series)
        console.print(
            f"{len(found.series)} series as of {found.as_of:%Y-%m-%d}, by the"
            f" {found.series[0].period} until {ends:%Y-%m-%d}; an error of 1 is that of 'as it was'"
            " one period ahead",
            markup=False,
        )
    for note in found.notes:
        console.print(note.en, markup=False)
