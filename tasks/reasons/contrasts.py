"""Which reason is more common in a segment than elsewhere, beyond what chance would show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from tasks.findings import ReasonCell

# Below this many expected in a cell the normal approximation is not trusted.
_LEAST_EXPECTED = 5.0


@dataclass(frozen=True)
class Count:
    """Customers of a segment whose reason is `driver` (None: none that holds), and their money."""

    segment_id: str
    driver: str | None
    customers: int
    at_risk_amount: Decimal


def compare_segments(
    counts: Sequence[Count], *, false_discovery_rate: float
) -> tuple[ReasonCell, ...]:
    """Each segment against all others, by reason, with false-discovery control over all of them.

    A single segment has no others to differ from: then no q value.
    """
    sizes: dict[str, int] = {}
    by_driver: dict[str | None, int] = {}
    for one in counts:
        sizes[one.segment_id] = sizes.get(one.segment_id, 0) + one.customers
        by_driver[one.driver] = by_driver.get(one.driver, 0) + one.customers
    total = sum(sizes.values())
    tested = {
        place: compare_shares(
            one.customers,
            sizes[one.segment_id],
            by_driver[one.driver] - one.customers,
            total - sizes[one.segment_id],
        )
        for place, one in enumerate(counts)
        if one.driver is not None and 0 < sizes[one.segment_id] < total
    }
    adjusted = _control(tested)
    cells = []
    for place, one in enumerate(counts):
        size, rest = sizes[one.segment_id], total - sizes[one.segment_id]
        share = one.customers / size if size else 0.0
        rest_share = (by_driver[one.driver] - one.customers) / rest if rest else 0.0
        q_value = adjusted.get(place)
        cells.append(
            ReasonCell(
                segment_id=one.segment_id,
                driver=one.driver,
                customers=one.customers,
                customers_share=share,
                rest_share=rest_share,
                at_risk_amount=one.at_risk_amount,
                q_value=q_value,
                stands_out=q_value is not None
                and q_value < false_discovery_rate
                and share > rest_share,
            )
        )
    return tuple(cells)


def compare_shares(some: int, size: int, others: int, rest: int) -> float:
    """Two-sided p value that `some` of `size` and `others` of `rest` are one share.

    Pooled z; Fisher's exact test where an expected count is small.
    """
    from scipy.stats import fisher_exact, norm

    share = (some + others) / (size + rest)
    if share in (0.0, 1.0):
        return 1.0
    if min(size, rest) * min(share, 1 - share) < _LEAST_EXPECTED:
        table = [[some, size - some], [others, rest - others]]
        return min(1.0, float(fisher_exact(table).pvalue))
    spread = np.sqrt(share * (1 - share) * (1 / size + 1 / rest))
    return float(2 * norm.sf(abs(some / size - others / rest) / spread))


def _control(tested: Mapping[int, float]) -> dict[int, float]:
    """Benjamini and Hochberg's adjusted p values, by place."""
    from scipy.stats import false_discovery_control

    if not tested:
        return {}
    adjusted = false_discovery_control(list(tested.values()), method="bh")
    return {place: float(value) for place, value in zip(tested, adjusted, strict=True)}
