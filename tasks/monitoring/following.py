"""What follows from alerts: items on the work queue, a retraining asked for, and their verdicts.

All of it is made from the ledger's alerts and can be made again: an item is there once a cause,
an event carries its alert's id, and a verdict stands once.
"""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tasks.crash import crash_point
from tasks.handles import Cause, Champion, Interval
from tasks.incidents.queue import raise_incident, resolve_raised
from tasks.monitoring.alerts import Alert, change_alerts, list_alerts
from tasks.monitoring.judging import judge_alert
from tasks.monitoring.outcomes import choose_judged
from tasks.monitoring.retraining import find_due
from tasks.quality import MonitoringFindings, WeekQuality

if TYPE_CHECKING:
    from tasks.warehouse import Lake

CODE = "DRIFT"
EVENT = "holdfast.retraining.due"
SOURCE = "monitoring"
# (event's name, resource's name, payload, id) -> whether it was taken.
Emit = Callable[[str, str, dict[str, Any], uuid.UUID], bool]


def follow_alerts(
    lake: Lake,
    champion: Champion,
    found: MonitoringFindings,
    promised: Interval | None,
    emit: Emit,
    *,
    actor: str = "holdfast",
) -> None:
    """Mark what outcomes have settled, close what is over, tell on-call, ask for a retraining."""
    _mark_settled(lake, champion, found, promised, actor)
    _close_gone(lake, found, actor)
    _tell_oncall(lake, actor)
    _ask_for_training(lake, emit, actor)


def _mark_settled(
    lake: Lake,
    champion: Champion,
    found: MonitoringFindings,
    promised: Interval | None,
    actor: str,
) -> None:
    settings = lake.settings
    judged = _judged_weeks(found.weeks)
    for alert in list_alerts(lake):
        if alert.verdict is not None:
            continue
        if alert.kind == "data_fault":
            if _was_taken_back(lake, alert):
                change_alerts(
                    lake,
                    [alert.alert_id],
                    actor=actor,
                    reason="its batch was taken back",
                    state="closed",
                    verdict="right",
                    report={"marked_by": "ledger"},
                )
            continue
        if alert.model_hash != champion.model_hash:
            continue
        settled = judge_alert(
            alert, promised, settings.churn.confidence, judged, settings.monitoring
        )
        if settled is not None:
            verdict, reason = settled
            change_alerts(
                lake,
                [alert.alert_id],
                actor=actor,
                reason=reason,
                verdict=verdict,
                report={"marked_by": "outcomes"},
            )


def _judged_weeks(weeks: Sequence[WeekQuality]) -> list[WeekQuality]:
    hashes = dict.fromkeys(one.model_hash for one in weeks)
    return [one for model_hash in hashes for one in choose_judged(weeks, model_hash)]


def _was_taken_back(lake: Lake, alert: Alert) -> bool:
    """Whether a batch of the table has been superseded or set aside since the alert."""
    table = alert.subject.partition(".")[0]
    return bool(
        lake.scalar(
            "select count(*) from lake.ledger.batches where table_name = $table"
            " and state in ('superseded', 'discarded') and recorded_at > $raised_at",
            {"table": table, "raised_at": alert.raised_at},
        )
    )


def _close_gone(lake: Lake, found: MonitoringFindings, actor: str) -> None:
    """Drift that a later night does not see any more is over; its verdict stays to be given."""
    here = {(one.looks_like, one.subject) for one in found.causes}
    gone = [
        one
        for one in list_alerts(lake)
        if one.state != "closed"
        and one.kind in ("data_fault", "real_change")
        and one.as_of < found.as_of
        and ((one.kind, one.subject) not in here or one.model_hash != found.model_hash)
    ]
    change_alerts(
        lake,
        [one.alert_id for one in gone],
        actor=actor,
        reason=f"not seen any more on {found.as_of:%Y-%m-%d}",
        state="closed",
    )


def _tell_oncall(lake: Lake, actor: str) -> None:
    """One item a cause: of all open alerts of a kind and subject, the newest one's words."""
    alerts = list_alerts(lake)
    # They are in the order in which they were raised: of equal keys the newest stays.
    still = {_key(one): one for one in alerts if one.state != "closed"}
    command = f"holdfast -d {shlex.quote(lake.settings.called)}"
    for key, alert in still.items():
        table, _, column = alert.subject.partition(".")
        is_fault = alert.kind == "data_fault"
        cause = Cause(
            key=key,
            code=CODE,
            level="fault",
            source=SOURCE,
            column=column if is_fault else "",
            headline=alert.headline,
        )
        report = {
            "alert": alert.alert_id,
            "found": "; ".join(alert.report.get("evidence", [])),
            "next": (
                f"look at the newest batches of {table}; if they are wrong, supersede them"
                f" ({command} ingest --supersede)"
                if is_fault
                else f"{command} monitor; then {command} monitor mark {alert.alert_id} VERDICT"
            ),
        }
        raise_incident(lake, cause, table=table if is_fault else "", actor=actor, report=report)
        crash_point("monitoring.item_raised")
    for key in {_key(one) for one in alerts} - set(still):
        resolve_raised(lake, key, actor=actor, reason="its alerts are closed")


def _key(alert: Alert) -> str:
    return f"{SOURCE}|{alert.kind}|{alert.subject}"


def _ask_for_training(lake: Lake, emit: Emit, actor: str) -> None:
    due = find_due(lake)
    if not due.is_due or not due.alert_ids:
        return
    waiting = [
        one for one in list_alerts(lake) if one.alert_id in due.alert_ids and one.state == "open"
    ]
    if not waiting:
        return
    payload = {"alerts": list(due.alert_ids), "reason": due.reason}
    # The alert's id makes the event's: sent again after a crash it is the same event.
    event_id = uuid.uuid5(uuid.NAMESPACE_URL, f"{lake.deployment}/{waiting[0].alert_id}")
    crash_point("monitoring.before_event")
    if emit(EVENT, lake.deployment, payload, event_id):
        crash_point("monitoring.event_sent")
        change_alerts(
            lake,
            [one.alert_id for one in waiting],
            actor=actor,
            reason="a retraining was asked for",
            state="requested",
        )
