"""`holdfast uplift`: what contacts bring, and on which level that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from flows.options import Json, chosen_deployment, open_settings, print_json

if TYPE_CHECKING:
    from tasks.evidence import UpliftFindings


def uplift(context: typer.Context, as_json: Json = False) -> None:
    """What contacts bring that would not have come without them, by hold-out and declared lots."""
    open_settings(context)
    from flows.uplift import uplift as flow
    from tasks.orchestration import start_flow

    found = start_flow(flow, chosen_deployment(context))
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        show_uplift(found)


def show_uplift(found: UpliftFindings) -> None:
    """The ladder, the contest of each action that was tried, and what was refused."""
    from flows.showing import make_cell, make_table, open_console
    from tasks.uplift import report

    console = open_console()
    console.print(f"Level 1: {found.ranking.words.en}", markup=False, soft_wrap=True)
    numbers = ("contacted", "not", "lapses", f"margin, {found.currency}", "p (Holm)")
    ladder = make_table("level", "action", "for", *numbers, right=("level", *numbers))
    for cell in found.cells:
        ladder.add_row(
            str(cell.level),
            make_cell(cell.action),
            make_cell(report.name_cell(cell)),
            f"{cell.customers:,}",
            f"{cell.controls:,}",
            report.tell_lapse(cell.lapse),
            report.tell_margin(cell.margin),
            report.tell_p_value(cell),
        )
    console.print(ladder)
    for cell in found.cells:
        if cell.segment_id is None and cell.driver is None:
            console.print(f"{cell.action}: {cell.needs.en}", markup=False, soft_wrap=True)
    for study in found.studies:
        console.print(f"{study.action}: {study.reason.en}", markup=False, soft_wrap=True)
        if study.kept is not None:
            console.print(report.say_own(study), markup=False, soft_wrap=True)
        if not study.strategies:
            continue
        judged = ("contacted", "Qini", "better, of 1,000", f"{found.currency}, of 1,000")
        contest = make_table("way to choose", *judged, right=judged)
        for row in report.list_strategies(study):
            contest.add_row(*row)
        console.print(contest)
    for said in report.say_vouchers(found):
        console.print(said, markup=False, soft_wrap=True)
    for one in found.undeclared:
        console.print(one.reason.en, markup=False, soft_wrap=True)
    for note in found.notes:
        console.print(note.en, markup=False, soft_wrap=True)
    console.print(
        f"As of {found.as_of:%Y-%m-%d}, outcomes of {found.horizon_days} days;"
        f" {found.confidence:.0%} intervals hold at every look.",
        markup=False,
        soft_wrap=True,
    )
