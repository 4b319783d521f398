"""Counts of leakage: none where the parts are apart, each kind where it was made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.churn.data import TrainingData
from tasks.churn.leakage import measure_leakage
from tasks.churn.splits import Splits, split_data
from tests.churn.made_up import training_data


def _split(data: TrainingData) -> Splits:
    return split_data(data, folds=2, seed=1, calibration_folds=3)


def _measure(data: TrainingData, splits: Splits | None = None) -> dict[str, dict[str, object]]:
    parts = splits or _split(data)
    return measure_leakage(data, parts, np.full(len(parts.test), 0.5), data.feature_names)


def test_parts_that_are_apart() -> None:
    found = _measure(training_data())
    assert found["L1.1"]["rows_in_both"] == 0
    assert found["L1.2"]["final_rows_among_them"] == found["L1.3"]["final_rows_among_them"] == 0
    assert found["L1.3"]["features_offered"] == found["L1.3"]["features_used"] == 7
    assert found["L1.4"]["same_customer_and_cutoff"] == 0
    assert found["L1.4"]["identical_share"] == 0.0
    assert found["L1.4"]["frozen_features"] == []
    assert found["L3.1"]["training_outcomes_after_final_cutoff"] == 0
    assert found["L3.1"]["latest_training_outcome_ends_at"] == "2024-06-29T00:00:00Z"
    assert found["L3.1"]["final_outcome_ends_at"] == "2024-08-28T00:00:00Z"
    assert found["L3.2"]["overlapping_windows"] == 0
    assert found["L3.2"]["customers_in_both"] == found["L3.2"]["final_customers"] == 400
    assert found["L3.3"]["labelled_at_cutoff"] == found["L3.3"]["final_rows"] == 400


def test_a_static_set_shares_no_customer() -> None:
    data = training_data(customers=400, cutoffs=1, horizon_days=None)
    found = _measure(data)
    assert found["L3.2"]["customers_in_both"] == found["L3.2"]["overlapping_windows"] == 0
    assert found["L1.4"]["compared_with"] == "any training row"
    doubled = data.features.copy()
    splits = _split(data)
    doubled[splits.test[:10]] = doubled[splits.final[:10]]
    worth = data.value_amount.copy()
    worth[splits.test[:10]] = worth[splits.final[:10]]
    again = _measure(replace(data, features=doubled, value_amount=worth), splits)
    assert again["L1.4"]["identical_share"] == pytest.approx(10 / len(splits.test))


def test_test_rows_that_teach_are_counted() -> None:
    data = training_data()
    splits = _split(data)
    mixed = replace(splits, final=np.concatenate([splits.final, splits.test[:25]]))
    found = _measure(data, mixed)
    assert found["L1.1"]["rows_in_both"] == 25
    assert found["L1.2"]["final_rows_among_them"] == 25
    assert found["L1.4"]["same_customer_and_cutoff"] == 25
    assert found["L3.1"]["training_outcomes_after_final_cutoff"] == 25
    assert found["L3.2"]["overlapping_windows"] == 25


def test_stale_features_are_seen_with_missing_values_among_them() -> None:
    data = training_data()
    features, worth = data.features.copy(), data.value_amount.copy()
    last, before = (np.flatnonzero(data.as_of == data.cutoffs[n]) for n in (-1, -3))
    features[last], worth[last] = features[before], worth[before]
    found = _measure(replace(data, features=features, value_amount=worth))
    assert found["L1.4"]["identical_share"] == 1.0
    one = data.features.copy()
    place = data.feature_names.index("recency_days")
    one[last, place] = one[np.flatnonzero(data.as_of == data.cutoffs[-2]), place]
    assert _measure(replace(data, features=one))["L1.4"]["frozen_features"] == ["recency_days"]
