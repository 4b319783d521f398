"""The short form of `benchmarks.rollout`: worlds of known truth through ledger, SQL and judge.

Seeds are fixed; the bounds leave room for chance of four standard errors at so few rollouts, which
still tells what is done here from what is done elsewhere.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.rollout.hashing import measure_hashing
from benchmarks.rollout.studies import Study, list_studies
from benchmarks.rollout.trials import Summary, run

pytestmark = pytest.mark.statistics
_STUDIES = {study.world.name: study for study in list_studies()}


def _run(name: str, rollouts: int, *, with_peers: bool = False) -> list[Summary]:
    study: Study = _STUDIES[name]
    trials = run(
        study.world, rollouts, 20_260_105, judged_on=study.judged_on, with_peers=with_peers
    )
    return [trial.summary() for trial in trials]


def _share(found: list[Summary], *outcomes: str) -> float:
    return float(np.mean([summary.outcome in outcomes for summary in found]))


def _most(share: float, rollouts: int) -> float:
    """What chance allows above a share."""
    return share + 4 * math.sqrt(share * (1 - share) / rollouts)


@pytest.mark.faults(73)
@pytest.mark.parametrize(
    ("name", "rollouts"),
    [
        ("A/A 50:50", 120),
        ("A/A 95:5", 80),
        ("A/A 99:1", 50),
        ("A/A rare events", 60),
        ("A/A margin, 95:5, skewed", 80),
    ],
)
def test_no_difference_is_no_promotion(name: str, rollouts: int) -> None:
    found = _run(name, rollouts)
    assert _share(found, "promote") <= _most(0.025, rollouts)
    assert _share(found, "promote", "loss") <= _most(0.05, rollouts)
    assert _share(found, "harm") <= _most(0.05, rollouts)
    assert _share(found, "ratio", "hold") <= _most(0.001, rollouts)
    held = [s.low <= 0 <= s.high for s in found if s.low is not None and s.high is not None]
    assert np.mean(held) >= 1 - _most(0.05, len(held))


def test_a_ramp_misleads_who_pools_and_not_us() -> None:
    found = _run("A/A ramp, drift, weekdays", 100, with_peers=True)
    assert _share(found, "promote", "loss") <= _most(0.05, 100)
    pooled = np.mean([s.pooled_z > 1.96 for s in found if s.pooled_z is not None])
    assert pooled > 0.2


def test_clustered_requests_mislead_who_counts_them_and_not_us() -> None:
    found = _run("A/A clustered requests", 100, with_peers=True)
    assert _share(found, "promote", "loss") <= _most(0.05, 100)
    by_request = np.mean([s.requests_z > 1.96 for s in found if s.requests_z is not None])
    assert by_request > 0.2


@pytest.mark.parametrize("name", ["effect 50:50", "effect margin, 50:50, skewed"])
def test_power_is_all_but_that_of_a_fixed_test(name: str) -> None:
    found = _run(name, 100)
    truth = _STUDIES[name].world.effect
    fixed = np.mean([s.fixed_z is not None and s.fixed_z > 1.96 for s in found])
    # On the same rollouts: most of the chance is shared by both.
    assert _share(found, "promote") >= 0.9 * fixed
    held = [s.low <= truth <= s.high for s in found if s.low is not None and s.high is not None]
    assert np.mean(held) >= 1 - _most(0.05, len(held))
    above = np.mean([s.effect > truth for s in found if s.effect is not None])
    assert abs(above - 0.5) < 4 * 0.5 / math.sqrt(100)


def test_harm_is_stopped_within_days() -> None:
    found = _run("harm complaints x 5", 8)
    days = [s.ended_on for s in found if s.outcome == "harm" and s.ended_on is not None]
    assert len(days) == len(found)
    assert np.median(days) <= 12


@pytest.mark.faults(69)
def test_lost_customers_are_noticed() -> None:
    found = _run("ratio 10 % lost", 5)
    assert _share(found, "ratio") >= 0.6


def test_hashes_fall_as_chance_would() -> None:
    even, apart, moved = measure_hashing(100, 1000)
    assert np.mean(even < 0.05) <= _most(0.05, 100)
    assert np.mean(even > 0.95) <= _most(0.05, 100)
    assert np.mean(apart < 0.05) <= _most(0.05, 100)
    assert moved == 0
