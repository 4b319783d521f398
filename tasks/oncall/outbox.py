"""Messages that are still to be sent, and those that are: the ledger's `notices`.

Nothing is put into the outbox: an open item that a channel has no message of *is* what waits. So
a channel that is dead loses nothing, a process that dies between sending and writing it down sends
once more (with the same key), and a storm of batches with one cause is one item and one message.
"""

from __future__ import annotations

import logging
import random
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tasks.channels import ChannelSettings
from tasks.errors import HoldfastError, LockHeld
from tasks.incidents.queue import find_incident
from tasks.incidents.releasing import failed_rules
from tasks.oncall.channels import NotSent
from tasks.oncall.messages import Message, write_message
from tasks.oncall.publishing import page_url
from tasks.postgres import advisory_lock
from tasks.warehouse import Connection, Lake

SQL = Path(__file__).parent / "sql"
_LOG = logging.getLogger("holdfast.oncall")
# A night waits so long in all, whatever channels do.
PATIENCE_SECONDS = 6.0
_TRIES = 3
_PAUSE_SECONDS = 0.4
_LOCK_SECONDS = 5.0
# What failed is due again after a minute, then two, four, ..., at last once an hour.
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=1)

Send = Callable[[ChannelSettings, Message], None]


@dataclass(frozen=True, slots=True)
class Waiting:
    """An item that a channel has no message of. `attempts` so far, the last one at `tried_at`."""

    incident_number: int
    channel: str
    attempts: int
    tried_at: datetime | None

    def is_due(self, now: datetime) -> bool:
        if self.tried_at is None:
            return True
        doublings = max(0, min(self.attempts // _TRIES - 1, 10))
        pause: timedelta = min(_FIRST_PAUSE * 2**doublings, _LONGEST_PAUSE)
        return now >= self.tried_at + pause


@dataclass(frozen=True, slots=True)
class Delivered:
    """What was sent just now, and what waits; each as (item number, channel)."""

    sent: tuple[tuple[int, str], ...] = ()
    waiting: tuple[tuple[int, str], ...] = ()


@dataclass(slots=True)
class _Try:
    """A message on its way; `state` stays 'waiting' if nobody got to it in time."""

    waiting: Waiting
    message: Message
    state: str = "waiting"
    attempts: int = 0
    detail: str = ""


def list_waiting(lake: Connection, channels: Sequence[str]) -> list[Waiting]:
    """What is still to be sent through these channels."""
    rows = lake.rows(Connection.text(SQL / "unsent.sql"), {"channels": list(channels)})
    return [
        Waiting(
            int(row["incident_number"]),
            row["channel"],
            int(row["attempts"]),
            row["tried_at"].astimezone(UTC) if row["tried_at"] is not None else None,
        )
        for row in rows
    ]


def deliver(
    lake: Lake,
    send: Send,
    *,
    hurry: bool,
    previews: Mapping[int, Mapping[str, Any]],
    champion: str | None,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Delivered:
    """Send what waits and write down what became of it; never raises for a channel's sake.

    With `hurry` all that waits is tried now, and it is over after `patience_seconds`; without,
    only what is due again, with as much time as all tries take. Who finds another process at it
    leaves it to that one.
    """
    settings = lake.settings.oncall
    channels = {channel.name: channel for channel in settings.channels}
    if not channels:
        return Delivered()
    try:
        with advisory_lock(lake.database, f"notices {lake.deployment}", 0.0):
            now = datetime.now(UTC)
            waiting = list_waiting(lake, sorted(channels))
            chosen = [one for one in waiting if hurry or one.is_due(now)]
            tries = _prepare(lake, chosen, previews, champion)
            limit = patience_seconds if hurry else None
            _send_all(tries, channels, send, limit)
            try:
                _record(lake, tries)
            except HoldfastError as error:
                # The queue is the truth: what was not written down is sent again.
                _LOG.warning("What was sent could not be written down: %s", error.what)
    except LockHeld:
        return Delivered()
    sent = {(t.waiting.incident_number, t.waiting.channel) for t in tries if t.state == "sent"}
    every = [(one.incident_number, one.channel) for one in waiting]
    return Delivered(
        tuple(one for one in every if one in sent), tuple(one for one in every if one not in sent)
    )


def _prepare(
    lake: Lake,
    chosen: Sequence[Waiting],
    previews: Mapping[int, Mapping[str, Any]],
    champion: str | None,
) -> list[_Try]:
    messages: dict[int, Message] = {}
    for number in sorted({one.incident_number for one in chosen}):
        incident = find_incident(lake, number)
        if incident is None:
            continue
        rows = lake.one(Connection.text(SQL / "totals_of_item.sql"), {"incident_number": number})
        newest = rows["newest_batch_number"]
        messages[number] = write_message(
            incident,
            failed_rules(lake, int(newest)) if newest is not None else [],
            deployment=lake.deployment,
            url=page_url(lake.settings, incident.name),
            command=(
                f"holdfast -d {shlex.quote(lake.settings.called)} quarantine show {incident.name}"
            ),
            rows_aside=int(rows["quarantined_rows"]),
            rows_received=int(rows["received_rows"]),
            champion=champion,
            preview=previews.get(number),
        )
    return [
        _Try(one, messages[one.incident_number])
        for one in chosen
        if one.incident_number in messages
    ]


def _send_all(
    tries: Sequence[_Try],
    channels: Mapping[str, ChannelSettings],
    send: Send,
    patience_seconds: float | None,
) -> None:
    """A thread a channel, so that a dead one delays no other; who is late is left behind."""
    deadline = None if patience_seconds is None else time.monotonic() + patience_seconds
    threads = []
    for name, channel in channels.items():
        mine = [one for one in tries if one.waiting.channel == name]
        if mine:
            thread = threading.Thread(
                target=_send_through, args=(channel, mine, send, deadline), daemon=True
            )
            thread.start()
            threads.append(thread)
    for thread in threads:
        thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))


def _send_through(
    channel: ChannelSettings, tries: Sequence[_Try], send: Send, deadline: float | None
) -> None:
    for one in tries:
        for turn in range(_TRIES):
            if deadline is not None and time.monotonic() > deadline:
                return
            one.attempts += 1
            try:
                send(channel, one.message)
            except NotSent as failure:
                one.detail, one.state = str(failure), "failed"
                if not failure.again or turn + 1 == _TRIES:
                    break
                # Spread out, so that several processes do not knock together.
                time.sleep(_PAUSE_SECONDS * 2**turn * random.uniform(0.5, 1.5))  # noqa: S311
            else:
                one.detail, one.state = "", "sent"
                break
        if one.state == "failed":
            return  # the channel is dead: the others wait with this one


def _record(lake: Lake, tries: Sequence[_Try]) -> None:
    """One transaction for all that was tried. What is still on its way is not written down."""
    ended = [(one, one.state, one.attempts, one.detail) for one in tries if one.state != "waiting"]
    if not ended:
        return
    now = datetime.now(UTC)
    with (
        lake.writer_lock("record messages", _LOCK_SECONDS),
        lake.publish("holdfast", "messages to on-call", {"notices": len(ended)}),
    ):
        for one, state, attempts, detail in ended:
            lake.execute(
                Connection.text(SQL / "append_notice.sql"),
                {
                    "incident_number": one.waiting.incident_number,
                    "channel": one.waiting.channel,
                    "state": state,
                    "attempts": attempts,
                    "detail": detail[:200],
                    "recorded_at": now,
                },
            )
