"""`holdfast rollout`: how a challenger takes over a growing share of customers, or does not."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from flows.options import Json, chosen_deployment, open_settings, print_json
from tasks.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.settings import Settings

rollout_commands = typer.Typer(
    no_args_is_help=True,
    help="How a challenger takes over from the champion: planned, step by step, on evidence.",
    rich_markup_mode=None,
)

Name = Annotated[
    str | None,
    typer.Argument(help="Which rollout; by default the running one, or the newest."),
]
Author = Annotated[str, typer.Option(help="Who decides it, as the ledger will name them.")]


@rollout_commands.command("plan")
def plan(
    context: typer.Context,
    subject: Annotated[
        str, typer.Option(help="What is rolled out: churn, segments or actions.")
    ] = "churn",
    challenger: Annotated[
        int | None,
        typer.Option(help="A version that waits for a rollout; by default the newest.", min=1),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            help="For actions: a settings file whose section `actions` is the challenger's.",
            metavar="FILE",
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="lapse_share or margin_amount; by default as set.")
    ] = None,
    effect: Annotated[
        float | None, typer.Option(help="The least effect worth finding; by default as set.")
    ] = None,
    stages: Annotated[
        str | None, typer.Option(help="Shares, as 0.05,0.2,0.5; by default as set.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Its id, and the salt of who is in which arm; used once.")
    ] = None,
    author: Author = "command line",
    as_json: Json = False,
) -> None:
    """Register what will be compared, on what and for how long, before anybody is moved.

    Exit 64 if these customers cannot answer it, 78 if the name was ever used.
    """
    settings = open_settings(context)
    wish_metric = _one_of("metric", metric, ("lapse_share", "margin_amount"))
    asked = _one_of("subject", subject, ("churn", "segments", "actions"))
    if effect is not None and not effect > 0:
        raise UsageError(f"{effect:g} is no effect to look for.", next_step="give one above 0")
    if (policy is not None) is not (asked == "actions"):
        raise UsageError(
            "A rollout of actions needs the challenger's policy, and no other has one.",
            next_step="rollout plan --subject actions --policy FILE",
        )
    if policy is not None and challenger is not None:
        raise UsageError("A policy has no version.", next_step="leave --challenger out")
    from flows.contenders import find_pair
    from flows.rollout import plan_rollout
    from tasks.rollout import steps as rollouts
    from tasks.warehouse import open_lake

    wish = rollouts.Wish(
        name=name,
        metric=cast(Literal["lapse_share", "margin_amount"] | None, wish_metric),
        minimum_effect=effect,
        stages=None if stages is None else _read_stages(stages),
    )
    with open_lake(settings) as lake:
        of = cast(Literal["churn", "segments", "actions"], asked)
        pair = find_pair(lake, of, version=challenger, policy=policy)
        planned = plan_rollout(lake, pair, wish, author)
        told = rollouts.describe(lake, planned)
    if as_json:
        print_json(told)
        return
    _show(told)
    typer.echo(f"Next: holdfast -d {settings.called} rollout start {planned.rollout_id}")


@rollout_commands.command("start")
def start(
    context: typer.Context,
    name: Name = None,
    author: Author = "command line",
    as_json: Json = False,
) -> None:
    """Begin a planned rollout with its first stage; from the next night's run on it serves."""
    settings = open_settings(context)
    from flows.rollout import start_rollout
    from tasks.orchestration import start_flow

    stepped = start_flow(start_rollout, chosen_deployment(context), name, author)
    _tell(settings, stepped, as_json)


@rollout_commands.command("status")
def status(context: typer.Context, name: Name = None, as_json: Json = False) -> None:
    """How a rollout stands: state, share, both arms, and why; without one, that there is none."""
    settings = open_settings(context)
    from tasks.rollout import steps as rollouts
    from tasks.warehouse import open_lake

    with open_lake(settings) as lake:
        if name is None and not rollouts.list_rollouts(lake):
            if as_json:
                print_json(None)
            else:
                typer.echo("There is no rollout yet.\n" + _say_plan(settings))
            return
        rollout = rollouts.read_rollout(lake, name)
        told = rollouts.describe(lake, rollout)
    if as_json:
        print_json(told)
    else:
        _show(told)


def _say_plan(settings: Settings) -> str:
    return f"Next: holdfast -d {shlex.quote(settings.called)} rollout plan --help"


@rollout_commands.command("step")
def step(context: typer.Context, name: Name = None, as_json: Json = False) -> None:
    """Judge the running rollout tonight, and widen, promote, roll back or go on.

    The same night again does nothing. Exit 75 if data are missing, so that nothing is decided.
    """
    settings = open_settings(context)
    from flows.rollout import step_rollout
    from tasks.orchestration import start_flow
    from tasks.rollout import steps as rollouts
    from tasks.warehouse import open_lake

    with open_lake(settings) as lake:
        known = name is not None or bool(rollouts.list_rollouts(lake))
        subject = rollouts.read_rollout(lake, name).plan.subject if known else "churn"
    stepped = start_flow(step_rollout, chosen_deployment(context), True, subject)
    if stepped.rollout is None:
        if as_json:
            print_json(None)
        else:
            typer.echo("No rollout is running; nothing to do.\n" + _say_plan(settings))
        return
    _tell(settings, stepped, as_json)
    rollouts.demand_decision(stepped.rollout)


@rollout_commands.command("stop")
def stop(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why; it stays in the ledger.")],
    name: Name = None,
    author: Author = "command line",
    as_json: Json = False,
) -> None:
    """End a rollout: everybody is back with the champion, and what it made is made anew at once.

    So is a policy or a segmentation taken back that a rollout has promoted.
    """
    settings = open_settings(context)
    if not reason.strip():
        raise UsageError("A stop needs a reason.", next_step="--reason 'what was seen'")
    from flows.rollout import stop_rollout
    from tasks.orchestration import start_flow

    stepped = start_flow(stop_rollout, chosen_deployment(context), name, reason.strip(), author)
    _tell(settings, stepped, as_json)


@rollout_commands.command("report")
def report(context: typer.Context, name: Name = None, as_json: Json = False) -> None:
    """The whole story of a rollout as a page, and how often offline and online have agreed."""
    settings = open_settings(context)
    from tasks.rollout import steps as rollouts
    from tasks.warehouse import open_lake

    with open_lake(settings) as lake:
        rollout = rollouts.read_rollout(lake, name)
        told = rollouts.describe(lake, rollout)
        agreement = rollouts.sum_up_agreement(rollouts.list_rollouts(lake))
        page = rollouts.write_report(lake, rollout)
    if as_json:
        print_json({**told, "offline_and_online": agreement, "page": str(page)})
        return
    _show(told)
    _show_history(told)
    typer.echo(rollouts.say_agreement(agreement))
    typer.echo(f"Page: {page}")


def _tell(settings: Any, stepped: Any, as_json: bool) -> None:
    from tasks.rollout import steps as rollouts
    from tasks.warehouse import open_lake

    with open_lake(settings) as lake:
        rollout = stepped.rollout
        told = rollouts.describe(lake, rollout)
    if as_json:
        print_json({**told, "changed": stepped.is_new})
        return
    if not stepped.is_new:
        typer.echo("Nothing to do; it stands as it was.")
    _show(told)


def _show(told: Mapping[str, Any]) -> None:
    from flows import showing

    plan = told["plan"]
    console = showing.open_console()
    served = f" at {told['share']:.2%}" if told["share"] else ""
    console.print(
        f"{told['rollout_id']}: {told['state'].replace('_', ' ')}{served},"
        f" {plan['challenger']['name']} version {plan['challenger']['version']} against version"
        f" {plan['champion']['version']} on {plan['metric']}",
        markup=False,
        soft_wrap=True,
    )
    if told["reason"]:
        console.print(f"  why: {told['reason']}", markup=False, soft_wrap=True)
    if told["arms"]:
        numbers = ("assigned", "exposed", "matured", "events")
        table = showing.make_table("arm", *numbers, right=numbers)
        for arm, figures in told["arms"].items():
            table.add_row(arm, *(f"{figures[key]:,.0f}" for key in numbers))
        console.print(table)


def _show_history(told: Mapping[str, Any]) -> None:
    from flows import showing

    table = showing.make_table("night", "what", "stage", "by", "why", wrap=("why",))
    for one in told["history"]:
        table.add_row(
            (one["as_of"] or one["decided_at"])[:10],
            one["what"].replace("_", " "),
            str(one["stage"] + 1),
            showing.make_cell(one["actor"]),
            showing.make_cell(one["reason"]),
        )
    showing.open_console().print(table)


def _one_of(what: str, asked: str | None, known: tuple[str, ...]) -> str | None:
    if asked is not None and asked not in known:
        raise UsageError(f"'{asked}' is no {what} of a rollout.", available=known)
    return asked


def _read_stages(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"'{text}' are no stages.", next_step="write them as 0.05,0.2,0.5"
        ) from None
