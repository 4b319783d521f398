"""Outcomes of scored customers: the training's labels, by week, held out and not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tasks.features.outcomes import join_outcomes
from tasks.monitoring.outcomes import (
    SCORED,
    choose_judged,
    find_covered,
    judge_weeks,
    stage_weeks,
)
from tasks.offers import is_held_out
from tasks.quality import WeekQuality
from tasks.standings import SourceStanding, Standing
from tasks.warehouse import Lake, quote
from tests.features.shop import at, order, put

from . import watched_shop
from .watched_shop import build

pytestmark = pytest.mark.sql


def test_the_outcome_is_the_label_that_a_training_would_see(watched_lake: Lake) -> None:
    moments = watched_shop.SCORED
    until = at(360)
    labelled = build(watched_lake, moments, labels_as_of=until)
    assert stage_weeks(watched_lake, until)
    snapshot = watched_lake.snapshot()
    join_outcomes(watched_lake, SCORED, until, snapshot, watched_lake.settings.features)
    row = watched_lake.one(
        "select count(*) as both, count(*) filter (l.churned is distinct from o.churned) as differ,"
        " count(*) filter (o.churned) as churners"
        f" from scored_outcome o join lake.main.{quote(labelled.table)} l"
        " using (customer_id, as_of)"
    )
    assert row["both"] == watched_lake.scalar(f"select count(*) from {SCORED}")
    assert row["differ"] == 0
    assert 0 < row["churners"] < row["both"]


def test_a_week_is_told_by_its_last_night_and_only_when_it_has_matured(watched_lake: Lake) -> None:
    # 2020-11-06 and -08 lie in one week, 2020-11-13 in the next.
    assert stage_weeks(watched_lake, at(360))
    nights = watched_lake.rows(f"select distinct as_of from {SCORED} order by as_of")
    assert [row["as_of"] for row in nights] == [at(312), at(317)]
    assert stage_weeks(watched_lake, at(317 + 29))
    assert watched_lake.scalar(f"select max(as_of) from {SCORED}") == at(312)
    assert not stage_weeks(watched_lake, at(312))


def test_a_week_is_not_judged_by_orders_that_have_not_come() -> None:
    """A file that comes late must not look like everybody's leaving."""

    def standing(**changed: object) -> Standing:
        orders = SourceStanding("orders", "orders", "stop", False)
        events = SourceStanding("events", "events", "stop", False, is_behind=True, age_days=30.0)
        return Standing((replace(orders, **changed), events))  # type: ignore[arg-type]

    assert find_covered(standing(), at(360)) == at(360)
    late = standing(is_behind=True, overdue=("2020-12-20",), age_days=6.5)
    assert find_covered(late, at(360)) == at(360) - timedelta(days=6.5)
    assert find_covered(standing(is_behind=True, never_came=True), at(360)) is None


def test_who_is_held_out_is_who_the_action_list_holds_out(watched_lake: Lake) -> None:
    stage_weeks(watched_lake, at(360))
    actions = watched_lake.settings.actions
    found = {
        row["customer_id"]: row["held_out"]
        for row in watched_lake.rows(f"select customer_id, held_out from {SCORED}")
    }
    assert found == {
        one: is_held_out(one, actions.hold_out_salt, actions.hold_out_share) for one in found
    }
    assert 0 < sum(found.values()) < len(found) / 3


def test_weeks_are_judged(watched_lake: Lake) -> None:
    stage_weeks(watched_lake, at(360))
    join_outcomes(
        watched_lake, SCORED, at(360), watched_lake.snapshot(), watched_lake.settings.features
    )
    weeks = judge_weeks(watched_lake)
    assert [one.as_of for one in weeks if one.population == "all"] == [at(312), at(317)]
    for one in weeks:
        assert one.auc is not None
        assert one.auc[1] < one.auc[0] < one.auc[2]
        assert one.contacted == 0


def test_an_order_known_too_late_is_no_order_yet(lake: Lake) -> None:
    put(lake, "orders", [order("early", 0), order("early", 12), order("late", 0)])
    put(lake, "orders", [order("late", 13), order("back", 14, -5.0)], lag_days=60)
    lake.execute(
        "create temporary table asked as select unnest(['early', 'late', 'back']) as customer_id,"
        " $as_of::timestamptz as as_of",
        {"as_of": at(10)},
    )
    features = lake.settings.features.model_copy(update={"horizon_days": 10})
    for known_by, expected in ((at(30), {"late"}), (at(90), set())):
        join_outcomes(lake, "asked", known_by, lake.snapshot(), features)
        rows = lake.rows("select customer_id from scored_outcome where churned")
        assert {row["customer_id"] for row in rows} == {"back", *expected}


def make_week(population: str, contacted: int, day: int = 0, gap: float = 0.0) -> WeekQuality:
    return WeekQuality(
        model_version=1,
        model_hash="m",
        week=at(day),
        as_of=at(day),
        population=population,  # type: ignore[arg-type]
        customers=500,
        contacted=contacted,
        churners=100,
        auc=(0.8, 0.77, 0.83),
        gap=(gap, gap - 0.02, gap + 0.02),
        calibration_error=0.03,
        profit=(100.0, 50.0, 150.0),
        expected_profit_amount=100.0,
    )


@pytest.mark.faults(75)
def test_fault_75_contacted_customers_do_not_judge_the_model() -> None:
    """An offer keeps people who would have left: the model looks wrong, and is not."""
    everybody = make_week("all", 300, gap=-0.2)
    held_out = make_week("held_out", 0)
    assert choose_judged([everybody, held_out], "m") == [held_out]
    # Too few are held out to judge by: then nobody is.
    assert choose_judged([everybody], "m") == []
    untouched = make_week("all", 0, day=7)
    assert choose_judged([everybody, held_out, untouched], "m") == [held_out, untouched]
    assert choose_judged([untouched], "other") == []


def test_the_lag_of_outcomes_is_kept(watched_lake: Lake) -> None:
    assert not stage_weeks(watched_lake, watched_shop.SCORED[0] - timedelta(days=1))
