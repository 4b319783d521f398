"""Which group is which after a refit, what became of each, who moved, and what is usual."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import DataRejected
from tasks.segments.memory import (
    count_movements,
    find_share_alarms,
    match_segments,
    usual_share_range,
)


def customers(count: int, start: int = 0) -> list[str]:
    return [f"c{number:04d}" for number in range(start, start + count)]


def told(events: object) -> dict[tuple[str, str], tuple[str, ...]]:
    return {(e.event, e.segment_id): e.related_ids for e in events}  # type: ignore[attr-defined]


def test_the_same_groups_numbered_otherwise_keep_their_ids() -> None:
    who = customers(90)
    old = np.repeat(["s01", "s02", "s03"], 30)
    new = np.repeat([7, 0, 3], 30)
    found = match_segments(who, old, who, new)
    assert found.ids == {7: "s01", 0: "s02", 3: "s03"}
    assert found.kept == {"s01": 1.0, "s02": 1.0, "s03": 1.0}
    assert [e.event for e in found.events] == ["kept"] * 3
    assert list(found.segment_ids) == list(old)
    assert {(m.from_id, m.to_id) for m in found.movements} == {(s, s) for s in set(old)}


def test_the_best_pairing_in_sum_is_chosen_not_the_first_best() -> None:
    # s01 overlaps most with label 0, but s02 has nobody else to be.
    who = customers(100)
    old = ["s01"] * 60 + ["s02"] * 40
    new = [0] * 35 + [1] * 25 + [0] * 40
    found = match_segments(who, old, who, new)
    assert found.ids == {0: "s02", 1: "s01"}


def test_split_keeps_the_id_of_the_larger_part() -> None:
    who = customers(100)
    found = match_segments(who, ["s01"] * 100, who, [0] * 60 + [1] * 40)
    assert found.ids == {0: "s01", 1: "s02"}
    events = told(found.events)
    assert events[("split", "s01")] == ("s01", "s02")
    assert events[("born", "s02")] == ("s01",)
    assert ("died", "s01") not in events


def test_merger_keeps_the_id_of_the_larger_source_and_the_other_dies() -> None:
    who = customers(100)
    found = match_segments(who, ["s01"] * 60 + ["s02"] * 40, who, [5] * 100)
    assert found.ids == {5: "s01"}
    events = told(found.events)
    assert events[("merged", "s01")] == ("s01", "s02")
    assert events[("died", "s02")] == ("s01",)


def test_below_the_minimum_it_is_another_group() -> None:
    who = customers(100)
    old = ["s01"] * 50 + ["s02"] * 50
    new = [0, 1] * 50
    found = match_segments(who, old, who, new, minimum_overlap_share=0.5)
    assert sorted(found.ids.values()) == ["s03", "s04"]
    assert found.kept == {}
    assert {e.event for e in found.events} == {"born", "died"}


def test_an_id_that_died_is_never_given_again() -> None:
    found = match_segments([], [], customers(3), [0, 1, 2], used_ids={"s09", "champions"})
    assert sorted(found.ids.values()) == ["s10", "s11", "s12"]


def test_the_first_segmentation_is_all_births_largest_first() -> None:
    found = match_segments([], [], customers(6), [4, 4, 4, 1, 1, 0])
    assert found.ids == {4: "s01", 1: "s02", 0: "s03"}
    assert {(e.event, e.overlap_share) for e in found.events} == {("born", None)}
    assert {m.from_id for m in found.movements} == {"new"}


def test_without_common_customers_nothing_is_claimed() -> None:
    found = match_segments(customers(4), ["s01"] * 4, customers(4, 100), [0] * 4)
    assert found.common_customers == 0
    assert found.ids == {0: "s02"}
    assert [(e.event, e.segment_id, e.overlap_share) for e in found.events] == [
        ("born", "s02", None),
        ("died", "s01", None),
    ]
    assert [(m.from_id, m.to_id, m.customers) for m in found.movements] == [
        ("new", "s02", 4),
        ("s01", "gone", 4),
    ]


def test_one_customer() -> None:
    found = match_segments(["a"], ["s01"], ["a"], [3])
    assert found.ids == {3: "s01"}


def test_nobody_now() -> None:
    found = match_segments(["a"], ["s01"], [], [])
    assert found.ids == {}
    assert [(e.event, e.segment_id) for e in found.events] == [("died", "s01")]


def test_a_customer_twice_is_refused() -> None:
    with pytest.raises(DataRejected, match="twice"):
        match_segments(["a", "a"], ["s01", "s02"], ["a"], [0])


LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=40)


@given(LABELS, LABELS, st.integers(0, 20), st.permutations(range(5)), st.randoms())
@settings(max_examples=60, deadline=None)
def test_labels_and_order_of_rows_decide_nothing(
    old: list[int], new: list[int], shift: int, renumbered: list[int], random: object
) -> None:
    old_who, new_who = customers(len(old)), customers(len(new), shift)
    old_ids = [f"s{label + 1:02d}" for label in old]
    first = match_segments(old_who, old_ids, new_who, new)
    order = list(range(len(new)))
    random.shuffle(order)  # type: ignore[attr-defined]
    again = match_segments(
        old_who, old_ids, [new_who[i] for i in order], [renumbered[new[i]] for i in order]
    )
    assert [again.segment_ids[order.index(i)] for i in range(len(new))] == list(first.segment_ids)
    assert again.events == first.events
    assert again.movements == first.movements
    # One id a label, and everybody of either side counted once.
    assert len(set(first.ids.values())) == len(first.ids)
    both = len(set(old_who) & set(new_who))
    assert sum(m.customers for m in first.movements) == len(old) + len(new) - both
    born = {e.segment_id for e in first.events if e.event == "born"}
    kept = {e.segment_id for e in first.events if e.event == "kept"}
    died = {e.segment_id for e in first.events if e.event == "died"}
    assert born | kept == set(first.ids.values())
    assert kept | died == set(old_ids)
    assert not born & set(old_ids)


def test_movements_of_two_published_nights() -> None:
    found = count_movements(
        ["a", "b", "c"], ["s01", "s01", "s02"], ["b", "c", "d"], ["s02", "s02", "s01"]
    )
    assert [(m.from_id, m.to_id, m.customers) for m in found] == [
        ("new", "s01", 1),
        ("s01", "gone", 1),
        ("s01", "s02", 1),
        ("s02", "s02", 1),
    ]


def test_usual_range_lies_around_the_last_share() -> None:
    low, high = usual_share_range([0.20, 0.22, 0.21, 0.23, 0.22]) or (0.0, 0.0)
    assert low < 0.22 < high
    assert high - 0.22 == pytest.approx(0.22 - low)
    # t(4 changes, 99 %) = 4.604 times the root mean square of the changes.
    assert high - 0.22 == pytest.approx(4.604095 * np.sqrt((4 + 1 + 4 + 1) / 4) * 0.01, rel=1e-5)


def test_a_share_that_never_moved_has_a_floor() -> None:
    assert usual_share_range([0.3] * 6, floor_share=0.02) == pytest.approx((0.28, 0.32))


@pytest.mark.parametrize("history", [[], [0.2], [0.2, 0.3, 0.2], [0.2, float("nan"), 0.2, 0.2]])
def test_too_short_a_history_is_no_range(history: list[float]) -> None:
    assert usual_share_range(history) is None


def test_range_stays_within_shares() -> None:
    assert usual_share_range([0.01, 0.5, 0.02, 0.9, 0.01]) == (0.0, 1.0)


def test_alarm_rings_outside_and_only_there() -> None:
    history = {"s01": [0.30] * 6, "s02": [0.20] * 6, "s03": [0.5]}
    shares = {"s01": 0.37, "s02": 0.21, "s03": 0.1, "s04": 0.32}
    found = find_share_alarms(shares, history)
    assert [(a.segment_id, a.share) for a in found] == [("s01", 0.37)]
    assert found[0].low_share < 0.30 < found[0].high_share


@pytest.mark.statistics
@pytest.mark.parametrize("wander", [0.0, 1.0])
def test_false_alarms_are_rare_whether_shares_wander_or_not(wander: float) -> None:
    random = np.random.default_rng(5)
    alarms = 0
    for _ in range(1_000):
        steps = random.normal(0, 0.004, 13)
        shares = 0.2 + (np.cumsum(steps) if wander else steps)
        usual = usual_share_range(shares[:-1], floor_share=0.0)
        assert usual is not None
        alarms += not usual[0] <= shares[-1] <= usual[1]
    assert alarms <= 25  # 1 % is meant
