"""The same customers in Python and in SQL; nobody moved by a ramp; the arms alike in each stage."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.rollout.assignment import (
    assign_by,
    bucket_of,
    bucket_sql,
    buckets_of,
    is_challenger_sql,
    stage_sql,
)
from tasks.warehouse import scratch

_STAGES = (0.01, 0.05, 0.2, 0.5)
_IDS = [f"C{number:06d}" for number in range(20_000)]


def test_bucket_is_as_written_down() -> None:
    # A bucket of a past rollout must be found again by any later version.
    assert bucket_of("a", "한") == 2590


@given(
    st.text(max_size=40).filter(lambda t: "\0" not in t and t.isprintable()),
    st.text("a-:", min_size=3),
)
@settings(max_examples=50, deadline=None)
def test_many_are_as_one(customer_id: str, salt: str) -> None:
    assert buckets_of(salt, [customer_id])[0] == bucket_of(salt, customer_id)


@pytest.mark.parametrize("salt", ["churn-2026-01", "x'y", "캠페인"])
@pytest.mark.parametrize("stages", [_STAGES, (0.05,), (0.29, 0.58)])
def test_sql_agrees_with_python(salt: str, stages: tuple[float, ...]) -> None:
    ids = [*_IDS[:3000], "", "고객 1", "o'brien", "a\tb", "🙂"]
    found = assign_by(salt, stages, ids)
    with scratch() as connection:
        connection.load_arrow("customer", pa.table({"customer_id": ids, "n": range(len(ids))}))
        table = connection.arrow(
            f"select {bucket_sql('$salt', 'customer_id')} as bucket,"
            f" {is_challenger_sql('$salt', 'customer_id', stages)} as is_challenger,"
            f" {stage_sql('$salt', 'customer_id', stages)} as stage from customer order by n",
            {"salt": salt},
        )
    assert table["bucket"].to_pylist() == found.bucket.tolist()
    assert table["is_challenger"].to_pylist() == found.is_challenger.tolist()
    assert table["stage"].to_pylist() == found.stage.tolist()


@pytest.mark.faults(71)
def test_nobody_is_moved_by_a_ramp() -> None:
    """Who is the challenger's at a share stays so at every greater one; stages only add."""
    final = assign_by("salt", _STAGES, _IDS)
    before = np.zeros(len(_IDS), dtype=bool)
    for number in range(1, len(_STAGES) + 1):
        now = assign_by("salt", _STAGES[:number], _IDS).is_challenger
        assert (now >= before).all()
        # The challenger's customers of a stage are those whose enrolment stage has come.
        assert (now == (final.is_challenger & (final.stage < number))).all()
        before = now


@pytest.mark.parametrize("stages", [_STAGES, (0.1, 0.3), (0.01,)])
def test_each_stage_splits_by_the_final_share(stages: tuple[float, ...]) -> None:
    found = assign_by("another", stages, _IDS)
    assert found.stage.min() >= 0
    assert found.stage.max() == len(stages) - 1
    for stage in range(len(stages)):
        chosen = found.is_challenger[found.stage == stage]
        error = np.sqrt(stages[-1] * (1 - stages[-1]) / len(chosen))
        assert abs(chosen.mean() - stages[-1]) < 4 * error


@pytest.mark.faults(70)
def test_rollouts_are_independent_of_each_other() -> None:
    first = assign_by("first", (0.5,), _IDS).is_challenger
    second = assign_by("second", (0.5,), _IDS).is_challenger
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(len(_IDS))
