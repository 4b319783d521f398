"""What commands share: how they find their deployment and how they print JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tasks.errors import UsageError

if TYPE_CHECKING:
    from tasks.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts and monitors.")]


def open_settings(context: typer.Context) -> Settings:
    """Settings of the chosen deployment, with this process's environment made ready for it."""
    from tasks.services.environment import prepare_process
    from tasks.settings import list_deployments, load_settings

    chosen = context.find_root().obj
    if chosen is None:
        raise UsageError(
            "Which deployment?",
            available=list_deployments(),
            next_step="holdfast -d NAME " + context.command_path.partition(" ")[2],
        )
    settings = load_settings(chosen)
    prepare_process(settings.home)
    return settings


def chosen_deployment(context: typer.Context) -> str:
    """The deployment as flows take it: its name, or the absolute path of its file."""
    chosen = str(context.find_root().obj)
    return str(Path(chosen).resolve()) if "/" in chosen or chosen.endswith(".yaml") else chosen


def print_json(value: Any) -> None:
    """JSON on standard output, as it is documented for scripts."""
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))
