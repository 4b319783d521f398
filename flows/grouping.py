"""The command `segments`: the named groups with size, worth, risk and rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from flows.options import Json, chosen_deployment, open_settings, print_json

if TYPE_CHECKING:
    from tasks.findings import SegmentFindings


def segments(context: typer.Context, as_json: Json = False) -> None:
    """Put every customer into a named group; print size, worth, risk and rules of each."""
    open_settings(context)
    from flows.segment import segment as flow
    from tasks.orchestration import start_flow

    found = start_flow(flow, chosen_deployment(context))
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        show_segments(found)


def show_segments(found: SegmentFindings) -> None:
    """One line a segment, its rules below, and the line that says what is served and why."""
    from flows.showing import make_cell, make_table, open_console, say_share

    console = open_console()
    currency = found.currency or ""
    numbers = ("customers", "share", "risk", "left before", f"worth {currency}", "at risk")
    table = make_table("id", "segment", *numbers, right=numbers, wrap=("segment",))
    for one in found.segments:
        table.add_row(
            make_cell(one.segment_id),
            make_cell(f"{one.name.en} / {one.name.ko}"),
            f"{one.customers:,}",
            f"{one.customers_share:.1%}",
            say_share(one.risk_share),
            say_share(one.churn_share),
            f"{one.value_amount:,.0f}",
            f"{one.at_risk_amount:,.0f}",
        )
    console.print(table)
    for one in found.segments:
        for condition in one.conditions:
            console.print(f"{one.segment_id}: {condition}", markup=False, soft_wrap=True)
    contest = found.contest
    console.print(
        f"Served: {found.method} ({contest.served_kind}); {contest.reason}",
        markup=False,
        soft_wrap=True,
    )
    for note in found.notes:
        console.print(note.en, markup=False, soft_wrap=True)
