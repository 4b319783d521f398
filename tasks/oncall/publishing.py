"""The report where people look: a file in the state directory, Prefect, and MLflow.

The file is the one that is always there. Prefect and MLflow are mirrors: where they do not answer
nothing is lost, and nothing waits for them for long.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.durability import write_page
from tasks.errors import HoldfastError
from tasks.oncall.page import QueueEntry, render_item, render_queue
from tasks.oncall.text import render_markdown
from tasks.orchestration import publish_link, publish_markdown

if TYPE_CHECKING:
    from tasks.oncall.report import IncidentReport
    from tasks.settings import Settings

_LOG = logging.getLogger("holdfast.oncall")


@dataclass(frozen=True, slots=True)
class Published:
    """Where a report was put. `run_id` is of MLflow, None where its store did not answer."""

    path: Path
    url: str
    run_id: str | None


def page_url(settings: Settings, item: str, base: str | None = None) -> str:
    """The address of an item's page; `base` is where the server was really started."""
    root = settings.oncall.page_url or base or f"http://127.0.0.1:{settings.services.oncall_port}"
    return f"{root}/d/{settings.deployment}/{item}"


def report_path(settings: Settings, item: str) -> Path:
    """Where the file of an item is: `home/reports/<deployment>/item-7.html`."""
    return settings.home / "reports" / settings.deployment / f"{item}.html"


def publish_report(
    settings: Settings, report: IncidentReport, *, base: str | None = None
) -> Published:
    """Write the file, and attach the report to the Prefect run and to the item's MLflow run."""
    url = page_url(settings, report.name, base)
    path = write_report(settings, report)
    publish_markdown(
        f"oncall {report.deployment} {report.name}",
        render_markdown(report, url),
        f"{report.name} {report.code}: what broke, what it costs, what to do",
    )
    publish_link(f"oncall {report.deployment} {report.name} page", url, f"Decide {report.name}")
    return Published(path, url, _mirror(settings, report, path))


def write_report(settings: Settings, report: IncidentReport) -> Path:
    """The item's page as a file that its owner alone reads, replaced whole."""
    path = report_path(settings, report.name)
    write_page(path, render_item(report))
    return path


def write_queue(settings: Settings, entries: Sequence[QueueEntry]) -> Path:
    """The page that lists items, beside their files."""
    path = settings.home / "reports" / settings.deployment / "index.html"
    write_page(path, render_queue(entries, (), deployment=settings.deployment))
    return path


def _mirror(settings: Settings, report: IncidentReport, path: Path) -> str | None:
    from tasks.tracking.tracker import open_tracker

    tags = {
        "code": report.code,
        "level": report.level,
        "source": report.source,
        "state": report.resolution or report.state,
        "reported_at": datetime.now(UTC).isoformat(),
    }
    try:
        with open_tracker(settings) as tracker:
            return tracker.log_page(report.name, path, tags)
    except HoldfastError as error:
        _LOG.warning("The report of %s is not in MLflow: %s", report.name, error.what)
    except Exception as error:  # noqa: BLE001  (a mirror that breaks must not stop a night)
        _LOG.warning("The report of %s is not in MLflow: %s", report.name, type(error).__name__)
    return None
