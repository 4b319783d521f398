"""`holdfast replay`: history week by week, a line each, then the money and what was caught."""

from __future__ import annotations

import shlex
import time
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from flows.options import chosen_deployment, open_settings
from tasks.errors import UsageError

if TYPE_CHECKING:
    from flows.replay import Replayed
    from tasks.replay.recording import Told


def replay(
    context: typer.Context,
    since: Annotated[str, typer.Option("--from", help="The first cut-off, as 2010-01-04.")],
    until: Annotated[str, typer.Option("--to", help="The last cut-off at the latest.")],
    every: Annotated[str, typer.Option(help="Between cut-offs: 1w, 2w, 10d.")] = "1w",
    plant: Annotated[
        list[str] | None,
        typer.Option(help="A fault to plant, as duplicate_file@2023-03-06; may stand often."),
    ] = None,
) -> None:
    """Run every night of a span of history once more, and say what it would have earned.

    Killed and run again, it goes on with the step that it was in.
    """
    open_settings(context)
    from flows.replay import replay as run

    started = time.perf_counter()
    heading = iter((HEADING,))  # with the first line: before it the command may still be refused

    def tell(told: Told, _seconds: float) -> None:
        for line in heading:
            typer.echo(line)
        typer.echo(tell_week(told))

    found = run(
        chosen_deployment(context),
        _read_day(since),
        _read_day(until),
        every,
        plant or (),
        tell,
    )
    show_replay(found, time.perf_counter() - started)


_LONGEST = 160
HEADING = "cut-off        rows   aside  scored lists  serves  what happened"


def tell_week(told: Told) -> str:
    """A step's line; the same for the same ledger, whenever it is printed."""
    said = []
    if told.planted:
        said.append(f"planted {', '.join(told.planted)}")
    if told.opened:
        said.append(f"opened {', '.join(dict.fromkeys(told.opened))}")
    if told.settled:
        said.append(f"settled: {', '.join(dict.fromkeys(told.settled))}")
    said += [
        f"gate: {version} {outcome}"
        for version, outcome in zip(told.learnt, told.decisions, strict=True)
    ]
    if told.stayed:
        said.append(f"{told.stayed} of {told.lapsing} stayed (simulated)")
    if told.rollout:
        said.append(f"rollout {told.rollout}")
    said += told.alerts
    if told.ended:
        said.append(told.ended)
    serves = f"v{told.champion}" if told.champion else "-"
    return (
        f"{told.as_of:%Y-%m-%d} {told.rows:8,} {told.aside_rows:7,} {told.customers:7,}"
        f" {told.contacts.get('served', 0):5,}  {serves:6}  {'; '.join(said)}"
    ).rstrip()


def show_replay(found: Replayed, seconds: float) -> None:
    """The money, what was caught, the claims against the truth, and where to look."""
    from flows.showing import make_table, open_console

    console = open_console()
    account = found.account
    console.print(found.assumption, markup=False)
    if account is None:
        console.print("No list's outcome has matured within the replay.")
    else:
        figures = ("contacts", f"realised {account.currency}", "interval", "promised", "lead")
        table = make_table("policy", *figures, "interval of the lead", right=figures)
        for place, one in enumerate(account.sums):
            table.add_row(
                one.policy,
                f"{one.contacts:,}",
                f"{one.realised_amount:,.0f}",
                f"{one.interval[0]:,.0f} to {one.interval[1]:,.0f}",
                f"{one.expected_amount:,.0f}",
                f"{one.lead_amount:+,.0f}" if place else "",
                f"{one.lead_interval[0]:+,.0f} to {one.lead_interval[1]:+,.0f}" if place else "",
            )
        console.print(table)
    if found.caught:
        table = make_table("planted", "fault", "caught", "by", "it said", wrap=("by", "it said"))
        for caught in found.caught:
            table.add_row(
                f"{caught.plant.on}",
                caught.plant.kind,
                f"{caught.caught_at:%Y-%m-%d}" if caught.caught_at else "NOT CAUGHT",
                caught.by,
                caught.how if len(caught.how) <= _LONGEST else f"{caught.how[:_LONGEST]}...",
            )
        console.print(table)
    if found.checks:
        claims = ("claimed", "interval", "truth expects")
        table = make_table("claim", *claims, "covers", right=claims)
        for check in found.checks:
            digits = 3 if abs(check.true) < 1 else 0
            table.add_row(
                check.claim,
                f"{check.claimed:,.{digits}f}",
                f"{check.interval[0]:,.{digits}f} to {check.interval[1]:,.{digits}f}",
                f"{check.true:,.{digits}f}",
                "yes" if check.covers else "NO",
            )
        console.print(table)
    done = sum(one > 0 for one in found.seconds)
    console.print(f"{done} of {len(found.weeks)} steps were run now, in {seconds:,.0f} s.")
    console.print(f"Page: {found.page}", markup=False, soft_wrap=True)
    console.print(
        f"Next: holdfast -d {shlex.quote(str(found.stand_in.path))} champion --at DATE",
        markup=False,
        soft_wrap=True,
    )


def _read_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"'{text}' is no day.", next_step="write it as 2010-01-04") from None
