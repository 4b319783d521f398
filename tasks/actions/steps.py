"""The step of the action list, as a flow calls it."""

from __future__ import annotations

import logging
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from tasks.actions.listing import list_actions
from tasks.errors import ServiceDown
from tasks.escaping import escape_markdown
from tasks.findings import ActionFindings, ActionLine
from tasks.orchestration import publish_markdown, step
from tasks.studies import StudyRecord
from tasks.tracking.tracker import open_tracker
from tasks.warehouse import Lake

if TYPE_CHECKING:
    from tasks.handles import ArmListing, PolicyInForce
    from tasks.offers import ActionsSettings

_LOG = logging.getLogger(__name__)


def _propose_actions(
    lake: Lake,
    as_of: datetime,
    known_by: datetime,
    budget_amount: Decimal | None,
    in_force: PolicyInForce,
    challenger: ArmListing | None,
) -> ActionFindings:
    """Choose, publish and export; MLflow is told last, and a night goes on without it."""
    found, is_new = list_actions(
        lake,
        as_of,
        known_by,
        lake.settings,
        budget_amount=budget_amount,
        in_force=in_force,
        challenger=challenger,
    )
    publish_markdown(
        f"actions {lake.deployment}", describe_lists(found), "Whom to contact, and why"
    )
    if is_new:
        _log_lists(lake, found, in_force.policy)
    return found


def describe_lists(found: ActionFindings) -> str:
    """The lists in Markdown: counts and amounts, nobody's name."""
    lines = [
        f"{found.customers:,} to be kept and {found.winback_customers:,} to be won back, as of"
        f" {found.as_of:%Y-%m-%d}; {found.held_out_customers:,} more are held out.",
        "",
        f"Planned {found.planned_cost_amount:,.2f} of {found.budget_amount:,.2f}"
        f" {found.currency}, expected to bring {found.expected_return_amount:,.2f}.",
        "",
        "| list | action | segment | customers | cost | expected | level |",
        "|---|---|---|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {name} | {escape_markdown(line.words.en)} | {line.segment_id or ''}"
        f" | {line.customers:,} | {line.cost_amount:,.2f} | {line.expected_return_amount:,.2f}"
        f" | {say_level(line)} |"
        for name, listed in (("keep", found.lines), ("win back", found.winback_lines))
        for line in listed
    ]
    left = ", ".join(f"{code} {count:,}" for code, count in found.left_alone.items())
    lines += ["", f"Left alone: {left or 'nobody'}.", ""]
    lines += [f"- {escape_markdown(said)}" for said in say_policy(found)]
    lines += [f"- {escape_markdown(note.en)}" for note in found.notes]
    lines += [f"- `{path}`" for path in found.files]
    return "\n".join(lines)


def say_level(line: ActionLine) -> str:
    """The level that a line rests on, and of how many of its customers on their own uplift."""
    if not line.own_uplift_customers:
        return str(line.evidence_level)
    return f"{line.evidence_level}, own uplift of {line.own_uplift_customers:,}"


def say_policy(found: ActionFindings) -> list[str]:
    """Which policy is in force and since when; with a rollout, what each arm has."""
    if found.policy is None:
        return []
    use = found.policy
    whose = (
        f"promoted by the rollout {use.rollout_id}" if use.rollout_id else "of the settings file"
    )
    said = [f"Policy {use.version} {whose}, in force since {use.since:%Y-%m-%d}."]
    said += [
        f"Rollout {one.rollout_id}, {one.arm}'s arm: policy {one.policy_version} lists"
        f" {one.listed_customers:,} of {one.customers:,} customers for"
        f" {one.planned_cost_amount:,.2f} of {one.budget_amount:,.2f} {found.currency}."
        for one in found.arms
    ]
    return said


def _log_lists(lake: Lake, found: ActionFindings, policy: ActionsSettings) -> None:
    settings = lake.settings
    record = StudyRecord(
        subject="actions",
        run_name=f"{found.as_of:%Y-%m-%d} action list",
        command="holdfast act",
        tags={"as_of": found.as_of.isoformat(), "snapshot_id": str(found.snapshot_id)},
        params={
            "budget_amount": str(found.budget_amount),
            "hold_out_share": found.hold_out_share,
            "offers": ", ".join(policy.offers),
            "rules": len(policy.rules),
            "policy": found.policy.version if found.policy is not None else "",
        },
        metrics={
            "customers": found.customers,
            "held_out_customers": found.held_out_customers,
            "winback_customers": found.winback_customers,
            "own_uplift_customers": sum(
                line.own_uplift_customers for line in (*found.lines, *found.winback_lines)
            ),
            "planned_cost_amount": float(found.planned_cost_amount),
            "expected_return_amount": float(found.expected_return_amount),
            "gap_share": found.gap_share or 0.0,
        },
        dataset_name=f"{lake.deployment}.customer_actions",
        dataset_fingerprint=str(found.snapshot_id),
        dataset_rows=found.customers + found.winback_customers + found.held_out_customers,
    )
    try:
        with open_tracker(settings) as tracker:
            tracker.finish_run(tracker.log_study(record))
    except ServiceDown as error:
        _LOG.warning("MLflow was not told of the action list: %s", error)


propose_actions = step(_propose_actions, name="list actions", retries=1)
