"""How far each source can be built on now, and what follows from it for a night.

    when_refused: stop     a refused batch ends the night (65), a gap ends it after scoring (75)
    when_refused: degrade  the night goes on: no training, scores stamped stale with their age
    optional: true         features go on without its table, and scores say that it was left out

A source is behind while a part of it is missing, overdue or in quarantine. Holes that
`gaps: allow` accepts, parts that a person has discarded, and the part of a hole whose item was
discarded are none. A waiver of `gap` lets a training go on but makes no data newer: scores stay
stamped while it lasts.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time

from tasks.clock import find_present
from tasks.contracts import CONTRACTS
from tasks.errors import LockHeld
from tasks.handles import Batch, Cause, Incident
from tasks.incidents.queue import list_incidents, raise_incident, resolve_raised
from tasks.incidents.releasing import GAP_RULE
from tasks.incidents.waivers import active_waivers
from tasks.intake.gaps import find_holes, find_overdue, part_of, period_end, period_of
from tasks.intake.ledger import read_batches
from tasks.intake.tables import UNDATED
from tasks.moments import read_clock
from tasks.settings import Settings
from tasks.standings import SourceStanding, Staleness, Standing
from tasks.warehouse import Lake, quote

_SHOWN_PARTS = 5


@dataclass(frozen=True, slots=True)
class TrainingHold:
    """Why nothing may be learnt now. `ends_night`: one of the sources says 'stop'."""

    error: LockHeld
    ends_night: bool


def judge_sources(lake: Lake, settings: Settings, now: datetime | None = None) -> Standing:
    """How every source stands at `now`, by default our clock's.

    The age of a source that is behind is the time from its newest published event to the moment
    that it should reach: by the clock of the deployment tonight's midnight (`now`), the date that
    is set, or (`data`) the newest event of any table or the end of the newest period that is
    missing, whichever is later. A hole further back makes no newest row older: it has age 0 and
    is named all the same.
    """
    moment = (now or read_clock()).astimezone(UTC)
    parts = _read_parts(lake, settings)
    present = _present_if_due(lake, settings, moment)
    found = [_judge(lake, name, settings, parts[name], present, moment) for name in parts]
    behind = [one for one in found if one.is_behind]
    if behind:
        ages = _measure_ages(lake, settings, behind, moment)
        found = [replace(one, age_days=ages.get(one.source)) for one in found]
    return _sum_up(found)


def watch_deliveries(
    lake: Lake, settings: Settings, now: datetime | None = None, *, actor: str = "holdfast"
) -> list[Incident]:
    """The dead-man's switch: one item a source of which something should have come and has not.

    An item is brought up to date when more goes missing and ends by itself ('recovered') when all
    of it has come. What stands in quarantine is not missing: it has an item of its own. Nothing
    is raised for what a waiver covers. Asking again changes nothing, so it may be asked every
    minute. Gives the items that are open, in order of number.
    """
    moment = (now or read_clock()).astimezone(UTC)
    parts = _read_parts(lake, settings)
    present = _present_if_due(lake, settings, moment)
    still_open = {
        incident.cause.source: incident
        for incident in list_incidents(lake)
        if incident.cause.level == "gap"
    }
    items: list[Incident] = []
    for name, known in parts.items():
        one = _judge(lake, name, settings, known, present, moment)
        missing = one.missing if settings.intake.sources[name].gaps == "refuse" else ()
        one, found = replace(one, missing=missing), still_open.get(name)
        gone = (*one.missing, *one.overdue)
        if gone and _without_waived(lake, name, gone, moment):
            items.append(_raise_gap(lake, one, found, actor))
        elif gone and found is not None:
            items.append(found)
        elif found is not None:
            resolve_raised(lake, _key(name), actor=actor, reason="everything missing has come")
    for name in still_open:
        if name not in parts:
            resolve_raised(lake, _key(name), actor=actor, reason="the source was taken out")
    return sorted(items, key=lambda item: item.incident_number)


def find_hold(standing: Standing, settings: Settings, *, has_champion: bool) -> TrainingHold | None:
    """Why a training must wait for deliveries; None where it need not.

    A training refuses while a part of a source with `gaps: refuse` is missing, overdue or in
    quarantine. That holds for an optional source too, as long as there is a champion: a model
    that has learnt without a table would take the place of one that knows it and be the worse of
    the two as soon as the table is back. Without a champion nothing is lost by it, and the first
    model learns from what is there.
    """
    holding = [
        one
        for one in standing.sources
        if one.blocking and (has_champion or not (one.optional and one.table in standing.left_out))
    ]
    if not holding:
        return None
    called = shlex.quote(settings.called)
    said = [f"{one.source}: {_describe_blocking(one)}" for one in holding]
    count = sum(len(one.blocking) for one in holding)
    error = LockHeld(
        f"GAP: training waits for {count} {'delivery' if count == 1 else 'deliveries'} of"
        f" {', '.join(one.source for one in holding)}.",
        found="\n  ".join([*said, "The champion serves on; nothing was learnt."]),
        next_step=(
            f"deliver it, then holdfast -d {called} nightly; or waive the gap's item:"
            f" holdfast -d {called} quarantine list; or learn without it:"
            f" holdfast -d {called} train --allow-gaps"
        ),
    )
    return TrainingHold(error, any(_ends_night(one) for one in holding))


def _ends_night(one: SourceStanding) -> bool:
    return one.when_refused == "stop" and not one.optional


@dataclass(slots=True)
class _Parts:
    """What the ledger knows of a source's parts, and who has let some of them go."""

    accepted: set[str] = field(default_factory=set)
    discarded: set[str] = field(default_factory=set)
    quarantined: set[str] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)  # and never finished: the process ended
    given_up: set[str] = field(default_factory=set)
    last_arrival_at: datetime | None = None
    is_first: bool = True  # the lake knows no batch of any source


def _read_parts(lake: Lake, settings: Settings) -> dict[str, _Parts]:
    """By configured source, in the order of the settings."""
    parts = {name: _Parts() for name in settings.intake.sources}
    batches = read_batches(lake)
    for batch in batches:
        if batch.source in parts:
            _add(parts[batch.source], batch)
    for incident in list_incidents(lake, unresolved=False):
        cause = incident.cause
        if cause.level == "gap" and incident.resolution == "discarded" and cause.source in parts:
            said = [*incident.report.get("missing", ()), *incident.report.get("overdue", ())]
            parts[cause.source].given_up.update(str(part) for part in said)
    for known in parts.values():
        known.is_first = not batches
    return parts


def _add(known: _Parts, batch: Batch) -> None:
    part = part_of(batch.batch_name)
    kinds = {
        "accepted": known.accepted,
        "discarded": known.discarded,
        "quarantined": known.quarantined,
        "received": known.begun,
        "staged": known.begun,
    }
    if batch.state in kinds:
        kinds[batch.state].add(part)
    came_at = batch.published_at or batch.recorded_at
    known.last_arrival_at = max(filter(None, (known.last_arrival_at, came_at)))


def _present_if_due(lake: Lake, settings: Settings, now: datetime) -> datetime | None:
    """Up to when deliveries are expected; None where no source says when it is due."""
    if all(source.due is None for source in settings.intake.sources.values()):
        return None
    return find_present(lake, settings, now)


def _judge(
    lake: Lake,
    name: str,
    settings: Settings,
    known: _Parts,
    present: datetime | None,
    now: datetime,
) -> SourceStanding:
    source = settings.intake.sources[name]
    decided = known.accepted | known.discarded | known.given_up
    # A part that is published, or let go, is not waited for, whatever else came under its name.
    refused = tuple(sorted((known.quarantined | known.begun) - decided))
    # 'The first delivery' that was given up is no period: with it in the row there was no row.
    row = {part for part in decided if part not in known.given_up or period_end(part)} - {UNDATED}
    row |= {part for part in refused if period_of([part]) == period_of(row)}
    missing = find_holes(row) if period_of(row) else ()
    overdue: tuple[str, ...] = ()
    if source.due is not None and present is not None and not known.is_first:
        late = find_overdue(row, known.last_arrival_at, source.due, present)
        overdue = tuple(part for part in late if part not in known.given_up)
    never_came = not known.accepted
    holes = missing if source.gaps == "refuse" else ()
    is_behind = bool(holes or overdue or refused) or (source.optional and never_came)
    blocking: tuple[str, ...] = ()
    if source.gaps == "refuse" and (missing or overdue or refused):
        blocking = _without_waived(lake, name, (*missing, *overdue, *refused), now)
    return SourceStanding(
        source=name,
        table=source.table,
        when_refused=source.when_refused,
        optional=source.optional,
        missing=missing,
        overdue=overdue,
        refused=refused,
        unfinished=tuple(part for part in refused if part not in known.quarantined),
        blocking=blocking,
        is_behind=is_behind,
        never_came=never_came,
    )


def _without_waived(
    lake: Lake, source: str, parts: Sequence[str], now: datetime
) -> tuple[str, ...]:
    """The parts whose absence nobody has waived; a waiver without a batch covers them all."""
    waived = [w.batch_name for w in active_waivers(lake, source, now) if w.covers(GAP_RULE, "")]
    if None in waived:
        return ()
    return tuple(part for part in parts if f"{source}/{part}" not in waived)


def _measure_ages(
    lake: Lake, settings: Settings, behind: Sequence[SourceStanding], now: datetime
) -> dict[str, float]:
    """By source that is behind and has rows: days from its newest event to where it should be."""
    clock = settings.clock.as_of
    if clock == "data":
        found = [find_present(lake, settings, now)]
        for one in behind:
            found += map(period_end, (*one.missing, *one.overdue, *one.refused))
        reference = max((moment for moment in found if moment is not None), default=None)
    else:
        present = find_present(lake, settings, now)
        # Midnight, so that scoring the same night again finds itself done.
        reference = datetime.combine(present.date(), time(), UTC) if present else None
    if reference is None:
        return {}
    ages = {}
    for one in behind:
        newest = _newest_event_at(lake, one)
        if newest is not None:
            ages[one.source] = max(0.0, round((reference - newest).total_seconds() / 86_400, 2))
    return ages


def _newest_event_at(lake: Lake, one: SourceStanding) -> datetime | None:
    newest = lake.scalar(
        f"select max({quote(CONTRACTS[one.table].event_time)}) from lake.main.{quote(one.table)}"
        " where batch_number in (select batch_number from lake.ledger.batches"
        " where source = $source and state = 'accepted')",
        {"source": one.source},
    )
    return newest.astimezone(UTC) if newest is not None else None


def _sum_up(found: Sequence[SourceStanding]) -> Standing:
    feeding: dict[str, list[SourceStanding]] = {}
    for one in found:
        feeding.setdefault(one.table, []).append(one)
    # A table that a required source feeds too is read as it is: half of it is not nothing.
    left_out = frozenset(
        table
        for table, sources in feeding.items()
        if all(one.optional for one in sources) and any(one.is_behind for one in sources)
    )
    behind = [one for one in found if one.is_behind]
    stale = [one for one in behind if one.table not in left_out]
    ages = [one.age_days for one in stale if not one.optional and one.age_days is not None]
    staleness = Staleness(
        days=max(ages, default=0.0),
        sources=tuple(one.source for one in stale),
        left_out=tuple(one.source for one in behind if one.table in left_out),
    )
    return Standing(tuple(found), staleness, left_out)


def _raise_gap(lake: Lake, one: SourceStanding, found: Incident | None, actor: str) -> Incident:
    cause = Cause(_key(one.source), "GAP", "gap", one.source, "", describe_gap(one))
    report = {"missing": list(one.missing), "overdue": list(one.overdue)}
    # An item that waits for a second person goes on waiting unless something else goes missing.
    if found is not None and found.cause == cause and report.items() <= found.report.items():
        return found
    return raise_incident(lake, cause, table=one.table, actor=actor, report=report)


def _key(source: str) -> str:
    return f"{source}|gap"


def describe_gap(one: SourceStanding) -> str:
    """`2 parts did not come: 2011-01, 2011-03; 1 is overdue: 2011-06`, in one line."""
    said = []
    if one.missing:
        noun = "part" if len(one.missing) == 1 else "parts"
        said.append(f"{len(one.missing)} {noun} did not come: {_list_parts(one.missing)}")
    if one.overdue:
        verb = "is" if len(one.overdue) == 1 else "are"
        said.append(f"{len(one.overdue)} {verb} overdue: {_list_parts(one.overdue)}")
    return "; ".join(said)


def describe_behind(one: SourceStanding) -> str:
    """What of a source is missing, overdue or aside, in one line; empty for one that is not."""
    said = [describe_gap(one)] if one.missing or one.overdue else []
    for words, parts in _arrived(one).items():
        if parts:
            said.append(f"{len(parts)} {words}: {_list_parts(parts)}")
    if one.never_came and one.optional and not said:
        said.append("nothing has come yet")
    return "; ".join(said)


def _describe_blocking(one: SourceStanding) -> str:
    """The parts that hold a training, by what became of them."""
    kinds: Mapping[str, Iterable[str]] = {
        "did not come": one.missing,
        "overdue": one.overdue,
        **_arrived(one),
    }
    said = []
    for words, parts in kinds.items():
        held = [part for part in parts if part in one.blocking]
        if held:
            said.append(f"{_list_parts(held)} {words}")
    return "; ".join(said)


def _arrived(one: SourceStanding) -> dict[str, list[str]]:
    """The parts that came and are not published, by what keeps them from it."""
    return {
        "in quarantine": [part for part in one.refused if part not in one.unfinished],
        "begun and not finished": list(one.unfinished),
    }


def _list_parts(parts: Sequence[str]) -> str:
    more = len(parts) - _SHOWN_PARTS
    listed = ", ".join(parts[:_SHOWN_PARTS])
    return f"{listed} and {more} more" if more > 0 else listed
