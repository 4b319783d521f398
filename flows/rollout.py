"""Let a challenger take over, step by step: plan, start, a step a night, and back at any time.

Each change is one transaction of the ledger: the row of the rollout, its decision and, where it is
promoted, the champion's. What follows from it (lists, items, MLflow) is done after, and again by
whoever comes next if this process dies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from prefect import flow

from flows.act import act
from flows.score import score
from tasks.clock import find_time
from tasks.errors import DataRejected, LockHeld, UsageError
from tasks.handles import Champion
from tasks.incidents.faults import reporting_fault
from tasks.intake import steps as intake
from tasks.orchestration import run_flow
from tasks.registry import steps as registry
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


def plan_rollout(
    lake: Lake, subject: Subject, version: int | None, wish: Wish, actor: str
) -> Rollout:
    """Register a plan, frozen, before anybody is moved. The same wish again is refused (78).

    Raises UsageError (64) for a challenger that is no candidate and for a question that these
    customers cannot answer, DataRejected (65) where nobody serves yet.
    """
    rollouts.demand_supported(lake.settings, subject)
    champion = registry.find_champion(lake)
    if champion is None:
        raise DataRejected(
            f"'{lake.deployment}' has no champion yet, so there is nothing to compare with.",
            next_step="train: the first champion needs no rollout",
        )
    challenger = registry.find_candidate(lake, version)
    now = find_time(lake, lake.settings)
    plan = rollouts.make_plan(
        lake, subject, _as_contender(champion), _as_contender(challenger), wish
    )
    rates = rollouts.read_rates(lake, now.as_of, now.known_by)
    row = rollouts.plan_row(
        lake,
        plan,
        rates,
        champion_decision_id=champion.decision_id,
        offline=registry.offline_difference(lake, challenger),
        challenger_run_id=challenger.run_id,
        feasible=rollouts.judge_feasible(lake, plan, rates),
        actor=actor,
    )
    return rollouts.record_row(lake, row)


def plan_policy(lake: Lake, path: Path, wish: Wish, actor: str) -> Rollout:
    """Register a plan for the policy of a settings file; the policy is kept, the file may go.

    Raises UsageError (64) for a policy that could not be compared and for a question that these
    customers cannot answer, ConfigurationError (78) for a wrong file and a name used before.
    """
    settings = lake.settings
    rollouts.demand_supported(settings, "actions")
    champion = rollouts.find_policy(lake)
    policy = rollouts.freeze(rollouts.read_policy(lake, path, champion.policy))
    now = find_time(lake, settings)
    plan = rollouts.make_plan(
        lake,
        "actions",
        rollouts.say_champion(champion, lake.deployment),
        rollouts.as_contender(lake.deployment, policy),
        wish,
    )
    rates = rollouts.read_rates(lake, now.as_of, now.known_by)
    row = rollouts.plan_row(
        lake,
        plan,
        rates,
        champion_decision_id=champion.decision_id,
        offline=None,
        challenger_run_id=None,
        feasible=rollouts.judge_feasible(lake, plan, rates),
        actor=actor,
        policies=rollouts.FrozenPolicies(
            challenger=policy, settings=rollouts.freeze(settings.actions)
        ),
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
                lake, row, demand=partial(_demand_champion, lake, rollout)
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
        row = rollouts.void_row(live, _find_decision(lake, live))
        if row is None:
            behind = rollouts.name_behind(live, intake.judge_sources(lake, settings))
            row = rollouts.look_at_rollout(lake, live, now.as_of, now.known_by, behind)
        if row is None:
            return Stepped(rollouts.carry_out(lake, live), False)
        moved = _write(lake, row)
        rollouts.carry_out(lake, moved)
        if moved.state == "promoted" and subject == "churn":
            registry.mirror_registry(lake)
    if rescore and not moved.is_live:
        _serve_again(deployment, moved)
    return Stepped(moved, True)


@flow(name="rollout stop")
def stop_rollout(
    deployment: str | Path, rollout_id: str | None, reason: str, actor: str
) -> Stepped:
    """End a rollout by hand: everybody is back with the champion, at once. Again: nothing.

    A policy that was promoted is taken back so, and the one before it makes the lists.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        rollout = rollouts.read_rollout(lake, rollout_id)
        served = rollout.is_live or rollout.state == "promoted"
        row = rollouts.stop_row(rollout, reason, actor)
        if row is not None:
            rollout = rollouts.record_row(lake, row)
        rollouts.carry_out(lake, rollout)
    if served or row is None:
        _serve_again(deployment, rollout)
    return Stepped(rollout, row is not None)


@flow(name="rollout of the night")
def begin_admitted(deployment: str | Path) -> Stepped:
    """Plan and start a rollout of the newest candidate that had none, if the settings say so.

    A plan that these customers cannot answer becomes an item, and the candidate waits.
    """
    settings = load_settings(deployment)
    if settings.registry.promotion != "rollout" or not settings.rollout.starts_at_night:
        return Stepped(None, False)
    with open_lake(settings) as lake:
        known = rollouts.list_rollouts(lake, "churn")
        if any(one.is_live for one in known):
            return Stepped(None, False)
        tried = {one.plan.challenger.content_hash: one for one in known}
        try:
            candidate = registry.find_candidate(lake)
        except UsageError:
            return Stepped(None, False)
        planned = tried.get(candidate.model_hash)
        if planned is not None and planned.state != "planned":
            return Stepped(None, False)
        if planned is None:
            try:
                with reporting_fault(lake, "ROLLOUT_PLAN", subject="rollout"):
                    planned = _plan_by_itself(lake, candidate.version)
            except DataRejected:
                return Stepped(None, False)
    started: Stepped = run_flow(start_rollout, deployment, planned.rollout_id, "holdfast")
    return started


def _plan_by_itself(lake: Lake, version: int) -> Rollout:
    try:
        return plan_rollout(lake, "churn", version, Wish(), "holdfast")
    except UsageError as error:
        # Nobody has typed it: what is wrong is that these data do not answer it.
        raise DataRejected(
            f"Version {version} waits: {error.what}",
            found=error.found,
            next_step=f"holdfast -d {lake.settings.called} rollout plan --help",
        ) from None


def _write(lake: Lake, row: Rollout) -> Rollout:
    """The row into the ledger; with a promotion, the champion's pointer in the same transaction."""
    if row.row_kind != "promote":
        return rollouts.record_row(lake, row)
    if row.plan.subject == "actions":
        # The row is the pointer: who makes the lists is read from it.
        return rollouts.record_row(lake, row, demand=partial(_demand_champion, lake, row))
    candidate = registry.find_candidate(lake, model_hash=row.plan.challenger.content_hash)
    registry.promote_candidate(
        lake,
        candidate,
        expected=row.terms.champion_decision_id,
        decision_id=row.decision_id,
        reason=row.reason,
        alongside=lambda: rollouts.append_row(lake, row),
    )
    return rollouts.read_rollout(lake, row.rollout_id)


def _find_decision(lake: Lake, rollout: Rollout) -> str | None:
    """The decision of the champion that a rollout is about, as of now."""
    if rollout.plan.subject == "actions":
        return rollouts.champion_decision(lake, rollout)
    champion = registry.find_champion(lake)
    return champion.decision_id if champion else None


def _demand_champion(lake: Lake, rollout: Rollout) -> None:
    if rollout.plan.subject == "actions":
        rollouts.demand_champion(lake, rollout)
    elif _find_decision(lake, rollout) != rollout.terms.champion_decision_id:
        raise LockHeld(
            "The champion has changed since the rollout was planned.",
            next_step="plan another against the champion of now",
        )


def _finish_last(lake: Lake, subject: Subject) -> Rollout | None:
    """What a process that died after the newest rollout's last row left unsaid."""
    known = rollouts.list_rollouts(lake, subject)
    if not known or known[0].state == "planned":
        return known[0] if known else None
    return rollouts.carry_out(lake, known[0])


def _serve_again(deployment: str | Path, rollout: Rollout) -> None:
    """The list by whoever serves now; the switch stands although the data do not allow one (65)."""
    try:
        run_flow(act if rollout.plan.subject == "actions" else score, deployment)
    except DataRejected:
        return


def _as_contender(model: Champion) -> Contender:
    return Contender(name=model.name, version=str(model.version), content_hash=model.model_hash)
