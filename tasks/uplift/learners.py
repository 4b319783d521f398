"""Who is changed by a contact: LightGBM T-learner and X-learner (Künzel et al. 2019).

The T-learner fits the outcome of those contacted and of those not, and takes the difference. The
X-learner fits, in each arm, what the other arm's model would not have expected of it, and weighs
the two by the share drawn. Predictions are made for customers whose rows, of whichever lot, the
model has never seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tasks.incrementality import LearnerSettings

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

LEARNERS = ("t_learner", "x_learner")


@dataclass(frozen=True, slots=True)
class Fitted:
    """Both learners on one set of rows; `predict` maps a name to what a contact adds to y.

    `not_contacted` and `contacted` are the outcome models of the two arms, which the risk ranking
    and the T-learner use.
    """

    contacted: Any
    not_contacted: Any
    added_contacted: Any
    added_not_contacted: Any
    drawn_share: float

    def predict(self, features: Floats) -> dict[str, Floats]:
        with_contact = _predict(self.contacted, features)
        without = _predict(self.not_contacted, features)
        return {
            "t_learner": with_contact - without,
            "x_learner": self.drawn_share * _predict(self.added_not_contacted, features)
            + (1 - self.drawn_share) * _predict(self.added_contacted, features),
            "with_contact": with_contact,
            "without_contact": without,
        }


def fit_learners(
    features: Floats,
    outcome: Floats,
    treated: Flags,
    settings: LearnerSettings,
    *,
    seed: int,
    binary: bool,
) -> Fitted:
    """Fit on rows (n, features); `outcome` in 0 and 1 where `binary`, else an amount."""
    contacted = _fit(features[treated], outcome[treated], settings, seed, binary)
    not_contacted = _fit(features[~treated], outcome[~treated], settings, seed + 1, binary)
    added = outcome[treated] - _predict(not_contacted, features[treated])
    missed = _predict(contacted, features[~treated]) - outcome[~treated]
    return Fitted(
        contacted,
        not_contacted,
        _fit(features[treated], added, settings, seed + 2, False),
        _fit(features[~treated], missed, settings, seed + 3, False),
        float(treated.mean()),
    )


def fit_likeness(
    members: Floats, others: Floats, settings: LearnerSettings, *, seed: int
) -> Any | None:
    """How much oftener than the average a customer like this was in a lot; None: all always were.

    A booster whose prediction is that ratio, of rows (n, features). It is large enough to come to
    nothing where nobody was.
    """
    if len(others) == 0:
        return None
    large = settings.model_copy(update={"trees": 100, "learning_rate": 0.1})
    features = np.vstack([members, others])
    ratio = (len(members) + len(others)) / len(members)
    target = np.concatenate([np.full(len(members), ratio), np.zeros(len(others))])
    return _fit(features, target, large, seed + 4, False)


def cross_fit(
    features: Floats,
    outcome: Floats,
    treated: Flags,
    customers: Codes,
    settings: LearnerSettings,
    *,
    folds: int,
    seed: int,
    binary: bool,
) -> dict[str, Floats]:
    """Predictions of each row by models that saw no row of its customer."""
    _, people = np.unique(customers, return_inverse=True)
    fold = np.random.default_rng(seed).integers(0, folds, int(people.max()) + 1)[people]
    found: dict[str, Floats] = {}
    for number in range(folds):
        rest, part = fold != number, fold == number
        if not part.any():
            continue
        fitted = fit_learners(
            features[rest],
            outcome[rest],
            treated[rest],
            settings,
            seed=seed + number,
            binary=binary,
        )
        for name, values in fitted.predict(features[part]).items():
            found.setdefault(name, np.zeros(len(outcome)))[part] = values
    return found


def _fit(
    features: Floats, target: Floats, settings: LearnerSettings, seed: int, binary: bool
) -> Any:
    import lightgbm

    if binary and target.min() == target.max():
        binary = False  # all alike: a constant, which log loss has no number for
    params = {
        "objective": "binary" if binary else "regression",
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.num_leaves,
        "min_data_in_leaf": settings.min_data_in_leaf,
        "lambda_l2": settings.lambda_l2,
        "max_bin": 63,
        "feature_pre_filter": False,
        "verbosity": -1,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "seed": seed % 2_147_483_647,
    }
    data = lightgbm.Dataset(features, target, params=params)
    return lightgbm.train(params, data, num_boost_round=settings.trees)


def _predict(booster: Any, features: Floats) -> Floats:
    return np.asarray(booster.predict(features, num_threads=1), dtype=np.float64)
