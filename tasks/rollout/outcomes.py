"""From the ledger and the facts to what is known of a rollout on a night: the judge's evidence.

Everything is read at one `(as_of, known_by)` of one version of the lake, so the same look can be
made again later. Only whose whole horizon has ended counts for the metric; a customer counts once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tasks.contracts import SCORES
from tasks.rollout.evidence import DayCounts, Evidence, GuardrailCounts
from tasks.rollout.recording import SQL, Rollout
from tasks.rollout.turns import stage_turn
from tasks.visibility import supersessions, visible
from tasks.warehouse import quote

if TYPE_CHECKING:
    from tasks.handles import Snapshot
    from tasks.warehouse import Connection, Lake

# Over so many days an arm's own rate of orders is counted.
_RATE_DAYS = 28


@dataclass(frozen=True, slots=True)
class Gathered:
    """The evidence of a night, and how many customers were left out for being in both arms."""

    evidence: Evidence
    crossed: int
    enrolled: int


def enrol_contacted(
    lake: Lake, rollout: Rollout, snapshot: Snapshot, as_of: datetime, known_by: datetime
) -> None:
    """Enrol whom a contact has reached since their stage began, in the transaction around it.

    Anybody contacted may be a customer of the rollout, but for who is held out.
    """
    contacts = visible("contacts", snapshot, supersessions(lake, snapshot, "contacts"))
    lake.execute(
        "create or replace temporary table contacted as"
        f" select distinct customer_id from {contacts} where contacted_at < $as_of",
        {"as_of": as_of, "known_by": known_by},
    )
    stage_turn(lake, rollout, "contacted")
    lake.run(
        SQL / "enrol_contacted.sql",
        {
            "rollout_id": rollout.rollout_id,
            "stages_since": list(rollout.stages_since),
            "as_of": as_of,
            "known_by": known_by,
        },
        names={"contacts": contacts},
    )


def gather(
    lake: Lake,
    rollout: Rollout,
    snapshot: Snapshot,
    as_of: datetime,
    known_by: datetime,
    behind: Sequence[str] = (),
) -> Gathered:
    """Evidence of a night; `behind` says which sources that it needs are not up to date."""
    tables = ("orders", "tickets", "contacts")
    names = {name: visible(name, snapshot, supersessions(lake, snapshot, name)) for name in tables}
    names |= {
        "enrolments": "lake.ledger.enrolments",
        "servings": "lake.ledger.servings",
        "scores": _served(lake, rollout),
    }
    values = bind(rollout, as_of, known_by)
    days, guardrails = count(lake, names, values, exposure=rollout.plan.exposure)
    totals = lake.one(
        "select count(*) as enrolled, count(*) filter (is_crossed) as crossed from enrolled"
    )
    missing = [*behind, *_find_silence(lake, names, values)]
    crossed, enrolled = int(totals["crossed"]), int(totals["enrolled"])
    limit = lake.settings.rollout.crossed_share
    if enrolled and crossed / enrolled > limit:
        missing.append(
            f"{crossed:,} of {enrolled:,} customers were in both arms, more than {limit:.1%}"
        )
    wanted = {guardrail.name for guardrail in rollout.plan.guardrails}
    evidence = Evidence(
        as_of=as_of.date(),
        started_on=rollout.stages_since[0].date(),
        stage=rollout.stage,
        stage_started_on=rollout.stages_since[-1].date(),
        days=days,
        guardrails=tuple(one for one in guardrails if one.guardrail in wanted),
        missing=tuple(missing),
    )
    return Gathered(evidence, crossed, enrolled)


def bind(rollout: Rollout, as_of: datetime, known_by: datetime) -> dict[str, Any]:
    """Every value that the SQL of the evidence is given."""
    return {
        "rollout_id": rollout.rollout_id,
        "as_of": as_of,
        "known_by": known_by,
        "horizon_days": rollout.plan.horizon_days,
        "early_days": rollout.terms.early_days,
        "margin_share": rollout.terms.margin_share,
        "challenger_hash": rollout.plan.challenger.content_hash,
        "rate_days": _RATE_DAYS,
    }


def count(
    connection: Connection,
    names: Mapping[str, str],
    values: Mapping[str, Any],
    *,
    exposure: str = "scored",
) -> tuple[tuple[DayCounts, ...], tuple[GuardrailCounts, ...]]:
    """Count a rollout's customers by day and arm, and its guardrails' first events.

    `names` are the tables or queries to read: enrolments, servings, scores, orders, tickets,
    contacts; `values` are those of `bind`.
    """
    connection.run(SQL / "enrolled.sql", values, names=names)
    connection.run(SQL / "outcome_lapse.sql", values, names=names)
    logged = connection.text(SQL / f"logged_{exposure}.sql", names=names)
    connection.run(SQL / "counted.sql", values, names={"logged": logged})
    connection.run(SQL / "happened.sql", values, names=names)
    days = connection.rows(
        connection.text(SQL / "day_counts.sql", names={"enrolled": "counted"}), values
    )
    guardrails = connection.rows(
        connection.text(
            SQL / "guardrail_counts.sql",
            names={
                "entered": "(select * from counted where exposed)",
                "happened": "happened",
            },
        ),
        values,
    )
    return (
        tuple(DayCounts(**_without_id(row)) for row in days),
        tuple(GuardrailCounts(**_without_id(row)) for row in guardrails),
    )


def _without_id(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "rollout_id"}


def _find_silence(lake: Lake, names: Mapping[str, str], values: Mapping[str, Any]) -> list[str]:
    """Arms whose orders end sooner than their own rate allows by chance."""
    limit = lake.settings.rollout.outcome_silence
    return [
        f"the orders of the {row['arm']}'s arm end with {row['newest_day']:%Y-%m-%d}, after which"
        f" {row['orders_a_day'] * row['silent_days']:,.0f} were to be expected"
        for row in lake.rows(lake.text(SQL / "arm_feed.sql", names=names), values)
        if row["orders_a_day"] * row["silent_days"] >= limit
    ]


def _served(lake: Lake, rollout: Rollout) -> str:
    """One row a customer of a night's run: which contender's hash they were served by."""
    if rollout.plan.subject == "segments":
        groups = {"groups": "lake.main.customer_segments"}
        return f"({lake.text(SQL / 'served_groups.sql', names=groups)})"
    if "scores" in lake.tables():
        return "lake.main.scores"
    columns = ", ".join(f"null::{column.type} as {quote(column.name)}" for column in SCORES)
    return f"(select {columns} where false)"
