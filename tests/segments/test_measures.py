"""The measures against what they should say, and the choice by its declared rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.groups import SegmentsSettings
from tasks.segments.baselines import fit_fifths, fit_rfm
from tasks.segments.candidates import Setting, Unusable, assign_rows
from tasks.segments.measures import adjusted_rand, check_limits, eta_squared, jaccard
from tasks.segments.search import Tried, feature_sets, find_front, rank_settings
from tasks.settings import load_settings

GIVEN = load_settings("online_retail").segments
labels = st.lists(st.integers(0, 4), min_size=2, max_size=40).map(np.array)


def test_eta_squared_is_the_part_between_groups() -> None:
    values = np.array([1.0, 1.0, 5.0, 5.0])
    assert eta_squared(values, np.array([0, 0, 1, 1])) == 1.0
    assert eta_squared(values, np.array([0, 1, 0, 1])) == 0.0
    assert eta_squared(np.ones(4), np.array([0, 0, 1, 1])) == 0.0
    assert eta_squared(np.empty(0), np.empty(0, dtype=np.int64)) == 0.0
    # By hand: means 2 and 6, total 40, between 32.
    assert eta_squared(np.array([0.0, 4, 4, 8]), np.array([0, 0, 1, 1])) == pytest.approx(0.5)


@given(labels)
@settings(max_examples=60, deadline=None)
def test_the_same_groups_agree_whatever_their_numbers(one: np.ndarray) -> None:
    renamed = np.array([3, 0, 4, 2, 1])[one]
    assert jaccard(one, renamed) == pytest.approx(1.0)
    assert adjusted_rand(one, renamed) == pytest.approx(1.0)


@given(labels, st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_shares_stay_shares(one: np.ndarray, seed: int) -> None:
    random = np.random.default_rng(seed)
    assert 0 < jaccard(one, random.integers(0, 5, len(one))) <= 1
    assert 0 <= eta_squared(random.normal(size=len(one)), one) <= 1


def test_limits_of_number_and_size() -> None:
    check_limits(np.arange(100) % 6, GIVEN)
    with pytest.raises(Unusable, match="4 groups"):
        check_limits(np.arange(100) % 4, GIVEN)
    with pytest.raises(Unusable, match=r"a group of 1\.0%"):
        check_limits(np.array([0] * 50 + [1] * 10 + [2] * 20 + [3] * 19 + [4]), GIVEN)
    with pytest.raises(Unusable, match="5 groups"):
        check_limits(np.array([0, 1, 2, 3, 5] * 20), GIVEN)


def test_rfm_names_the_best_and_the_longest_gone() -> None:
    names = ("recency_days", "order_days_365", "amount_365", "value_amount")
    matrix = np.array([[10.0 * n, 100.0 - n, 1000.0 - 9 * n, 1000.0 - 9 * n] for n in range(100)])
    found = fit_rfm(matrix, names, GIVEN)
    groups = assign_rows(matrix, names, found)
    assert groups[0] == 0  # champions
    assert groups[-1] == 7  # hibernating
    # Unknown recency counts as the longest, unknown money as none: they often buy, for nothing.
    unknown = np.array([[np.nan, 99.0, 990.0, 1.0], [5.0, 99.0, np.nan, 1.0]])
    assert assign_rows(unknown, names, found).tolist() == [6, 2]
    fifths = assign_rows(matrix, names, fit_fifths(matrix, names, GIVEN))
    assert np.bincount(fifths).tolist() == [20] * 5
    assert fifths[0] == 4


def tried(number: int, separation: float, stability: float, usefulness: float) -> Tried:
    setting = Setting("kmeans", "all", ("a", "b"), "standard", True, number, 5)
    values = {"separation": separation, "stability": stability, "usefulness": usefulness}
    return Tried(number, setting, values)


def numbers(found: Sequence[Tried]) -> list[int]:
    return [one.number for one in found]


def test_the_front_and_the_choice() -> None:
    rule = {"stability": 0.7, "usefulness": 0.2}
    some = [
        tried(0, 0.10, 0.75, 0.21),  # beats the rule, narrowly in usefulness
        tried(1, 0.10, 0.75, 0.23),  # the same but more useful: 0 is beaten by it
        tried(2, 0.40, 0.60, 0.15),  # separates best
        tried(3, 0.05, 0.90, 0.19),  # most stable, not useful enough
        tried(4, 0.02, 0.71, 0.40),  # most useful, narrowly more stable
        Tried(5, tried(5, 0, 0, 0).setting, {}, "2 groups"),
    ]
    front = find_front(some)
    assert numbers(front) == [1, 2, 3, 4]
    assert numbers(rank_settings(front, GIVEN, rule))[:2] == [1, 4]
    # Where none beats the rule, the weighted sum decides.
    high = {"stability": 0.95, "usefulness": 0.5}
    assert numbers(rank_settings(front, GIVEN, high))[0] == 4
    strict: SegmentsSettings = GIVEN.model_copy(update={"stability_margin": 0.02})
    assert numbers(rank_settings(front, strict, rule))[0] == 1


def test_a_setting_tried_twice_stands_once_on_the_front() -> None:
    one = tried(0, 0.1, 0.7, 0.2)
    again = Tried(1, one.setting, one.values)
    assert numbers(find_front([one, again])) == [0]


def test_feature_sets_hold_what_is_there() -> None:
    sets = feature_sets(("recency_days", "amount_365", "order_days_365"), GIVEN)
    assert sets["all"] == ("recency_days", "amount_365", "order_days_365")
    assert all(len(members) >= 2 for members in sets.values())
    assert len(set(sets.values())) == len(sets)
