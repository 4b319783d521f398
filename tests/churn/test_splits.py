"""Nothing that teaches may overlap in time with what it is judged on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.churn.data import TrainingData
from tasks.churn.splits import split_data
from tasks.errors import DataRejected
from tests.churn.made_up import training_data

_DAY = np.timedelta64(1, "D")


def _data(offsets: list[int], horizon: float | None, customers: int = 60) -> TrainingData:
    days = np.repeat(np.asarray(offsets), customers)
    rows = len(days)
    rng = np.random.default_rng(0)
    churned = rng.random(rows) < 0.5
    churned[::customers] = True
    churned[1::customers] = False
    return TrainingData(
        features=rng.normal(size=(rows, 2)),
        churned=churned,
        as_of=(np.datetime64("2024-01-01", "us") + days * _DAY).astype("datetime64[us]"),
        customers=np.tile(np.arange(customers), len(offsets)).astype(np.int64),
        value_amount=np.ones(rows),
        feature_names=("a", "b"),
        drivers=("x", "y"),
        horizon_days=horizon,
    )


@given(
    st.lists(st.integers(0, 700), min_size=2, max_size=14, unique=True),
    st.floats(1, 200),
    st.integers(1, 5),
)
@settings(deadline=None, max_examples=80)
def test_labels_end_before_what_they_are_judged_on(
    offsets: list[int], horizon: float, folds: int
) -> None:
    data = _data(sorted(offsets), horizon)
    window = np.timedelta64(round(horizon * 86_400_000_000), "us")
    try:
        splits = split_data(data, folds=folds, seed=1)
    except DataRejected as error:
        # Refused only where no time is left: no earlier cut-off, or too few people without one.
        if max(offsets) - min(offsets) >= horizon and "too few" not in str(error):
            raise
        return
    assert splits.kind == "time"
    test_at = data.as_of[splits.test]
    assert set(test_at) == {data.cutoffs[-1]}
    assert (data.as_of[splits.final] + window <= test_at.min()).all()
    assert not set(splits.test) & set(splits.final)
    for fold in splits.folds:
        assert len(fold.train)
        assert len(fold.valid)
        assert set(fold.valid) <= set(splits.final), "a validation row was not known at the test"
        if not fold.label.startswith("customers"):
            assert (data.as_of[fold.train] + window <= data.as_of[fold.valid].min()).all()
        else:
            assert not set(data.customers[fold.train]) & set(data.customers[fold.valid])


def test_the_earliest_fold_comes_first_and_later_folds_learn_from_more() -> None:
    splits = split_data(training_data(), folds=3, seed=1)
    assert [fold.label for fold in splits.folds] == ["2024-03-01", "2024-03-31", "2024-04-30"]
    sizes = [len(fold.train) for fold in splits.folds]
    assert sizes == sorted(sizes)


def test_calibration_looks_further_back_with_the_same_embargo() -> None:
    splits = split_data(training_data(), folds=1, seed=1, calibration_folds=9)
    assert [fold.label for fold in splits.rolling] == ["2024-03-01", "2024-03-31", "2024-04-30"]
    assert splits.folds == splits.rolling[-1:]


def test_a_static_set_is_split_by_customer_and_says_so() -> None:
    data = _data([0], None, customers=400)
    splits = split_data(data, folds=3, seed=1)
    assert splits.kind == "customers"
    assert "not by time" in splits.notes[0]
    assert not set(data.customers[splits.test]) & set(data.customers[splits.final])
    assert len(splits.test) == pytest.approx(100, abs=30)


def test_a_short_history_says_what_to_do() -> None:
    with pytest.raises(DataRejected, match="whole horizon") as caught:
        split_data(_data([0, 10], 30.0), folds=3, seed=1)
    assert "shorten the horizon" in str(caught.value)
    assert caught.value.exit_code == 65
