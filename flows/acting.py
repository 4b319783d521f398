"""The command that makes the action list."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.options import Json, chosen_deployment, open_settings, print_json
from tasks.errors import UsageError

if TYPE_CHECKING:
    from tasks.findings import ActionFindings

_MOST = Decimal(1_000_000_000)


def act(
    context: typer.Context,
    budget: Annotated[
        str | None,
        typer.Option(
            help="What the lists may cost if everybody takes the offer; by default"
            " `economics.budget_amount`.",
            metavar="AMOUNT",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List whom to contact with what within a budget, whom to win back, and whom to leave alone."""
    settings = open_settings(context)
    amount = None if budget is None else read_amount(budget)
    from flows.act import act as flow
    from tasks.orchestration import start_flow

    found: ActionFindings = start_flow(flow, chosen_deployment(context), amount)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        show_actions(found, settings.home)


def read_amount(text: str) -> Decimal:
    """An amount as a person types it: 1000, 1000.50 or 1,000. Raises UsageError (64)."""
    try:
        amount = Decimal(text.replace(",", ""))
    except InvalidOperation:
        amount = Decimal("NaN")
    exponent = amount.as_tuple().exponent
    if not amount.is_finite() or not 0 < amount <= _MOST or not isinstance(exponent, int):
        raise UsageError(
            f"'{text}' is no budget.", next_step=f"give an amount above 0 and up to {_MOST:,}"
        )
    if exponent < -4:
        raise UsageError(f"'{text}' has more than four decimals.", next_step="round it")
    return amount


def show_actions(found: ActionFindings, home: Path) -> None:
    """The lists action by action, who is left alone and why, and where the files are."""
    from flows import showing
    from tasks.actions.steps import say_level, say_policy

    numbers = ("customers", "cost", "expected", "level")
    table = showing.make_table("list", "action", "channel", "segment", *numbers, right=numbers)
    for name, lines in (("keep", found.lines), ("win back", found.winback_lines)):
        for line in lines:
            table.add_row(
                name,
                showing.make_cell(line.words.en),
                showing.make_cell(line.channel),
                showing.make_cell(line.segment_id),
                f"{line.customers:,}",
                f"{line.cost_amount:,.2f}",
                f"{line.expected_return_amount:,.2f}",
                say_level(line),
            )
    console = showing.open_console()
    if found.lines or found.winback_lines:
        console.print(table)
    console.print(
        f"{found.customers:,} customers to be kept, {found.winback_customers:,} to be won back,"
        f" as of {found.as_of:%Y-%m-%d}: {found.planned_cost_amount:,.2f} of"
        f" {found.budget_amount:,.2f} {found.currency} if everybody takes the offer, expected to"
        f" bring {found.expected_return_amount:,.2f}",
        markup=False,
    )
    console.print(
        f"{found.held_out_customers:,} more are held out, to tell later what contacts brought",
        markup=False,
    )
    for said in say_policy(found):
        console.print(said, markup=False, soft_wrap=True)
    left = ", ".join(f"{code} {count:,}" for code, count in found.left_alone.items())
    console.print(f"left alone: {left or 'nobody'}", markup=False)
    for note in found.notes:
        console.print(note.en, markup=False)
    for path in found.files:
        console.print(f"  {home / path}", markup=False, soft_wrap=True)
