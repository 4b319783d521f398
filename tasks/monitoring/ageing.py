"""From what aged models lost to when it pays to train again."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import numpy as np

from tasks.archive import find_findings, insert_findings, recall_findings
from tasks.crash import crash_point
from tasks.handles import FeatureTable, Interval
from tasks.quality import AgeLoss, DecayFindings, Figure
from tasks.significance import deviation_of

if TYPE_CHECKING:
    from tasks.alarms import MonitoringSettings
    from tasks.warehouse import Lake


class Aged(Protocol):
    """What an aged model lost at one cut-off, with a paired interval each."""

    @property
    def age_days(self) -> int: ...
    @property
    def auc_loss(self) -> Interval: ...
    @property
    def profit_loss(self) -> Interval: ...


def conclude(
    lake: Lake, table: FeatureTable, aged: Sequence[Aged], as_of: datetime, known_by: datetime
) -> DecayFindings:
    """Sum up by age, recommend an interval, and publish; the same table twice is one finding."""
    settings = lake.settings
    parts = (
        table.fingerprint,
        settings.monitoring.model_dump_json(),
        settings.economics.model_dump_json(),
    )
    finding_id = "decay-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:26]
    done = recall_findings(lake, DecayFindings, finding_id)
    if done is not None:
        return done
    ages = sum_up(aged, settings.monitoring.confidence)
    days, reason = recommend(ages, settings.monitoring, settings.economics.currency)
    found = DecayFindings(
        deployment=settings.deployment,
        as_of=as_of,
        known_by=known_by,
        snapshot_id=table.snapshot_id,
        currency=settings.economics.currency,
        ages=ages,
        retraining_cost_amount=settings.monitoring.retraining_cost_amount,
        list_every_days=settings.monitoring.list_every_days,
        recommended_days=days,
        reason=reason,
    )
    with lake.writer_lock("publish decay"):
        if find_findings(lake, DecayFindings, finding_id=finding_id) is None:
            crash_point("monitoring.before_decay")
            with lake.publish("holdfast", "how models age", {"finding_id": finding_id}):
                insert_findings(lake, finding_id, found)
            crash_point("monitoring.after_decay")
    return found


def sum_up(aged: Sequence[Aged], confidence: float) -> tuple[AgeLoss, ...]:
    """Mean loss by age. An interval holds what customers' luck and what cut-offs' luck say.

    The variance of a mean over cut-offs is theirs among each other, but never less than the
    customers', since cut-offs are few.
    """
    groups: dict[int, list[Aged]] = {}
    for one in aged:
        groups.setdefault(one.age_days, []).append(one)
    return tuple(
        AgeLoss(
            age_days=age,
            pairs=len(group),
            auc_loss=_mean([one.auc_loss for one in group], confidence),
            profit_loss=_mean([one.profit_loss for one in group], confidence),
        )
        for age, group in sorted(groups.items())
    )


def recommend(
    ages: Sequence[AgeLoss], settings: MonitoringSettings, currency: str
) -> tuple[int | None, str]:
    """After how many days training again costs least, and the sentence.

    A model that is replaced every T days costs one training and what its lists lost meanwhile: the
    mean of that a day is least where the loss of one more day outweighs it (Barlow and Hunter
    1960). Losses are made monotone in age; one that may be nothing (interval) counts as nothing.
    """
    cost = float(settings.retraining_cost_amount)
    loss = _monotone({one.age_days: one.profit_loss[0] for one in ages})
    if not ages or not any(one.profit_loss[1] > 0 for one in ages):
        oldest = ages[-1].age_days if ages else 0
        return None, (
            f"No age up to {oldest} days loses money beyond doubt: a training every {oldest} days"
            " is enough, or whenever an alert asks for one."
        )
    days = np.arange(1, ages[-1].age_days + 1)
    known = np.asarray([0, *loss], dtype=np.float64)
    a_list = np.interp(days, known, np.asarray([0.0, *loss.values()]))
    total = np.cumsum(a_list / settings.list_every_days)
    mean = (cost + total) / days
    best = int(days[int(np.argmin(mean))])
    return best, (
        f"Training every {best} days costs least: {mean[best - 1]:,.2f} {currency} a day, against"
        f" {mean[0]:,.2f} every night and {mean[-1]:,.2f} every {days[-1]} days, with"
        f" {cost:,.0f} {currency} a training and a list every {settings.list_every_days} days."
    )


def _monotone(loss: Mapping[int, float]) -> dict[int, float]:
    """Losses that never fall with age and never are gains."""
    highest, result = 0.0, {}
    for age, value in sorted(loss.items()):
        highest = max(highest, value)
        result[age] = highest
    return result


def _mean(losses: Sequence[Interval], confidence: float) -> Figure:
    reach = deviation_of(confidence)
    kept = [one for one in losses if all(math.isfinite(value) for value in one)]
    if not kept:
        return 0.0, -math.inf, math.inf
    values = np.asarray([one[0] for one in kept])
    within = np.mean([((one[2] - one[1]) / 2 / reach) ** 2 for one in kept])
    among = float(values.var(ddof=1)) if len(values) > 1 else 0.0
    error = math.sqrt(max(float(within), among) / len(values))
    mean = float(values.mean())
    return mean, mean - reach * error, mean + reach * error
