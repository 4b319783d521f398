"""What a wrong unit looks like."""

from __future__ import annotations

import math
from collections.abc import Sequence


def hint_unit(ratios: Sequence[float]) -> str:
    """What a constant factor on all quantiles usually is."""
    centre = math.exp(sum(math.log(ratio) for ratio in ratios) / len(ratios))
    for factor, words in (
        (100.0, "looks like cents, not whole units"),
        (1000.0, "looks like thousandths, not whole units"),
        (0.01, "looks like whole units, not cents"),
        (0.001, "looks like thousands, not whole units"),
    ):
        if all(factor / 2 < ratio < factor * 2 for ratio in (*ratios, centre)):
            return f": {words}"
    return ""
