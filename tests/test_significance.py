"""Standard errors and adjusted p-values, against what they are by definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.churn.metrics import area_under_curve
from tasks.significance import adjust_by_holm, deviation_of, measure_auc


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans()), min_size=4).filter(
        lambda rows: 2 <= sum(left for _, left in rows) <= len(rows) - 2
    )
)
def test_the_area_is_that_of_the_training(rows: list[tuple[float, bool]]) -> None:
    chance = np.asarray([one for one, _ in rows])
    churned = np.asarray([left for _, left in rows])
    area, error = measure_auc(churned, chance)
    assert area == pytest.approx(area_under_curve(churned, chance))
    assert error >= 0


def test_with_one_class_there_is_no_area() -> None:
    assert np.isnan(measure_auc(np.zeros(5, bool), np.linspace(0, 1, 5))[0])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_never_lowers_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = adjust_by_holm(p_values)
    assert all(raw <= new <= 1 for raw, new in zip(p_values, adjusted, strict=True))
    ranked = [adjusted[place] for place in np.argsort(p_values, kind="stable")]
    assert ranked == sorted(ranked)
    if p_values:
        assert min(adjusted) == min(1.0, len(p_values) * min(p_values))


def test_deviations_are_those_of_the_normal_law() -> None:
    assert deviation_of(0.95) == pytest.approx(1.96, abs=0.001)
