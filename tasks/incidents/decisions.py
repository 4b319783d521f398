"""What people decide about items: one at a time, once, with their name, in the ledger.

Whoever decides holds the item's lock while it is carried out: a second person at the same moment
is told who is at it (75). Afterwards the same decision again changes nothing, another one is
refused (64) and says who decided what. A process that dies lets the lock go by dying.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from tasks import decisions
from tasks.errors import LockHeld, Refused, UsageError
from tasks.handles import Decision, Incident, Waiver
from tasks.incidents.queue import change_state, describe_decided, read_incident
from tasks.incidents.waivers import active_waivers, append_waiver
from tasks.moments import read_clock
from tasks.postgres import advisory_lock
from tasks.warehouse import Connection, Lake

# Who decides: a name or an address, on one line, short enough for a table.
_AUTHOR = re.compile(r"[\w][\w .@'+-]{0,59}")
_LONGEST_REASON = 500
# Scripts with letters that look like one another's.
_ALIKE = {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"}


def check_author(author: str) -> str:
    """The name as it is recorded, wide letters as plain ones.

    Raises UsageError (64) for what is no name, or could be taken for another's: the Latin and the
    Cyrillic a look the same.
    """
    name = " ".join(unicodedata.normalize("NFKC", author).split())
    scripts = {unicodedata.name(c, "").partition(" ")[0] for c in name if c.isalpha()}
    if len(scripts & _ALIKE) > 1:
        raise UsageError(
            "The name has letters of several scripts, which look like one another.",
            found=f"{name!a}: {', '.join(sorted(s.lower() for s in scripts))}",
            next_step="write it in one of them",
        )
    if not _AUTHOR.fullmatch(name):
        raise UsageError(
            "A decision needs the name of who takes it.",
            found="allowed are 1 to 60 letters, digits and . @ ' + - _",
            next_step="add --author NAME",
        )
    return name


def is_same_person(one: str, other: str) -> bool:
    """Whether two names may well be one person's: only letters and digits count, in any case."""
    first, second = (
        "".join(c for c in unicodedata.normalize("NFKD", name).casefold() if c.isalnum())
        for name in (one, other)
    )
    return first == second


def check_reason(reason: str) -> str:
    """The reason on one line. Raises UsageError (64) for none, or a story."""
    text = " ".join("".join(c if c.isprintable() else " " for c in reason).split())
    if not text or len(text) > _LONGEST_REASON:
        raise UsageError(
            "A decision needs a reason, for whoever reads it in a year.",
            found=f"{len(text)} characters; 1 to {_LONGEST_REASON} are kept",
            next_step="add --reason TEXT, without personal data",
        )
    return text


@contextmanager
def deciding(lake: Lake, asked: str, author: str) -> Iterator[Incident]:
    """Hold the item while a decision about it is carried out.

    Raises LockHeld (75) where somebody else is deciding it at this moment.
    """
    number = read_incident(lake, asked).incident_number
    name = f"incident {lake.deployment} {number}"
    try:
        with advisory_lock(lake.database, name, 0.0):
            yield read_incident(lake, asked)
    except LockHeld as error:
        if f"'{name}'" not in error.what:
            raise
        raise LockHeld(
            f"Somebody else is deciding {asked} at this moment.",
            found=error.found,
            next_step=f"holdfast -d {shlex.quote(lake.settings.called)} quarantine history {asked}",
        ) from error


def is_decided(lake: Lake, incident: Incident, resolution: str, author: str) -> bool:
    """Whether this very decision has been carried out. Raises UsageError (64) for another one."""
    if incident.state != "resolved":
        return False
    if incident.resolution == resolution:
        return True
    raise describe_decided(lake, incident, f"{resolution}, by {author}")


def demand_unchanged(incident: Incident, seen: str | None) -> None:
    """Refuse (64) a decision on a page that shows an older state of the item.

    `seen` is `stamp_of` the item as it was shown.
    """
    if seen is not None and seen != stamp_of(incident):
        raise UsageError(
            f"{incident.name} has changed since you looked: {incident.state}"
            f"{', ' + incident.resolution if incident.resolution else ''},"
            f" {len(incident.batches)} batches, by {incident.actor}.",
            next_step="look at it again, then decide",
        )


def stamp_of(incident: Incident) -> str:
    """What changes whenever the item does: its last state and its batches."""
    said = [incident.recorded_at.isoformat(), list(incident.batches)]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def make_decision(
    incident: Incident,
    outcome: str,
    author: str,
    reason: str,
    evidence: Mapping[str, Any],
) -> dict[str, Any]:
    """A decision ready for `append_decision`: its id is made of what it says, not of when.

    Written by a run that was killed and once more by the next, it is one; of an item that ended
    and was taken up again, it is another.
    """
    number = f"{incident.incident_number}.{incident.ends}"
    said = [number, outcome, json.dumps(dict(evidence), default=str)]
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    return {
        "decision_id": f"oncall-{incident.incident_number}-{digest[:12]}",
        "subject": incident.name,
        "outcome": outcome,
        "actor": author,
        "reason": reason,
        "evidence": dict(evidence),
    }


def append_decision(
    lake: Connection,
    *,
    decision_id: str,
    subject: str,
    outcome: str,
    actor: str,
    reason: str,
    evidence: Mapping[str, Any],
    decided_at: datetime,
    batch_number: int | None = None,
) -> None:
    """Write a decision down, once. Hold the writer lock, inside a transaction."""
    said = dict(evidence) | ({"published_as": batch_number} if batch_number is not None else {})
    decision = Decision(
        decision_id=decision_id,
        decided_at=decided_at,
        kind="oncall",
        subject=subject,
        outcome=outcome,
        reason=reason,
        evidence=said,
    )
    decisions.append_decision(lake, decision, actor=actor, once=True)


def request_release(
    lake: Lake, incident: Incident, waivers: Sequence[Waiver], author: str, reason: str
) -> None:
    """Ask for a second person: the item waits, and what was asked for stands in it."""
    asked = [
        {
            "rules": list(waiver.rules),
            "effect": waiver.effect,
            "batch_name": waiver.batch_name,
            "content_hash": waiver.content_hash,
            "row_numbers": list(waiver.row_numbers),
            "ends_at": waiver.ends_at.isoformat(),
            "waiver_id": waiver.waiver_id,
        }
        for waiver in waivers
    ]
    request = {"author": author, "reason": reason, "waivers": asked}
    decision = make_decision(incident, "release requested", author, reason, request)
    now = read_clock()
    with (
        lake.writer_lock(f"request {incident.name}"),
        lake.publish(author, f"request a release of {incident.name}"),
    ):
        append_decision(lake, **decision, decided_at=now)
        change_state(
            lake,
            incident.incident_number,
            "waiting",
            recorded_at=now,
            actor=author,
            reason=reason,
            report={"request": request},
        )


def is_requested(incident: Incident, waivers: Sequence[Waiver], called: str) -> bool:
    """Whether this very release waits for a second person already.

    Raises UsageError (64) where another one does: who approves it must know what was asked for.
    """
    request = incident.report.get("request")
    if incident.state != "waiting" or not isinstance(request, Mapping):
        return False
    if {one["waiver_id"] for one in request["waivers"]} == {one.waiver_id for one in waivers}:
        return True
    raise UsageError(
        f"{incident.name} waits for a second person: {request['author']} has asked for another"
        " release of it.",
        next_step=(
            f"approve that one, or discard it and ask anew: holdfast -d {shlex.quote(called)}"
            f" quarantine discard {incident.name}, then replay"
        ),
    )


def read_request(incident: Incident, approver: str, called: str) -> tuple[tuple[Waiver, ...], str]:
    """The waivers that wait for a second person, now with this one's name, and the reason.

    Raises UsageError (64) where nothing waits, Refused (77) for the person who asked.
    """
    request = incident.report.get("request")
    if incident.state != "waiting" or not isinstance(request, Mapping):
        raise UsageError(
            f"Nothing of {incident.name} waits for a second person; it is {incident.state}.",
            next_step=f"holdfast -d {shlex.quote(called)} quarantine show {incident.name}",
        )
    if is_same_person(str(request["author"]), approver):
        raise Refused(
            f"{incident.name} needs a second person: {approver} has asked for this release.",
            next_step="have somebody else approve it, or discard it",
        )
    waivers = tuple(
        Waiver(
            waiver_id=str(one["waiver_id"]),
            source=incident.cause.source,
            rules=tuple(one["rules"]),
            effect=one["effect"],
            reason=str(request["reason"]),
            author=str(request["author"]),
            granted_at=read_clock(),
            ends_at=datetime.fromisoformat(one["ends_at"]),
            batch_name=one["batch_name"],
            content_hash=one["content_hash"],
            row_numbers=tuple(one["row_numbers"]),
            approved_by=approver,
        )
        for one in request["waivers"]
    )
    return waivers, str(request["reason"])


def read_approved(lake: Lake, incident: Incident, approver: str) -> tuple[Waiver, ...]:
    """What this second person has granted of an open item already, and what holds still.

    A process that died between the leave and the publishing goes on with these.
    """
    if incident.state != "open":
        return ()
    numbers = "select waiver_id from lake.ledger.waivers where incident_number = $number"
    mine = {r["waiver_id"] for r in lake.rows(numbers, {"number": incident.incident_number})}
    return tuple(
        waiver
        for waiver in active_waivers(lake, incident.cause.source, read_clock())
        if waiver.waiver_id in mine and waiver.approved_by == approver
    )


def grant_waivers(
    lake: Lake, incident: Incident, waivers: Sequence[Waiver], author: str, reason: str
) -> None:
    """Write waivers and the decision for them in one transaction; they hold from then on."""
    now = read_clock()
    evidence = {"waivers": [waiver.waiver_id for waiver in waivers]}
    approved = any(waiver.approved_by for waiver in waivers)
    decision = make_decision(incident, "waiver granted", author, reason, evidence)
    with (
        lake.writer_lock(f"waive {incident.name}"),
        lake.publish(author, f"waive {incident.name}", evidence),
    ):
        for waiver in waivers:
            append_waiver(lake, replace(waiver, granted_at=now), incident.incident_number)
        append_decision(lake, **decision, decided_at=now)
        if incident.state == "waiting":
            change_state(
                lake,
                incident.incident_number,
                "open",
                recorded_at=now,
                actor=author,
                reason=f"approved: {reason}" if approved else reason,
                report={"request": None},
            )
