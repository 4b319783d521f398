"""The command `holdfast reasons`: why customers leave, as far as it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from flows.options import Json, chosen_deployment, open_settings, print_json

if TYPE_CHECKING:
    from tasks.findings import ReasonFindings


def reasons(context: typer.Context, as_json: Json = False) -> None:
    """Find the reasons that hold, by segment, with survival, lead time and last steps."""
    open_settings(context)
    from flows.explain import explain as flow
    from tasks.orchestration import start_flow

    found = start_flow(flow, chosen_deployment(context))
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    show_reasons(found)


def show_reasons(found: ReasonFindings) -> None:
    """The drivers, the segments' reasons, and what else was found, for a person."""
    from flows.showing import make_cell, make_table, open_console

    console = open_console()
    total = found.explained_customers + found.unstable_customers
    console.print(
        f"{found.explained_customers:,} of {total:,} customers have a reason that held in"
        f" {found.refits} refits; the others have no stable reason."
    )
    figures = ("features", "weight", "agreement")
    drivers = make_table("driver (association)", *figures, right=figures, wrap=("driver",))
    for one in found.drivers:
        drivers.add_row(
            make_cell(one.words.en),
            str(one.features),
            f"{one.weight_share:.1%}",
            f"{one.agreement_share:.1%}",
        )
    console.print(drivers)
    columns = ("customers", "share", "elsewhere", "at risk")
    cells = make_table("segment", "reason", *columns, "stands out", right=columns)
    for cell in found.cells:
        cells.add_row(
            make_cell(cell.segment_id),
            make_cell(cell.driver or "no stable reason"),
            f"{cell.customers:,}",
            f"{cell.customers_share:.1%}",
            f"{cell.rest_share:.1%}",
            f"{cell.at_risk_amount:,.2f}",
            "yes" if cell.stands_out else "",
        )
    console.print(cells)
    if found.ablation_change is not None:
        console.print(
            f"Top reason set to the segment's medians: {found.ablation_change:+.4f} in probability"
            f" ({found.ablation_low:+.4f} to {found.ablation_high:+.4f})"
        )
    for curve in found.survival:
        median = "more than half stay" if curve.median_days is None else f"{curve.median_days:.0f}"
        console.print(
            f"Survival {curve.segment_id or 'everybody'}: {curve.customers:,} customers,"
            f" median days {median}"
        )
    lead = found.lead_time
    if lead is not None:
        quantiles = ", ".join(f"{q} {days:.0f}" for q, days in lead.quantile_days.items())
        console.print(
            f"Lead time: {lead.flagged_customers:,} of {lead.lapsed_customers:,} lapses flagged"
            f" before; days by quantile: {quantiles or 'none'}"
        )
    if found.journey:
        figures = ("leavers", "stayers", "lift")
        journey = make_table("last step", *figures, right=figures)
        for step in found.journey:
            journey.add_row(
                make_cell(step.words.en),
                f"{step.leavers_share:.1%}",
                f"{step.stayers_share:.1%}",
                f"{step.lift:.2f}",
            )
        console.print(journey)
    for note in found.notes:
        console.print(f"- {note.en}", markup=False)
