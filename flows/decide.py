"""What a person on call decides about an item: replay, waive, discard, or approve a release.

One code path for the command line and the page. Whatever is decided goes the way
that every delivery goes (stage, validate, publish), in transactions that can be killed anywhere:
run the same decision again and it goes on where it stopped, or finds itself done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from prefect import flow

from tasks.errors import DataRejected, UsageError
from tasks.handles import Batch, Incident
from tasks.incidents import steps as incidents
from tasks.intake import steps as intake
from tasks.moments import read_clock
from tasks.progress import track
from tasks.settings import load_settings
from tasks.validation import steps as validation
from tasks.warehouse import Lake, open_lake

Kind = Literal["replay", "waive", "discard", "approve"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision as a person puts it; what it does not use stays empty.

    `file` takes the place of the batch's bytes, `corrected` is an export with corrected rows.
    `rules` are names of rules to waive (none: those that stop the item), `row_numbers` limit a
    waiver to rows of one batch, `let_in` publishes the rows that break a waived rule,
    `for_source` waives for every delivery of the source until `until`. `seen` is the stamp of the
    item as the person saw it.
    """

    item: str
    kind: Kind
    author: str
    reason: str = ""
    until: date | None = None
    rules: tuple[str, ...] = ()
    row_numbers: tuple[int, ...] = ()
    let_in: bool = False
    for_source: bool = False
    file: Path | None = None
    corrected: Path | None = None
    supersede: bool = False
    seen: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a decision. `done` says it in one line; `already` that it was done before."""

    incident: Incident
    kind: Kind
    done: str
    batches: tuple[Batch, ...] = ()
    already: bool = False

    def as_dictionary(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "item": self.incident.name,
            "kind": self.kind,
            "state": self.incident.state,
            "resolution": self.incident.resolution,
            "done": self.done,
            "already": self.already,
            "batches": [
                {
                    "batch_number": batch.batch_number,
                    "batch_name": batch.batch_name,
                    "state": batch.state,
                    "received_rows": batch.received_rows,
                    "accepted_rows": batch.accepted_rows,
                    "quarantined_rows": batch.quarantined_rows,
                    "already_known": batch.already_known,
                }
                for batch in self.batches
            ],
        }


@flow(name="decide")
def decide(deployment: str | Path, choice: Choice) -> Outcome:
    """Carry out a decision, once, under its author's name.

    Raises UsageError (64) where the item is decided otherwise or the choice cannot be,
    DataRejected (65) for a replay that is refused again (the item stays open), LockHeld (75) while
    somebody else decides it, Refused (77) where a second person is needed.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        author = incidents.check_author(choice.author)
        case = intake.find_case(lake, choice.item)
        with incidents.deciding(lake, case.incident.name, author) as incident:
            incidents.demand_unchanged(incident, choice.seen)
            # Looked up again: what stood aside may have gone while we waited for the item.
            case = intake.Case(incident, intake.find_case(lake, choice.item).batches)
            match choice.kind:
                case "replay":
                    return _replay(lake, case, choice, author)
                case "waive":
                    return _waive(lake, case, choice, author)
                case "discard":
                    return _discard(lake, case, choice, author)
                case "approve":
                    return _approve(lake, case, choice, author)


def _replay(lake: Lake, case: intake.Case, choice: Choice, author: str) -> Outcome:
    incident, batches = case.incident, case.batches
    reason = choice.reason or _describe_replay(choice)
    if incident.resolution == "discarded" and batches:
        incident = incidents.reopen(
            lake, incident, actor=author, reason=f"taken up again: {reason}"
        )
    elif incidents.is_decided(lake, incident, "replayed", author) or not batches:
        return _finish(lake, case, choice, (), already=True)
    if (choice.file or choice.corrected) and len(batches) != 1:
        raise UsageError(
            f"{incident.name} has {len(batches)} batches; a file is of one.",
            available=[batch.batch_name for batch in batches[:10]],
            next_step="name the batch instead of the item",
        )
    return _publish(lake, intake.Case(incident, batches), choice, author, reason, "replayed")


def _waive(lake: Lake, case: intake.Case, choice: Choice, author: str) -> Outcome:
    incident, reason = case.incident, incidents.check_reason(choice.reason)
    if incidents.is_decided(lake, incident, "waived", author):
        return _finish(lake, case, choice, (), already=True)
    ends_at = incidents.end_of(choice.until, lake.settings.oncall, read_clock())
    about_gap = incident.cause.level == "gap"
    waivable = {incidents.GAP_RULE: True}
    row_rules: Mapping[str, bool] = waivable
    if not about_gap:
        waivable = dict(validation.list_waivable(incident.table)) if incident.table else {}
        row_rules = validation.list_row_rules(incident.table) if incident.table else {}
    results = [r for b in case.batches for r in incidents.failed_rules(lake, b.batch_number)]
    rules = (
        (incidents.GAP_RULE,)
        if about_gap
        else incidents.choose_rules(incident, results, choice.rules, waivable, let_in=choice.let_in)
    )
    incidents.check_rows(choice.row_numbers, rules, row_rules, let_in=choice.let_in)
    if incident.cause.level == "held" and not choice.let_in:
        raise UsageError(
            f"The rows of {incident.name} stand aside already.",
            next_step="add --let-in to publish them, or discard the item to leave them out",
        )
    waivers = incidents.plan_waivers(
        incident,
        case.batches,
        rules,
        "let_in" if choice.let_in else "leave_out",
        choice.row_numbers,
        ends_at,
        author,
        reason,
        for_source=choice.for_source or about_gap,
    )
    if lake.settings.oncall.second_person and incidents.releases_rows(waivers, row_rules):
        already = incidents.is_requested(incident, waivers, lake.settings.called)
        if not already:
            incidents.request(lake, incident, waivers, author, reason)
        return _finish(lake, case, choice, (), already=already)
    incidents.grant(lake, incident, waivers, author, reason)
    if about_gap:
        incidents.resolve(lake, incident, "waived", actor=author, reason=reason)
        return _finish(lake, case, choice, ())
    return _publish(lake, case, choice, author, reason, "waived")


def _approve(lake: Lake, case: intake.Case, choice: Choice, author: str) -> Outcome:
    if incidents.is_decided(lake, case.incident, "waived", author):
        return _finish(lake, case, choice, (), already=True)
    waivers = incidents.read_approved(lake, case.incident, author)
    if waivers:
        reason = waivers[0].reason
    else:
        waivers, reason = incidents.read_request(case.incident, author, lake.settings.called)
        incidents.grant(lake, case.incident, waivers, author, reason)
    if case.incident.cause.level == "gap":
        granted = incidents.find_incident(lake, case.incident.incident_number) or case.incident
        incidents.resolve(lake, granted, "waived", actor=author, reason=reason)
        return _finish(lake, case, choice, ())
    names = {waiver.batch_name for waiver in waivers}
    batches = tuple(b for b in case.batches if None in names or b.batch_name in names)
    return _publish(lake, intake.Case(case.incident, batches), choice, author, reason, "waived")


def _discard(lake: Lake, case: intake.Case, choice: Choice, author: str) -> Outcome:
    incident, reason = case.incident, incidents.check_reason(choice.reason)
    if incidents.is_decided(lake, incident, "discarded", author):
        return _finish(lake, case, choice, (), already=True)
    if incident.cause.level in ("gap", "fault"):
        incidents.resolve(lake, incident, "discarded", actor=author, reason=reason)
        return _finish(lake, case, choice, ())
    numbers = [batch.batch_number for batch in case.batches]
    evidence = {"batches": numbers, "until": choice.until}
    left = set(_still_aside(lake, incident)) - set(numbers)
    batches = intake.discard_batches(
        lake,
        numbers,
        incident_number=incident.incident_number,
        actor=author,
        reason=reason,
        decision=incidents.make_decision(incident, "discarded", author, reason, evidence),
        report={"until": _until(choice, lake)} if choice.until else None,
        ends_item=not left,
    )
    return _finish(lake, case, choice, tuple(batches))


def _publish(
    lake: Lake,
    case: intake.Case,
    choice: Choice,
    author: str,
    reason: str,
    closing: Literal["replayed", "waived"],
) -> Outcome:
    """Send each batch its way once more; one that is refused again does not keep the others."""
    published: list[Batch] = []
    refusals: list[DataRejected] = []
    for batch in track(case.batches, choice.kind, lambda one: one.batch_name):
        raw = intake.find_bytes(lake, batch, choice.file, choice.corrected)
        evidence = {
            "batch_number": batch.batch_number,
            "batch_name": batch.batch_name,
            "content_hash": batch.content_hash,
            "published_hash": raw.content_hash,
        }
        decision = incidents.make_decision(case.incident, closing, author, reason, evidence)
        replay = intake.Replay(batch.batch_number, closing, decision)
        try:
            staged = intake.restage_batch(
                lake, raw, lake.settings, author, replay, choice.supersede
            )
            verdict = validation.validate_batch(lake, staged, lake.settings)
            done = intake.publish_batch(lake, staged, verdict, author, choice.supersede, replay)
        except DataRejected as refusal:
            refusals.append(refusal)
            continue
        if done.already_known and done.batch_name != batch.batch_name:
            refusals.append(
                DataRejected(
                    f"The file is not that of {batch.batch_name}: {done.batch_name} has this"
                    " content already.",
                    found=f"batch number {done.batch_number}, {done.state}",
                    next_step="give the file of this batch with --file",
                )
            )
            continue
        published.append(done)
        if done.state == "quarantined":
            refusals.append(intake.describe_stop(done, lake.settings.called))
    if refusals:
        raise _refuse(refusals, case.incident)
    already = all(batch.already_known for batch in published)
    return _finish(lake, case, choice, tuple(published), already=already)


def _refuse(refusals: Sequence[DataRejected], incident: Incident) -> DataRejected:
    first = refusals[0]
    more = f" (and {len(refusals) - 1} more of {incident.name})" if len(refusals) > 1 else ""
    return DataRejected(
        f"{first.what}{more}",
        found=first.found,
        available=first.available,
        next_step=f"{first.next_step}; the item stays open",
    )


def _still_aside(lake: Lake, incident: Incident) -> list[int]:
    case = intake.find_case(lake, incident.name)
    pending = ("accepted", "quarantined")
    return [batch.batch_number for batch in case.batches if batch.state in pending]


def _until(choice: Choice, lake: Lake) -> str:
    return incidents.end_of(choice.until, lake.settings.oncall, read_clock()).isoformat()


def _describe_replay(choice: Choice) -> str:
    if choice.corrected:
        return "rows corrected by hand"
    if choice.file:
        return "a corrected file"
    return "judged again"


def _finish(
    lake: Lake,
    case: intake.Case,
    choice: Choice,
    batches: tuple[Batch, ...],
    *,
    already: bool = False,
) -> Outcome:
    incident = incidents.find_incident(lake, case.incident.incident_number) or case.incident
    state = incident.resolution or incident.state
    words = f"{incident.name} is {state}"
    if incident.state == "waiting":
        words += "; a second person must approve it"
    if already:
        words += "; nothing was left to do"
    return Outcome(incident, choice.kind, words, batches, already)
