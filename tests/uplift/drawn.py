"""Trials drawn by a formula: nothing, the same for all, or for some more than for others."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from tasks.uplift.effects import Trial

World = Literal["nothing", "alike", "unlike"]
FEATURES = 6
KEPT_SHARE = 0.1
# Settings of `uplift` under which a contest of such a trial takes a third of a second.
QUICK: dict[str, Any] = {
    "folds": 3,
    "resamples": 200,
    "learner": {"trees": 20, "min_data_in_leaf": 50},
}


def draw_trial(
    world: World, seed: int, subjects: int = 1500, lots: int = 3
) -> tuple[Trial, NDArray[np.float64]]:
    """Subjects in lots of their own drawn share; the features tell who lapses, half of them.

    `alike`: a contact keeps one in ten of everybody; `unlike`: one in five of those in whom the
    first feature is above zero, and drives as many of the others away. Customers come up to three
    times, so rows are no more independent than a shop's are.
    """
    generator = np.random.default_rng([seed, subjects])
    people = generator.integers(0, subjects // 2, subjects)
    own = generator.normal(size=(subjects // 2, FEATURES))
    features = own[people] + 0.5 * generator.normal(size=(subjects, FEATURES))
    lot = generator.integers(0, lots, subjects)
    treated = generator.random(subjects) < np.linspace(0.4, 0.6, lots)[lot]
    risk = 0.5 + 0.2 * np.tanh(features[:, 1] + 0.5 * features[:, 2]) + 0.03 * lot
    added = {
        "nothing": np.zeros(subjects),
        "alike": np.full(subjects, -KEPT_SHARE),
        "unlike": np.where(features[:, 0] > 0, -2 * KEPT_SHARE, 2 * KEPT_SHARE),
    }[world]
    # Half of a customer's luck is the same in all their rows.
    luck = generator.normal(size=subjects // 2)[people] + generator.normal(size=subjects)
    lapsed = (ndtr(luck / np.sqrt(2)) < np.clip(risk + added * treated, 0, 1)).astype(np.float64)
    margin = (1 - lapsed) * generator.gamma(2.0, 10.0, subjects)
    return Trial(treated, lot, people, lapsed, margin), features
