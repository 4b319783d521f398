"""Time to the lapse: read through two clocks, drawn as Kaplan and Meier did, and warned of."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tasks.handles import FeatureTable
from tasks.reasons.lead import Watch, find_leads, measure_lead, plan_watch
from tasks.reasons.refits import Recipe
from tasks.reasons.survival import Stay, draw_curve, draw_curves, read_stays
from tasks.warehouse import Lake, open_lake
from tests.conftest import MakeSettings
from tests.features.shop import at, order, put
from tests.reasons.made_up import make_rows

AS_OF_DAY = 200
START = int(at(0).timestamp()) // 86_400


def night(lake: Lake) -> FeatureTable:
    """A handle that says what time it is; its rows are not read."""
    return FeatureTable(
        table="none",
        as_of=(at(AS_OF_DAY),),
        known_by=(at(AS_OF_DAY + 1),),
        snapshot_id=lake.snapshot().snapshot_id,
        fingerprint="",
        rows=0,
        feature_names=(),
        labelled=False,
    )


def follow(lake: Lake, since: int, *, newcomers: bool = False) -> dict[str, tuple[float, bool]]:
    stay = read_stays(lake, night(lake), START + since, newcomers=newcomers)
    return {
        one: (float(days), bool(lapsed))
        for one, days, lapsed in zip(stay.customer_ids, stay.days, stay.lapsed, strict=True)
    }


@pytest.mark.sql
def test_a_lapse_is_the_first_pause_that_outlasts_the_horizon(make_settings: MakeSettings) -> None:
    with open_lake(make_settings(features={"horizon_days": 30})) as lake:
        days: dict[str, list[int]] = {
            "stays": [95, 120, 145, 170, 195],
            "leaves": [90, 110],
            "returns": [90, 110, 160, 185],  # the first pause counts, whatever comes after
            "gone_before": [60],
            "comes_later": [105, 130],
            "on_the_day": [95, 125, 155, 185],  # a pause of the horizon itself is none
            "last_moment": [75],
            "late_pause": [90, 115, 140, 169],  # 31 days at the cut-off: over by a day
        }
        rows = [order(one, day) for one, listed in days.items() for day in listed]
        rows.append(order("leaves", 130, amount=-5))  # sending something back is no order
        put(lake, "orders", rows)
        put(lake, "orders", [order("leaves", 135)], lag_days=400)  # nobody knows of it yet
        put(lake, "orders", [order("leaves", AS_OF_DAY)])  # not before tonight
        assert follow(lake, 100) == {
            "stays": (100.0, False),
            "leaves": (40.0, True),
            "returns": (40.0, True),
            "on_the_day": (100.0, False),
            "last_moment": (5.0, True),
            "late_pause": (99.0, True),
        }
        everybody = follow(lake, 100, newcomers=True)
        assert everybody.pop("comes_later") == (60.0, True)
        assert everybody == follow(lake, 100)


@pytest.mark.sql
def test_a_contract_ends_when_the_last_of_them_does(make_settings: MakeSettings) -> None:
    settings = make_settings(features={"outcome": "cancellation", "horizon_days": 30})

    def contract(customer: str, number: int, start: float, end: float | None) -> dict[str, Any]:
        return {
            "customer_id": customer,
            "subscription_id": f"{customer}{number}",
            "started_at": at(start),
            "ended_at": None if end is None else at(end),
        }

    with open_lake(settings) as lake:
        put(
            lake,
            "subscriptions",
            [
                contract("stays", 1, 10, None),
                contract("leaves", 1, 10, 150),
                contract("two", 1, 10, 120),
                contract("two", 2, 20, 180),
                contract("gone", 1, 10, 90),
                contract("later", 1, 130, None),
                contract("future", 1, 10, AS_OF_DAY + 20),
            ],
        )
        assert follow(lake, 100) == {
            "stays": (100.0, False),
            "leaves": (50.0, True),
            "two": (80.0, True),
            "future": (100.0, False),
        }
        assert set(follow(lake, 100, newcomers=True)) == {*follow(lake, 100), "later"}


def test_the_curve_is_the_one_by_hand() -> None:
    days = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    lapsed = np.array([True, True, False, True, False])
    curve = draw_curve("x", days, lapsed, 0.95)
    assert [point[0] for point in curve.points] == [0.0, 1.0, 2.0, 3.0]
    assert [point[1] for point in curve.points] == pytest.approx([1.0, 0.8, 0.6, 0.3])
    assert curve.median_days == 3.0
    for _, share, low, high in curve.points:
        assert 0 <= low <= share <= high <= 1
    # Klein and Moeschberger's log-log interval at 0.8 of five: 0.204 to 0.969.
    assert curve.points[1][2:] == (pytest.approx(0.2038, abs=1e-3), pytest.approx(0.9692, abs=1e-3))


@pytest.mark.parametrize("everybody", [True, False])
def test_all_or_none_may_leave(everybody: bool) -> None:
    days = np.arange(1.0, 200.0)
    curve = draw_curve(None, days, np.full(len(days), everybody), 0.95)
    assert len(curve.points) <= 61
    assert curve.median_days == (100.0 if everybody else None)
    assert curve.points[-1][1] == (0.0 if everybody else 1.0)


def test_curves_by_segment_and_whether_they_differ() -> None:
    random = np.random.default_rng(5)
    segments = np.repeat([0, 1, 2, -1], [200, 200, 20, 30])
    days = np.ceil(random.exponential(np.where(segments == 0, 40, 120)))
    lapsed = days < 150
    days = np.minimum(days, 150)
    asked = {"confidence": 0.95, "minimum_customers": 50}
    curves, p_value = draw_curves(days, lapsed, segments, ("a", "b", "c"), **asked)  # type: ignore[arg-type]
    assert [one.segment_id for one in curves] == [None, "a", "b"]
    assert [one.customers for one in curves] == [450, 200, 200]
    assert p_value is not None
    assert p_value < 1e-6
    shuffled = random.permutation(segments)
    _, p_value = draw_curves(days, lapsed, shuffled, ("a", "b", "c"), **asked)  # type: ignore[arg-type]
    assert p_value is not None
    assert p_value > 0.001
    one_curve, none = draw_curves(days, lapsed, None, (), **asked)  # type: ignore[arg-type]
    assert len(one_curve) == 1
    assert none is None
    assert draw_curves(days[:0], lapsed[:0], None, (), **asked) == ((), None)  # type: ignore[arg-type]


def test_only_a_flag_that_stayed_up_is_a_warning() -> None:
    rows = make_rows(5)
    cutoffs = np.unique(rows.cutoff_days)
    since = int(cutoffs[0])
    stay = Stay(
        since_day=since,
        customer_ids=np.array([f"c{n:05d}" for n in range(4)], dtype=object),
        days=np.array([100.0, 100.0, 100.0, 180.0]),
        lapsed=np.array([True, True, True, False]),
    )
    flags = {
        0: [0, 1, 1, 1, 0, 0],  # from day 30 on; what comes after the lapse does not count
        1: [1, 1, 0, 1, 0, 0],  # taken back in between: from day 90
        2: [1, 1, 1, 0, 1, 1],  # down when it mattered
        3: [0, 1, 0, 0, 0, 0],  # stayed
        4: [1, 1, 1, 1, 1, 1],  # not followed
    }
    watched = np.arange(len(rows.customers))
    flagged = np.array(
        [
            bool(flags[int(customer)][int(np.searchsorted(cutoffs, day))])
            for customer, day in zip(rows.customers, rows.cutoff_days, strict=True)
        ]
    )
    leads, lapsed, stayers = find_leads(rows, watched, flagged, stay)
    assert sorted(leads.tolist()) == [10.0, 70.0]
    assert lapsed == 3
    assert stayers == pytest.approx(1 / 6)


def test_a_watched_cutoff_lies_a_horizon_after_what_teaches() -> None:
    rows = make_rows(60)
    watch = plan_watch(rows, horizon_days=60)
    assert watch is not None
    assert watch.teaching_days.max() + 60 <= watch.watched_days.min()
    assert len(watch.watched_days) == 3
    one = rows.cutoff_days == rows.cutoff_days[0]
    short = replace(rows, cutoff_days=np.full_like(rows.cutoff_days, rows.cutoff_days[0]))
    assert one.any()
    assert plan_watch(short, 30) is None


def test_the_model_of_the_lead_time_has_not_seen_the_future() -> None:
    """Outcomes of watched cut-offs may be anything: the flags must not move."""
    rows = make_rows(200)
    watch = plan_watch(rows, 30)
    assert isinstance(watch, Watch)
    stay = Stay(
        int(watch.watched_days[0]),
        rows.customer_ids,
        np.full(200, 60.0),
        np.arange(200) % 2 == 0,
    )
    recipe = Recipe({"min_data_in_leaf": 20, "num_leaves": 5}, 15)
    later = rows.cutoff_days + 30 > watch.watched_days[0]
    changed = replace(rows, churned=np.where(later, 1 - rows.churned, rows.churned))
    asked = {"flag_share": 0.2, "seed": 1}
    found = measure_lead(rows, stay, watch, recipe, **asked)  # type: ignore[arg-type]
    assert found is not None
    assert found == measure_lead(changed, stay, watch, recipe, **asked)  # type: ignore[arg-type]
    assert found.lapsed_customers == 100
    assert set(found.quantile_days) == {"0.1", "0.25", "0.5", "0.75", "0.9"}
    assert 0.1 < (found.stayers_flagged_share or 0) < 0.3
    assert timedelta(days=found.quantile_days["0.9"]) <= timedelta(days=60)
