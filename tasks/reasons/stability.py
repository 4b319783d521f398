"""The leading driver of each customer, and whether it still leads when the model is fitted anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.reasons.grouping import Grouping

Floats = NDArray[np.float64]
# No driver pushes this customer towards leaving.
NONE = -1
_ROWS_FOR_THREADS = 1000


@dataclass(frozen=True)
class Leading:
    """Of each customer: shapes (n,).

    `driver` is the place of the driver that pushes most towards leaving, or NONE; `push` its
    log-odds; `agreement` the share of refits that say the same; `holds` whether that is enough.
    """

    driver: NDArray[np.int64]
    push: Floats
    agreement: Floats
    holds: NDArray[np.bool_]


def push_of(booster: Any, features: Floats, grouping: Grouping) -> Floats:
    """What each driver adds to the log-odds of leaving (TreeSHAP): (rows, drivers)."""
    if not len(features):
        return np.zeros((0, len(grouping.drivers)))
    # For a few rows starting threads costs more than they save.
    threads = 1 if len(features) < _ROWS_FOR_THREADS else 0
    found = booster.predict(features, pred_contrib=True, num_threads=threads)
    by_feature = np.asarray(found, dtype=np.float64)
    return grouping.add_up(by_feature[:, :-1])


def top_driver(pushes: Floats) -> NDArray[np.int64]:
    """The driver with the greatest push towards leaving; NONE where nothing pushes that way."""
    if not len(pushes):
        return np.zeros(0, dtype=np.int64)
    top = np.argmax(pushes, axis=1)
    return np.where(pushes[np.arange(len(pushes)), top] > 0, top, NONE)


def find_leading(served: Floats, refits: Sequence[Floats], agreement_share: float) -> Leading:
    """Compare the served model's pushes (n, drivers) with those of each refit.

    A refit agrees where the same driver comes first and pushes towards leaving.
    """
    top = top_driver(served)
    same = np.zeros(len(served))
    for pushes in refits:
        same += top_driver(pushes) == top
    agreement = same / max(1, len(refits))
    found = top != NONE
    agreement = np.where(found, agreement, 0.0)
    push = np.where(found, served[np.arange(len(served)), np.maximum(top, 0)], 0.0)
    return Leading(top, push, agreement, found & (agreement >= agreement_share - 1e-9))
