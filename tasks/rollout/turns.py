"""Whose turn it is on a night: who is with the challenger at this stage, and who counts from now.

Every subject has the same split by hash and the same two rows of the ledger; what a challenger does
for its customers is its family's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from tasks.crash import crash_point
from tasks.errors import LockHeld
from tasks.moments import read_clock
from tasks.offers import held_out_sql
from tasks.rollout.assignment import bucket_sql, is_challenger_sql, stage_sql
from tasks.rollout.plan import BUCKETS, Subject
from tasks.rollout.recording import SQL, Rollout, find_live, read_rollout

if TYPE_CHECKING:
    from tasks.warehouse import Lake

SALT = "$rollout_id::varchar"


def find_turn(
    lake: Lake, subject: Subject, champion_decision_id: str, as_of: datetime
) -> Rollout | None:
    """The rollout that has a share of a night: running by then, against the champion of now."""
    live = find_live(lake, subject)
    if live is None or live.terms.champion_decision_id != champion_decision_id:
        return None
    return live if as_of >= live.stages_since[0] else None


def stage_turn(lake: Lake, rollout: Rollout, customers: str) -> None:
    """Make the temporary table `turn` of the customers of a table or query."""
    plan = rollout.plan
    lake.run(
        SQL / "turn.sql",
        {
            "rollout_id": rollout.rollout_id,
            "hold_out_salt": rollout.terms.hold_out_salt,
            "hold_out_share": rollout.terms.hold_out_share,
            "served_below": round(rollout.share * BUCKETS),
            "present_stage": rollout.stage,
        },
        names={
            "bucket": bucket_sql(SALT, "customer_id"),
            "stage": stage_sql(SALT, "customer_id", plan.stages),
            "is_challenger": is_challenger_sql(SALT, "customer_id", plan.stages),
            "is_held_out": held_out_sql("customer_id"),
            "customers": customers,
        },
    )


def record_turn(
    lake: Lake,
    rollout: Rollout,
    as_of: datetime,
    *,
    answered: str,
    enrolled_by: str,
    served_by: str,
    failures: Sequence[str] = (),
    seconds: float = 0.0,
) -> None:
    """Enrol who counts from tonight, and say how the arm was served; in the transaction around it.

    `answered` is a table of those for whom the challenger had an answer. `enrolled_by` is the run
    in which a customer is found again, `served_by` the one in which the arm was served.
    """
    values = {
        "rollout_id": rollout.rollout_id,
        "as_of": as_of,
        "present_stage": rollout.stage,
        "failure": "; ".join(failures) or None,
        "seconds": seconds,
        "recorded_at": read_clock(),
    }
    names = {"answered": answered}
    crash_point("rollout.before_enrolment")
    if rollout.plan.exposure == "scored":
        lake.run(SQL / "enrol.sql", {**values, "scoring_id": enrolled_by}, names=names)
    lake.run(SQL / "append_servings.sql", {**values, "scoring_id": served_by}, names=names)


def demand_unmoved(lake: Lake, rollout: Rollout, command: str) -> None:
    """Raise LockHeld (75) if the rollout has ended or widened since its customers were divided."""
    newest = read_rollout(lake, rollout.rollout_id)
    if not newest.is_live or newest.stage != rollout.stage:
        raise LockHeld(
            f"Somebody has moved the rollout '{rollout.rollout_id}' meanwhile.",
            next_step=f"holdfast -d {lake.settings.called} {command}",
        )


@dataclass(slots=True)
class GroupArm:
    """The share of a night's customers that a challenging segmentation groups."""

    rollout: Rollout
    as_of: datetime
    rollout_id: str = field(init=False)
    parts: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.rollout_id = self.rollout.rollout_id
        self.parts = (
            self.rollout_id,
            str(self.rollout.stage),
            self.rollout.plan.challenger.content_hash,
        )

    def divide(self, lake: Lake, customers: str) -> None:
        """Make `turn` of the customers who are to be grouped."""
        stage_turn(lake, self.rollout, customers)

    def record(
        self, lake: Lake, run_id: str, answered: str, failures: Sequence[str], seconds: float
    ) -> None:
        """Enrol who counts from tonight, and say how the arm was served."""
        demand_unmoved(lake, self.rollout, "segments")
        record_turn(
            lake,
            self.rollout,
            self.as_of,
            answered=answered,
            enrolled_by=run_id,
            served_by=run_id,
            failures=failures,
            seconds=seconds,
        )
