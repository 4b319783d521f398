"""Was each planted fault noticed, when, and by what? Read from the ledger alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from tasks.handles import Incident
from tasks.incidents.queue import list_incidents
from tasks.replay.planting import Plant
from tasks.replay.recording import Told, gate_decisions
from tasks.replay.weeks import Week
from tasks.warehouse import Lake

if TYPE_CHECKING:
    from tasks.settings import Settings

# What an item says of a delivery that has changed as the customers have.
_DRIFTING = ("DRIFT", "VOLUME", "LABEL")
# Of the gate's criteria, those that ask for a leak.
_LEAK_CRITERIA = ("no feature leaks", "the information sheet is clean")


@dataclass(frozen=True, slots=True)
class Caught:
    """A planted fault; `caught_at` is None where nothing has noticed it by the last step.

    `by` names the rule, criterion or monitor, `how` says it in a line.
    """

    plant: Plant
    planted_at: datetime
    caught_at: datetime | None
    by: str
    how: str

    def steps_late(self, every: timedelta) -> int | None:
        """Steps between the fault and its discovery; None: it was not discovered."""
        if self.caught_at is None:
            return None
        return max(0, (self.caught_at - self.planted_at) // every)


def find_caught(
    lake: Lake,
    settings: Settings,
    plants: Sequence[Plant],
    weeks: Sequence[Week],
    told: Mapping[str, Told],
) -> list[Caught]:
    """What became of each plant, in their order; those after the last step are left out."""
    every = weeks[1].as_of - weeks[0].as_of if len(weeks) > 1 else timedelta(days=7)
    items = list_incidents(lake, unresolved=False)
    found = []
    for plant in plants:
        week = plant.week(weeks)
        if week is not None:
            found.append(_find(lake, settings, plant, week, every, items, told))
    return found


def _find(
    lake: Lake,
    settings: Settings,
    plant: Plant,
    week: Week,
    every: timedelta,
    items: Sequence[Incident],
    told: Mapping[str, Told],
) -> Caught:
    nothing = Caught(plant, week.moment, None, "", "nothing has noticed it")
    if plant.kind == "harmful_challenger":
        asked = gate_decisions(lake, week.moment, week.moment + every)
        if len(asked) < 2 or asked[-1]["outcome"] in ("promote", "admit"):
            return nothing
        failed = [
            str(one["name"]) for one in asked[-1]["evidence"]["criteria"] if not one["passed"]
        ]
        at = asked[-1]["decided_at"].astimezone(UTC)
        return Caught(plant, week.moment, at, f"gate: {', '.join(failed)}", asked[-1]["reason"])
    orders = [name for name, one in settings.intake.sources.items() if one.table == "orders"]
    if plant.kind == "late_file":
        gaps = [one for one in items if one.cause.level == "gap" and one.cause.source in orders]
        near = [one for one in gaps if one.opened_at.astimezone(UTC) < week.moment + every]
        return _first(plant, week, near) or nothing
    if plant.kind == "concept_drift":
        drifting = [
            one for one in items if one.cause.level == "stop" and one.cause.code in _DRIFTING
        ]
        # An alert that takes the change for a fault of the data has not understood it.
        alarms = [
            one
            for one in sorted(told.values(), key=lambda one: one.as_of)
            if one.as_of > week.as_of and _real_alerts(one)
        ]
        by_item = _first(plant, week, drifting)
        lag = week.moment - week.as_of
        if alarms and (
            by_item is None
            or by_item.caught_at is None
            or alarms[0].as_of + lag < by_item.caught_at
        ):
            first = alarms[0]
            return Caught(
                plant,
                week.moment,
                first.as_of + lag,
                "monitoring",
                "; ".join(_real_alerts(first)),
            )
        return by_item or nothing
    if plant.kind == "leaking_feature":
        return _find_leak(lake, plant, week, every, items) or nothing
    part = date.fromisoformat(f"{week.as_of - timedelta(days=1):%Y-%m-%d}")
    is_twin = plant.kind == "duplicate_file"
    named = [f"{name}/{part + timedelta(days=1) if is_twin else part}" for name in orders]
    numbers = {
        int(row["batch_number"]): str(row["state"])
        for row in lake.rows(
            "select batch_number, arg_max(state, recorded_at) as state from lake.ledger.batches"
            " where list_contains($named::varchar[], batch_name) group by batch_number",
            {"named": named},
        )
    }
    stopping = [
        one for one in items if one.cause.level == "stop" and set(one.batches) & set(numbers)
    ]
    caught = _first(plant, week, stopping, lake)
    if caught is None and is_twin and not numbers:
        return Caught(
            plant,
            week.moment,
            week.moment,
            "intake: content hash",
            "the same bytes are known under another name; nothing was taken in twice",
        )
    return caught or nothing


def _find_leak(
    lake: Lake, plant: Plant, week: Week, every: timedelta, items: Sequence[Incident]
) -> Caught | None:
    """By the audit before a training or by the gate after it; that events are old is no finding."""
    audit = _first(plant, week, [one for one in items if one.cause.code == "LEAK"])
    if audit is not None:
        return audit
    for asked in gate_decisions(lake, week.moment, week.moment + every):
        failed = [
            str(one["name"])
            for one in asked["evidence"]["criteria"]
            if not one["passed"] and one["name"] in _LEAK_CRITERIA
        ]
        if failed and asked["outcome"] not in ("promote", "admit"):
            at = asked["decided_at"].astimezone(UTC)
            return Caught(plant, week.moment, at, f"gate: {', '.join(failed)}", asked["reason"])
    return None


def _real_alerts(told: Told) -> list[str]:
    return [one for one in told.alerts if not one.startswith("data_fault:")]


def _first(
    plant: Plant, week: Week, items: Sequence[Incident], lake: Lake | None = None
) -> Caught | None:
    later = [one for one in items if one.opened_at.astimezone(UTC) >= week.moment]
    # An item that was open already has taken the new batch in: it counts from the step.
    item = min(later or items, key=lambda one: one.opened_at, default=None)
    if item is None or (not later and lake is None):
        return None
    at = max(item.opened_at.astimezone(UTC), week.moment)
    rule = item.cause.key.rpartition("|")[2]
    return Caught(
        plant,
        week.moment,
        at,
        f"{item.cause.code} ({rule})" if rule not in ("", item.cause.code) else item.cause.code,
        item.cause.headline,
    )
