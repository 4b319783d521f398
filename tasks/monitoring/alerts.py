"""Alerts in the ledger: raised once a cause, later marked right or wrong, never changed.

A row is a state of an alert, the latest row is its state: `open`; `requested`, when a retraining
has been asked for because of it; `closed`, when its cause is gone or was answered. The verdict is
apart from the state: whether it was right is mostly known later, from outcomes or a person.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from tasks.crash import crash_point
from tasks.errors import UsageError
from tasks.moments import read_clock

if TYPE_CHECKING:
    from tasks.warehouse import Lake

SQL = Path(__file__).parent / "sql"
Kind = Literal["data_fault", "real_change", "estimated", "performance"]
State = Literal["open", "requested", "closed"]
Verdict = Literal["right", "wrong"]
# What a model learnt anew may mend; a data fault would only be learnt.
ASKS_FOR_TRAINING: frozenset[str] = frozenset({"real_change", "estimated", "performance"})
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An alert that tonight's figures call for. Equal kind, subject and model: the same cause."""

    kind: Kind
    subject: str
    model_hash: str
    headline: str
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert at its latest state. `headline`, `model_hash` and more are in its report."""

    alert_id: str
    kind: Kind
    subject: str
    raised_at: datetime
    as_of: datetime
    state: State
    verdict: Verdict | None
    recorded_at: datetime
    actor: str
    reason: str
    report: Mapping[str, Any]

    @property
    def headline(self) -> str:
        return str(self.report.get("headline", ""))

    @property
    def model_hash(self) -> str:
        return str(self.report.get("model_hash", ""))


@dataclass(frozen=True, slots=True)
class Precision:
    """How often the pager was right, of what is marked; and how much is not."""

    right: int
    wrong: int
    unmarked: int

    @property
    def share(self) -> float | None:
        """Right of marked; None before the first is."""
        marked = self.right + self.wrong
        return self.right / marked if marked else None


def list_alerts(lake: Lake) -> list[Alert]:
    """Every alert at its latest state, oldest first."""
    rows = lake.rows(lake.text(SQL / "latest_alerts.sql"))
    return [
        Alert(
            alert_id=str(row["alert_id"]),
            kind=cast("Kind", row["kind"]),
            subject=str(row["subject"]),
            raised_at=row["raised_at"].astimezone(UTC),
            as_of=row["as_of"].astimezone(UTC),
            state=cast("State", row["state"]),
            verdict=cast("Verdict | None", row["verdict"]),
            recorded_at=row["recorded_at"].astimezone(UTC),
            actor=str(row["actor"]),
            reason=str(row["reason"]),
            report=json.loads(row["report"]),
        )
        for row in rows
    ]


def measure_precision(alerts: Sequence[Alert]) -> Precision:
    """Over all alerts ever raised."""
    verdicts = [one.verdict for one in alerts]
    return Precision(verdicts.count("right"), verdicts.count("wrong"), verdicts.count(None))


def choose_new(
    alerts: Sequence[Alert], wanted: Sequence[Wanted], as_of: datetime, quiet_days: int
) -> list[Wanted]:
    """Of what is wanted, what is not raised already nor was lately: one alert a cause."""
    quiet = timedelta(days=quiet_days)
    silenced = {
        (one.kind, one.subject, one.model_hash)
        for one in alerts
        if one.state != "closed" or abs(as_of - one.as_of) < quiet or one.as_of == as_of
    }
    return [one for one in wanted if (one.kind, one.subject, one.model_hash) not in silenced]


def insert_new(lake: Lake, wanted: Sequence[Wanted], as_of: datetime, actor: str) -> list[Alert]:
    """Append the first state of each; call inside the transaction that publishes the figures."""
    now = read_clock()
    made = []
    for one in wanted:
        parts = (lake.deployment, one.kind, one.subject, one.model_hash, as_of.isoformat())
        alert = Alert(
            alert_id=hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12],
            kind=one.kind,
            subject=one.subject,
            raised_at=now,
            as_of=as_of,
            state="open",
            verdict=None,
            recorded_at=now,
            actor=actor,
            reason=one.headline,
            report={**one.report, "headline": one.headline, "model_hash": one.model_hash},
        )
        _append(lake, alert)
        made.append(alert)
    return made


def change_alerts(
    lake: Lake,
    alert_ids: Sequence[str],
    *,
    actor: str,
    reason: str,
    state: State | None = None,
    verdict: Verdict | None = None,
    report: Mapping[str, Any] | None = None,
) -> list[Alert]:
    """Append a state of each alert, in one transaction; what says so already is left alone.

    A verdict of 'wrong' closes an alert, whatever `state`.
    """
    with lake.writer_lock("change alerts"):
        changed = []
        for alert in list_alerts(lake):
            if alert.alert_id not in alert_ids:
                continue
            now = max(read_clock(), alert.recorded_at + _TICK)
            new = replace(
                alert,
                state="closed" if verdict == "wrong" else state or alert.state,
                verdict=verdict or alert.verdict,
                recorded_at=now,
                actor=actor,
                reason=reason,
                report={**alert.report, **(report or {})},
            )
            if (new.state, new.verdict, new.report) != (alert.state, alert.verdict, alert.report):
                changed.append(new)
        if changed:
            crash_point("monitoring.before_change")
            ids = {"alerts": [one.alert_id for one in changed]}
            with lake.publish(actor, f"alerts: {reason[:80]}", ids):
                for alert in changed:
                    _append(lake, alert)
            crash_point("monitoring.after_change")
    return changed


def mark_alert(lake: Lake, asked: str, verdict: Verdict, *, actor: str, reason: str) -> Alert:
    """Say that an alert was right or wrong; the last word counts. Raises UsageError (64)."""
    alerts = list_alerts(lake)
    fitting = [one for one in alerts if one.alert_id.startswith(asked)] if asked else []
    if len(fitting) != 1:
        raise UsageError(
            f"{'Several alerts begin' if fitting else 'No alert begins'} with '{asked}'.",
            available=[one.alert_id for one in alerts if one.verdict is None][:10],
            next_step=f"holdfast -d {shlex.quote(lake.settings.called)} monitor alerts",
        )
    if not reason.strip():
        raise UsageError("A verdict needs its reason.", next_step="add --reason WHY")
    (alert,) = fitting
    change_alerts(
        lake,
        [alert.alert_id],
        actor=actor,
        reason=reason,
        verdict=verdict,
        report={"marked_by": "person"},
    )
    return next(one for one in list_alerts(lake) if one.alert_id == alert.alert_id)


def _append(lake: Lake, alert: Alert) -> None:
    lake.execute(
        "insert into lake.ledger.alerts values ($alert_id, $kind, $subject, $raised_at, $as_of,"
        " $state, $verdict, $recorded_at, $actor, $reason, $report)",
        {
            "alert_id": alert.alert_id,
            "kind": alert.kind,
            "subject": alert.subject,
            "raised_at": alert.raised_at,
            "as_of": alert.as_of,
            "state": alert.state,
            "verdict": alert.verdict,
            "recorded_at": alert.recorded_at,
            "actor": alert.actor,
            "reason": alert.reason,
            "report": json.dumps(dict(alert.report), default=str, sort_keys=True),
        },
    )
