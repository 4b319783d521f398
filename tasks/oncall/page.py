"""The report as a page: one file without script, that loads nothing and executes nothing.

Templates escape whatever they are given, an unknown name in them is an error, and characters that
could hide or turn around text (controls, bidirectional marks) are shown as what they are. Whatever
still slipped through could neither run nor call anybody: the policy forbids all but our own style.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from tasks.escaping import open_templates
from tasks.oncall.commands import WAIVED_DAYS, list_choices, list_waivable
from tasks.oncall.drawing import draw_trend
from tasks.oncall.impact import impact_figures, impact_remarks
from tasks.oncall.report import IncidentReport
from tasks.oncall.text import (
    describe_age,
    describe_serving,
    describe_state,
    describe_usual,
    format_time,
)

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a served page: the name of the login, and the token that forms must carry."""

    person: str
    token: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What became of the last thing that was asked for; `kind` is 'working', 'done', 'refused'."""

    kind: str
    title: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """An item as the queue page lists it."""

    deployment: str
    name: str
    code: str
    level: str
    state: str
    source: str
    headline: str
    batches: int
    since: str
    age: str


@functools.cache
def read_style() -> str:
    """The one style sheet."""
    return (TEMPLATES / "style.css").read_text(encoding="utf-8")


@functools.cache
def build_policy(*, in_file: bool = False) -> str:
    """The content security policy: our style by its hash, images of the page itself, nothing else.

    A file cannot say who may frame it: browsers take `frame-ancestors` from the header alone.
    """
    digest = base64.b64encode(hashlib.sha256(read_style().encode()).digest()).decode()
    parts = [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "img-src data:",
        f"form-action {chr(39)}{'none' if in_file else 'self'}{chr(39)}",
        "base-uri 'none'",
    ]
    return "; ".join(parts if in_file else [*parts, "frame-ancestors 'none'"])


def render_item(
    report: IncidentReport,
    *,
    viewer: Viewer | None = None,
    notice: Notice | None = None,
    refresh_seconds: int | None = None,
    can_preview: bool = False,
) -> str:
    """The page of one item: as a file without a `viewer`, with the decision's form for one."""
    plots = {
        rule.key: draw_trend(rule.trend, rule.key, is_share=rule.is_share) for rule in report.rules
    }
    return _render(
        "item.html",
        title=f"{report.name} {report.code}",
        report=report,
        plots=plots,
        usual={rule.key: describe_usual(rule) for rule in report.rules},
        impact=impact_remarks(report.preview) if report.preview is not None else None,
        figures=impact_figures(report.preview) if report.preview is not None else [],
        choices=list_choices(
            report.level,
            report.state,
            waivable=bool(list_waivable(rule.key for rule in report.rules)),
        ),
        state=describe_state(report),
        serving=describe_serving(report),
        age=describe_age(report.opened_at, report.asked_at),
        earliest=f"{report.asked_at + timedelta(days=1):%Y-%m-%d}",
        latest=f"{report.asked_at + timedelta(days=report.maximum_waiver_days):%Y-%m-%d}",
        until=f"{report.asked_at + timedelta(days=_waived_days(report)):%Y-%m-%d}",
        can_preview=can_preview,
        viewer=viewer,
        notice=notice,
        refresh_seconds=refresh_seconds,
    )


def _waived_days(report: IncidentReport) -> int:
    return min(WAIVED_DAYS, report.maximum_waiver_days)


def render_queue(
    entries: Sequence[QueueEntry],
    deployments: Sequence[str],
    *,
    deployment: str | None = None,
    resolved: bool = False,
    viewer: Viewer | None = None,
    notice: Notice | None = None,
) -> str:
    """The page that lists items: of one deployment, or of all."""
    return _render(
        "queue.html",
        title=f"Queue of {deployment}" if deployment else "Queue",
        entries=entries,
        deployments=deployments,
        deployment=deployment,
        resolved=resolved,
        viewer=viewer,
        notice=notice,
        refresh_seconds=None,
    )


def list_entries(
    deployment: str, described: Sequence[Mapping[str, Any]], now: datetime
) -> list[QueueEntry]:
    """Entries from items as `quarantine list --json` shows them."""
    return [
        QueueEntry(
            deployment=deployment,
            name=item["item"],
            code=item["code"],
            level=item["level"],
            state=item["resolution"] or item["state"],
            source=item["source"],
            headline=item["headline"],
            batches=len(item["batches"]),
            since=format_time(datetime.fromisoformat(item["opened_at"])),
            age=describe_age(datetime.fromisoformat(item["opened_at"]), now),
        )
        for item in described
    ]


def render_login(next_path: str, notice: Notice | None = None) -> str:
    """The page that asks who is there."""
    return _render(
        "login.html",
        title="Log in",
        next_path=next_path,
        viewer=None,
        notice=notice,
        refresh_seconds=None,
    )


def render_message(title: str, lines: Sequence[str], *, refresh_to: str | None = None) -> str:
    """A page that says one thing: a refusal, something that is not there, a way on."""
    return _render(
        "message.html",
        title=title,
        lines=lines,
        refresh_to=refresh_to,
        viewer=None,
        notice=None,
        refresh_seconds=None,
    )


def _render(template: str, **values: Any) -> str:
    in_file = values["viewer"] is None and template == "item.html"
    return (
        _environment().get_template(template).render(policy=build_policy(in_file=in_file), **values)
    )


@functools.cache
def _environment() -> Environment:
    environment = open_templates(TEMPLATES)
    environment.globals["style"] = Markup(read_style())  # noqa: S704  (a file of ours)
    environment.filters["time"] = format_time
    environment.filters["count"] = lambda number: f"{number:,}"
    return environment
