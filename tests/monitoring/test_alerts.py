"""Alerts in the ledger: one a cause, marked later, the same after a crash at any point."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tasks.errors import UsageError
from tasks.handles import Champion
from tasks.incidents.queue import list_incidents
from tasks.moments import standing_at
from tasks.monitoring import alerts as ledger
from tasks.monitoring import following, watching
from tasks.monitoring.alerts import (
    Wanted,
    choose_new,
    list_alerts,
    mark_alert,
    measure_precision,
)
from tasks.monitoring.following import EVENT, follow_alerts
from tasks.monitoring.judging import judge_alert, want_alerts
from tasks.monitoring.retraining import find_due, find_interval
from tasks.monitoring.watching import publish_watch
from tasks.quality import MonitoringFindings, PerformanceEstimate
from tasks.warehouse import Lake
from tests.features.shop import at

from .test_outcomes import make_week

pytestmark = pytest.mark.sql

PROMISED = (0.8, 0.78, 0.82)
WANTED = (
    Wanted("performance", "ranking", "m", "DRIFT: the AUC fell"),
    Wanted("data_fault", "orders.net_amount", "m", "DRIFT: amount moved", {"evidence": ["x 100"]}),
)


def make_found(as_of: datetime, **more: Any) -> MonitoringFindings:
    given: dict[str, Any] = {
        "deployment": "shop",
        "as_of": as_of,
        "known_by": as_of,
        "snapshot_id": 1,
        "currency": "USD",
        "model_version": 1,
        "model_hash": "m",
        "scoring_id": None,
        "customers": 500,
        "weeks": (),
        "estimate": None,
        "expected_profit_amount": 1000.0,
        "inputs": (),
        "causes": (),
        **more,
    }
    return MonitoringFindings(**given)


def make_champion() -> Champion:
    return Champion(
        "shop.churn", 1, "model", "lightgbm", Path(), "m", {}, (), {}, (), "d", at(0), "f", 1, None
    )


class Pager:
    """Prefect, which hears what is sent while it is up."""

    def __init__(self, *, is_up: bool = True) -> None:
        self.is_up = is_up
        self.sent: list[tuple[str, UUID]] = []

    def __call__(self, event: str, _name: str, _payload: dict[str, Any], event_id: UUID) -> bool:
        if self.is_up:
            self.sent.append((event, event_id))
        return self.is_up


def look(lake: Lake, day: int, pager: Pager, wanted: tuple[Wanted, ...] = WANTED) -> None:
    """A night's end: what was found is published, and followed."""
    with standing_at(at(day + 1)):
        found = make_found(at(day))
        publish_watch(lake, f"look-{day}", found, wanted)
        follow_alerts(lake, make_champion(), found, PROMISED, pager)


def test_a_cause_is_raised_once_and_asks_once(lake: Lake) -> None:
    pager = Pager(is_up=False)
    for day in (0, 1, 2):
        look(lake, day, pager)
    found = list_alerts(lake)
    assert [one.kind for one in found if one.as_of == at(0)] == [one.kind for one in found]
    assert {one.cause.code for one in list_incidents(lake)} == {"DRIFT"}
    # The fault was not seen any more on the next night, and its item has ended with it.
    assert [one.state for one in found if one.kind == "data_fault"] == ["closed"]
    # Prefect was down: the request waits, nothing was ever trained, so it is due.
    assert find_due(lake).is_due
    assert pager.sent == []


def test_the_event_is_sent_when_prefect_is_back_and_not_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        following, "find_due", lambda lake: _due([one.alert_id for one in list_alerts(lake)])
    )
    pager = Pager(is_up=False)
    look(lake, 0, pager, WANTED[:1])
    assert [one.state for one in list_alerts(lake)] == ["open"]
    pager.is_up = True
    look(lake, 1, pager, WANTED[:1])
    look(lake, 2, pager, WANTED[:1])
    assert [event for event, _ in pager.sent] == [EVENT]
    assert [one.state for one in list_alerts(lake)] == ["requested"]


def _due(alert_ids: list[str]) -> Any:
    from tasks.monitoring.retraining import Due

    return Due(True, "an alert asks for it", tuple(alert_ids))


POINTS = (
    "monitoring.before_publish",
    "monitoring.published",
    "monitoring.item_raised",
    "monitoring.before_event",
    "monitoring.event_sent",
    "monitoring.before_change",
    "monitoring.after_change",
)


class _Killed(BaseException):
    pass


@pytest.mark.faults(36)
def test_a_stop_at_any_point_and_a_rerun_end_as_if_undisturbed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day, point in enumerate(POINTS):
        wanted = (Wanted("performance", point, "m", f"DRIFT: {point}"),)

        def find_own(lake: Lake, point: str = point) -> Any:
            return _due([one.alert_id for one in list_alerts(lake) if one.subject == point])

        def stop(name: str, point: str = point) -> None:
            if name == point:
                raise _Killed

        monkeypatch.setattr(following, "find_due", find_own)
        pager = Pager()
        with monkeypatch.context() as patched:
            for module in (watching, ledger, following):
                patched.setattr(module, "crash_point", stop)
            with pytest.raises(_Killed):
                look(lake, day, pager, wanted)
        look(lake, day, pager, wanted)
        # Sent again after a crash, it is the same event to Prefect.
        assert len({event_id for _, event_id in pager.sent}) == 1, point
    found = {one.subject: (one.state, one.verdict) for one in list_alerts(lake)}
    assert found == dict.fromkeys(POINTS, ("requested", None))
    items = list_incidents(lake)
    assert sorted(one.cause.key for one in items) == sorted(
        f"monitoring|performance|{point}" for point in POINTS
    )
    assert lake.scalar("select count(*) from lake.ledger.findings") == len(POINTS)


def _publish_and_die(settings: Any, point: str) -> None:
    from tasks.warehouse import open_lake

    os.environ["HOLDFAST_CRASH_AT"] = point
    with open_lake(settings) as lake:
        look(lake, 0, Pager())


@pytest.mark.faults(36)
def test_a_real_kill_leaves_all_or_nothing(lake: Lake) -> None:
    child = multiprocessing.get_context("spawn").Process(
        target=_publish_and_die, args=(lake.settings, "monitoring.published")
    )
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    assert len(list_alerts(lake)) == 2
    assert list_incidents(lake) == []
    look(lake, 0, Pager())
    assert len(list_alerts(lake)) == len(list_incidents(lake)) == 2


def test_a_verdict_is_given_by_a_person_and_the_last_word_counts(lake: Lake) -> None:
    look(lake, 0, Pager(is_up=False))
    first, second = list_alerts(lake)
    marked = mark_alert(lake, first.alert_id[:6], "right", actor="ann", reason="it was so")
    assert (marked.verdict, marked.actor) == ("right", "ann")
    assert measure_precision(list_alerts(lake)) == ledger.Precision(1, 0, 1)
    marked = mark_alert(lake, first.alert_id, "wrong", actor="bob", reason="the promise was")
    assert (marked.verdict, marked.state) == ("wrong", "closed")
    mark_alert(lake, second.alert_id, "right", actor="bob", reason="it was so")
    precision = measure_precision(list_alerts(lake))
    assert (precision.right, precision.wrong, precision.unmarked) == (1, 1, 0)
    assert precision.share == 0.5
    for asked, reason in (("", "why"), ("nothing-like-it", "why"), (first.alert_id, " ")):
        with pytest.raises(UsageError):
            mark_alert(lake, asked, "right", actor="ann", reason=reason)
    # Every state stays in the ledger.
    assert lake.scalar("select count(*) from lake.ledger.alerts") == 5


def test_a_closed_cause_is_quiet_for_a_while(lake: Lake) -> None:
    look(lake, 0, Pager(is_up=False))
    for one in list_alerts(lake):
        mark_alert(lake, one.alert_id, "wrong", actor="ann", reason="no")
    known = list_alerts(lake)
    assert choose_new(known, WANTED, at(20), 28) == []
    assert choose_new(known, WANTED, at(28), 28) == list(WANTED)
    other = replace(WANTED[0], model_hash="another")
    assert choose_new(known, [other], at(20), 28) == [other]


def test_what_is_wanted(lake: Lake) -> None:
    settings = lake.settings.monitoring

    def want(auc: float, gap: float, estimated: float) -> set[tuple[str, str]]:
        week = make_week("all", 0, gap=gap).model_copy(
            update={"auc": (auc, auc - 0.02, auc + 0.02)}
        )
        estimate = PerformanceEstimate(
            auc=(estimated, estimated - 0.01, estimated + 0.01),
            profit=(1.0, 0.0, 2.0),
            churn_share=(0.2, 0.1, 0.3),
            promised_auc=PROMISED,
        )
        found = want_alerts("m", PROMISED, 0.95, [week], estimate, [], 100.0, settings)
        return {(one.kind, one.subject) for one in found}

    assert want(0.80, 0.0, 0.80) == set()
    assert want(0.76, 0.04, 0.77) == set()  # within the tolerance, or not beyond doubt
    assert want(0.65, 0.0, 0.8) == {("performance", "ranking")}
    assert want(0.80, -0.15, 0.8) == {("performance", "calibration")}
    assert want(0.80, 0.0, 0.65) == {("estimated", "ranking")}


def test_outcomes_say_whether_an_estimate_was_right(lake: Lake) -> None:
    look(lake, 0, Pager(is_up=False), (Wanted("estimated", "ranking", "m", "DRIFT: it will fall"),))
    (alert,) = list_alerts(lake)
    settings = lake.settings.monitoring

    def judge(auc: float, day: int = 1, half: float = 0.01) -> str | None:
        week = make_week("all", 0, day=day).model_copy(
            update={"auc": (auc, auc - half, auc + half), "gap": (0.0, -0.01, 0.01)}
        )
        verdict = judge_alert(alert, PROMISED, 0.95, [week], settings)
        return verdict[0] if verdict else None

    assert judge(0.70) == "right"
    assert judge(0.80) == "wrong"
    assert judge(0.80, half=0.1) is None  # says too little
    assert judge(0.70, day=40) is None  # not about those nights
    with standing_at(at(60)):
        found = make_found(at(50), weeks=(make_week("all", 0, day=2),))
        found = found.model_copy(
            update={"weeks": (found.weeks[0].model_copy(update={"auc": (0.6, 0.58, 0.62)}),)}
        )
        follow_alerts(lake, make_champion(), found, PROMISED, Pager(is_up=False))
    (alert,) = list_alerts(lake)
    assert alert.verdict == "right"
    assert alert.report["marked_by"] == "outcomes"
    assert "AUC of 0.600" in alert.reason


def test_auto_trains_every_night_until_ageing_was_measured(make_settings: Any) -> None:
    from tasks.warehouse import open_lake

    settings = make_settings(monitoring={"retrain_every_days": "auto"})
    with open_lake(settings) as lake:
        assert find_interval(lake) == 0
