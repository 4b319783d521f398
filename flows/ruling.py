"""`holdfast rules`: bounds learnt from accepted batches, and what they would have alarmed at."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.options import Json, open_settings, print_json
from tasks.errors import DiskFailure

if TYPE_CHECKING:
    from tasks.settings import Settings
    from tasks.validation.past import PastBatch

rules = typer.Typer(
    help="Bounds of the rules: learn them from history, try them on it.", no_args_is_help=True
)

Source = Annotated[str | None, typer.Option(help="One source; by default all that have batches.")]


@rules.command("suggest")
def suggest(
    context: typer.Context,
    source: Source = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the lines to this file instead of printing them.")
    ] = None,
) -> None:
    """Propose bounds from the accepted batches, as lines for the deployment's file."""
    settings = open_settings(context)
    from tasks.validation.suggestion import learn_bounds, render

    bounds = learn_bounds(_read_past(settings, source), settings)
    text = render(bounds, settings)
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DiskFailure(f"{out} cannot be written.", found=error.strerror or "") from None
    proposed = sum(bool(bound.limits) for bound in bounds)
    typer.echo(
        f"{proposed} bounds proposed, {len(bounds) - proposed} rules without enough history: {out}"
    )
    called, written = shlex.quote(settings.called), shlex.quote(str(out))
    typer.echo(f"Next: holdfast -d {called} rules backtest --bounds {written}")


@rules.command("backtest")
def backtest(
    context: typer.Context,
    source: Source = None,
    batches: Annotated[int, typer.Option(help="How many of the newest batches.", min=1)] = 90,
    bounds: Annotated[
        Path | None,
        typer.Option(help="A file of `rules suggest`; by default bounds are learnt on the way."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Replay the last batches of each source with the bounds in force and with proposed ones."""
    settings = open_settings(context)
    from flows import showing
    from tasks.settings import load_settings
    from tasks.validation.backtest import as_plain, backtest

    given = None
    if bounds is not None:
        given = load_settings(context.find_root().obj, home=settings.home, over=bounds)
    replays = [
        replay
        for past in _read_past(settings, source).values()
        for replay in backtest(past, settings, batches=batches, given=given)
    ]
    if as_json:
        print_json([as_plain(replay) for replay in replays])
    else:
        showing.show_backtest(replays, "" if bounds is None else str(bounds))


def _read_past(settings: Settings, source: str | None) -> dict[str, list[PastBatch]]:
    from tasks.validation.past import read_past
    from tasks.warehouse import open_lake

    with open_lake(settings) as lake:
        return read_past(lake, source)
