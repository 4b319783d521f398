"""Do hashes assign as chance would? Over 1,000 salts: evenly, independently, and for good."""

from __future__ import annotations

import numpy as np

from tasks.rollout.assignment import assign_by, buckets_of
from tasks.rollout.plan import BUCKETS

_SALTS = 1000
_CUSTOMERS = 5000
_CELLS = 50
_STAGES = (0.01, 0.05, 0.2, 0.5)


def print_hashing() -> None:
    even, apart, moved = measure_hashing(_SALTS, _CUSTOMERS)
    print(
        f"{_SALTS:,} salts of {_CUSTOMERS:,} customers: buckets uneven at p < 0.05 in"
        f" {100 * np.mean(even < 0.05):.1f} % (p-values even: p {_evenness(even):.2f}); rollouts"
        f" alike at p < 0.05 in {100 * np.mean(apart < 0.05):.1f} %; moved by a ramp: {moved}"
    )


def measure_hashing(salts: int, customers: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Of each salt p of even buckets and p of independence of the next; customers moved back."""
    from scipy.stats import chi2, norm

    ids = [f"customer-{number}" for number in range(customers)]
    even, apart = [], []
    moved = 0
    former = None
    for salt in range(salts):
        name = f"rollout-{salt}"
        buckets = buckets_of(name, ids)
        seen = np.bincount(buckets * _CELLS // BUCKETS, minlength=_CELLS)
        expected = customers / _CELLS
        even.append(chi2.sf(((seen - expected) ** 2 / expected).sum(), _CELLS - 1))
        if former is not None:
            together = np.mean((buckets < BUCKETS // 2) == (former < BUCKETS // 2))
            apart.append(2 * norm.sf(abs(together - 0.5) * 2 * np.sqrt(customers)))
        former = buckets
        if salt < salts // 20:
            final = assign_by(name, _STAGES, ids)
            for number in range(1, len(_STAGES) + 1):
                now = assign_by(name, _STAGES[:number], ids).is_challenger
                moved += int((now != (final.is_challenger & (final.stage < number))).sum())
    return np.array(even), np.array(apart), moved


def _evenness(p_values: np.ndarray) -> float:
    from scipy.stats import kstest

    return float(kstest(p_values, "uniform").pvalue)
