"""Worlds in which the truth is known: how customers come, lapse, spend and complain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tasks.rollout.assignment import place
from tasks.rollout.plan import BUCKETS, Contender, Guardrail, Metric, Plan
from tasks.rollout.planning import smallest_effect

HORIZON_DAYS = 14
# Five whole weeks of entries; the last of them has matured on the last day.
ENTRY_DAYS = 35
LAST_DAY = ENTRY_DAYS + HORIZON_DAYS
JUDGED_ON = (21, 28, 35, 42, 49)
_WEEKDAYS = np.array([0.8, 0.9, 1.0, 1.0, 1.1, 1.3, 0.9])


@dataclass(frozen=True, slots=True)
class World:
    """`effect` is taken from the challenger's lapse share, or added to its customers' amounts.

    `drift` is by how much the share of leavers has grown on the last day of entry; `weekly` whether
    it and the arrivals have a weekday cycle. `frailty` is how alike a customer's requests are (the
    sum of a Beta distribution's parameters; None: no requests). `complaint_share` of the champion's
    customers complain in the two weeks after entry, `harm_ratio` times as many of the challenger's.
    `lost_share` of the challenger's customers never appear.
    """

    name: str
    customers: int
    stages: tuple[float, ...] = (0.5,)
    base_share: float = 0.15
    metric: Metric = "lapse_share"
    drift: float = 0.0
    weekly: bool = False
    frailty: float | None = None
    effect: float = 0.0
    complaint_share: float = 0.01
    harm_ratio: float = 1.0
    lost_share: float = 0.0

    @property
    def stage_days(self) -> int:
        return 14 if len(self.stages) > 1 else 7

    @property
    def rate(self) -> np.ndarray:
        """Of each day of entry, the probability to lapse with the champion; shape (ENTRY_DAYS,)."""
        days = np.arange(ENTRY_DAYS)
        share = self.base_share * (1 + self.drift * days / (ENTRY_DAYS - 1))
        return share * _WEEKDAYS[days % 7] if self.weekly else share

    @property
    def detectable(self) -> float:
        """The effect that the world's customers detect with 80 %: what its plan looks for."""
        share = float(self.rate.mean())
        variance = share * (1 - share) if self.metric == "lapse_share" else _amount_variance()
        return smallest_effect(self.customers, variance, self.stages[-1])

    def plan(self, rollout_id: str = "world") -> Plan:
        return Plan(
            rollout_id=rollout_id,
            subject="churn",
            champion=Contender(name="churn", version="1", content_hash="champion-hash"),
            challenger=Contender(name="churn", version="2", content_hash="challenger-hash"),
            metric=self.metric,
            minimum_effect=self.detectable,
            horizon_days=HORIZON_DAYS,
            stages=self.stages,
            minimum_stage_days=self.stage_days,
            guardrails=(Guardrail(name="complaints"),),
            maximum_days=LAST_DAY,
        )


@dataclass(frozen=True, slots=True)
class Drawn:
    """Customers of many rollouts: those of the ledger, complaints, and requests by rollout."""

    customers: pa.Table
    complaints: pa.Table
    requests: np.ndarray | None


def draw(world: World, rollouts: int, rng: np.random.Generator) -> Drawn:
    """`rollouts` runs of a world, numbered from 0.

    Buckets are drawn evenly, as those of 1,000 salts are shown to be; from them on all is the
    product's: edges of stages, entries, counts, verdicts.
    """
    count = rollouts * world.customers
    rollout = np.repeat(np.arange(rollouts, dtype=np.int32), world.customers)
    found = place(rng.integers(0, BUCKETS, count), rng.integers(0, BUCKETS, count), world.stages)
    weights = np.resize(_WEEKDAYS, ENTRY_DAYS) if world.weekly else np.ones(ENTRY_DAYS)
    edges = np.cumsum(weights) / weights.sum()
    seen_on = np.searchsorted(edges, rng.random(count)).clip(max=ENTRY_DAYS - 1).astype(np.int32)
    uniform = rng.random(count)
    requests = None
    if world.frailty is not None:
        uniform, requests = _draw_requests(world, rollouts, found.is_challenger, rng)
    amount = covariate = pa.nulls(count, pa.float64())
    if world.metric == "margin_amount":
        amount, covariate = _draw_amounts(count, rng)
        if world.effect:
            amount = amount + world.effect * found.is_challenger
    complains = rng.random(count) < world.complaint_share * np.where(
        found.is_challenger, world.harm_ratio, 1.0
    )
    customers = pa.table(
        {
            "rollout_id": rollout,
            "customer_id": np.arange(count, dtype=np.int32),
            "bucket": found.bucket.astype(np.int32),
            "is_challenger": found.is_challenger,
            "stage": found.stage.astype(np.int32),
            "seen_on": seen_on,
            "is_exposed": np.ones(count, dtype=bool),
            "draw": uniform,
            "amount": amount,
            "covariate": covariate,
        }
    )
    if world.lost_share:
        lost = found.is_challenger & (rng.random(count) < world.lost_share)
        customers = customers.filter(pa.array(~lost))
    start = np.arange(len(world.stages)) * world.stage_days
    entry = np.maximum(seen_on, start[found.stage])[complains]
    complaints = pa.table(
        {
            "rollout_id": rollout[complains],
            "customer_id": np.arange(count, dtype=np.int32)[complains],
            "day_number": (entry + rng.integers(0, 14, len(entry))).astype(np.int32),
        }
    )
    return Drawn(customers, complaints, requests)


def _draw_requests(
    world: World, rollouts: int, is_challenger: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A draw that lapses as its customer is frail; (rollouts, 4): requests and failures by arm."""
    assert world.frailty is not None
    share, count = world.base_share, len(is_challenger)
    frail = rng.beta(share * world.frailty, (1 - share) * world.frailty, count)
    # Below `share` exactly where the customer lapses, so that the rate of the day still decides.
    uniform = np.where(
        rng.random(count) < frail,
        share * rng.random(count),
        share + (1 - share) * rng.random(count),
    )
    asked = rng.geometric(1 / 8, count)
    failed = rng.binomial(asked, frail)
    shape = (rollouts, world.customers)
    columns = []
    for arm in (~is_challenger, is_challenger):
        columns.append((asked * arm).reshape(shape).sum(axis=1))
        columns.append((failed * arm).reshape(shape).sum(axis=1))
    return uniform, np.stack(columns, axis=1)


# A third of the customers buy in a period; what they spend is lognormal.
_BUYS, _SPREAD, _OWN = 0.5, 1.0, 0.7


def _draw_amounts(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Money of the horizon and of the period before, alike in a customer, skewed, often 0."""
    own = _OWN * rng.standard_normal(count)
    rest = np.sqrt(_SPREAD**2 - _OWN**2)
    columns = []
    for _ in range(2):
        spent = np.exp(own + rest * rng.standard_normal(count))
        columns.append(np.where(rng.random(count) < _BUYS, spent, 0.0))
    return columns[0], columns[1]


def _amount_variance() -> float:
    """Of an amount, after the slope on the period before is taken out."""
    mean = _BUYS * np.exp(_SPREAD**2 / 2)
    variance = _BUYS * np.exp(2 * _SPREAD**2) - mean**2
    common = _BUYS**2 * np.exp(_SPREAD**2 + _OWN**2) - mean**2
    return float(variance - common**2 / variance)
