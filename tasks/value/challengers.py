"""Learnt spend: LightGBM in two stages (does the customer order, and then how much) and Tweedie.

Both are tuned by Optuna on a later cut-off than they learn from, a whole horizon later where the
history allows it. Rounds, leaves and shrinkage are searched; the objective is the Tweedie deviance
of the expected spend, for which only the right mean of every customer is best. One thread and
fixed seeds: the same rows give the same trees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.progress import track
from tasks.studies import TriedSetting
from tasks.worth import ValueSettings

Floats = NDArray[np.float64]
Name = Literal["two_stage", "tweedie"]

NAMES: tuple[Name, ...] = ("two_stage", "tweedie")
# The deviance that trials are judged by: between Poisson (1) and gamma (2), as spend is.
_POWER = 1.5
_FIRST: dict[str, float | int] = {
    "learning_rate": 0.05, "num_leaves": 8, "min_data_in_leaf": 100, "feature_fraction": 0.5,
    "lambda_l2": 10.0, "trees": 100,
}  # fmt: skip
_LEAST_BUYERS = 20


@dataclass(frozen=True, slots=True)
class Lessons:
    """Rows to learn from: `features` (rows, columns) float32, NaN where missing; `spend` (rows,).

    `cutoff` numbers the cut-offs in order of time; `validation` marks the rows that trials are
    judged by, `early` those that they learn from meanwhile.
    """

    features: NDArray[np.float32]
    spend: Floats
    cutoff: NDArray[np.int64]
    early: NDArray[np.bool_]
    validation: NDArray[np.bool_]

    @property
    def enough(self) -> bool:
        """Whether buyers and others are on both sides of the validation."""
        return all(
            int(((self.spend > 0) & part).sum()) >= _LEAST_BUYERS
            and int(((self.spend <= 0) & part).sum()) >= 1
            for part in (self.early, self.validation)
        )


@dataclass(frozen=True, slots=True)
class Challenger:
    """A tuned model: boosters by stage, and how it was found."""

    name: Name
    boosters: Mapping[str, Any]
    params: Mapping[str, float | int]
    trials: tuple[TriedSetting, ...]

    def spend(self, features: NDArray[np.float32]) -> Floats:
        """Expected spend within the horizon, shape (rows,), never below 0."""
        if self.name == "tweedie":
            return np.asarray(self.boosters["spend"].predict(features))
        return np.asarray(self.orders(features) * self.boosters["amount"].predict(features))

    def orders(self, features: NDArray[np.float32]) -> Floats:
        """Probability of any order within the horizon; two_stage alone knows it."""
        return np.asarray(self.boosters["orders"].predict(features))


def tune_challenger(name: Name, lessons: Lessons, settings: ValueSettings) -> Challenger:
    """The best of `settings.trials` settings, learnt again from all rows."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(
            seed=settings.seed, n_startup_trials=max(4, settings.trials // 3)
        )
    )
    space = _space(settings, int(lessons.early.sum()))
    first = dict(_FIRST) | ({"power": _POWER} if name == "tweedie" else {})
    study.enqueue_trial({key: _clip(first[key], space[key]) for key in _names(name)})
    tried: list[TriedSetting] = []
    for number in track(
        range(settings.trials), f"tune {name}", lambda trial: f"{trial + 1}/{settings.trials}"
    ):
        trial = study.ask({key: space[key] for key in _names(name)})
        boosters = _fit(name, lessons, lessons.early, trial.params, settings.seed)
        made = Challenger(name, boosters, trial.params, ())
        deviance = _tweedie_deviance(
            lessons.spend[lessons.validation], made.spend(lessons.features[lessons.validation])
        )
        study.tell(trial, deviance)
        tried.append(
            TriedSetting(number, "complete", dict(trial.params), {f"{name}_deviance": deviance})
        )
    best = min(tried, key=lambda one: one.measures[f"{name}_deviance"])
    params: Any = dict(best.params)
    everything = np.ones(len(lessons.spend), dtype=bool)
    return Challenger(
        name, _fit(name, lessons, everything, params, settings.seed), params, tuple(tried)
    )


def refit(challenger: Challenger, lessons: Lessons, seed: int) -> Challenger:
    """The same settings, learnt from these rows."""
    everything = np.ones(len(lessons.spend), dtype=bool)
    boosters = _fit(challenger.name, lessons, everything, challenger.params, seed)
    return Challenger(challenger.name, boosters, challenger.params, challenger.trials)


def divide(
    features: NDArray[np.float32],
    spend: Floats,
    cutoff: NDArray[np.int64],
    lot: Floats,
    apart: Mapping[int, bool],
) -> Lessons:
    """Lessons whose newest cut-off judges the trials.

    `apart[number]` says whether the horizon of that cut-off ends by the newest one: only such rows
    teach meanwhile. Where there is none, customers are divided by `lot` (even in 0 to 1, one a
    customer) so that nobody is on both sides.
    """
    newest = int(cutoff.max())
    early = np.isin(cutoff, [number for number, is_apart in apart.items() if is_apart])
    validation = cutoff == newest
    if not early.any():
        validation = lot < 0.3
        early = ~validation
    return Lessons(features, spend, cutoff, early, validation)


def _fit(
    name: Name,
    lessons: Lessons,
    rows: NDArray[np.bool_],
    params: Mapping[str, float | int],
    seed: int,
) -> dict[str, Any]:
    features, spend = lessons.features[rows], lessons.spend[rows]
    if name == "tweedie":
        power = {"tweedie_variance_power": params["power"]}
        return {"spend": _train(features, spend, "tweedie", params, seed, power)}
    bought = spend > 0
    return {
        "orders": _train(features, bought.astype(np.float64), "binary", params, seed),
        "amount": _train(features[bought], spend[bought], "gamma", params, seed),
    }


def _train(
    features: NDArray[np.float32],
    target: Floats,
    objective: str,
    params: Mapping[str, float | int],
    seed: int,
    more: Mapping[str, float] | None = None,
) -> Any:
    import lightgbm

    options = {
        "objective": objective,
        "learning_rate": params["learning_rate"],
        "num_leaves": int(params["num_leaves"]),
        "min_data_in_leaf": max(1, min(int(params["min_data_in_leaf"]), len(target) // 10)),
        "feature_fraction": params["feature_fraction"],
        "lambda_l2": params["lambda_l2"],
        "max_bin": 127,
        "seed": seed,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
        **(more or {}),
    }
    data = lightgbm.Dataset(features, target, params={"max_bin": 127, "verbosity": -1})
    return lightgbm.train(options, data, num_boost_round=int(params["trees"]))


def _space(settings: ValueSettings, rows: int) -> dict[str, Any]:
    from optuna.distributions import FloatDistribution, IntDistribution

    least_rows = max(2, min(20, rows // 20))
    return {
        "learning_rate": FloatDistribution(0.02, 0.1, log=True),
        "num_leaves": IntDistribution(4, 32, log=True),
        "min_data_in_leaf": IntDistribution(
            least_rows, max(least_rows, min(500, rows // 10)), log=True
        ),
        "feature_fraction": FloatDistribution(0.2, 0.9),
        "lambda_l2": FloatDistribution(0.1, 100.0, log=True),
        "trees": IntDistribution(10, settings.maximum_trees, log=True),
        "power": FloatDistribution(1.1, 1.9),
    }


def _names(name: Name) -> tuple[str, ...]:
    return (*_FIRST, "power") if name == "tweedie" else tuple(_FIRST)


def _clip(value: float | int, distribution: Any) -> float | int:
    return type(value)(min(max(value, distribution.low), distribution.high))


def _tweedie_deviance(observed: Floats, expected: Floats) -> float:
    """Mean deviance of power 1.5; lower is better, and the true mean is best."""
    mean = np.maximum(expected, 1e-6)
    return float(
        (observed * 2 / np.sqrt(mean) + 2 * np.sqrt(mean)).mean() * 2
        - 8 * np.sqrt(np.maximum(observed, 0)).mean()
    )
