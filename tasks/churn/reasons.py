"""Business drivers: what a reason is called, and how much each moves the predictions.

Every feature belongs to one driver. A reason names a driver, not a feature, so that it holds when
a retrained model leans on a neighbour of the feature. It says what goes together with leaving,
not what causes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from tasks.churn.data import Floats
from tasks.churn.model_code import Model

MAXIMUM_REASONS = 3
# A second or third reason must carry at least this share of all that pushes towards leaving.
MINIMUM_REASON_SHARE = 0.15
# Rows of which the drivers' bars are computed: TreeSHAP costs as much as many predictions.
_ROWS_FOR_BARS = 5000


def word_drivers(drivers: Iterable[str], words: Mapping[str, str]) -> dict[str, str]:
    """Plain words of each driver; one without is called by its own name."""
    return {name: words.get(name, name.replace("_", " ")) for name in dict.fromkeys(drivers)}


def weigh_drivers(model: Model, matrix: Floats) -> dict[str, float]:
    """Mean absolute contribution of each driver to the log-odds, largest first."""
    step = max(1, len(matrix) // _ROWS_FOR_BARS)
    names, pushes = model.contributions(matrix[::step])
    weights = np.abs(pushes).mean(axis=0)
    ranked = sorted(zip(names, weights.tolist(), strict=True), key=lambda one: (-one[1], one[0]))
    return dict(ranked)
