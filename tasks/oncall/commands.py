"""What can be done about an item, as commands that are ready to be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.handles import Incident
from tasks.incidents.causes import STRUCTURAL_RULES
from tasks.incidents.runs import FAULT_CODES
from tasks.settings import Settings

WAIVED_DAYS = 14
_MOST_RULES = 4


@dataclass(frozen=True, slots=True)
class Command:
    """What it is good for, and its line for a shell."""

    purpose: str
    line: str


def list_waivable(rules: Iterable[str]) -> list[str]:
    """Those of the broken rules, by key, that somebody can waive; none of what was never judged."""
    return [rule for rule in rules if rule.partition(":")[0] not in STRUCTURAL_RULES]


def list_choices(level: str, state: str, *, waivable: bool) -> tuple[str, ...]:
    """The decisions that an item takes at its state; `waivable` if a rule of it can be waived."""
    if state == "resolved":
        return ()
    if state == "waiting":
        return ("approve", "discard")
    if level in ("stop", "held"):
        return ("replay", "waive", "discard") if waivable else ("replay", "discard")
    return ("waive", "discard") if level == "gap" else ("discard",)


def suggest_commands(
    incident: Incident, rules: Sequence[str], settings: Settings, now: datetime
) -> tuple[Command, ...]:
    """The next commands, the most likely first. Names in them are quoted for a shell."""
    head = f"holdfast -d {shlex.quote(settings.called)} quarantine"
    item, who = incident.name, "--author YOU --reason 'WHY'"
    if incident.state == "resolved":
        return (Command("Who decided what, and when", f"{head} history {item}"),)
    rules = list_waivable(rules)
    choices = list_choices(incident.cause.level, incident.state, waivable=bool(rules))
    days = min(WAIVED_DAYS, settings.oncall.maximum_waiver_days)
    until = f"{now + timedelta(days=days):%Y-%m-%d}"
    named = " ".join(f"--rule {shlex.quote(rule)}" for rule in rules[:_MOST_RULES])
    newest = max(incident.batches, default=0)
    found = []
    if incident.cause.level == "fault" and incident.cause.code in FAULT_CODES:
        again = f"holdfast -d {shlex.quote(settings.called)} {incident.cause.source}"
        found.append(Command("Begin it again: what was done is found done", again))
    if "approve" in choices:
        found.append(
            Command("Approve it as the second person", f"{head} approve {item} --author YOU")
        )
    if "waive" in choices and newest:
        found.append(
            Command("See what waiving it would change", f"{head} preview {newest} --waive")
        )
    if "replay" in choices:
        found += [
            Command("Take the bad rows out, unmasked", f"{head} export {item} --out ROWS.csv"),
            Command(
                "Put them in corrected", f"{head} replay {item} --corrected ROWS.csv --author YOU"
            ),
            Command("Put a corrected file in", f"{head} replay {item} --file FILE --author YOU"),
            Command("Judge it again after a change of rules or mapping", f"{head} replay {item}"),
        ]
    if "waive" in choices:
        options = " --let-in" if incident.cause.level == "held" else ""
        if named:
            options += f" {named}"
        found.append(
            Command("Let it pass for a time", f"{head} waive {item}{options} --until {until} {who}")
        )
    if "discard" in choices:
        found.append(Command("Leave it out", f"{head} discard {item} {who}"))
    return tuple(found)
