"""What can be done about an item, as commands that are ready to be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.handles import Incident
from tasks.settings import Settings

WAIVED_DAYS = 14
_MOST_RULES = 4


@dataclass(frozen=True, slots=True)
class Command:
    """What it is good for, and its line for a shell."""

    purpose: str
    line: str


def list_choices(level: str, state: str) -> tuple[str, ...]:
    """The decisions that an item takes at its state."""
    if state == "resolved":
        return ()
    if state == "waiting":
        return ("approve", "discard")
    if level in ("stop", "held"):
        return ("replay", "waive", "discard")
    return ("discard",)


def suggest_commands(
    incident: Incident, rules: Sequence[str], settings: Settings, now: datetime
) -> tuple[Command, ...]:
    """The next commands, the most likely first. Names in them are quoted for a shell."""
    head = f"holdfast -d {shlex.quote(settings.called)} quarantine"
    item, who = incident.name, "--author YOU --reason 'WHY'"
    if incident.state == "resolved":
        return (Command("Who decided what, and when", f"{head} history {item}"),)
    choices = list_choices(incident.cause.level, incident.state)
    until = f"{now + timedelta(days=WAIVED_DAYS):%Y-%m-%d}"
    named = " ".join(f"--rule {shlex.quote(rule)}" for rule in rules[:_MOST_RULES])
    found = []
    if "approve" in choices:
        found.append(
            Command("Approve it as the second person", f"{head} approve {item} --author YOU")
        )
    if "waive" in choices:
        found += [
            Command("See what letting it in would change", f"{head} preview {item}"),
            Command("Take the bad rows out, to correct them", f"{head} export {item}"),
        ]
    if "replay" in choices:
        found += [
            Command("Put the corrected file in", f"{head} replay {item} --file FIXED.csv {who}"),
            Command("Judge it again, the rules or the mapping corrected", f"{head} replay {item}"),
        ]
    if "waive" in choices and named:
        found.append(
            Command("Let it pass for a time", f"{head} waive {item} {named} --until {until} {who}")
        )
    if "discard" in choices:
        found.append(Command("Leave it out", f"{head} discard {item} {who}"))
    return tuple(found)
