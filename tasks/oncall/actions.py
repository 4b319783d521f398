"""What the page asks of the rest: a small protocol, so that it stands on no other family."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from tasks.errors import UsageError
from tasks.incidents.decisions import check_reason
from tasks.oncall.page import QueueEntry
from tasks.oncall.report import IncidentReport

Choice = Literal["replay", "waive", "discard", "approve"]
_MOST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """A decision as a person has filled it in; `author` is the name of the login.

    `until` is the first day on which a waiver no longer holds. `rows` are line numbers that it is
    limited to, `for_source` lets it hold for every delivery of the source. `file` takes the place
    of the batch's bytes, `corrected` is an export with corrected rows. `seen` is the stamp of the
    item on the page that was looked at.
    """

    choice: Choice
    author: str
    reason: str
    seen: str
    until: date | None = None
    rules: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    let_in: bool = False
    for_source: bool = False
    file: Path | None = None
    corrected: Path | None = None


class Actions(Protocol):
    """Everything is called in a thread of its own. Errors are those of `tasks.errors`."""

    def deployments(self) -> Sequence[str]:
        """Names of those that are set up."""
        ...

    def people(self, deployment: str) -> Collection[str]:
        """Who may look at it and decide."""
        ...

    def queue(self, deployment: str, *, resolved: bool) -> Sequence[QueueEntry]: ...

    def report(
        self, deployment: str, item: str, preview: Mapping[str, Any] | None
    ) -> IncidentReport: ...

    can_preview: bool

    def preview(self, deployment: str, item: str) -> Mapping[str, Any]:
        """What waiving what stops the item would change, as plain values."""
        ...

    def decide(self, deployment: str, item: str, asked: Asked) -> Sequence[str]:
        """Carry a decision out; what became of it, in lines."""
        ...


def parse_decision(
    fields: Mapping[str, Sequence[str]], author: str, file: Path | None, now: datetime
) -> Asked:
    """The decision in a form's fields. Raises UsageError (64) saying what is missing or wrong."""

    def one(name: str) -> str:
        values = fields.get(name, ())
        return values[0].strip() if values else ""

    choice = one("decision")
    if choice not in get_args(Choice):
        raise UsageError("There is no such decision.", available=get_args(Choice))
    # The reason of a release is that of who asked for it.
    reason = one("reason") if choice == "approve" else check_reason(one("reason"))
    rules = tuple(fields.get("rule", ()))
    until = _parse_day(one("until"), now)
    if choice == "waive" and until is None:
        raise UsageError("A waiver ends by itself: choose a day.")
    if not one("seen"):
        raise UsageError("The form is incomplete.", next_step="open the item again")
    return Asked(
        choice=choice,  # type: ignore[arg-type]  # just looked up
        author=author,
        reason=reason,
        seen=one("seen"),
        until=until,
        rules=rules if choice == "waive" else (),
        rows=_parse_rows(one("rows")) if choice == "waive" else (),
        let_in=choice == "waive" and one("effect") == "let_in",
        for_source=choice == "waive" and one("reach") == "source",
        file=file if choice == "replay" and one("form") != "rows" else None,
        corrected=file if choice == "replay" and one("form") == "rows" else None,
    )


def _parse_day(text: str, now: datetime) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError("The day is not one: write it as 2026-12-31.") from None
    if day <= now.astimezone(UTC).date():
        raise UsageError("The day must lie in the future.", found=f"{day}")
    return day


def _parse_rows(text: str) -> tuple[int, ...]:
    parts = [part for part in re.split(r"[,\s]+", text) if part]
    if len(parts) > _MOST_ROWS or not all(
        part.isascii() and part.isdigit() and len(part) <= 15 for part in parts
    ):
        raise UsageError(
            f"Line numbers are digits divided by commas, at most {_MOST_ROWS:,} of them."
        )
    return tuple(sorted({int(part) for part in parts}))
