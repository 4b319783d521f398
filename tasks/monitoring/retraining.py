"""When it is time to learn anew: by the calendar, or because an alert asks for it.

The request is the alert's own row in the ledger. Prefect's event only makes it quicker: where its
server does not answer, the next night finds the request and trains. A training answers every
request before it, whatever the gate then says: 'keep the champion' is an answer too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.archive import find_findings
from tasks.moments import read_clock
from tasks.monitoring.alerts import ASKS_FOR_TRAINING, Alert, change_alerts, list_alerts
from tasks.quality import DecayFindings
from tasks.tracking.tracker import model_name

if TYPE_CHECKING:
    from tasks.warehouse import Lake

SQL = Path(__file__).parent / "sql"


@dataclass(frozen=True, slots=True)
class Training:
    """The gate's last word: when, what, and why."""

    decided_at: datetime
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Due:
    """Whether to train, the sentence that says why or why not, and the alerts that ask for it."""

    is_due: bool
    reason: str
    alert_ids: tuple[str, ...] = ()


def find_due(lake: Lake) -> Due:
    """Whether this moment should train. Asked twice with nothing in between it says the same."""
    settings = lake.settings.monitoring
    last = find_training(lake)
    if last is None:
        return Due(True, "nothing was ever trained")
    # A clock that was set back must not keep every night from training.
    age = max(timedelta(), read_clock() - last.decided_at)
    asking = find_asking(list_alerts(lake), last)
    if asking:
        ids = tuple(one.alert_id for one in asking)
        if age >= timedelta(days=settings.cooldown_days):
            return Due(True, f"alert {ids[0]} asks for it: {asking[0].headline}", ids)
    every = find_interval(lake)
    if age >= timedelta(days=every):
        said = "every night" if every == 0 else f"every {every} days"
        return Due(True, f"it is trained {said}")
    if asking:
        return Due(
            False,
            f"alert {asking[0].alert_id} asks for it, but the last training is"
            f" {age.days} days old and {settings.cooldown_days} are waited",
        )
    return Due(False, f"the last training is {age.days} of {every} days old")


def find_interval(lake: Lake) -> int:
    """Days from one training to the next by the calendar; 0: every night."""
    wanted = lake.settings.monitoring.retrain_every_days
    if wanted != "auto":
        return wanted
    decay = find_findings(lake, DecayFindings)
    if decay is None or not decay.ages:
        return 0
    # No age tried was worth a training: nothing is known beyond the oldest.
    return decay.recommended_days or decay.ages[-1].age_days


def find_training(lake: Lake) -> Training | None:
    """The newest decision of the gate about the churn model; None before the first."""
    rows = lake.rows(
        lake.text(SQL / "last_training.sql"), {"model_name": model_name(lake.deployment)}
    )
    if not rows:
        return None
    row = rows[0]
    return Training(row["decided_at"].astimezone(UTC), str(row["outcome"]), str(row["reason"]))


def find_asking(alerts: list[Alert], last: Training | None) -> list[Alert]:
    """Alerts that ask for a training and have had none since."""
    return [
        one
        for one in alerts
        if one.kind in ASKS_FOR_TRAINING
        and one.state != "closed"
        and (last is None or one.raised_at > last.decided_at)
    ]


def close_answered(lake: Lake, *, actor: str = "holdfast") -> list[Alert]:
    """Close the alerts that a training has answered, with what the gate said; once."""
    last = find_training(lake)
    if last is None:
        return []
    answered = [
        one
        for one in list_alerts(lake)
        if one.kind in ASKS_FOR_TRAINING
        and one.state != "closed"
        and one.raised_at <= last.decided_at
    ]
    if not answered:
        return []
    said = "the champion was kept" if last.outcome == "keep" else f"the gate said {last.outcome}"
    return change_alerts(
        lake,
        [one.alert_id for one in answered],
        actor=actor,
        reason=f"trained anew; {said}: {last.reason}"[:500],
        state="closed",
        report={"training": last.outcome, "trained_at": last.decided_at.isoformat()},
    )
