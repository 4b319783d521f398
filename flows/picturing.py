"""The command `holdfast report`: draw the page for marketing and say where it is."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from flows.options import Json, chosen_deployment, open_settings, print_json
from tasks.errors import UsageError, suggest

if TYPE_CHECKING:
    from tasks.portrait.steps import Page


def report(
    context: typer.Context,
    language: Annotated[
        str, typer.Option("--lang", help="en or ko: which page to name; both are drawn.")
    ] = "en",
    as_json: Json = False,
) -> None:
    """Draw the page for marketing from the newest findings and print where it is."""
    if language not in ("en", "ko"):
        raise UsageError(
            f"There is no page in '{language}'.",
            found=suggest(language, ("en", "ko")),
            available=("en", "ko"),
        )
    settings = open_settings(context)
    from flows.portray import portray as flow
    from tasks.orchestration import start_flow

    page = start_flow(flow, chosen_deployment(context))
    if as_json:
        print_json(describe_page(page, language))
    else:
        show_page(page, language, settings.called)


def describe_page(page: Page, language: str) -> dict[str, object]:
    """Plain values, ready for JSON."""
    paths: dict[str, str] = {name: str(path) for name, path in page.paths.items()}
    return {
        "deployment": page.deployment,
        "as_of": page.as_of.isoformat(),
        "path": paths[language],
        "paths": paths,
        "missing": list(page.missing),
        "run_id": page.run_id,
    }


def show_page(page: Page, language: str, called: str) -> None:
    """Where it is, and which command finds out what it lacks."""
    from tasks.portrait.steps import COMMANDS

    typer.echo(next(str(path) for name, path in page.paths.items() if name == language))
    for part in page.missing:
        typer.echo(
            f"  {part}: not known yet. Next: holdfast -d {shlex.quote(called)} {COMMANDS[part]}",
            err=True,
        )
