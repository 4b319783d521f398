"""Let a challenger take over, step by step: plan, start, a step a night, and back at any time.

Each change is one transaction of the ledger: the row of the rollout, its decision and, where it is
promoted, the champion's. What follows from it (lists, items, MLflow) is done after, and again by
whoever comes next if this process dies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow

from flows import contenders
from flows.act import act
from flows.contenders import Pair
from flows.score import score
from flows.segment import segment
from tasks.clock import find_time
from tasks.errors import (
    ConfigurationError,
    DataRejected,
    Refused,
    StoredDataCorrupt,
    UsageError,
)
from tasks.incidents.faults import reporting_fault
from tasks.intake import steps as intake
from tasks.orchestration import run_flow
from tasks.rollout import steps as rollouts
from tasks.rollout.plan import Contender, Subject
from tasks.rollout.steps import Rollout, Wish
from tasks.settings import load_settings
from tasks.warehouse import Lake, open_lake


@dataclass(frozen=True, slots=True)
class Stepped:
    """A rollout after a step: as the ledger has it, and whether the step has changed anything."""

    rollout: Rollout | None
    is_new: bool


def plan_rollout(lake: Lake, pair: Pair, wish: Wish, actor: str) -> Rollout:
    """Register a plan, frozen, before anybody is moved; a policy is kept, so its file may go.

    The same wish again is refused (78). Raises UsageError (64) for a question that these customers
    cannot answer.
    """
    now = find_time(lake, lake.settings)
    plan = rollouts.make_plan(lake, pair.subject, pair.champion, pair.challenger, wish)
    rates = rollouts.read_rates(lake, now.as_of, now.known_by)
    row = rollouts.plan_row(
        lake,
        plan,
        rates,
        champion_decision_id=pair.champion_decision_id,
        offline=pair.offline,
        challenger_run_id=pair.challenger_run_id,
        feasible=rollouts.judge_feasible(lake, plan, rates),
        actor=actor,
        policies=pair.policies,
    )
    return rollouts.record_row(lake, row)


@flow(name="rollout start")
def start_rollout(deployment: str | Path, rollout_id: str | None, actor: str) -> Stepped:
    """Begin a planned rollout with its first stage; the next scoring serves it. Again: nothing.

    Raises LockHeld (75) where the champion is another by now, or another rollout is running.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        rollout = rollouts.read_rollout(lake, rollout_id)
        now = find_time(lake, settings)
        row = rollouts.start_row(rollout, now.as_of, now.known_by, actor)
        if row is not None:
            rollout = rollouts.record_row(
                lake, row, demand=partial(contenders.demand_champion, lake, rollout)
            )
        return Stepped(rollouts.carry_out(lake, rollout), row is not None)


@flow(name="rollout step")
def step_rollout(
    deployment: str | Path, rescore: bool = True, subject: Subject = "churn"
) -> Stepped:
    """Judge the running rollout by what has matured, and do what follows. The same night: nothing.

    Without a running rollout of the subject there is nothing to do. A promotion or a rollback is
    followed by a new list at once, unless the night is going to make it.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        live = rollouts.find_live(lake, subject)
        if live is None:
            return Stepped(_finish_last(lake, subject), False)
        now = find_time(lake, settings)
        row = rollouts.void_row(live, contenders.find_decision(lake, live))
        if row is None:
            behind = rollouts.name_behind(live, intake.judge_sources(lake, settings))
            row = rollouts.look_at_rollout(lake, live, now.as_of, now.known_by, behind)
        if row is None:
            return Stepped(rollouts.carry_out(lake, live), False)
        moved = contenders.write_row(lake, row)
        rollouts.carry_out(lake, moved)
        if moved.state == "promoted":
            contenders.mirror(lake, subject)
    if rescore and not moved.is_live:
        _serve_again(deployment, moved)
    return Stepped(moved, True)


@flow(name="rollout stop")
def stop_rollout(
    deployment: str | Path, rollout_id: str | None, reason: str, actor: str
) -> Stepped:
    """End a rollout by hand: everybody is back with the champion, at once. Again: nothing.

    A policy or a segmentation that was promoted is taken back so, and the one before it serves.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        rollout = rollouts.read_rollout(lake, rollout_id)
        served = rollout.is_live or rollout.state == "promoted"
        row = rollouts.stop_row(rollout, reason, actor)
        if row is not None:
            rollout = contenders.write_stop(lake, rollout, row)
        rollouts.carry_out(lake, rollout)
        if rollout.plan.subject == "segments":
            contenders.mirror(lake, "segments")
    if served or row is None:
        _serve_again(deployment, rollout)
    return Stepped(rollout, row is not None)


@flow(name="rollout of the night")
def begin_admitted(deployment: str | Path, subject: Subject = "churn") -> Stepped:
    """Plan and start a rollout of the newest candidate that had none, if the settings say so.

    A plan that these customers cannot answer becomes an item, and the candidate waits.
    """
    settings = load_settings(deployment)
    if settings.registry.promotion != "rollout" or not settings.rollout.starts_at_night:
        return Stepped(None, False)
    with open_lake(settings) as lake:
        known = rollouts.list_rollouts(lake, subject)
        if any(one.is_live for one in known):
            return Stepped(None, False)
        tried = {one.plan.challenger.content_hash: one for one in known}
        try:
            candidate = contenders.find_challenger(lake, subject)
        except UsageError:
            return Stepped(None, False)
        planned = tried.get(candidate.content_hash)
        if planned is not None and planned.state != "planned":
            return Stepped(None, False)
        if planned is None:
            try:
                source = "rollout" if subject == "churn" else f"rollout of {subject}"
                with reporting_fault(lake, "ROLLOUT_PLAN", subject=source):
                    planned = _plan_by_itself(lake, subject, candidate)
            except DataRejected:
                return Stepped(None, False)
    started: Stepped = run_flow(start_rollout, deployment, planned.rollout_id, "holdfast")
    return started


def _plan_by_itself(lake: Lake, subject: Subject, candidate: Contender) -> Rollout:
    try:
        return plan_rollout(lake, contenders.find_pair(lake, subject), Wish(), "holdfast")
    except (UsageError, Refused, StoredDataCorrupt, ConfigurationError) as error:
        # Nobody has typed it: what is wrong is that these data or settings do not answer it.
        raise DataRejected(
            f"Version {candidate.version} of {candidate.name} waits: {error.what}",
            found=error.found,
            next_step=f"holdfast -d {lake.settings.called} rollout plan --help",
        ) from None


def _finish_last(lake: Lake, subject: Subject) -> Rollout | None:
    """What a process that died after the newest rollout's last row left unsaid."""
    known = rollouts.list_rollouts(lake, subject)
    if not known or known[0].state == "planned":
        return known[0] if known else None
    return rollouts.carry_out(lake, known[0])


def _serve_again(deployment: str | Path, rollout: Rollout) -> None:
    """Serve by whoever does so now; the switch stands although the data do not allow it (65)."""
    try:
        for serve in _SERVING[rollout.plan.subject]:
            run_flow(serve, deployment)
    except DataRejected:
        return


# What is made anew where a champion has changed: groups decide about actions.
_SERVING: dict[Subject, tuple[Callable[..., Any], ...]] = {
    "churn": (score,),
    "segments": (segment, act),
    "actions": (act,),
}
