"""The steps of a rollout, as a flow calls them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.durability import write_page
from tasks.handles import Champion
from tasks.orchestration import publish_markdown, step
from tasks.rollout.announcing import announce, show_run
from tasks.rollout.page import read_page
from tasks.rollout.plan import Subject
from tasks.rollout.policies import (
    as_contender,
    champion_decision,
    demand_champion,
    find_policy,
    freeze,
    open_policy_arm,
    read_policy,
    say_champion,
)
from tasks.rollout.preregistering import (
    Wish,
    demand_supported,
    judge_feasible,
    make_plan,
    plan_row,
    read_rates,
)
from tasks.rollout.recording import (
    FrozenPolicies,
    Rollout,
    append_row,
    find_live,
    list_rollouts,
    read_rollout,
    record_row,
)
from tasks.rollout.report import (
    describe,
    say_agreement,
    say_markdown,
    sum_up_agreement,
)
from tasks.rollout.serving import ChallengerArm
from tasks.rollout.stepping import breaker_row, demand_decision, look, start_row, stop_row
from tasks.rollout.turns import GroupArm, find_turn
from tasks.warehouse import Lake

if TYPE_CHECKING:
    from tasks.standings import Standing

__all__ = [
    "ChallengerArm",
    "FrozenPolicies",
    "GroupArm",
    "Rollout",
    "Wish",
    "append_row",
    "as_contender",
    "carry_out",
    "champion_decision",
    "demand_champion",
    "demand_decision",
    "demand_supported",
    "describe",
    "find_live",
    "find_policy",
    "find_turn",
    "freeze",
    "judge_feasible",
    "list_rollouts",
    "look_at_rollout",
    "make_plan",
    "name_behind",
    "open_arm",
    "open_policy_arm",
    "plan_row",
    "read_policy",
    "read_rates",
    "read_rollout",
    "record_row",
    "say_agreement",
    "say_champion",
    "start_row",
    "stop_row",
    "sum_up_agreement",
    "take_back_failed",
    "void_row",
    "write_report",
]

# The tables without which a rollout's outcomes and guardrails are not known.
_NEEDED = {"orders": "", "tickets": "complaints", "contacts": "opt_outs"}


def open_arm(
    rollout: Rollout, challenger: Champion, directory: Path | None, refused: str
) -> ChallengerArm:
    """The challenger's part in tonight's scoring; without a directory all of its arm falls back."""
    return ChallengerArm(rollout, challenger, directory, refused)


def take_back_failed(lake: Lake, subject: Subject) -> bool:
    """Roll back a challenger that failed at serving; whether it did."""
    live = find_live(lake, subject)
    row = breaker_row(lake, live) if live is not None else None
    if row is None:
        return False
    carry_out(lake, record_row(lake, row))
    return True


def name_behind(rollout: Rollout, standing: Standing) -> tuple[str, ...]:
    """What of the sources that a rollout's evidence needs is not up to date, as sentences."""
    guarded = {guardrail.name for guardrail in rollout.plan.guardrails}
    return tuple(
        f"the source '{one.source}' is behind"
        for one in standing.sources
        if one.is_behind
        and one.table in _NEEDED
        and (not _NEEDED[one.table] or _NEEDED[one.table] in guarded)
    )


def void_row(rollout: Rollout, champion_decision_id: str | None) -> Rollout | None:
    """The row that ends a rollout whose champion is no more; None while it is the one compared."""
    if not rollout.is_live or champion_decision_id == rollout.terms.champion_decision_id:
        return None
    return rollout.next(
        "roll_back",
        "rolled_back",
        "The champion that the challenger was compared with does not serve any more.",
        evidence={"void": True},
    )


def _look_at_rollout(
    lake: Lake, rollout: Rollout, as_of: datetime, known_by: datetime, behind: Sequence[str]
) -> Rollout | None:
    """The row that follows from tonight's evidence; None where the night was looked at already."""
    return look(lake, rollout, as_of, known_by, behind)


def _carry_out(lake: Lake, rollout: Rollout) -> Rollout:
    """Tell on-call, MLflow and the flow run of a rollout's latest state; safe to do again."""
    announce(lake, rollout)
    show_run(lake, rollout)
    publish_markdown(
        f"rollout {rollout.rollout_id}",
        say_markdown(describe(lake, rollout)),
        "How the rollout stands, and why",
    )
    return rollout


def write_report(lake: Lake, rollout: Rollout) -> Path:
    """Write the page of a rollout; where it is. Raises DiskFailure (73)."""
    directory = lake.settings.home / "reports" / lake.deployment
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = directory / f"rollout-{rollout.rollout_id}.html"
    write_page(path, read_page(lake, rollout))
    return path


look_at_rollout = step(_look_at_rollout, name="judge rollout")
carry_out = step(_carry_out, name="tell of rollout")
