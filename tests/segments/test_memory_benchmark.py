"""The benchmark's figures mean what they say, on segmentations whose answer is known."""

from __future__ import annotations

import numpy as np

from benchmarks.segment_memory import (
    Assign,
    Customers,
    Floats,
    Indices,
    fit_k_means,
    measure_rules,
    measure_stability,
)


def made_up(rows: int = 240) -> Customers:
    random = np.random.default_rng(0)
    matrix = np.column_stack([np.repeat([1.0, 50.0, 400.0], rows // 3), random.random(rows)])
    ids = np.array([f"c{number:04d}" for number in range(rows)], dtype=object)
    return Customers("made_up", ids, matrix, ("amount_365", "recency_days"))


def fit_by_amount(_matrix: Floats, seed: int, _start: Indices | None) -> Assign:
    # The same groups, numbered otherwise by each seed.
    return lambda values: (np.digitize(values[:, 0], [10, 100]) + seed) % 3


def fit_by_chance(_matrix: Floats, seed: int, start: Indices | None) -> Assign:
    number = seed if start is None else 0
    return lambda values: np.random.default_rng(number).integers(0, 3, len(values))


def test_a_stable_segmentation_keeps_every_name() -> None:
    measured = measure_stability(made_up(), fit_by_amount, refits=2)
    assert [one.kind for one in measured] == [
        "reshuffled",
        "another seed",
        "resampled",
        "resampled, from the old groups",
    ]
    assert {share for one in measured for share in one.kept} == {1.0}


def test_a_segmentation_by_chance_does_not() -> None:
    measured = {one.kind: one.kept for one in measure_stability(made_up(), fit_by_chance, refits=2)}
    assert measured["reshuffled"] == (1.0, 1.0)
    assert max(measured["another seed"]) < 0.6


def test_rules_are_set_beside_trees() -> None:
    customers = made_up()
    segment_ids = np.array(["s01", "s02", "s03"], dtype=object)[
        fit_by_amount(customers.matrix, 0, None)(customers.matrix)
    ]
    figures = measure_rules(customers, segment_ids)
    assert len(figures) == 4
    assert {one.agreement_share for one in figures} == {1.0}
    assert figures[0].described == 3
    assert figures[0].conditions <= 2


def test_stand_in_starts_from_the_old_groups() -> None:
    random = np.random.default_rng(3)
    matrix = np.exp(random.normal(3, 1, (300, 2)))
    matrix[:5, 1] = np.nan
    labels = fit_k_means(matrix, 0)(matrix)
    assert len(np.unique(labels)) == 6
    again = fit_k_means(matrix, 5, labels)(matrix)
    assert np.mean(again == labels) > 0.95
