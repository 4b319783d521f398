"""The command `holdfast`: parse, load settings, call a flow, turn errors into lines and exit codes.

Everything heavy is imported inside the command that needs it, so that `--help` answers at once.
A command's body is thin: it reads its options, calls one function and shows what came back.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands import add_commands
from flows.options import Json
from tasks.errors import HoldfastError, InternalError, UsageError

if TYPE_CHECKING:
    pass

INTERRUPTED = 130
TERMINATED = 143

app = typer.Typer(
    name="holdfast",
    help=(
        "Who is about to leave, why, what they are worth, and what to do about it.\n\n"
        "Exit codes: 0 done or nothing to do, 64 usage, 65 data rejected, 69 a service is down,"
        " 70 a bug, 73 disk, 74 stored data corrupt, 75 somebody else is at it, 77 refused,"
        " 78 configuration."
    ),
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def choose(
    context: typer.Context,
    deployment: Annotated[
        str | None,
        typer.Option(
            "-d",
            "--deployment",
            metavar="NAME|PATH",
            envvar="HOLDFAST_DEPLOYMENT",
            help="A deployment in conf/, or the path of a deployment file anywhere.",
        ),
    ] = None,
) -> None:
    context.obj = deployment
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


# --- the nightly work -----------------------------------------------------------------------

add_commands(app)


# --- what is there --------------------------------------------------------------------------


@app.command()
def deployments() -> None:
    """List the deployments in conf/."""
    from tasks.settings import list_deployments

    for name in list_deployments():
        typer.echo(name)


@app.command()
def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Say what is installed, reachable and stale. Exit 69 if something needed is down."""
    from tasks.services.doctor import examine, show
    from tasks.services.environment import prepare_process
    from tasks.settings import find_home

    home = find_home()
    prepare_process(home)
    report = examine(home, context.obj)
    typer.echo(report.as_json() if as_json else show(report), nl=as_json)
    raise typer.Exit(report.exit_code)


# --- the servers ----------------------------------------------------------------------------


@app.command()
def up(
    context: typer.Context,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when all is healthy; `holdfast down` stops it.")
    ] = False,
    prefect_port: Annotated[
        int | None, typer.Option(help="Prefect's port; 0 takes any free one.", min=0, max=65_535)
    ] = None,
    mlflow_port: Annotated[
        int | None, typer.Option(help="MLflow's port; 0 takes any free one.", min=0, max=65_535)
    ] = None,
    oncall_port: Annotated[
        int | None, typer.Option(help="Port of on-call's page; 0 any free.", min=0, max=65_535)
    ] = None,
    schedule: Annotated[
        Path | None, typer.Option(help="What is served and when, instead of conf/prefect.yaml.")
    ] = None,
) -> None:
    """Start PostgreSQL, Prefect with the schedules, MLflow and on-call's page, until Ctrl-C."""
    from tasks.services import supervisor
    from tasks.settings import find_home, load_services

    plan = supervisor.make_plan(
        find_home(),
        load_services(context.obj),
        prefect_port,
        mlflow_port,
        schedule,
        context.obj,
        oncall_port,
    )
    run = supervisor.start_detached if detach else supervisor.run_in_front
    raise typer.Exit(run(plan, typer.echo))


@app.command()
def down() -> None:
    """Stop what `holdfast up` started."""
    from tasks.services import supervisor
    from tasks.settings import find_home

    supervisor.stop(find_home(), typer.echo)


# --- errors ---------------------------------------------------------------------------------


def main() -> None:
    """The entry point of the command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; every error ends as lines on stderr."""
    signal.signal(signal.SIGTERM, _end)
    try:
        code = app(list(arguments), prog_name="holdfast", standalone_mode=False)
    except HoldfastError as error:
        return _complain(str(error), error.exit_code)
    except typer.TyperException as error:
        return _complain(_say_usage(error), UsageError.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):
            return 0  # the reader of a pipe went away (`holdfast ... | head`)
        raise
    except Exception as error:  # noqa: BLE001  (the one place where a bug becomes a line)
        return _complain(_record_bug(error, arguments), InternalError.exit_code)
    if code == INTERRUPTED:
        return _complain("interrupted", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _end(_number: int, _frame: Any) -> None:
    """SIGTERM unwinds like Ctrl-C, so that locks, children and temporary files are let go."""
    raise SystemExit(TERMINATED)


def _complain(message: str, exit_code: int) -> int:
    typer.echo(f"holdfast: {message}", err=True)
    return exit_code


def _say_usage(error: typer.TyperException) -> str:
    text = getattr(error, "format_message", lambda: str(error))()
    context = getattr(error, "ctx", None)
    return f"{text}\n  Next: {context.command_path if context else 'holdfast'} --help"


def _record_bug(error: Exception, arguments: Sequence[str]) -> str:
    """Keep the traceback where only the owner reads it, and say where in one line."""
    name = type(error).__name__
    try:
        from tasks.settings import find_home

        now = datetime.now(UTC)
        path = find_home() / "logs" / f"bug-{now:%Y%m%dT%H%M%S}-{os.getpid()}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        trace = "".join(traceback.format_exception(error))
        path.write_text(f"holdfast {' '.join(arguments)}\n{trace}", encoding="utf-8")
    except OSError as failure:
        return f"a bug: {name}. Its log could not be written: {failure}"
    return f"a bug: {name}. What happened is in {path}"


if __name__ == "__main__":
    main()
