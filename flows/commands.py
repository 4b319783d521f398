"""The commands of the nightly work: each reads its options, runs one flow and shows what came."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.acting import act
from flows.alerting import monitor_commands
from flows.explaining import reasons
from flows.forecasting import forecast
from flows.grouping import segments
from flows.lifting import uplift
from flows.options import Json, chosen_deployment, open_settings, print_json
from flows.picturing import report
from flows.quarantine import add_quarantine
from flows.reigning import champion, registry_commands, rollback
from flows.replaying import replay
from flows.rolling import rollout_commands
from flows.ruling import rules
from flows.valuing import value
from tasks.errors import UsageError, suggest

Supersede = Annotated[
    bool,
    typer.Option("--supersede", help="Let new content replace an accepted batch of its name."),
]


def ingest(context: typer.Context, supersede: Supersede = False) -> None:
    """Take in every delivery that the lake does not know. Exit 65 if one is refused."""
    open_settings(context)
    from flows import showing
    from flows.ingest import ingest as flow
    from tasks.orchestration import start_flow

    showing.show_intake(start_flow(flow, chosen_deployment(context), "command line", supersede))


def train(
    context: typer.Context,
    allow_gaps: Annotated[
        bool, typer.Option("--allow-gaps", help="Learn although deliveries are missing.")
    ] = False,
) -> None:
    """Build features, tune, calibrate, log to MLflow, and put the challenger to the gate."""
    open_settings(context)
    from flows import showing
    from flows.train import train as flow
    from tasks.orchestration import start_flow

    showing.show_training(start_flow(flow, chosen_deployment(context), allow_gaps))


def score(context: typer.Context) -> None:
    """Score every eligible customer with the champion and export the ranked list."""
    open_settings(context)
    from flows import showing
    from flows.score import score as flow
    from tasks.orchestration import start_flow

    showing.show_scores(start_flow(flow, chosen_deployment(context)))


def nightly(context: typer.Context) -> None:
    """The whole night, from the deliveries to the page of customers, or one clear stop."""
    settings = open_settings(context)
    from flows import showing
    from flows.nightly import nightly as flow
    from tasks.orchestration import start_flow

    showing.show_night(start_flow(flow, chosen_deployment(context), "command line"), settings)


def demo(context: typer.Context) -> None:
    """The whole night under the servers, which stay up to look at; on real data, in minutes."""
    settings = open_settings(context)
    from flows import showing
    from tasks.orchestration import start_flow
    from tasks.services import supervisor
    from tasks.services.environment import find_services, prepare_process
    from tasks.services.processes import is_free
    from tasks.settings import find_home

    home = find_home()
    if find_services(home) is None:
        ports = settings.services
        plan = supervisor.make_plan(
            home,
            ports,
            # A demo takes what is free; a night's servers stand where the settings say.
            None if is_free(ports.prefect_port) else 0,
            None if is_free(ports.mlflow_port) else 0,
            None,
            oncall_port=None if is_free(ports.oncall_port) else 0,
        )
        code = supervisor.start_detached(plan, typer.echo)
        if code:
            raise typer.Exit(code)
        prepare_process(home)
    from flows.nightly import nightly as flow

    showing.show_night(start_flow(flow, chosen_deployment(context), "demo"), settings)
    services = find_services(home)
    if services is not None:
        supervisor.show_addresses(home, services, typer.echo)
        typer.echo("`make down` stops them.")


def simulate(
    context: typer.Context,
    customers: Annotated[int, typer.Option(help="How many customers.", min=1)] = 5_000,
    out: Annotated[
        Path | None,
        typer.Option(help="A new or empty folder; by default where `simulated` looks for it."),
    ] = None,
    months: Annotated[
        int | None, typer.Option(help="How many months; by default as set.", min=1)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="By default as set.", min=0)] = None,
    file_format: Annotated[
        str, typer.Option("--format", help="csv, parquet or monthly_parquet.")
    ] = "csv",
    dirty_share: Annotated[
        float, typer.Option(help="Share of order lines that get a planted fault.", min=0, max=1)
    ] = 0.0,
) -> None:
    """Write customers with known truth, month by month, as a company would deliver them."""
    if context.find_root().obj is None:
        context.find_root().obj = "simulated"
    settings = open_settings(context)
    from flows import showing
    from tasks.settings import find_simulated
    from tasks.simulation.writing import simulate as write

    written = write(
        settings,
        customers=customers,
        directory=out or find_simulated(),
        months=months,
        seed=seed,
        format=file_format,  # type: ignore[arg-type]  # refused by name if it is none
        dirty_share=dirty_share,
    )
    showing.show_simulation(written)


def status(context: typer.Context, as_json: Json = False) -> None:
    """Batches with counts, the champion with its figures, the last decision, and the ages."""
    settings = open_settings(context)
    from flows import showing
    from flows.standing import describe_standing

    standing = describe_standing(settings)
    if as_json:
        print_json(standing)
    else:
        showing.show_standing(standing)


def settings_reference(
    section: Annotated[
        str | None, typer.Argument(help="One section, for example `churn`; without it, all.")
    ] = None,
) -> None:
    """Every setting with its bounds, default and meaning, as a Markdown table."""
    from flows import showing
    from tasks.reference import list_settings, render_markdown

    entries = list_settings(section)
    if not entries:
        known = sorted({entry.name.split(".")[0] for entry in list_settings()})
        raise UsageError(
            f"There is no section '{section}'.",
            found=suggest(section or "", known),
            available=known,
            next_step="holdfast settings, for all of them",
        )
    showing.show_settings(render_markdown(entries))


def add_commands(app: typer.Typer) -> None:
    """Put these commands on the application, in the order in which a night uses them."""
    for name, command in (
        ("demo", demo),
        ("nightly", nightly),
        ("ingest", ingest),
        ("train", train),
        ("score", score),
        ("value", value),
        ("segments", segments),
        ("reasons", reasons),
        ("forecast", forecast),
        ("uplift", uplift),
        ("act", act),
        ("report", report),
        ("status", status),
        ("replay", replay),
        ("simulate", simulate),
    ):
        app.command(name)(command)
    app.command("champion")(champion)
    app.command("rollback")(rollback)
    app.add_typer(registry_commands, name="registry")
    app.add_typer(rollout_commands, name="rollout")
    app.add_typer(monitor_commands, name="monitor")
    add_quarantine(app)
    app.add_typer(rules, name="rules")
    app.command("settings")(settings_reference)
