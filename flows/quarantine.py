"""The commands of the work queue: look at what stands aside, and decide about it."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.options import Json, chosen_deployment, open_settings, print_json
from tasks.errors import UsageError

quarantine = typer.Typer(
    help="The work queue: what was refused, why, and what to do about it.", no_args_is_help=True
)

Item = Annotated[str, typer.Argument(help="An item (item-7), or a batch's name or number.")]
Author = Annotated[
    str | None,
    typer.Option(
        "--author", envvar="HOLDFAST_AUTHOR", help="Who decides; by default the system's user."
    ),
]
Reason = Annotated[str, typer.Option(help="Why, for whoever reads it in a year.")]
Until = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="The day (UTC) on whose beginning it ends."),
]


def add_quarantine(app: typer.Typer) -> None:
    """Put the group on the application."""
    app.add_typer(quarantine, name="quarantine")


@quarantine.command("list")
def list_items(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also what is decided.")] = False,
    as_json: Json = False,
) -> None:
    """The open items, one a cause: what, since when, how many batches and rows."""
    settings = open_settings(context)
    from flows import showing
    from tasks.intake import steps as intake
    from tasks.warehouse import open_lake

    with open_lake(settings) as lake:
        items = intake.describe_queue(lake, everything=everything)
    if as_json:
        print_json(items)
    else:
        showing.show_queue(items, settings.called)


@quarantine.command("show")
def show_one(
    context: typer.Context,
    asked: Item,
    rule: Annotated[str | None, typer.Option(help="A batch's rows of this rule only.")] = None,
    rows: Annotated[
        int, typer.Option(help="How many rows of a batch to show.", min=0, max=10_000)
    ] = 10,
    as_json: Json = False,
) -> None:
    """One screen: what broke, since when, what is usual, the rows (masked), and what to do next.

    An item shows its cause over all its batches; a batch shows its rules and rows.
    """
    settings = open_settings(context)
    from flows import showing
    from flows.telling import gather_report
    from tasks.incidents import steps as incidents
    from tasks.intake import steps as intake
    from tasks.oncall import steps as oncall
    from tasks.warehouse import open_lake

    with open_lake(settings) as lake:
        if incidents.parse_name(asked) is not None:
            report = gather_report(lake, asked)
            if as_json:
                print_json(report.as_dictionary())
            else:
                typer.echo(oncall.render_text(report))
            return
        shown = intake.show_quarantine(lake, asked, rows=rows, rule=rule)
    if as_json:
        print_json(shown)
    else:
        showing.show_quarantine_batch(shown)


@quarantine.command()
def report(
    context: typer.Context,
    item: Annotated[str | None, typer.Argument(help="An item; without it, every open one.")] = None,
    as_json: Json = False,
) -> None:
    """Write the report as a page that can be sent on: on disk, and in MLflow if it answers."""
    settings = open_settings(context)
    from flows.telling import report_item, report_queue

    found = [report_item(settings, item)] if item else report_queue(settings)
    written = [
        {"item": one.name, "path": str(to.path), "url": to.url, "run_id": to.run_id}
        for one, to in found
    ]
    if as_json:
        print_json(written)
        return
    for line in written:
        typer.echo(f"{line['item']}: {line['path']}")
    if not written:
        typer.echo("Nothing waits for a decision.")


@quarantine.command()
def watch(context: typer.Context, as_json: Json = False) -> None:
    """The dead-man's switch, for a scheduler of your own: exit 75 while a delivery is missing.

    It also opens an item for a run that was killed and that nobody has begun again.
    """
    settings = open_settings(context)
    from flows.telling import tell_oncall
    from tasks.errors import LockHeld
    from tasks.incidents import steps as incidents
    from tasks.intake import steps as intake
    from tasks.warehouse import open_lake

    with open_lake(settings) as lake:
        missing = intake.watch_deliveries(lake, settings)
        incidents.report_killed_runs(lake)
        tell_oncall(lake)
    if as_json:
        print_json(
            [{"item": one.name, "code": one.cause.code, "what": one.cause.headline}
             for one in missing]
        )  # fmt: skip
    if missing:
        raise LockHeld(
            "A delivery is missing.",
            found="\n  ".join(f"{one.name} {one.cause.headline}" for one in missing),
            next_step=f"holdfast -d {settings.called} quarantine show {missing[0].name}",
        )
    if not as_json:
        typer.echo("Everything that was due has come.")


@quarantine.command()
def notify(context: typer.Context, as_json: Json = False) -> None:
    """Send what people were not told yet, through every channel of `oncall.channels`."""
    settings = open_settings(context)
    from flows.telling import tell_oncall
    from tasks.warehouse import open_lake

    with open_lake(settings) as lake:
        told = tell_oncall(lake)
    if as_json:
        print_json({"sent": told.sent, "waiting": told.waiting})
    else:
        typer.echo(f"{len(told.sent)} sent, {len(told.waiting)} to be tried again.")


@quarantine.command("preview")
def preview_batch(
    context: typer.Context,
    batch: Annotated[str, typer.Argument(help="A batch's name or number.")],
    waive: Annotated[
        bool,
        typer.Option(
            "--waive", help="As if the rules that stop it were waived; bad rows stay out."
        ),
    ] = False,
    file: Annotated[
        Path | None, typer.Option(help="A corrected file, in place of the bytes that came.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What taking a batch in would change: rows, features, scores, action list, money.

    Tried on a branch of the lake that is thrown away.
    """
    settings = open_settings(context)
    from flows.preview import preview
    from tasks.impact import render_preview

    found = preview(settings, batch, lift_stops=waive, file=file)
    if as_json:
        print_json(found.as_dictionary())
    else:
        typer.echo(render_preview(found))


@quarantine.command()
def export(
    context: typer.Context,
    item: Item,
    out: Annotated[Path, typer.Option(help="The CSV file to write; it must not be there yet.")],
    rule: Annotated[str | None, typer.Option(help="Rows of this rule only.")] = None,
    author: Author = None,
    as_json: Json = False,
) -> None:
    """Refused rows of one batch as CSV, unmasked, to be corrected and given to `replay`."""
    settings = open_settings(context)
    from tasks.intake import steps as intake
    from tasks.warehouse import open_lake

    with open_lake(settings) as lake:
        batch = intake.one_batch(lake, item)
        count = intake.export_rows(lake, batch, out, author=_author(author), rule=rule)
    said = {"batch_name": batch.batch_name, "rows": count, "path": str(out)}
    if as_json:
        print_json(said)
    else:
        typer.echo(f"{count:,} rows of {batch.batch_name} in {out}, for you alone: not masked.")
        typer.echo(
            "Next: correct the columns after raw_line, then holdfast -d"
            f" {settings.called} quarantine replay {batch.batch_name} --corrected {out}"
        )


@quarantine.command()
def replay(
    context: typer.Context,
    item: Item,
    file: Annotated[
        Path | None, typer.Option(help="A file in place of the delivered one, for one batch.")
    ] = None,
    corrected: Annotated[
        Path | None, typer.Option(help="What `export` wrote, with rows corrected.")
    ] = None,
    supersede: Annotated[
        bool, typer.Option("--supersede", help="Let it replace an accepted batch of its name.")
    ] = False,
    reason: Reason = "",
    author: Author = None,
    as_json: Json = False,
) -> None:
    """Judge and publish again: the kept bytes, a corrected file, or corrected rows."""
    _decide(
        context,
        as_json,
        item=item,
        kind="replay",
        author=_author(author),
        reason=reason,
        file=file.resolve() if file else None,
        corrected=corrected.resolve() if corrected else None,
        supersede=supersede,
    )


@quarantine.command()
def waive(
    context: typer.Context,
    item: Item,
    until: Until = None,
    reason: Reason = "",
    rule: Annotated[
        list[str] | None,
        typer.Option(help="A rule to waive, or rule:column; by default those that stop it."),
    ] = None,
    row: Annotated[
        list[int] | None, typer.Option(help="Only this row, for rules about rows.", min=1)
    ] = None,
    let_in: Annotated[
        bool, typer.Option("--let-in", help="Publish the rows that break the rule as well.")
    ] = False,
    for_source: Annotated[
        bool, typer.Option("--for-source", help="For all deliveries of the source until it ends.")
    ] = False,
    author: Author = None,
    as_json: Json = False,
) -> None:
    """Let it pass although a rule is broken, for a reason and until a day."""
    _decide(
        context,
        as_json,
        item=item,
        kind="waive",
        author=_author(author),
        reason=reason,
        until=_day(until),
        rules=tuple(rule or ()),
        row_numbers=tuple(row or ()),
        let_in=let_in,
        for_source=for_source,
    )


@quarantine.command()
def discard(
    context: typer.Context,
    item: Item,
    reason: Reason = "",
    until: Until = None,
    author: Author = None,
    as_json: Json = False,
) -> None:
    """Leave it out. Its bytes are kept, and a replay takes it up again.

    For rows held back from published batches, --until keeps such rows out without a new item.
    """
    _decide(
        context,
        as_json,
        item=item,
        kind="discard",
        author=_author(author),
        reason=reason,
        until=_day(until),
    )


@quarantine.command()
def approve(
    context: typer.Context, item: Item, author: Author = None, as_json: Json = False
) -> None:
    """Be the second person of a release that somebody else has asked for."""
    _decide(context, as_json, item=item, kind="approve", author=_author(author))


@quarantine.command()
def history(
    context: typer.Context,
    item: Annotated[str | None, typer.Argument(help="An item or a batch; without it, all.")] = None,
    as_json: Json = False,
) -> None:
    """Who did what when: states, decisions and waivers, oldest first."""
    settings = open_settings(context)
    from flows import showing
    from tasks.intake import steps as intake
    from tasks.warehouse import open_lake

    with open_lake(settings) as lake:
        entries = intake.describe_history(lake, item)
    if as_json:
        print_json(entries)
    else:
        showing.show_history(entries)


def _decide(context: typer.Context, as_json: bool, **values: Any) -> None:
    settings = open_settings(context)
    from flows import showing
    from flows.decide import Choice, decide
    from tasks.orchestration import start_flow

    outcome = start_flow(decide, chosen_deployment(context), Choice(**values))
    if as_json:
        print_json(outcome.as_dictionary())
    else:
        showing.show_outcome(outcome, settings.called)


def _author(given: str | None) -> str:
    import getpass

    if given:
        return given
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        raise UsageError(
            "This system does not know the name of its user.", next_step="add --author NAME"
        ) from None


def _day(until: datetime | None) -> date | None:
    return until.replace(tzinfo=UTC).date() if until is not None else None
