"""The commands about how the model is doing: look, alerts and their verdicts, ageing."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.options import Json, chosen_deployment, open_settings, print_json
from tasks.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.monitoring.alerts import Alert, Precision
    from tasks.monitoring.steps import Report
    from tasks.quality import DecayFindings

monitor_commands = typer.Typer(
    invoke_without_command=True, help="How the model is doing, and alerts.", rich_markup_mode=None
)


@monitor_commands.callback()
def monitor(context: typer.Context, as_json: Json = False) -> None:
    """Quality by week, what to expect before outcomes are known, inputs by the money they cost."""
    if context.invoked_subcommand is not None:
        return
    settings = open_settings(context)
    from flows.monitor import monitor as flow
    from tasks.orchestration import start_flow

    report: Report = start_flow(flow, chosen_deployment(context), "command line")
    if as_json:
        print_json(
            {
                **report.found.model_dump(mode="json"),
                "alerts": [describe_alert(one) for one in report.alerts],
                "precision": describe_precision(report.precision),
                "page": str(report.path),
            }
        )
        return
    show_report(report, shlex.quote(settings.called))


@monitor_commands.command("alerts")
def alerts(context: typer.Context, as_json: Json = False) -> None:
    """Every alert with its state and verdict, and how often the pager was right."""
    settings = open_settings(context)
    from tasks.monitoring import steps as monitoring
    from tasks.warehouse import open_lake

    with open_lake(settings) as lake:
        found = monitoring.list_alerts(lake)
    precision = monitoring.measure_precision(found)
    if as_json:
        print_json(
            {
                "alerts": [describe_alert(one) for one in found],
                "precision": describe_precision(precision),
            }
        )
        return
    show_alerts(found)
    typer.echo(say_precision(precision))


@monitor_commands.command("mark")
def mark(
    context: typer.Context,
    alert: Annotated[str, typer.Argument(help="Its id, or how that begins.")],
    verdict: Annotated[str, typer.Argument(help="right or wrong.")],
    reason: Annotated[str, typer.Option(help="Why; it stays in the ledger.")],
    author: Annotated[
        str | None, typer.Option(help="Who says so; by default the user of this computer.")
    ] = None,
) -> None:
    """Say that an alert was right or wrong; the last word counts."""
    settings = open_settings(context)
    if verdict not in ("right", "wrong"):
        raise UsageError(f"'{verdict}' is no verdict.", available=["right", "wrong"])
    import getpass

    from tasks.monitoring import steps as monitoring
    from tasks.warehouse import open_lake

    with open_lake(settings) as lake:
        marked = monitoring.mark_alert(
            lake,
            alert,
            "right" if verdict == "right" else "wrong",
            actor=author or getpass.getuser(),
            reason=reason,
        )
        precision = monitoring.measure_precision(monitoring.list_alerts(lake))
    typer.echo(f"alert {marked.alert_id} was {marked.verdict}. {say_precision(precision)}")


@monitor_commands.command("decay")
def decay(context: typer.Context, as_json: Json = False) -> None:
    """How a model ages, measured on past cut-offs, and how often it pays to train."""
    open_settings(context)
    from flows.decay import decay as flow
    from tasks.orchestration import start_flow

    found: DecayFindings = start_flow(flow, chosen_deployment(context))
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        show_decay(found)


@monitor_commands.command("retrain")
def retrain(context: typer.Context) -> None:
    """Train if an alert asks for it, as the event does; to keep the champion is a success."""
    open_settings(context)
    from flows.retrain import retrain as flow
    from tasks.orchestration import start_flow

    admission = start_flow(flow, chosen_deployment(context))
    if admission is None:
        typer.echo("No training: nothing asks for one, or the last is too fresh.")
        return
    typer.echo(f"{admission.decision.outcome}: {admission.decision.reason}")


def describe_alert(one: Alert) -> dict[str, Any]:
    """An alert for JSON."""
    return {
        "alert_id": one.alert_id,
        "kind": one.kind,
        "subject": one.subject,
        "raised_at": one.raised_at.isoformat(),
        "as_of": one.as_of.isoformat(),
        "state": one.state,
        "verdict": one.verdict,
        "headline": one.headline,
        "reason": one.reason,
        "actor": one.actor,
    }


def describe_precision(one: Precision) -> dict[str, Any]:
    """The pager's precision for JSON."""
    return {
        "right": one.right,
        "wrong": one.wrong,
        "unmarked": one.unmarked,
        "share": one.share,
    }


def say_precision(one: Precision) -> str:
    """The pager's precision in a sentence."""
    share = "" if one.share is None else f" ({one.share:.0%})"
    marked = one.right + one.wrong
    return f"The pager was right {one.right} of {marked} times{share}; {one.unmarked} not marked."


def show_alerts(found: Sequence[Alert]) -> None:
    """Alerts as a table, newest last."""
    from flows import showing

    table = showing.make_table("alert", "for", "what", "state", "verdict", wrap=("what",))
    for one in found:
        table.add_row(
            one.alert_id,
            f"{one.as_of:%Y-%m-%d}",
            showing.make_cell(one.headline),
            one.state,
            one.verdict or "not marked",
        )
    showing.open_console().print(table)


def show_report(report: Report, called: str) -> None:
    """A night's monitoring for a person."""
    from flows import showing

    found, console = report.found, showing.open_console()
    console.print(
        f"{found.deployment} as of {found.as_of:%Y-%m-%d}: version {found.model_version},"
        f" {found.customers:,} customers",
        markup=False,
    )
    if found.estimate is not None:
        auc, promised = found.estimate.auc, found.estimate.promised_auc
        said = f", promised {promised[0]:.3f}" if promised else ""
        console.print(
            f"Expected of tonight's scores: AUC {auc[0]:.3f} ({auc[1]:.3f} to {auc[2]:.3f}){said};"
            f" the list brings {found.estimate.profit[0]:,.0f}"
            f" ({found.estimate.profit[1]:,.0f} to {found.estimate.profit[2]:,.0f})"
            f" {found.currency or ''}",
            markup=False,
        )
    if found.weeks:
        numbers = ("customers", "left", "AUC", "left less predicted", "profit")
        weeks = showing.make_table("scored on", "version", "of", *numbers, right=numbers)
        for week in found.weeks:
            weeks.add_row(
                f"{week.as_of:%Y-%m-%d}",
                str(week.model_version),
                week.population.replace("_", " "),
                f"{week.customers:,}",
                f"{week.churners:,}",
                "-" if week.auc is None else "{:.3f} ({:.3f} to {:.3f})".format(*week.auc),
                "{:+.1%} ({:+.1%} to {:+.1%})".format(*week.gap),
                f"{week.profit[0]:,.0f}",
            )
        console.print(weeks)
    if found.inputs:
        numbers = ("profit lost", "rank", "expected", "missing", "p")
        inputs = showing.make_table("input", "from", *numbers, "", right=numbers)
        for one in found.inputs[:8]:
            inputs.add_row(
                one.name,
                one.source,
                f"{one.lost_amount:,.0f}",
                f"{one.rank:.3f}",
                f"{one.expected_rank:.3f}",
                f"{one.missing_share:.1%}",
                f"{one.p_value:.2g}",
                "moved" if one.is_drift else "",
            )
        console.print(inputs)
    for cause in found.causes:
        looks = cause.looks_like.replace("_", " ")
        console.print(
            f"Looks like a {looks}: {cause.subject}, {cause.lost_amount:,.0f} at stake;"
            f" {'; '.join(cause.evidence)}",
            markup=False,
        )
    for alert in report.open_alerts:
        console.print(f"{alert.alert_id} {alert.state}: {alert.headline}", markup=False)
    for note in found.notes:
        console.print(note.en, markup=False)
    console.print(say_precision(report.precision), markup=False)
    console.print(
        f"Page: {report.path}\nNext: holdfast -d {called} monitor mark ALERT right --reason WHY",
        markup=False,
    )


def show_decay(found: DecayFindings) -> None:
    """Losses by age, and what is recommended."""
    from flows import showing

    numbers = ("age in days", "pairs", "AUC lost", "profit lost, a list")
    table = showing.make_table(*numbers, right=numbers)
    for one in found.ages:
        table.add_row(
            str(one.age_days),
            str(one.pairs),
            "{:+.4f} ({:+.4f} to {:+.4f})".format(*one.auc_loss),
            "{:+,.0f} ({:+,.0f} to {:+,.0f})".format(*one.profit_loss),
        )
    console = showing.open_console()
    console.print(table)
    console.print(found.reason, markup=False)
