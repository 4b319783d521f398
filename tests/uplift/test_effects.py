"""Effects by lot: strata, clusters, intervals that hold at every look, and lots that were none."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.uplift.effects import (
    Trial,
    check_lot,
    compare_arms,
    count_needed,
    measure_effect,
    valid_p_value,
)

SHARP = {"confidence": 0.95, "scale": 0.1}


def make_trial(
    subjects: int, share: float, base: float, effect: float, seed: int = 1, lot: int = 0
) -> Trial:
    generator = np.random.default_rng(seed)
    treated = generator.random(subjects) < share
    lapsed = (generator.random(subjects) < base + effect * treated).astype(np.float64)
    return Trial(
        treated,
        np.full(subjects, lot),
        np.arange(subjects) + 1_000_000 * lot,
        lapsed,
        generator.normal(10 - 5 * lapsed, 2),
    )


def join(*trials: Trial) -> Trial:
    return Trial(
        *(
            np.concatenate([getattr(one, name) for one in trials])
            for name in ("treated", "lots", "customers", "lapsed", "margin")
        )
    )


def test_one_lot_is_the_plain_difference_of_means() -> None:
    trial = make_trial(4000, 0.4, 0.3, -0.08)
    found = measure_effect(trial, "lapse_share", **SHARP)
    assert found is not None
    treated, control = trial.lapsed[trial.treated], trial.lapsed[~trial.treated]
    assert found.estimate == pytest.approx(treated.mean() - control.mean(), abs=1e-12)
    plain = np.sqrt(treated.var() / len(treated) + control.var() / len(control))
    assert found.standard_error == pytest.approx(plain, rel=0.01)
    assert found.fixed_low < found.estimate < found.fixed_high
    # Looking every night costs width, and less than twice of it.
    width = (found.high - found.low) / (found.fixed_high - found.fixed_low)
    assert 1.2 < width < 2
    assert found.high < 0
    assert found.estimate < found.expected < 0


def test_lots_with_other_shares_are_not_mixed() -> None:
    """Simpson: more were drawn where more lapse anyhow; there is no effect in either lot."""
    trial = join(make_trial(4000, 0.8, 0.6, 0, 1), make_trial(4000, 0.2, 0.1, 0, 2, lot=1))
    mixed = trial.lapsed[trial.treated].mean() - trial.lapsed[~trial.treated].mean()
    found = measure_effect(trial, "lapse_share", **SHARP)
    assert found is not None
    assert mixed > 0.2
    assert abs(found.estimate) < 0.03
    assert found.low < 0 < found.high


def test_a_customer_in_many_lots_is_one_customer() -> None:
    once = make_trial(1000, 0.5, 0.3, -0.05)
    copies = [
        Trial(once.treated, once.lots + number, once.customers, once.lapsed, once.margin)
        for number in range(9)
    ]
    single = measure_effect(once, "margin_amount", **SHARP)
    many = measure_effect(join(*copies), "margin_amount", **SHARP)
    assert single is not None
    assert many is not None
    assert many.standard_error == pytest.approx(single.standard_error, rel=0.01)


@pytest.mark.parametrize("treated", [True, False])
def test_one_arm_alone_tells_nothing(treated: bool) -> None:
    trial = make_trial(500, 1.0 if treated else 0.0, 0.3, 0)
    assert measure_effect(trial, "lapse_share", **SHARP) is None
    assert measure_effect(trial.take(np.zeros(500, dtype=bool)), "lapse_share", **SHARP) is None


@pytest.mark.statistics
def test_looking_every_night_raises_no_false_alarm() -> None:
    """2,000 actions that do nothing, looked at on 60 nights: at most 5 % are ever believed."""
    generator = np.random.default_rng(7)
    nights = np.arange(1, 61)
    z = np.cumsum(generator.normal(size=(2000, 60)), axis=1) / np.sqrt(nights)
    # A night brings 100 customers, half of them contacted: the scale in standard errors.
    sharpness = 0.1 * np.sqrt(100 * nights * 0.25)
    valid = np.array(
        [
            [valid_p_value(one, sharp) for one, sharp in zip(row, sharpness, strict=True)]
            for row in z
        ]
    )
    ever = (valid <= 0.05).any(axis=1).mean()
    assert ever <= 0.05
    assert (np.abs(z) > 1.96).any(axis=1).mean() > 0.25  # what a single look's test would do
    # And it is no test that never speaks.
    told = np.array([valid_p_value(one, 0.1 * 30) for one in generator.normal(3.9, 1, 2000)])
    assert 0.7 < (told <= 0.05).mean() < 0.9


def test_so_many_are_needed() -> None:
    needed = count_needed(0.5, 0.1, 0.95)
    assert 5000 < needed < 8000
    assert count_needed(0.5, 0.2, 0.95) == pytest.approx(needed / 4, rel=0.01)
    assert count_needed(0.9, 0.1, 0.95) > 2.5 * needed


def test_a_lot_that_was_none_is_found() -> None:
    sizes = np.array([1000, 2000, 3])
    assert check_lot(sizes, np.array([310, 590, 3]), 0.3) > 0.2
    assert check_lot(sizes, np.array([360, 660, 1]), 0.3) < 0.001
    # Right in sum, and yet in no lot.
    assert check_lot(sizes, np.array([380, 520, 1]), 0.3) < 0.001


def test_arms_that_are_not_alike_are_found() -> None:
    generator = np.random.default_rng(5)
    treated = generator.random(5000) < 0.5
    features = generator.normal(size=(5000, 4))
    features[:, 1] += 0.4 * treated
    features[treated & (generator.random(5000) < 0.3), 2] = np.nan
    features[:, 3] = np.nan
    apart = compare_arms(features, treated, np.zeros(5000, dtype=np.int64))
    assert abs(apart[0]) < 0.1
    assert apart[1] == pytest.approx(0.4, abs=0.1)
    # Unknown for one arm alone is a difference as well.
    assert apart[2] < -0.5
    assert apart[3] == 0
