"""One step of a rollout: look at what has matured, judge, and say which row comes next.

What is decided is written by whoever called, in one transaction with what it entails. The same
night is looked at once; only a look that held for want of data is made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tasks.errors import LockHeld, UsageError
from tasks.rollout.judging import judge
from tasks.rollout.outcomes import Gathered, enrol_contacted, gather
from tasks.rollout.recording import SQL, Rollout, RowKind, State, looks_of
from tasks.rollout.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from tasks.handles import Snapshot
    from tasks.warehouse import Lake

_STATES: dict[Outcome, State] = {
    "continue": "running",
    "hold": "held",
    "promote": "promoted",
    "roll_back": "rolled_back",
    "inconclusive": "inconclusive",
}


def look(
    lake: Lake,
    rollout: Rollout,
    as_of: datetime,
    known_by: datetime,
    behind: Sequence[str] = (),
) -> Rollout | None:
    """The row that follows from tonight's evidence, not yet written; None where there is none.

    None for a rollout that is not running, and for a night that was looked at already (or lies
    before one that was: a clock that steps back undoes nothing). `behind`: see `gather`.
    """
    if not rollout.is_live or (rollout.as_of is not None and as_of < rollout.as_of):
        return None
    if as_of == rollout.as_of and rollout.row_kind != "hold":
        return None
    snapshot = lake.snapshot()
    if rollout.plan.exposure == "contacted":
        with (
            lake.writer_lock("enrol contacted customers"),
            lake.publish("holdfast", "rollout: enrol", {"rollout": rollout.rollout_id}),
        ):
            enrol_contacted(lake, rollout, snapshot, as_of, known_by)
    gathered = gather(lake, rollout, snapshot, as_of, known_by, behind)
    verdict = judge(rollout.plan, gathered.evidence, looks_of(lake, rollout.rollout_id))
    row_kind: RowKind = verdict.outcome
    stage, since = rollout.stage, rollout.stages_since
    if verdict.outcome == "continue" and verdict.may_widen and stage + 1 < len(rollout.plan.stages):
        row_kind, stage, since = "advance", stage + 1, (*since, as_of)
    row = rollout.next(
        row_kind,
        _STATES[verdict.outcome],
        " ".join(verdict.reasons),
        stage=stage,
        stages_since=since,
        as_of=as_of,
        known_by=known_by,
        evidence=_describe(rollout, gathered, verdict, snapshot),
    )
    if as_of == rollout.as_of and row.row_kind == rollout.row_kind and _same(row, rollout):
        return None
    return row


def start_row(rollout: Rollout, as_of: datetime, known_by: datetime, actor: str) -> Rollout | None:
    """The row with which a planned rollout begins; None if it has begun already.

    Raises UsageError (64) for one that has ended.
    """
    if rollout.is_live:
        return None
    if rollout.state != "planned":
        raise UsageError(
            f"The rollout '{rollout.rollout_id}' has ended: {rollout.state}.",
            next_step="plan another",
        )
    return rollout.next(
        "start",
        "running",
        f"the challenger takes over {100 * rollout.plan.stages[0]:.4g} % of the customers",
        stage=0,
        stages_since=(as_of,),
        as_of=as_of,
        known_by=known_by,
        actor=actor,
    )


def stop_row(rollout: Rollout, reason: str, actor: str) -> Rollout | None:
    """The row with which a person ends a rollout; None if one has done so already.

    A promoted policy or segmentation is taken back by it too: it has no other way back. Raises
    UsageError (64) for one that ended by itself.
    """
    if rollout.row_kind == "stop":
        return None
    takes_back = rollout.state == "promoted" and rollout.plan.subject != "churn"
    if not rollout.is_live and rollout.state != "planned" and not takes_back:
        raise UsageError(
            f"The rollout '{rollout.rollout_id}' has ended by itself: {rollout.state}.",
            next_step=(
                "a champion that was promoted goes by: holdfast rollback"
                if rollout.state == "promoted"
                else ""
            ),
        )
    return rollout.next("stop", "rolled_back", reason, actor=actor)


def breaker_row(lake: Lake, rollout: Rollout) -> Rollout | None:
    """The row with which a challenger that fails at serving is taken back at once; mostly None."""
    if not rollout.is_live:
        return None
    settings = lake.settings.rollout
    nights = lake.rows(lake.text(SQL / "served_nights.sql"), {"rollout_id": rollout.rollout_id})
    if not nights:
        return None
    last, recent = nights[0], nights[: settings.breaker_nights]
    lost, assigned = int(last["fell_back"]), int(last["assigned"])
    reason = ""
    if lost >= settings.breaker_customers and lost > settings.breaker_share * assigned:
        reason = (
            f"The challenger left {lost:,} of its {assigned:,} customers to the champion in one"
            f" night, more than {settings.breaker_share:.0%}: {last['failure']}."
        )
    elif len(recent) == settings.breaker_nights and all(one["failure"] for one in recent):
        reason = (
            f"The challenger failed on {len(recent)} nights in a row, the last time:"
            f" {last['failure']}."
        )
    if not reason:
        return None
    return rollout.next(
        "roll_back",
        "rolled_back",
        reason,
        evidence={"breaker": {"assigned": assigned, "fell_back": lost, "failure": last["failure"]}},
    )


def demand_decision(row: Rollout | None) -> None:
    """Raise LockHeld (75) for a look that could not be decided for want of data."""
    if row is not None and row.row_kind == "hold":
        raise LockHeld(
            f"The rollout '{row.rollout_id}' is held; nothing was decided.",
            found=row.reason,
            next_step="bring in what is missing, then step again; both arms go on as they are",
        )


def _describe(
    rollout: Rollout, gathered: Gathered, verdict: Verdict, snapshot: Snapshot
) -> dict[str, Any]:
    """What the ledger keeps of a look; where it ends the rollout, all of the evidence."""
    evidence = gathered.evidence
    text = evidence.to_json()
    said: dict[str, Any] = {
        "verdict": json.loads(verdict.to_json()),
        "arms": _sum_up(gathered),
        "crossed": gathered.crossed,
        "enrolled": gathered.enrolled,
        "missing": list(evidence.missing),
        "snapshot_id": snapshot.snapshot_id,
        "evidence_hash": hashlib.sha256(text.encode()).hexdigest(),
    }
    if verdict.outcome in ("promote", "roll_back", "inconclusive"):
        said["evidence"] = json.loads(text)
        said["agreement"] = compare_worlds(rollout, verdict)
    return said


def compare_worlds(rollout: Rollout, verdict: Verdict) -> dict[str, Any]:
    """The difference that the gate found on past customers beside the one that the rollout found.

    They are in different units (profit of one list; the plan's metric a customer), so what is
    compared is their sign; None where either is not known. `agree` is of the effects as found:
    whether an interval holds 0, so that its sign is no evidence, is read later from what is kept
    here (`report.read_signs`).
    """
    terms, estimate = rollout.terms, verdict.estimate
    offline = terms.offline_difference_amount
    return {
        "offline": {
            "difference_amount": offline,
            "low_amount": terms.offline_low_amount,
            "high_amount": terms.offline_high_amount,
            "currency": terms.currency,
        },
        "online": None if estimate is None else asdict(estimate),
        "metric": rollout.plan.metric,
        "agree": None
        if offline is None or estimate is None
        else (offline > 0) == (estimate.effect > 0),
    }


def _sum_up(gathered: Gathered) -> dict[str, dict[str, float]]:
    """Both arms over all days."""
    keys = ("assigned", "exposed", "logged", "due", "matured", "events", "amount_sum")
    sums: dict[str, dict[str, float]] = {
        arm: dict.fromkeys(keys, 0) for arm in ("champion", "challenger")
    }
    for day in gathered.evidence.days:
        for key in keys:
            sums[day.arm][key] += getattr(day, key)
    return sums


def _same(row: Rollout, before: Rollout) -> bool:
    def figures(one: Rollout) -> Mapping[str, Any]:
        return {key: one.evidence.get(key) for key in ("evidence_hash", "missing")}

    return figures(row) == figures(before)
