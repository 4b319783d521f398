"""What is installed, reachable and stale: one line a check, with what to do where it is not well.

A check looks and changes nothing (the embedded PostgreSQL starts if it has to, as for any command).
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from tasks.errors import ConfigurationError, HoldfastError, ServiceDown
from tasks.postgres import DATABASE_URL_VARIABLE, connect, find_database
from tasks.services import mlflow_server, oncall_server
from tasks.services.environment import (
    Services,
    is_alive,
    prefect_login,
    read_services,
    services_path,
)
from tasks.services.prefect_server import login_header
from tasks.services.processes import fetch_status
from tasks.settings import PROJECT, list_deployments, load_settings

State = Literal["ok", "off", "stale", "down", "wrong"]

LOCK = PROJECT / "requirements.lock"
# One training of the demo and its logs take well under this; a month of nights about as much.
DISK_LOW_BYTES = 5 * 1024**3
DISK_FULL_BYTES = 1024**3
# A nightly deployment is late after two nights; a champion is old after a quarter.
DATA_STALE_DAYS = 2.0
CHAMPION_STALE_DAYS = 92.0
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: `state` is 'ok', 'off' (not started), 'stale', 'down' or 'wrong'."""

    subject: str
    state: State
    detail: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All findings and what the command ends with."""

    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """78 if something is set wrong, 69 if something needed is down, else 0."""
        states = {finding.state for finding in self.findings}
        if "wrong" in states:
            return ConfigurationError.exit_code
        return ServiceDown.exit_code if "down" in states else 0

    def as_json(self) -> str:
        """For monitors; keys are stable."""
        findings = [asdict(finding) for finding in self.findings]
        return json.dumps({"exit_code": self.exit_code, "findings": findings}, indent=2)


def examine(home: Path, deployment: str | None = None) -> Report:
    """Look at everything; at one deployment's data, or at those of all that have a lake."""
    findings = [
        *_check_python(),
        *_check_packages(LOCK),
        *_check_disk(home),
        *_check_secrets(home),
        *_check_postgres(home),
        *_check_services(home),
    ]
    down = any(f.subject == "PostgreSQL" and f.state != "ok" for f in findings)
    names = [deployment] if deployment is not None else list_deployments()
    for name in names:
        findings += _check_deployment(home, name, look=not down, asked=deployment is not None)
    return Report(tuple(findings))


def show(report: Report) -> str:
    """The report as a table of text."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    styles = {"ok": "green", "off": "dim", "stale": "yellow", "down": "red", "wrong": "red"}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("what", "state", "found"):
        table.add_column(heading, overflow="fold")
    for finding in report.findings:
        detail = finding.detail
        if finding.next_step:
            detail += f"\nNext: {finding.next_step}"
        # As `Text`, since what was found is no markup.
        table.add_row(
            Text(finding.subject), Text(finding.state, style=styles[finding.state]), Text(detail)
        )
    out = io.StringIO()
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size((100, 24)).columns
    Console(file=out, force_terminal=terminal, no_color=not terminal, width=width).print(table)
    return out.getvalue()


def _check_python() -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding("Python", "ok", f"{version} at {sys.executable}")


_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)\s*(?:;(?P<marker>[^\\]+))?")


def read_lock(path: Path) -> dict[str, str]:
    """Name and version of each package that the lock wants on this machine."""
    from packaging.markers import Marker

    wanted = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        match = _PIN.match(line)
        if match and (not match["marker"] or Marker(match["marker"].strip()).evaluate()):
            wanted[match["name"]] = match["version"]
    return wanted


def _check_packages(lock: Path) -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    differing = []
    wanted = read_lock(lock)
    for name, pinned in wanted.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "missing"
        if found != pinned:
            differing.append(f"{name} {found} (lock: {pinned})")
    if differing:
        more = f" and {len(differing) - _MOST_NAMED} more" if len(differing) > _MOST_NAMED else ""
        named = ", ".join(differing[:_MOST_NAMED]) + more
        yield Finding("Packages", "wrong", named, "make")
    else:
        yield Finding("Packages", "ok", f"all {len(wanted)} as in {lock.name}")


def _check_disk(home: Path) -> Iterator[Finding]:
    place = next(path for path in (home, *home.parents) if path.is_dir())
    free = shutil.disk_usage(place).free
    detail = f"{free / 1024**3:,.1f} GiB free for {home}"
    if free < DISK_FULL_BYTES:
        yield Finding("Disk", "down", detail, "free some, or point HOLDFAST_HOME elsewhere")
    elif free < DISK_LOW_BYTES:
        yield Finding("Disk", "stale", detail, "free some soon")
    elif not os.access(place, os.W_OK):
        yield Finding("Disk", "down", f"{place} may not be written")
    else:
        yield Finding("Disk", "ok", detail)


def _check_secrets(home: Path) -> Iterator[Finding]:
    directory = home / "secrets"
    if not directory.is_dir():
        yield Finding("Secrets", "ok", "none yet")
        return
    open_to_others = [
        path
        for path in (directory, *sorted(directory.iterdir()))
        if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    if open_to_others:
        names = ", ".join(str(path) for path in open_to_others)
        yield Finding("Secrets", "wrong", f"others may read {names}", "chmod -R go= " + names)
    else:
        yield Finding("Secrets", "ok", f"only the owner reads {directory}")


def _check_postgres(home: Path) -> Iterator[Finding]:
    kind = "at HOLDFAST_DATABASE_URL" if os.environ.get(DATABASE_URL_VARIABLE) else "embedded"
    try:
        connection = connect(find_database(home))
    except HoldfastError as error:
        yield _fail("PostgreSQL", error)
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("show server_version")
            row = cursor.fetchone()
    finally:
        connection.close()
    yield Finding("PostgreSQL", "ok", f"{row[0] if row else '?'} {kind}")


def _check_services(home: Path) -> Iterator[Finding]:
    services = read_services(home)
    if services is None:
        state: State = "wrong" if services_path(home).exists() else "off"
        detail = "services.json is unreadable" if state == "wrong" else "not started"
        step = "holdfast down" if state == "wrong" else "holdfast up"
        yield Finding("Servers", state, detail, step)
        return
    if not is_alive(services.supervisor):
        left = [child.name for child in services.children if is_alive(child)]
        detail = f"`holdfast up` (pid {services.supervisor.pid}) was killed"
        if left:
            detail += f"; still running: {', '.join(left)}"
        yield Finding("Servers", "stale", detail, "holdfast up, or holdfast down")
        return
    since = datetime.fromtimestamp(services.supervisor.started_at, UTC)
    yield Finding(
        "Servers",
        "ok",
        f"`holdfast up` pid {services.supervisor.pid} since {since:%Y-%m-%d %H:%M} UTC",
    )
    yield from _check_servers(home, services)


def _check_servers(home: Path, services: Services) -> Iterator[Finding]:
    try:
        header = login_header(prefect_login(home))
        prefect = fetch_status(f"{services.prefect_api_url}/admin/version", header)
        mlflow = mlflow_server.check_login(home, services.mlflow_url)
        oncall = oncall_server.check_health(services) if services.oncall_port else None
    except HoldfastError as error:
        yield _fail("Logins", error, "wrong")
        return
    for name, url, status in (
        ("Prefect", services.prefect_url, prefect),
        ("MLflow", services.mlflow_url, mlflow),
        ("On-call's page", services.oncall_url, oncall),
    ):
        if status is None:
            continue
        if status == 200:
            yield Finding(name, "ok", url)
        else:
            found = f"answers {status}" if status else "does not answer"
            yield Finding(name, "down", f"{url} {found}", f"read {home / 'logs'}")
    for child in services.children:
        if not is_alive(child):
            yield Finding(child.name, "down", f"pid {child.pid} is gone", f"read {child.log}")


def _check_deployment(home: Path, name: str, look: bool, asked: bool) -> Iterator[Finding]:
    subject = f"Deployment {Path(name).stem}"
    try:
        settings = load_settings(name, home=home)
    except ConfigurationError as error:
        yield _fail(subject, error, "wrong")
        return
    if not (home / "lake" / settings.deployment).is_dir():
        if asked:
            yield Finding(subject, "off", "no lake yet", f"holdfast -d {name} nightly")
        return
    if not look:
        return
    from tasks.warehouse import open_lake

    try:
        with open_lake(settings) as lake:
            batch = lake.rows(_NEWEST_BATCH)
            champion = lake.rows(_NEWEST_CHAMPION, {"subject": f"{settings.deployment}.churn"})
    except HoldfastError as error:
        yield _fail(subject, error)
        return
    yield _judge_age(
        f"{subject}: data",
        batch,
        "accepted",
        # History that is not fed any more does not go stale.
        DATA_STALE_DAYS if settings.clock.as_of == "now" else None,
        f"holdfast -d {name} ingest",
    )
    yield _judge_age(
        f"{subject}: champion",
        champion,
        "promoted",
        CHAMPION_STALE_DAYS,
        f"holdfast -d {name} train",
    )


_NEWEST_BATCH = """
select batch_name as name, recorded_at as at_time
from lake.ledger.batches where state = 'accepted'
order by recorded_at desc limit 1
"""

_NEWEST_CHAMPION = """
select coalesce(model_name, subject) || ' ' || coalesce('v' || model_version, '') as name,
    decided_at as at_time
from lake.ledger.decisions where kind = 'promotion' and subject = $subject
order by decided_at desc limit 1
"""


def _judge_age(
    subject: str, rows: list[dict[str, Any]], verb: str, limit_days: float | None, step: str
) -> Finding:
    if not rows:
        return Finding(subject, "off", "none yet", step)
    age_days = (datetime.now(UTC) - rows[0]["at_time"]).total_seconds() / 86_400
    detail = f"{rows[0]['name'].strip()} {verb} {age_days:.1f} days ago"
    if limit_days is not None and age_days > limit_days:
        return Finding(subject, "stale", f"{detail} (limit {limit_days:g})", step)
    return Finding(subject, "ok", detail)


def _fail(subject: str, error: HoldfastError, state: State | None = None) -> Finding:
    if state is None:
        state = "wrong" if isinstance(error, ConfigurationError) else "down"
    detail = error.what + (f" {error.found}" if error.found else "")
    return Finding(subject, state, detail, error.next_step)
