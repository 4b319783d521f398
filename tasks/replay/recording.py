"""The steps that are done, in the stand-in's ledger: what each has brought, as it will be told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tasks.crash import crash_point
from tasks.incidents.queue import list_incidents
from tasks.incidents.runs import FAULT_CODES
from tasks.moments import read_clock
from tasks.postgres import advisory_lock
from tasks.replay.weeks import Week
from tasks.tracking.tracker import model_name
from tasks.warehouse import Lake

_OWN_CODES = frozenset({*FAULT_CODES, "ORCH"})


class Told(BaseModel):
    """What a step's line says. Everything is read from the ledger, nothing from memory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: datetime
    ended: str = Field("", description="Why the night ended early; empty: it did not.")
    batches: int = 0
    rows: int = 0
    aside_rows: int = 0
    opened: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    learnt: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    champion: int | None = None
    champion_kind: str = ""
    customers: int = 0
    contacts: Mapping[str, int] = Field(default_factory=dict)
    lapsing: int = Field(0, description="Of the served list, who would have lapsed (simulated).")
    stayed: int = Field(0, description="Of those, who stayed (simulated).")
    alerts: tuple[str, ...] = ()
    rollout: str = Field("", description="How the rollout stands that the step has moved, if any.")
    planted: tuple[str, ...] = ()


def read_told(lake: Lake) -> dict[str, Told]:
    """The steps that are done, by name."""
    rows = lake.rows("select content from lake.ledger.replay_weeks order by as_of")
    told = [Told.model_validate_json(str(row["content"])) for row in rows]
    return {f"{one.as_of.astimezone(UTC):%Y-%m-%d}": one for one in told}


def record_week(lake: Lake, told: Told) -> None:
    """Append a step that is done; once."""
    with lake.writer_lock(f"replay {told.as_of:%Y-%m-%d}"):
        if f"{told.as_of:%Y-%m-%d}" in read_told(lake):
            return
        crash_point("replay.before_week")
        with lake.publish("replay", f"replayed {told.as_of:%Y-%m-%d}", {}):
            lake.execute(
                "insert into lake.ledger.replay_weeks values ($as_of, $now, $content)",
                {"as_of": told.as_of, "now": read_clock(), "content": told.model_dump_json()},
            )
    crash_point("replay.after_week")


@contextmanager
def alone(lake: Lake) -> Iterator[None]:
    """Be the only process at this replay. Raises LockHeld (75) at once where another is."""
    with advisory_lock(lake.database, f"replay {lake.deployment}", 0.0):
        yield


def resume_moment(lake: Lake, week: Week) -> datetime:
    """When the clock of a step starts: its moment, or just after what a killed run wrote of it."""
    newest = lake.scalar(
        "select max(written_at) from"
        " (select max(recorded_at) as written_at from lake.ledger.batches"
        " union all select max(decided_at) from lake.ledger.decisions"
        " union all select max(recorded_at) from lake.ledger.incidents"
        " union all select max(exported_at) from lake.ledger.exports"
        " union all select max(decided_at) from lake.ledger.rollouts)"
    )
    if newest is None:
        return week.moment
    written: datetime = newest.astimezone(UTC)
    return max(week.moment, written + timedelta(milliseconds=1))


def gate_decisions(lake: Lake, since: datetime, until: datetime) -> list[dict[str, Any]]:
    """What the gate has decided in [since, until), oldest first, evidence as plain values."""
    rows = lake.rows(
        "select * from lake.ledger.decisions where kind = 'gate' and subject = $subject"
        " and decided_at >= $since and decided_at < $until order by decided_at",
        {"subject": model_name(lake.deployment), "since": since, "until": until},
    )
    return [{**row, "evidence": json.loads(row["evidence"])} for row in rows]


def read_alerts(lake: Lake, since: datetime, until: datetime) -> list[dict[str, Any]]:
    """What monitoring has raised in [since, until), oldest first."""
    return lake.rows(
        "select alert_id, any_value(kind) as kind, any_value(subject) as subject,"
        " min(raised_at) as raised_at, arg_max(state, recorded_at) as state"
        " from lake.ledger.alerts group by alert_id"
        " having min(raised_at) >= $since and min(raised_at) < $until order by raised_at, alert_id",
        {"since": since, "until": until},
    )


def tell_rollout(lake: Lake, since: datetime, until: datetime) -> str:
    """The newest row of a rollout written in [since, until), and what led there; mostly empty.

    `churn-v3 plan, start: running, stage 1 of 4 (20 %)`: what happened, then where it stands.
    """
    rows = lake.rows(
        "select rollout_id, row_kind, state, stage, plan->'$.stages' as stages"
        " from lake.ledger.rollouts where decided_at >= $since and decided_at < $until"
        " order by decided_at desc, row_number desc",
        {"since": since, "until": until},
    )
    if not rows:
        return ""
    newest = rows[0]
    same = [row for row in rows if row["rollout_id"] == newest["rollout_id"]]
    kinds = list(dict.fromkeys(str(row["row_kind"]) for row in reversed(same)))
    stages = json.loads(newest["stages"])
    stage = int(newest["stage"])
    return (
        f"{newest['rollout_id']} {', '.join(kinds)}: {newest['state']},"
        f" stage {stage + 1} of {len(stages)} ({100 * stages[stage]:.4g} %)"
    )


def gather(lake: Lake, week: Week, every: timedelta) -> dict[str, Any]:
    """What the ledger says of a step: fields of `Told`."""
    span = {"since": week.moment, "until": week.moment + every}
    taken = lake.one(
        "select count(*) as batches, coalesce(sum(received_rows), 0) as rows,"
        " coalesce(sum(quarantined_rows), 0) as aside from (select *, row_number() over"
        " (partition by batch_number order by recorded_at desc) as place"
        " from lake.ledger.batches where recorded_at >= $since and recorded_at < $until)"
        " where place = 1 and state in ('accepted', 'quarantined', 'discarded')",
        span,
    )
    # What became of the replay's own runs is no part of history, and differs if one was killed.
    items = [
        one for one in list_incidents(lake, unresolved=False) if one.cause.code not in _OWN_CODES
    ]
    until = week.moment + every
    opened = [
        f"{one.cause.code}:{one.cause.source}"
        for one in items
        if week.moment <= one.opened_at.astimezone(UTC) < until
    ]
    settled = [
        f"{one.resolution} {one.cause.code}"
        for one in items
        if one.state == "resolved" and week.moment <= one.recorded_at.astimezone(UTC) < until
    ]
    alerts = read_alerts(lake, week.moment, week.moment + every)
    asked = gate_decisions(lake, week.moment, week.moment + every)
    return {
        "as_of": week.as_of,
        "batches": int(taken["batches"]),
        "rows": int(taken["rows"]),
        "aside_rows": int(taken["aside"]),
        "opened": tuple(sorted(opened)),
        "settled": tuple(sorted(settled)),
        "alerts": tuple(f"{one['kind']}:{one['subject']}" for one in alerts),
        "rollout": tell_rollout(lake, week.moment, week.moment + every),
        "learnt": tuple(f"v{one['model_version']}" for one in asked),
        "decisions": tuple(str(one["outcome"]) for one in asked),
        "reasons": tuple(str(one["reason"]) for one in asked),
    }
