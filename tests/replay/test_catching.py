"""What counts as having caught a planted fault: what asks for it, and nothing by accident."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from tasks.handles import Cause
from tasks.incidents.queue import raise_incident
from tasks.moments import standing_at
from tasks.replay.catching import Caught, find_caught
from tasks.replay.planting import Kind, Plant
from tasks.replay.recording import Told
from tasks.replay.weeks import plan_weeks
from tasks.warehouse import Lake

from .made_up import told

pytestmark = pytest.mark.sql

WEEKS = plan_weeks(date(2023, 1, 2), date(2023, 2, 13), 7, timedelta(hours=23))
PLANTED = WEEKS[2]


def find(lake: Lake, kind: Kind, alerts: dict[int, tuple[str, ...]]) -> Caught:
    weeks: dict[str, Told] = {
        week.name: told(week.number, alerts=alerts.get(week.number, ())) for week in WEEKS
    }
    plant = Plant(kind, PLANTED.as_of.date())
    (found,) = find_caught(lake, lake.settings, [plant], WEEKS, weeks)
    return found


def raise_stop(lake: Lake, code: str, moment: datetime, level: str = "stop") -> None:
    cause = Cause(f"orders|{code}", code, level, "orders", "", f"{code} was seen")  # type: ignore[arg-type]
    with standing_at(moment):
        raise_incident(lake, cause, actor="holdfast", report={})


def test_drift_is_caught_by_an_alert_about_a_real_change(lake: Lake) -> None:
    found = find(lake, "concept_drift", {1: ("performance:calibration",), 4: ("real_change:x",)})
    assert (found.by, found.how) == ("monitoring", "real_change:x")
    assert found.caught_at == WEEKS[4].moment
    # An alert from before, or one that takes the change for a fault of the data, has not seen it.
    nothing = find(lake, "concept_drift", {1: ("performance:auc",), 4: ("data_fault:orders.x",)})
    assert nothing.caught_at is None


def test_of_alert_and_item_the_earlier_counts(lake: Lake) -> None:
    raise_stop(lake, "VOLUME", WEEKS[4].moment)
    assert find(lake, "concept_drift", {5: ("performance:auc",)}).by.startswith("VOLUME")
    assert find(lake, "concept_drift", {3: ("performance:auc",)}).by == "monitoring"


def test_a_leak_is_not_caught_by_the_age_of_its_events(lake: Lake) -> None:
    raise_stop(lake, "TIME_SPAN", PLANTED.moment)
    assert find(lake, "leaking_feature", {}).caught_at is None
    raise_stop(lake, "LEAK", PLANTED.moment + timedelta(minutes=5), level="fault")
    found = find(lake, "leaking_feature", {})
    assert found.by.startswith("LEAK")
    assert found.caught_at == PLANTED.moment + timedelta(minutes=5)
