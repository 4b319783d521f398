"""Rules: few conditions, honest figures, and the same answer in Python as in DuckDB."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.errors import DataRejected
from tasks.segments.boxes import bin_features, find_box, harmonic_share
from tasks.segments.rules import Condition, Description, describe_segments
from tasks.warehouse import Connection, Lake, scratch

pytestmark = pytest.mark.sql

NAMES = ("recency_days", 'odd "name"', "amount_365")


def ask_duckdb(
    connection: Connection, found: Description, matrix: np.ndarray, table: str = "given"
) -> tuple[list[str], dict[str, list[bool]]]:
    """The segment of every row by `case_sql`, and whom each rule's own predicate selects."""
    cases = connection.rows(f"select {found.case_sql} as s from {table} order by place")
    selected = {}
    for key, rule in found.rules.items():
        rows = connection.rows(f"select place from {table} where {rule.sql}")
        chosen = np.zeros(len(matrix), dtype=bool)
        chosen[[row["place"] for row in rows]] = True
        selected[key] = chosen.tolist()
    return [row["s"] for row in cases], selected


def as_table(matrix: np.ndarray, names: tuple[str, ...]) -> pa.Table:
    columns = {
        name: pa.array([None if math.isnan(v) else v for v in matrix[:, i]], pa.float64())
        for i, name in enumerate(names)
    }
    return pa.table({"place": list(range(len(matrix))), **columns})


def check_same_answer(
    connection: Connection, found: Description, matrix: np.ndarray, table: str
) -> None:
    cases, selected = ask_duckdb(connection, found, matrix, table)
    assert cases == list(found.assign(matrix))
    places = {name: place for place, name in enumerate(found.feature_names)}
    for key, rule in found.rules.items():
        assert selected[key] == rule.selects(matrix, places).tolist(), rule.sql


VALUES = st.one_of(
    st.sampled_from([0.0, 1.0, 2.0, 30.0, math.nan, -1.5, 1 / 3, 0.1, 1e16, 1e-9, 123456.789]),
    st.floats(-1e6, 1e6, allow_nan=False),
)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_sql_gives_the_same_answer_with_nulls_and_ties(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 30))
    matrix = data.draw(arrays(np.float64, (rows, 3), elements=VALUES))
    ids = data.draw(
        st.lists(st.sampled_from(["s01", "it's", 'b"c', "자주"]), min_size=rows, max_size=rows)
    )
    found = describe_segments(matrix, NAMES, ids)
    # Others than those it was made from are asked too.
    others = data.draw(arrays(np.float64, (10, 3), elements=VALUES))
    asked = np.vstack([matrix, others])
    with scratch() as connection:
        connection.load_arrow("given", as_table(asked, NAMES))
        check_same_answer(connection, found, asked, "given")
    assert all(len(rule.conditions) <= 5 for rule in found.rules.values())


def made_up(rows: int = 3_000, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    matrix = np.column_stack(
        [
            random.integers(1, 200, rows).astype(float),
            np.where(random.random(rows) < 0.3, np.nan, random.integers(0, 6, rows)),
            np.exp(random.normal(5, 1, rows)),
        ]
    )
    ids = np.where(
        matrix[:, 0] <= 30,
        np.where(matrix[:, 2] >= 150, "s01", "s02"),
        np.where(np.isnan(matrix[:, 1]), "s03", "s04"),
    )
    return matrix, ids


def test_planted_rules_are_found_in_round_numbers() -> None:
    matrix, ids = made_up()
    found = describe_segments(matrix, NAMES, ids)
    assert found.agreement_share > 0.99
    assert set(found.rules["s01"].texts) == {"recency_days <= 30", "amount_365 >= 150"}
    assert set(found.rules["s02"].texts) == {"recency_days <= 30", "amount_365 <= 150"}
    assert set(found.rules["s03"].texts) == {"recency_days >= 31", 'odd "name" is unknown'}
    assert set(found.rules["s04"].texts) == {"recency_days >= 31", 'odd "name" is known'}
    assert '"odd ""name""" is null' in found.rules["s03"].sql
    assert all(rule.is_described and rule.shortfall_share == 0 for rule in found.rules.values())


def test_real_lake_gives_the_same_answer(lake: Lake) -> None:
    matrix, ids = made_up(500)
    ids[:60] = "o'brien"
    found = describe_segments(matrix, NAMES, ids)
    lake.load_arrow("arrived", as_table(matrix, NAMES))
    lake.execute("create table lake.main.asked as select * from arrived")
    check_same_answer(lake, found, matrix, "lake.main.asked")


def test_same_input_same_rules_in_any_order_of_rows() -> None:
    matrix, ids = made_up(800)
    order = np.random.default_rng(0).permutation(800)
    first = describe_segments(matrix, NAMES, ids)
    assert describe_segments(matrix[order], NAMES, ids[order]) == first


def test_a_sample_finds_and_all_customers_judge() -> None:
    matrix, ids = made_up(5_000)
    found = describe_segments(matrix, NAMES, ids, sample_rows=600)
    places = {name: place for place, name in enumerate(NAMES)}
    for key, rule in found.rules.items():
        chosen, own = rule.selects(matrix, places), ids == key
        assert rule.precision_share == pytest.approx((chosen & own).sum() / chosen.sum())
        assert rule.recall_share == pytest.approx((chosen & own).sum() / own.sum())
        assert rule.agreement_share == pytest.approx((chosen == own).mean())
    assert found.agreement_share == pytest.approx((found.assign(matrix) == ids).mean())


def test_what_cannot_be_described_says_by_how_much() -> None:
    random = np.random.default_rng(1)
    matrix, ids = made_up(1_000)
    ids = random.permutation(ids)
    found = describe_segments(matrix, NAMES, ids)
    worst = min(found.rules.values(), key=lambda rule: rule.precision_share)
    assert not worst.is_described
    assert worst.shortfall_share == pytest.approx(
        0.9 - min(worst.precision_share, worst.recall_share)
    )


def test_one_segment_is_everybody() -> None:
    found = describe_segments([[1.0], [2.0]], ["a"], ["s01", "s01"])
    rule = found.rules["s01"]
    assert (rule.texts, rule.sql, found.case_sql) == ((), "true", "'s01'")
    assert (rule.precision_share, rule.recall_share, found.agreement_share) == (1.0, 1.0, 1.0)


def test_one_customer() -> None:
    assert describe_segments([[math.nan]], ["a"], ["s01"]).agreement_share == 1.0


@pytest.mark.parametrize("column", [[math.nan] * 4, [2.0] * 4])
def test_without_anything_to_tell_by_no_rule_selects_nobody(column: list[float]) -> None:
    ids = ["s01", "s01", "s01", "s02"]
    found = describe_segments(np.array(column).reshape(-1, 1), ["a"], ids)
    assert {rule.sql for rule in found.rules.values()} == {"false"}
    assert {rule.precision_share for rule in found.rules.values()} == {0.0}
    assert found.fallback_id == "s01"
    assert found.agreement_share == 0.75
    with scratch() as connection:
        assert connection.scalar(f"select {found.case_sql}") == "s01"


def test_nobody_is_refused() -> None:
    with pytest.raises(DataRejected, match="no customers"):
        describe_segments(np.empty((0, 1)), ["a"], [])


def test_infinite_is_refused_by_name() -> None:
    with pytest.raises(DataRejected, match="'a' is infinite"):
        describe_segments([[math.inf], [1.0]], ["a"], ["s01", "s02"])


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataRejected, match="fit together"):
        describe_segments([[1.0, 2.0]], ["a"], ["s01"])


@pytest.mark.parametrize(
    ("condition", "text", "sql"),
    [
        (Condition("a", high=30.0), "a <= 30", '"a" <= 30'),
        (Condition("a", low=0.25), "a >= 0.25", '"a" >= 0.25'),
        (Condition("a", 1.0, 2.0), "1 <= a <= 2", '"a" between 1 and 2'),
        (Condition("a", 2.0, 2.0, True), "a = 2 (or unknown)", '("a" = 2 or "a" is null)'),
        (Condition("a", nulls=True), "a is unknown", '"a" is null'),
        (Condition("a"), "a is known", '"a" is not null'),
        (Condition("a", low=1e-9), "a >= 0.000000001", '"a" >= 0.000000001'),
        (Condition("a", low=1e30), "a >= 1e+30", '"a" >= 1e+30'),
        (Condition("a", high=1 / 3), "a <= 0.3333333333333333", '"a" <= 0.3333333333333333e0'),
    ],
)
def test_conditions_read_well(condition: Condition, text: str, sql: str) -> None:
    assert (condition.text, condition.sql) == (text, sql)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_box_of_one_feature_is_the_best_there_is(data: st.DataObject) -> None:
    rows = data.draw(st.integers(2, 25))
    column = data.draw(
        arrays(np.float64, rows, elements=st.sampled_from([1.0, 2.0, 3.0, 4.0, math.nan]))
    )
    members = data.draw(arrays(np.bool_, rows))
    members[0] = True
    binned = bin_features(column.reshape(-1, 1))
    count = len(binned.highs[0])
    best = 0.0
    for low in range(count + 1):
        for high in range(low - 1, count):
            for nulls in (False, True):
                bins = binned.bins[:, 0]
                chosen = ((bins >= low) & (bins <= high)) | (nulls & (bins == count))
                best = max(best, harmonic_share(chosen, members))
    box = find_box(binned, members, 1)
    low, high, nulls = box.get(0, (0, count, True))
    bins = binned.bins[:, 0]
    chosen = ((bins >= low) & (bins <= high)) | (nulls & (bins == count))
    assert harmonic_share(chosen, members) == pytest.approx(best)
