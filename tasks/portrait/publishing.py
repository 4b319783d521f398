"""The page where people look: files beside the lists of its cut-off, and MLflow.

The files are what is always there. MLflow is a mirror: where it does not answer nothing is lost.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.crash import crash_point
from tasks.durability import write_page
from tasks.errors import HoldfastError
from tasks.exports import export_directory
from tasks.portrait.gathering import Portrait
from tasks.portrait.page import render_page
from tasks.portrait.sections import list_tiles
from tasks.portrait.verdicts import list_verdicts
from tasks.portrait.wording import LANGUAGES, Language, Speech

if TYPE_CHECKING:
    from tasks.settings import Settings

SUBJECT = "customers"
_LOG = logging.getLogger("holdfast.portrait")


@dataclass(frozen=True, slots=True)
class Page:
    """The page of a cut-off: a file a language, the parts that are missing, and MLflow's run.

    `run_id` is None where its store did not answer.
    """

    deployment: str
    as_of: datetime
    paths: Mapping[Language, Path]
    missing: tuple[str, ...]
    run_id: str | None


def page_path(settings: Settings, as_of: datetime, language: Language) -> Path:
    """`exports/<deployment>/<date>/customers.html`, in Korean `customers.ko.html`."""
    name = "customers.html" if language == "en" else f"customers.{language}.html"
    return export_directory(settings, as_of) / name


def publish_page(settings: Settings, portrait: Portrait) -> Page:
    """Draw the page in every language, write the files, mirror them. Raises DiskFailure (73)."""
    drawn = {language: render_page(portrait, language) for language in LANGUAGES}
    crash_point("portrait.before_write")
    paths: dict[Language, Path] = {}
    for language, text in drawn.items():
        paths[language] = page_path(settings, portrait.as_of, language)
        write_page(paths[language], text)
    crash_point("portrait.written")
    missing = ["churn"] if portrait.champion is None else []
    missing += [kind for kind, found in portrait.parts.items() if found is None]
    return Page(
        portrait.deployment,
        portrait.as_of,
        paths,
        tuple(missing),
        _mirror(settings, portrait, paths),
    )


def render_summary(portrait: Portrait, page: Page) -> str:
    """The headline and who decides, as Markdown; texts of strangers are escaped."""
    from tasks.escaping import escape_markdown as safe

    speech = Speech("en", portrait.currency)
    lines = ["| | |", "|---|---|"]
    lines += [
        f"| {safe(label)} | **{safe(figure)}** {safe(remark)} |"
        for label, figure, remark in list_tiles(portrait, speech)
    ]
    lines += ["", "| asked | answered by | wins by |", "|---|---|---|"]
    for question, verdict, how in list_verdicts(portrait, speech):
        if verdict is None:
            lines.append(f"| {safe(question)} | not known yet | `{how}` |")
        else:
            served = f"{verdict.kind}: {verdict.served}"
            lines.append(
                f"| {safe(question)} | {safe(served)} | {safe(f'{verdict.by} {verdict.between}')} |"
            )
    lines += ["", *(f"- {language}: `{path}`" for language, path in page.paths.items())]
    return "\n".join(lines)


def _mirror(settings: Settings, portrait: Portrait, paths: Mapping[Language, Path]) -> str | None:
    from tasks.tracking.tracker import open_tracker

    snapshots = [one.snapshot_id for one in portrait.parts.values() if one is not None]
    tags = {
        "as_of": portrait.as_of.isoformat(),
        "snapshot_id": str(max(snapshots, default=0)),
        **{f"finding.{kind}": one for kind, one in (portrait.finding_ids or {}).items()},
    }
    run_id: str | None = None
    try:
        with open_tracker(settings) as tracker:
            for path in paths.values():
                run_id = tracker.log_page(
                    SUBJECT, path, tags, subject=SUBJECT, command="holdfast report"
                )
    except HoldfastError as error:
        _LOG.warning("The customer page is not in MLflow: %s", error.what)
        return None
    except Exception as error:  # noqa: BLE001  (a mirror that breaks must not stop a night)
        _LOG.warning("The customer page is not in MLflow: %s", type(error).__name__)
        return None
    return run_id
