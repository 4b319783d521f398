"""The rollouts in the ledger: read, and appended to by compare-and-set on the row before.

A rollout's state is its row with the highest number. Whoever appends says which row was the newest
when they looked; of two who looked at the same one, the first wins and the other is refused (75).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tasks.crash import crash_point
from tasks.decisions import append_decision
from tasks.errors import ConfigurationError, LockHeld, UsageError
from tasks.handles import Decision
from tasks.moments import read_clock
from tasks.rollout.plan import Plan, Subject
from tasks.rollout.verdict import Look, Verdict
from tasks.sections import Section

if TYPE_CHECKING:
    from tasks.warehouse import Lake

SQL = Path(__file__).with_name("sql")
State = Literal["planned", "running", "held", "promoted", "rolled_back", "inconclusive"]
RowKind = Literal[
    "plan", "start", "continue", "advance", "hold", "promote", "roll_back", "inconclusive", "stop"
]
LIVE: tuple[State, ...] = ("running", "held")


class FrozenPolicies(Section):
    """For subject `actions`: the policy that challenges, and the settings file's of that day."""

    challenger: dict[str, Any]
    settings: dict[str, Any]


class Terms(Section):
    """What else a plan freezes: settings of other sections that its figures depend on."""

    champion_decision_id: str = Field(description="The promotion of the champion compared with.")
    hold_out_salt: str = Field(description="Who is held out of all rollouts.")
    hold_out_share: float = Field(ge=0, lt=1)
    early_days: int = Field(ge=1)
    margin_share: float = Field(gt=0)
    currency: str = ""
    # What the gate found on past customers, to be compared with what the rollout finds.
    offline_difference_amount: float | None = None
    offline_low_amount: float | None = None
    offline_high_amount: float | None = None
    planned_days: int | None = None
    base_rate: float | None = None
    # The challenger's run in MLflow, where the scientist looks.
    challenger_run_id: str | None = None
    policies: FrozenPolicies | None = None

    def to_json(self) -> str:
        """Canonical. Where there are no policies it is what it was before there could be any."""
        absent = {"policies"} if self.policies is None else None
        return json.dumps(self.model_dump(mode="json", exclude=absent), sort_keys=True)


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout at one of its rows. `stages_since` are the nights with which each stage began."""

    plan: Plan
    terms: Terms
    state: State
    row_kind: RowKind
    row_number: int
    stage: int = 0
    stages_since: tuple[datetime, ...] = ()
    as_of: datetime | None = None
    known_by: datetime | None = None
    decided_at: datetime = field(default_factory=read_clock)
    reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    actor: str = "holdfast"

    @property
    def rollout_id(self) -> str:
        return self.plan.rollout_id

    @property
    def decision_id(self) -> str:
        """The decision of this row; the same row is the same decision."""
        return f"rollout-{self.rollout_id}-{self.row_number}"

    @property
    def is_live(self) -> bool:
        """Whether the challenger serves its share."""
        return self.state in LIVE

    @property
    def share(self) -> float:
        """The challenger's share of the customers just now."""
        return self.plan.stages[self.stage] if self.is_live else 0.0

    @property
    def terms_hash(self) -> str:
        """sha256 over plan and terms: what was registered before it began."""
        text = self.plan.to_json() + self.terms.to_json()
        return hashlib.sha256(text.encode()).hexdigest()

    def next(self, row_kind: RowKind, state: State, reason: str, **changes: Any) -> Rollout:
        """The row after this one."""
        values = {"evidence": {}, "actor": "holdfast", **changes}
        return replace(
            self,
            row_kind=row_kind,
            state=state,
            reason=reason,
            row_number=self.row_number + 1,
            decided_at=max(read_clock(), self.decided_at),
            **values,
        )


def list_rollouts(lake: Lake, subject: Subject | None = None) -> list[Rollout]:
    """Every rollout at its latest state, the newest first."""
    rows = lake.rows(lake.text(SQL / "rollouts.sql"))
    found = [_as_rollout(row) for row in rows]
    return [one for one in found if subject in (None, one.plan.subject)]


def read_history(lake: Lake, rollout_id: str) -> list[Rollout]:
    """All rows of a rollout, the oldest first."""
    rows = lake.rows(
        "select * from lake.ledger.rollouts where rollout_id = $rollout_id order by row_number",
        {"rollout_id": rollout_id},
    )
    return [_as_rollout(row) for row in rows]


def find_live(lake: Lake, subject: Subject) -> Rollout | None:
    """The rollout that takes over customers just now; there is one a subject at most."""
    return next((one for one in list_rollouts(lake, subject) if one.is_live), None)


def read_rollout(lake: Lake, rollout_id: str | None = None) -> Rollout:
    """The rollout of that name, or the one of which there can be no doubt: live, or the newest.

    Raises UsageError (64) naming those that there are.
    """
    known = list_rollouts(lake)
    if rollout_id is None and known:
        live = [one for one in known if one.is_live]
        if len(live) > 1:
            raise UsageError(
                "Which rollout? More than one is running.",
                available=[one.rollout_id for one in live],
                next_step="name it",
            )
        return live[0] if live else known[0]
    found = next((one for one in known if one.rollout_id == rollout_id), None)
    if found is None:
        raise UsageError(
            "There is no rollout yet." if not known else f"There is no rollout '{rollout_id}'.",
            available=[one.rollout_id for one in known],
            next_step="" if known else f"holdfast -d {lake.settings.called} rollout plan",
        )
    return found


def looks_of(lake: Lake, rollout_id: str) -> tuple[Look, ...]:
    """The looks at the metric so far, in order."""
    found = []
    for row in read_history(lake, rollout_id):
        verdict = verdict_of(row)
        if verdict is not None and verdict.look is not None:
            found.append(verdict.look)
    return tuple(found)


def verdict_of(rollout: Rollout) -> Verdict | None:
    """What the judge said at this row; None where nothing was judged."""
    said = rollout.evidence.get("verdict")
    return None if said is None else Verdict.from_json(json.dumps(said))


def append_row(lake: Lake, row: Rollout) -> None:
    """Append a row and its decision, inside a transaction and under the writer lock.

    Raises LockHeld (75) if another row has come since the one before this, ConfigurationError (78)
    for the plan of a rollout whose id, the salt of its assignment, was ever used.
    """
    newest = lake.scalar(
        "select coalesce(max(row_number), 0) from lake.ledger.rollouts"
        " where rollout_id = $rollout_id",
        {"rollout_id": row.rollout_id},
    )
    if row.row_kind == "plan" and newest > 0:
        raise ConfigurationError(
            f"The rollout id '{row.rollout_id}' was used before; its customers would be the same.",
            next_step="choose another with --name",
        )
    if newest != row.row_number - 1:
        raise LockHeld(
            f"Somebody else has moved the rollout '{row.rollout_id}' meanwhile.",
            next_step="look at it (holdfast rollout status), then try again",
        )
    values = {
        "rollout_id": row.rollout_id,
        "row_number": row.row_number,
        "row_kind": row.row_kind,
        "subject": row.plan.subject,
        "state": row.state,
        "stage": row.stage,
        "stages_since": list(row.stages_since),
        "as_of": row.as_of,
        "known_by": row.known_by,
        "decided_at": row.decided_at,
        "reason": row.reason,
        "plan": row.plan.to_json(),
        "terms": row.terms.to_json(),
        "plan_hash": row.terms_hash,
        "evidence": json.dumps(dict(row.evidence), default=str, sort_keys=True),
        "decision_id": row.decision_id,
        "actor": row.actor,
    }
    lake.run(SQL / "append_rollout.sql", values)
    challenger = row.plan.challenger
    decision = Decision(
        decision_id=row.decision_id,
        decided_at=row.decided_at,
        kind="rollout",
        subject=row.rollout_id,
        outcome=row.row_kind,
        reason=row.reason,
        evidence=row.evidence,
        model_name=challenger.name,
        # A policy's is no number, nor that of segments outside the registry: it is of its hash.
        model_version=int(challenger.version) if challenger.version.isdecimal() else None,
        model_hash=challenger.content_hash,
    )
    append_decision(lake, decision, actor=row.actor)


def record_row(
    lake: Lake,
    row: Rollout,
    *,
    demand: Callable[[], None] | None = None,
) -> Rollout:
    """Append a row in a transaction of its own; the row as the ledger has it.

    `demand` raises, under the writer lock, where what else the row rests on has changed meanwhile.
    """
    with lake.writer_lock(f"rollout {row.row_kind}"):
        crash_point(f"rollout.before_{row.row_kind}")
        if row.row_kind == "start":
            _demand_alone(lake, row)
        if demand is not None:
            demand()
        note = {"rollout": row.rollout_id, "row": row.row_number}
        with lake.publish(row.actor, f"rollout: {row.row_kind}", note):
            append_row(lake, row)
    crash_point(f"rollout.after_{row.row_kind}")
    return read_rollout(lake, row.rollout_id)


def _demand_alone(lake: Lake, row: Rollout) -> None:
    other = find_live(lake, row.plan.subject)
    if other is not None and other.rollout_id != row.rollout_id:
        raise LockHeld(
            f"The rollout '{other.rollout_id}' of {row.plan.subject} is running; one at a time.",
            next_step=f"wait, or: holdfast rollout stop {other.rollout_id} --reason TEXT",
        )


def _as_rollout(row: Mapping[str, Any]) -> Rollout:
    as_of, known_by = row["as_of"], row["known_by"]
    return Rollout(
        plan=Plan.from_json(row["plan"]),
        terms=Terms.model_validate_json(row["terms"]),
        state=row["state"],
        row_kind=row["row_kind"],
        row_number=int(row["row_number"]),
        stage=int(row["stage"]),
        stages_since=tuple(one.astimezone(UTC) for one in row["stages_since"]),
        as_of=None if as_of is None else as_of.astimezone(UTC),
        known_by=None if known_by is None else known_by.astimezone(UTC),
        decided_at=row["decided_at"].astimezone(UTC),
        reason=str(row["reason"]),
        evidence=json.loads(row["evidence"]),
        actor=str(row["actor"]),
    )
