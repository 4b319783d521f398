"""The work queue: what a person must look at, one item a cause, in the ledger.

An item is opened in the transaction that sets its first batch aside, joined by every later batch
with the same cause while it is open, and settled in the transaction that ends its last one. So
there is never a batch without its item, nor an item twice, whenever a process dies.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tasks.errors import UsageError
from tasks.handles import Cause, Incident, IncidentState
from tasks.moments import read_clock
from tasks.warehouse import Connection, Lake

SQL = Path(__file__).parent / "sql"
PREFIX = "item-"
_TICK = timedelta(microseconds=1)


def list_incidents(lake: Connection, *, unresolved: bool = True) -> list[Incident]:
    """Items in order of number; those that are done only where `unresolved` is false."""
    rows = lake.rows(
        f"select * from ({Connection.text(SQL / 'latest_incidents.sql')})"
        " where not $unresolved or state <> 'resolved' order by incident_number",
        {"unresolved": unresolved},
    )
    return [_as_incident(row) for row in rows]


def find_incident(lake: Connection, number: int) -> Incident | None:
    """The item of that number at its latest state."""
    rows = lake.rows(
        f"select * from ({Connection.text(SQL / 'latest_incidents.sql')})"
        " where incident_number = $number",
        {"number": number},
    )
    return _as_incident(rows[0]) if rows else None


def parse_name(asked: str) -> int | None:
    """The number in `item-7`; None for anything else."""
    rest = asked.removeprefix(PREFIX)
    return int(rest) if rest != asked and rest.isascii() and rest.isdigit() else None


def read_incident(lake: Connection, asked: str) -> Incident:
    """The item `item-7`. Raises UsageError (64) naming the open ones where there is none."""
    number = parse_name(asked)
    found = find_incident(lake, number) if number is not None else None
    if found is None:
        names = [incident.name for incident in list_incidents(lake)]
        raise UsageError(
            f"There is no item '{asked}' in the queue.",
            found="" if names else "no item is open",
            available=names[:10],
        )
    return found


def incidents_of(lake: Connection, batch_number: int) -> list[Incident]:
    """The items that a batch belongs to, done ones too."""
    found = list_incidents(lake, unresolved=False)
    return [incident for incident in found if batch_number in incident.batches]


def join_incident(
    lake: Connection,
    cause: Cause,
    batch_number: int,
    table: str,
    *,
    recorded_at: datetime,
    actor: str,
) -> int:
    """Put a batch into the item of its cause, opening one if none is open; its number.

    Call inside the transaction that sets the batch aside. Rows held back of which somebody has
    said that they stay out until a day join the item that was so resolved.
    """
    latest = _latest_of_cause(lake, cause.key)
    if latest is None or (latest.state == "resolved" and not _is_settled_for(latest, recorded_at)):
        number = _next_number(lake)
        _append(lake, number, cause, table, "open", None, recorded_at, actor, cause.headline, {})
    else:
        number = latest.incident_number
    lake.execute(
        Connection.text(SQL / "append_batch.sql"),
        {"incident_number": number, "batch_number": batch_number, "recorded_at": recorded_at},
    )
    return number


def settle_incidents(
    lake: Lake,
    *,
    recorded_at: datetime,
    actor: str,
    closing: str = "replayed",
    reason: str = "",
) -> list[int]:
    """Resolve the items none of whose batches stands aside any more; their numbers.

    Call inside the transaction that ended a batch. `closing` is how: an item of several ends as
    its last decision did. Where no batch says so, the batches' states do, and where these do not
    either (rows that were let in leave a batch that is superseded), it is `closing` again.
    """
    settled = []
    for row in lake.rows(Connection.text(SQL / "unsettled.sql")):
        states = set(row["states"])
        pending = {"quarantined"} if row["level"] == "stop" else {"accepted", "quarantined"}
        if states & pending:
            continue
        told = (closing, "waived", "replayed", "discarded")
        ended = next((state for state in told if state in states), closing)
        number = int(row["incident_number"])
        change_state(
            lake,
            number,
            "resolved",
            resolution=ended,
            recorded_at=recorded_at,
            actor=actor,
            reason=reason,
        )
        settled.append(number)
    return settled


def change_state(
    lake: Lake,
    number: int,
    state: IncidentState,
    *,
    recorded_at: datetime,
    actor: str,
    resolution: str | None = None,
    reason: str = "",
    report: Mapping[str, Any] | None = None,
) -> None:
    """Append a state of an item; `report` is merged into what its report says.

    What is done stays done: raises UsageError (64) for it, unless it is opened again.
    """
    incident = find_incident(lake, number)
    if incident is None:
        raise UsageError(f"There is no item '{PREFIX}{number}' in the queue.")
    if incident.state == "resolved" and state != "open":
        raise describe_decided(lake, incident, f"{resolution or state}, by {actor}")
    # The latest state is the one recorded last, so two in one transaction differ by a tick.
    moment = max(recorded_at, incident.recorded_at + _TICK)
    merged = {**incident.report, **(report or {})}
    _append(
        lake,
        number,
        incident.cause,
        incident.table,
        state,
        resolution,
        moment,
        actor,
        reason,
        merged,
    )


def describe_decided(lake: Lake, incident: Incident, asked: str) -> UsageError:
    """The refusal (64) of a decision that comes after another."""
    return UsageError(
        f"{incident.name} is decided already: {incident.resolution}, by {incident.actor} at"
        f" {incident.recorded_at:%Y-%m-%d %H:%M:%S} UTC.",
        found=f"asked now: {asked}",
        next_step=(
            f"holdfast -d {shlex.quote(lake.settings.called)} quarantine history {incident.name}"
        ),
    )


def raise_incident(
    lake: Lake, cause: Cause, *, table: str = "", actor: str, report: Mapping[str, Any]
) -> Incident:
    """Open an item that is about no batch, once a cause, or bring its headline up to date.

    A transaction of its own. The same cause, headline and report again write nothing, and an item
    that waits for a second person goes on waiting.
    """
    found = _latest_of_cause(lake, cause.key)
    if found is not None and _says_same(found, cause, report):
        return found
    with lake.writer_lock(f"raise {cause.code}"):
        found = _latest_of_cause(lake, cause.key)
        if found is not None and _says_same(found, cause, report):
            return found
        if found is not None and found.state == "resolved":
            found = None
        number = found.incident_number if found else _next_number(lake)
        state = found.state if found else "open"
        said = {**found.report, **report} if found else report
        now = read_clock()
        moment = max(now, found.recorded_at + _TICK) if found else now
        with lake.publish(actor, f"raise {cause.code} {cause.source}", {"incident": number}):
            _append(lake, number, cause, table, state, None, moment, actor, cause.headline, said)
    opened = find_incident(lake, number)
    if opened is None:
        raise UsageError(f"There is no item '{PREFIX}{number}' in the queue.")
    return opened


def resolve_raised(
    lake: Lake, cause_key: str, *, actor: str, resolution: str = "recovered", reason: str = ""
) -> bool:
    """End an open item that is about no batch, because its cause is gone; whether there was one."""
    found = _latest_of_cause(lake, cause_key)
    if found is None or found.state == "resolved":
        return False
    with lake.writer_lock(f"resolve {found.name}"):
        found = _latest_of_cause(lake, cause_key)
        if found is None or found.state == "resolved":
            return False
        with lake.publish(actor, f"resolve {found.name}", {"incident": found.incident_number}):
            change_state(
                lake,
                found.incident_number,
                "resolved",
                resolution=resolution,
                recorded_at=read_clock(),
                actor=actor,
                reason=reason,
            )
    return True


def resolve_all_raised(lake: Lake, cause_keys: Collection[str], *, actor: str, reason: str) -> int:
    """`resolve_raised` of many causes, of which mostly none is open: asked for once; how many."""
    rows = lake.rows(
        f"select distinct cause_key from ({Connection.text(SQL / 'latest_incidents.sql')})"
        " where list_contains($keys::varchar[], cause_key) and state <> 'resolved'"
        " order by cause_key",
        {"keys": list(cause_keys)},
    )
    return sum(
        resolve_raised(lake, str(row["cause_key"]), actor=actor, reason=reason) for row in rows
    )


def reopen_incident(lake: Lake, incident: Incident, *, actor: str, reason: str) -> Incident:
    """Take a discarded item up again, in a transaction of its own."""
    return _write_state(lake, incident, "open", None, actor, reason)


def resolve_incident(
    lake: Lake, incident: Incident, resolution: str, *, actor: str, reason: str
) -> Incident:
    """End an item that is about no batch, in a transaction of its own."""
    return _write_state(lake, incident, "resolved", resolution, actor, reason)


def _write_state(
    lake: Lake,
    incident: Incident,
    state: IncidentState,
    resolution: str | None,
    actor: str,
    reason: str,
) -> Incident:
    with (
        lake.writer_lock(f"{state} {incident.name}"),
        lake.publish(actor, f"{state} {incident.name}", {"incident": incident.incident_number}),
    ):
        change_state(
            lake,
            incident.incident_number,
            state,
            resolution=resolution,
            recorded_at=read_clock(),
            actor=actor,
            reason=reason,
        )
    return read_incident(lake, incident.name)


def read_history(lake: Connection, number: int) -> list[dict[str, Any]]:
    """States and decisions of an item, oldest first: `recorded_at`, `what`, `actor`, `reason`."""
    return lake.rows(
        "select recorded_at, state || coalesce(': ' || resolution, '') as what, actor, reason"
        " from lake.ledger.incidents where incident_number = $number"
        " union all"
        " select decided_at, 'decision: ' || outcome, actor, reason from lake.ledger.decisions"
        " where kind = 'oncall' and subject = $subject"
        " order by 1, 2",
        {"number": number, "subject": f"{PREFIX}{number}"},
    )


def _says_same(found: Incident, cause: Cause, report: Mapping[str, Any]) -> bool:
    said = json.loads(json.dumps(dict(report), default=str))
    same = found.cause.headline == cause.headline and all(
        found.report.get(key) == value for key, value in said.items()
    )
    return found.state != "resolved" and same


def _latest_of_cause(lake: Connection, key: str) -> Incident | None:
    rows = lake.rows(
        f"select * from ({Connection.text(SQL / 'latest_incidents.sql')})"
        " where cause_key = $key order by incident_number desc limit 1",
        {"key": key},
    )
    return _as_incident(rows[0]) if rows else None


def _is_settled_for(incident: Incident, moment: datetime) -> bool:
    """Whether a decision that rows stay out still holds for rows that come now."""
    until = incident.report.get("until")
    return (
        incident.cause.level == "held"
        and incident.resolution == "discarded"
        and isinstance(until, str)
        and datetime.fromisoformat(until) > moment
    )


def _next_number(lake: Connection) -> int:
    return int(
        lake.scalar("select coalesce(max(incident_number), 0) + 1 from lake.ledger.incidents")
    )


def _append(
    lake: Connection,
    number: int,
    cause: Cause,
    table: str,
    state: IncidentState,
    resolution: str | None,
    recorded_at: datetime,
    actor: str,
    reason: str,
    report: Mapping[str, Any],
) -> None:
    lake.execute(
        Connection.text(SQL / "append_incident.sql"),
        {
            "incident_number": number,
            "cause_key": cause.key,
            "code": cause.code,
            "level": cause.level,
            "source": cause.source,
            "table_name": table,
            "column_name": cause.column,
            "headline": cause.headline,
            "state": state,
            "resolution": resolution,
            "recorded_at": recorded_at,
            "actor": actor,
            "reason": reason,
            "report": json.dumps(dict(report), default=str, sort_keys=True),
        },
    )


def _as_incident(row: Mapping[str, Any]) -> Incident:
    cause = Cause(
        row["cause_key"],
        row["code"],
        row["level"],
        row["source"],
        row["column_name"],
        row["headline"],
    )
    batches: Sequence[int] = row["batches"] or ()
    return Incident(
        incident_number=int(row["incident_number"]),
        cause=cause,
        table=row["table_name"],
        state=row["state"],
        resolution=row["resolution"],
        opened_at=row["opened_at"].astimezone(UTC),
        recorded_at=row["recorded_at"].astimezone(UTC),
        actor=row["actor"],
        reason=row["reason"],
        batches=tuple(int(number) for number in batches),
        report=json.loads(row["report"]) if row["report"] else {},
        ends=int(row["ends"]),
    )
