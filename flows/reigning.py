"""The commands about who serves: who was champion when, back to an earlier one, is all there."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.options import Json, chosen_deployment, open_settings, print_json
from tasks.errors import StoredDataCorrupt, UsageError
from tasks.moments import read_clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.audits import Verified

registry_commands = typer.Typer(
    no_args_is_help=True, help="The models that serve and have served.", rich_markup_mode=None
)


def champion(
    context: typer.Context,
    at: Annotated[
        str | None,
        typer.Option(help="A date (its end, UTC) or a moment (2026-05-01T12:00Z); now without it."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Who is champion, or was at a date, since when and why; with every reign up to then."""
    settings = open_settings(context)
    from tasks.registry import steps as registry
    from tasks.warehouse import open_lake

    moment = read_clock() if at is None else _read_moment(at)
    with open_lake(settings) as lake:
        reign = registry.find_reign(lake, moment)
        reigns = [
            registry.describe_reign(one)
            for one in registry.list_reigns(lake)
            if one.champion.promoted_at <= moment
        ]
    found = registry.describe_reign(reign) if reign is not None else None
    if as_json:
        print_json({"at": moment.isoformat(), "champion": found, "reigns": reigns})
        return
    if found is None:
        typer.echo(f"At {moment:%Y-%m-%d %H:%M} UTC nobody was champion yet.")
        return
    _show_reign(found, moment)
    for one in reigns[1:]:
        typer.echo(f"  before: {_say_reign(one)}")


def rollback(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why; it stays in the ledger.")],
    to: Annotated[
        int | None, typer.Option(help="A version that has served; by default the one before.")
    ] = None,
    author: Annotated[
        str | None, typer.Option(help="Who decides; by default the user of this computer.")
    ] = None,
) -> None:
    """Let an earlier champion serve again and score anew; MLflow may be down."""
    settings = open_settings(context)
    if not reason.strip():
        raise UsageError(
            "A rollback needs a reason.", next_step="holdfast -d NAME rollback --reason 'why'"
        )
    import getpass

    from flows.rollback import rollback as flow
    from tasks.orchestration import start_flow

    done = start_flow(
        flow, chosen_deployment(context), to, author or getpass.getuser(), reason.strip()
    )
    typer.echo(f"version {done.champion.version} ({done.champion.candidate}) serves.")
    if done.mirror == "store down":
        typer.echo("MLflow did not answer: its alias will be set by the next night.")
    elif done.mirror == "version gone":
        typer.echo("MLflow has lost this version: it serves from our own copy.")
    if done.scores is not None:
        typer.echo(f"{done.scores.rows:,} customers scored anew: {done.scores.csv_path}")
    else:
        typer.echo(f"No new list: {done.unscored}")
    typer.echo(f"Next: holdfast -d {shlex.quote(settings.called)} champion")


@registry_commands.command("verify")
def verify(context: typer.Context, as_json: Json = False) -> None:
    """Is every version that the ledger names there, unchanged, and predicting the same? Else 74.

    So are the uplift learners in force, whose files alone are compared.
    """
    settings = open_settings(context)
    from dataclasses import asdict

    from tasks.registry import steps as registry
    from tasks.uplift import steps as uplifting
    from tasks.warehouse import open_lake

    with open_lake(settings) as lake:
        versions = registry.verify_versions(lake)
        learners = uplifting.verify_learners(lake)
    found = [*versions, *learners]
    if as_json:
        print_json([{**asdict(one), "is_right": one.is_right} for one in found])
    else:
        for one in found:
            serves = ", serves" if one.serves else ""
            typer.echo(
                f"{one.label} ({one.candidate}{serves}): files {one.files}, predictions"
                f" {one.predictions}, MLflow {one.store}"
                + (f": {one.detail}" if one.detail else "")
            )
        if not versions:
            typer.echo("No version has ever served.")
    wrong = [one for one in found if not one.is_right]
    if wrong:
        raise StoredDataCorrupt(
            f"{len(wrong)} of {len(found)} kept models are not what the ledger says.",
            found="; ".join(f"{one.label}: {one.detail}" for one in wrong),
            next_step=_say_repair(settings.called, wrong),
        )


def _say_repair(called: str, wrong: Sequence[Verified]) -> str:
    command = f"holdfast -d {shlex.quote(called)}"
    steps = []
    if any(one.version is not None for one in wrong):
        steps.append(
            f"{command} rollback, if it is the one that serves; else restore its directory from a"
            " backup"
        )
    if any(one.version is None for one in wrong):
        steps.append(f"{command} uplift makes a learner anew")
    return "; ".join(steps)


def _read_moment(text: str) -> datetime:
    try:
        if len(text) == len("2026-05-01"):
            day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
            return datetime.combine(day, time.max, UTC)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"'{text}' is no date.", next_step="write it as 2026-05-01 or 2026-05-01T12:00Z"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _show_reign(found: Mapping[str, Any], moment: datetime) -> None:
    typer.echo(f"At {moment:%Y-%m-%d %H:%M} UTC: {_say_reign(found)}")
    typer.echo(f"  why: {found['reason']}")
    typer.echo(
        f"  by {found['actor']}, decision {found['decision_id']}, lake version"
        f" {found['snapshot_id']}, MLflow run {found['run_id']}"
    )


def _say_reign(found: Mapping[str, Any]) -> str:
    until = f" until {str(found['until'])[:16].replace('T', ' ')}" if found["until"] else ""
    return (
        f"{found['name']} version {found['version']} ({found['candidate']}) since"
        f" {str(found['since'])[:16].replace('T', ' ')}{until}, by {found['by']}"
    )
