"""Names: readable in both languages, distinct, kept while they are true, overridden by a person."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.errors import ConfigurationError, DataRejected
from tasks.features.declaration import FEATURES
from tasks.findings import Words
from tasks.segments.naming import name_segments
from tasks.segments.profiles import profile_segments
from tasks.segments.words import FEATURE_WORDS, THEMES, word_feature

NAMES = (
    "recency_days",
    "order_days_365",
    "amount_365",
    "tenure_days",
    "order_days_total",
    "discount_share_365",
)
# A column of every feature table beside the features.
VALUE = {"value_amount"}
# Medians of made-up groups in the order of NAMES.
GROUPS = {
    "s01": (5, 60, 3_000, 700, 120, 0.1),
    "s02": (150, 12, 300, 700, 30, 0.1),
    "s03": (20, 1, 40, 20, 1, 0.1),
    "s04": (20, 20, 500, 400, 40, 0.6),
}


def made_up(rows: int = 200, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    parts, ids = [], []
    for key, medians in GROUPS.items():
        part = np.array(medians) * np.exp(random.normal(0, 0.2, (rows, len(NAMES))))
        part[:, 4] = np.maximum(1, part[:, 4].round()) if medians[4] > 1 else 1
        parts.append(part)
        ids += [key] * rows
    return np.vstack(parts), np.array(ids, dtype=object)


def test_names_say_what_sets_apart_in_both_languages() -> None:
    names = name_segments(*(made_up()[0], NAMES, made_up()[1])).names
    assert names["s01"] == Words(en="Frequent big spenders", ko="자주 많이 사는 고객")
    assert names["s02"] == Words(en="Quiet long-standing customers", ko="발길이 뜸하고 오래된 고객")
    assert names["s03"] == Words(en="New one-time buyers", ko="새롭고 한 번 구매한 고객")
    assert names["s04"] == Words(en="Discount-seeking customers", ko="할인을 찾는 고객")


def test_order_of_rows_decides_nothing() -> None:
    matrix, ids = made_up()
    order = np.random.default_rng(0).permutation(len(ids))
    assert name_segments(matrix[order], NAMES, ids[order]) == name_segments(matrix, NAMES, ids)


def test_traits_say_five_things_with_medians_in_their_units() -> None:
    matrix, ids = made_up()
    traits = name_segments(matrix, NAMES, ids).traits
    assert all(0 < len(found) <= 5 for found in traits.values())
    spent = {trait.feature: trait for trait in traits["s01"]}["amount_365"]
    own = matrix[ids == "s01", 2]
    assert spent.median == np.median(own)
    assert spent.overall_median == np.median(matrix[:, 2])
    spread = 1.4826 * np.median(np.abs(matrix[:, 2] - np.median(matrix[:, 2])))
    assert spent.deviation == pytest.approx((spent.median - spent.overall_median) / spread)
    assert spent.words == Words(en="spent, 365 days", ko="최근 365일 구매액")


def test_two_groups_alike_get_two_names() -> None:
    random = np.random.default_rng(1)
    matrix = np.vstack([random.normal(0, 1, (300, 1)), random.normal(9, 1, (300, 1))])
    ids = np.array(["s01", "s02", "s03", "s04", "s05", "s06"] * 100, dtype=object)
    ids[300:] = np.array(["s07", "s08"] * 150, dtype=object)
    names = name_segments(matrix, ["amount_365"], ids).names
    assert len({name.en for name in names.values()}) == 8
    assert len({name.ko for name in names.values()}) == 8


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_names_are_always_distinct_and_short(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 40))
    columns = ("amount_365", "order_days_total", "recency_days", "MonthlyCharges", "Has_Partner")
    values = st.one_of(st.sampled_from([0.0, 1.0, math.nan]), st.floats(-1e9, 1e9))
    matrix = data.draw(arrays(np.float64, (rows, len(columns)), elements=values))
    ids = data.draw(
        st.lists(st.sampled_from(["s01", "s02", "s03", "s09"]), min_size=rows, max_size=rows)
    )
    found = name_segments(matrix, columns, ids)
    assert set(found.names) == set(found.traits) == set(ids)
    for language in ("en", "ko"):
        texts = [getattr(name, language) for name in found.names.values()]
        assert len(set(texts)) == len(texts)
    assert all(1 <= len(name.en.split()) <= 6 for name in found.names.values())  # 5 and a number
    assert all(name.ko.rstrip(" 23456789").endswith("고객") for name in found.names.values())


def test_a_kept_segment_keeps_its_name_though_it_drifts() -> None:
    matrix, ids = made_up()
    kept = name_segments(matrix, NAMES, ids).names
    drifted = matrix.copy()
    drifted[ids == "s01", 2] *= 0.4
    drifted[ids == "s04", 0] = 1
    found = name_segments(drifted, NAMES, ids, kept=kept)
    assert found.names == kept
    assert found.events == ()


def test_a_name_that_became_untrue_is_not_kept() -> None:
    matrix, ids = made_up()
    kept = {**name_segments(matrix, NAMES, ids).names, "s99": Words(en="Gone", ko="없는 고객")}
    matrix[ids == "s02", 0] = 1  # the quiet ones are back
    found = name_segments(matrix, NAMES, ids, kept=kept)
    assert "Quiet" not in found.names["s02"].en
    assert [(event.event, event.segment_id) for event in found.events] == [("renamed", "s02")]


def test_a_person_names_better() -> None:
    matrix, ids = made_up()
    own = Words(en="Our VIPs", ko="우리 VIP")
    kept = name_segments(matrix, NAMES, ids).names
    found = name_segments(matrix, NAMES, ids, kept=kept, overrides={"s01": own, "s77": kept["s01"]})
    assert found.names == {**kept, "s01": own}
    assert [event.segment_id for event in found.events] == ["s01"]


def test_an_overriding_name_is_nobody_elses() -> None:
    matrix, ids = made_up()
    taken = name_segments(matrix, NAMES, ids).names["s01"]
    found = name_segments(matrix, NAMES, ids, overrides={"s04": taken})
    assert found.names["s04"] == taken
    assert found.names["s01"].en != taken.en
    assert found.names["s01"].ko != taken.ko


def test_a_reserved_name_is_left_to_whose_it_is() -> None:
    matrix, ids = made_up()
    plain = name_segments(matrix, NAMES, ids).names
    # Its own name a segment may get; another's, that serves beside, it may not.
    reserved = {"s01": plain["s01"], "s09": plain["s02"]}
    names = name_segments(matrix, NAMES, ids, reserved=reserved).names
    assert names["s01"] == plain["s01"]
    assert names["s02"] != plain["s02"]
    assert len({one.en for one in (*names.values(), plain["s02"])}) == 5


def test_one_name_for_two_is_refused() -> None:
    matrix, ids = made_up()
    overrides = {"s01": Words(en="VIP", ko="가"), "s02": Words(en="vip", ko="나")}
    with pytest.raises(ConfigurationError, match="one name") as caught:
        name_segments(matrix, NAMES, ids, overrides=overrides)
    assert "s01, s02" in str(caught.value)


@pytest.mark.parametrize("column", [[math.nan] * 4, [2.0] * 4])
def test_with_nothing_to_tell_by_they_are_typical_and_numbered(column: list[float]) -> None:
    matrix = np.array(column).reshape(-1, 1)
    found = name_segments(matrix, ["amount_365"], ["s01", "s01", "s02", "s02"])
    assert [name.en for name in found.names.values()] == [
        "Typical customers",
        "Typical customers 2",
    ]
    assert found.traits == {"s01": (), "s02": ()}


def test_one_customer_is_everybody() -> None:
    assert name_segments([[1.0]], ["amount_365"], ["s01"]).names["s01"].en == "All customers"


def test_nobody_is_refused() -> None:
    with pytest.raises(DataRejected, match="no customers"):
        name_segments(np.empty((0, 1)), ["amount_365"], [])


def test_a_strange_column_is_called_by_its_own_name() -> None:
    matrix = [[1.0, 0.0], [1.5, 0.0], [1.2, 0.0], [90.0, 1.0], [95.0, 1.0]]
    found = name_segments(matrix, ["Monthly_Charges", "Partner"], ["a", "a", "a", "b", "b"])
    assert found.names["b"].en == "High Monthly Charges Partner customers"
    assert found.names["b"].ko == "Monthly Charges 높고 Partner 있는 고객"
    said = word_feature("Monthly_Charges", {"Monthly_Charges": "billed a month"})
    assert said == Words(en="billed a month", ko="Monthly Charges")


def test_every_declared_feature_has_words_and_no_other() -> None:
    assert set(FEATURE_WORDS) == {feature.name for feature in FEATURES} | VALUE
    for language in ("en", "ko"):
        counted = Counter(getattr(words, language) for words in FEATURE_WORDS.values())
        assert counted.most_common(1)[0][1] == 1


def test_a_feature_speaks_for_one_theme_and_words_for_one_pole() -> None:
    used = Counter(name for theme in THEMES for name in theme.features)
    assert set(used) <= {feature.name for feature in FEATURES} | VALUE
    assert set(used.values()) == {1}
    poles = [pole for theme in THEMES for pole in (theme.high, theme.low)]
    for field in ("adjective", "ending", "joining"):
        said = [getattr(pole, field) for pole in poles]
        assert all(said)
        assert len(set(said)) == len(said)


def test_profile_ranks_ignore_scale_and_what_everybody_shares() -> None:
    matrix = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [1e9, 5.0]])
    profile = profile_segments(matrix, ["a", "b"], ["x", "x", "x", "y"])
    assert profile.ranks[:, 0].tolist() == [0.375, 0.875]
    # Most return nothing: that is the middle, not the low end.
    assert profile.ranks[0, 1] == 0.5
    assert profile.medians.tolist() == [[2.0, 0.0], [1e9, 5.0]]
    assert np.isfinite(profile.deviations).all()
