"""`holdfast value`: what customers are worth, by whom it is told, and where two models disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from flows.options import Json, chosen_deployment, open_settings, print_json

if TYPE_CHECKING:
    from tasks.findings import ValueFindings


def value(context: typer.Context, as_json: Json = False) -> None:
    """Lifetime value of every eligible customer, judged on the past and in line with churn."""
    open_settings(context)
    from flows.value import value as flow
    from tasks.orchestration import start_flow

    found = start_flow(flow, chosen_deployment(context))
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        show_value(found)


def show_value(found: ValueFindings) -> None:
    """The contest, every contender, the contradictions, and the totals."""
    from flows.showing import make_table, open_console

    console = open_console()
    judged = ("Gini", "bias", "mean error", "1 %", "5 %", "10 %")
    contenders = make_table("contender", "kind", *judged, right=judged)
    for one in found.contenders:
        contenders.add_row(
            f"{one.name} *" if one.name == found.contest.served else one.name,
            one.kind,
            f"{one.gini_share:.3f}",
            f"{one.bias_share:+.1%}",
            f"{one.mean_absolute_error_amount:,.2f}",
            *(f"{one.captured_share[key]:.1%}" for key in ("0.01", "0.05", "0.1")),
        )
    console.print(contenders)
    console.print(f"Served (*): {found.contest.reason}.", markup=False, soft_wrap=True)
    spent = ("predicted", "observed")
    deciles = make_table("tenth by prediction", *spent, right=spent)
    for place, (predicted, observed) in enumerate(found.deciles, start=1):
        deciles.add_row(str(place), f"{predicted:,.2f}", f"{observed:,.2f}")
    console.print(deciles)
    clashing = ("customers", "before", "after")
    contradictions = make_table("contradiction", *clashing, right=clashing)
    for clash in found.contradictions:
        contradictions.add_row(
            clash.code,
            f"{clash.customers:,}",
            f"{clash.before_amount:,.2f}",
            f"{clash.after_amount:,.2f}",
        )
    console.print(contradictions)
    for note in found.notes:
        console.print(note.en, markup=False, soft_wrap=True)
    console.print(
        f"{found.customers:,} customers as of {found.as_of:%Y-%m-%d}:"
        f" {found.total_amount:,.2f} {found.currency} of discounted margin in"
        f" {found.horizon_days} days, {found.confidence:.0%} interval"
        f" {found.low_amount:,.2f} to {found.high_amount:,.2f}",
        markup=False,
        soft_wrap=True,
    )
