"""Rollouts of a world through the product's own path: ledger table, SQL that counts, `judge`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.rollout.peers import pooled_z, requests_z
from benchmarks.rollout.worlds import ENTRY_DAYS, HORIZON_DAYS, JUDGED_ON, World, draw
from tasks.rollout.assignment import stage_edges
from tasks.rollout.evidence import DayCounts, DayTable, Evidence, GuardrailCounts
from tasks.rollout.judging import judge
from tasks.rollout.stratified import compare
from tasks.rollout.verdict import Look, Verdict
from tasks.settings import PROJECT
from tasks.warehouse import Connection, scratch

_HERE = Path(__file__).parent
_SQL = PROJECT / "tasks" / "rollout" / "sql"
_STARTED_ON = date(2026, 1, 5)


@dataclass(slots=True)
class Trial:
    """One rollout: how and when it ended, and what a fixed test and naive peers say of it."""

    looks: list[Look] = field(default_factory=list)
    verdict: Verdict | None = None
    ended_on: int | None = None
    fixed_z: float | None = None
    pooled_zs: list[float] = field(default_factory=list)
    requests_z: float | None = None

    def summary(self) -> Summary:
        """What the table needs of it, in types that JSON knows."""
        verdict = self.verdict
        assert verdict is not None
        estimate = verdict.estimate
        stagewise = estimate is not None and estimate.method == "stagewise"
        outcome: str = verdict.outcome
        if outcome == "roll_back":
            outcome = "loss" if verdict.look else "harm"
        if outcome == "hold":
            outcome = "ratio" if any(found.is_broken for found in verdict.ratios) else "hold"
        return Summary(
            outcome=outcome,
            ended_on=self.ended_on,
            looks=len(self.looks),
            effect=estimate.effect if estimate and stagewise else None,
            low=estimate.low if estimate and stagewise else None,
            high=estimate.high if estimate and stagewise else None,
            crude=estimate.crude if estimate and stagewise else None,
            fixed_z=self.fixed_z,
            pooled_z=max(map(abs, self.pooled_zs), default=None),
            requests_z=abs(self.requests_z) if self.requests_z is not None else None,
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """A trial's figures. `outcome` tells a loss by the metric from harm in a guardrail.

    The estimate is there where a look ended the rollout; the peers' z are the largest of all looks.
    """

    outcome: str
    ended_on: int | None
    looks: int
    effect: float | None
    low: float | None
    high: float | None
    crude: float | None
    fixed_z: float | None
    pooled_z: float | None
    requests_z: float | None


def run(
    world: World,
    rollouts: int,
    seed: int,
    *,
    judged_on: Sequence[int] = JUDGED_ON,
    with_peers: bool = False,
) -> list[Trial]:
    """`rollouts` rollouts of a world, each judged on the given days until it ends."""
    drawn = draw(world, rollouts, np.random.default_rng(seed))
    trials = [Trial() for _ in range(rollouts)]
    with scratch(threads=1, memory_limit_mb=1536) as connection:
        _prepare(connection, world, drawn.customers, drawn.complaints)
        for day in judged_on:
            _judge_all(connection, world, trials, day, is_last=day == judged_on[-1])
            if with_peers and world.metric == "lapse_share":
                for number, z in pooled_z(connection, _HERE / "pooled.sql", world, day):
                    trials[number].pooled_zs.append(z)
    if drawn.requests is not None:
        for trial, z in zip(trials, requests_z(drawn.requests), strict=True):
            trial.requests_z = z
    return trials


def _prepare(
    connection: Connection, world: World, customers: pa.Table, complaints: pa.Table
) -> None:
    """The tables of a scratch ledger and of the world."""
    starts = [number * world.stage_days for number in range(len(world.stages))]
    edges = stage_edges(world.stages)[0].tolist()
    serving = [
        max((edge for edge, start in zip(edges, starts, strict=True) if start <= day), default=0)
        for day in range(ENTRY_DAYS)
    ]
    days = list(range(ENTRY_DAYS))
    for name, table in {
        "drawn": customers,
        "complaint": complaints,
        "stage": pa.table({"stage": list(range(len(starts))), "starts_on": starts}),
        "rate": pa.table({"day": days, "share": world.rate}),
        "serving": pa.table({"day": days, "buckets": serving}),
    }.items():
        connection.load_arrow(name, table)
    connection.run(_HERE / "enrolments.sql", names={"drawn": "drawn"})


def _judge_all(
    connection: Connection, world: World, trials: list[Trial], day: int, *, is_last: bool
) -> None:
    as_of = _STARTED_ON + timedelta(days=day)
    values = {
        "as_of": as_of,
        "horizon_days": HORIZON_DAYS,
        "effect": world.effect if world.metric == "lapse_share" else 0.0,
        "amount_effect": 0.0,
    }
    enrolled = f"({connection.text(_HERE / 'outcomes.sql')})"
    counts = _by_rollout(connection, "day_counts.sql", {"enrolled": enrolled}, values)
    rails = _by_rollout(
        connection,
        "guardrail_counts.sql",
        {
            "entered": "(select rollout_id, customer_id, arm, entered_on as day from enrolments"
            " where exposed and entered_on <= $as_of::date)",
            "happened": "(select rollout_id, customer_id, 'complaints' as guardrail,"
            f" date '{_STARTED_ON}' + day_number as day from complaint)",
        },
        values,
    )
    stage = min(day // world.stage_days, len(world.stages) - 1)
    plan = world.plan()
    for number, trial in enumerate(trials):
        if trial.ended_on is not None and not is_last:
            continue
        days = [DayCounts(*row) for row in counts.get(number, [])]
        if is_last:
            fixed = compare(DayTable.of(days), world.metric)
            if fixed is not None:
                trial.fixed_z = fixed.z
        if trial.ended_on is not None:
            continue
        evidence = Evidence(
            as_of=as_of,
            started_on=_STARTED_ON,
            stage=stage,
            stage_started_on=_STARTED_ON + timedelta(days=stage * world.stage_days),
            days=days,
            guardrails=[GuardrailCounts(*row) for row in rails.get(number, [])],
        )
        verdict = judge(plan, evidence, trial.looks)
        trial.verdict = verdict
        if verdict.look is not None:
            trial.looks.append(verdict.look)
        if verdict.outcome != "continue":
            trial.ended_on = day


def _by_rollout(
    connection: Connection, file: str, names: dict[str, str], values: dict[str, object]
) -> dict[int, list[tuple[object, ...]]]:
    """The rows of one of the product's queries, by rollout, without that column."""
    table = connection.arrow(connection.text(_SQL / file, names=names), values)
    columns = [
        column.cast(pa.string()).to_pylist()
        if pa.types.is_dictionary(column.type)
        else column.to_numpy().tolist()
        for column in table.columns
    ]
    rows = zip(*columns, strict=True)
    return {
        rollout: [row[1:] for row in group] for rollout, group in groupby(rows, key=itemgetter(0))
    }
