"""Calibration mends levels and leaves the order alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.churn.calibration import KINDS, Part, choose_calibration, fit
from tasks.churn.model_code import calibrate


def _part(rows: int, seed: int, distort: float = 1.0) -> Part:
    rng = np.random.default_rng(seed)
    truth = rng.beta(2, 3, rows)
    logit = distort * np.log(truth / (1 - truth)) + (0.7 if distort != 1 else 0.0)
    return Part(1 / (1 + np.exp(-logit)), rng.random(rows) < truth)


@pytest.mark.parametrize("kind", KINDS)
@given(scores=st.lists(st.floats(0, 1), min_size=2, max_size=40))
@settings(deadline=None, max_examples=40)
def test_every_kind_keeps_the_order(kind: str, scores: list[float]) -> None:
    content = fit(kind, [_part(2000, 5, distort=1.6)])
    assert content is not None
    ordered = np.sort(np.asarray(scores))
    mapped = calibrate(ordered, content)
    assert ((mapped >= 0) & (mapped <= 1)).all()
    assert (np.diff(mapped) >= 0).all()
    far = np.diff(np.clip(ordered, 1e-6, 1 - 1e-6)) > 1e-4
    assert (np.diff(mapped)[far] > 0).all(), "two customers that differ became equal"


def test_a_distorted_score_is_mended_out_of_time() -> None:
    parts = [_part(1500, seed, distort=2.0) for seed in range(3)]
    chosen = choose_calibration(parts)
    assert chosen.kind != "identity"
    fresh = _part(20_000, 77, distort=2.0)
    mended = chosen.apply(fresh.raw)
    for low in np.arange(0.1, 0.8, 0.1):
        inside = (mended >= low) & (mended < low + 0.1)
        assert mended[inside].mean() == pytest.approx(fresh.churned[inside].mean(), abs=0.04)


def test_a_true_score_is_left_alone() -> None:
    assert choose_calibration([_part(1500, seed) for seed in range(3)]).kind == "identity"


def test_a_level_that_moves_with_the_season_is_not_chased() -> None:
    """Parts 30 days apart, outcomes known after 90: last quarter's level misleads the next."""
    start = np.datetime64("2024-01-01", "us")
    day = np.timedelta64(1, "D")
    parts = []
    for number in range(8):
        rng = np.random.default_rng(number)
        logit = rng.normal(size=3000)
        shift = 0.8 * np.sin(number * np.pi / 3)
        churned = rng.random(3000) < 1 / (1 + np.exp(-logit - shift))
        at = start + 30 * number * day
        parts.append(Part(1 / (1 + np.exp(-logit)), churned, at, at + 90 * day))
    assert choose_calibration(parts).kind == "identity"
    # Judged on the very next cut-off, whose outcomes nobody knew then, the level seems to help.
    naive = [Part(part.raw, part.churned) for part in parts[:3]]
    assert choose_calibration(naive).kind != "identity"


def test_one_part_is_enough_and_the_content_is_plain_json() -> None:
    chosen = choose_calibration([_part(3000, 1, distort=2.0)])
    again = json.loads(json.dumps(dict(chosen.content)))
    raw = np.linspace(0.01, 0.99, 50)
    assert (calibrate(raw, again) == chosen.apply(raw)).all()


def test_few_or_one_sided_rows_fall_back() -> None:
    few = Part(np.asarray([0.2, 0.4]), np.asarray([False, False]))
    assert choose_calibration([few, few]).kind == "identity"
    assert fit("isotonic", [_part(100, 1)]) is None
