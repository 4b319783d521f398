"""Models fitted again: the champion's own parameters, other seeds, customers drawn anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.drivers import BoosterSettings, ReasonsSettings
from tasks.errors import DataRejected
from tasks.progress import show_progress
from tasks.reasons.reading import LabelledRows

Floats = NDArray[np.float64]
# What of a model's parameters decides how it learns; the others name files, seeds and threads.
_CARRIED = (
    "learning_rate",
    "num_leaves",
    "max_depth",
    "min_data_in_leaf",
    "min_sum_hessian_in_leaf",
    "feature_fraction",
    "bagging_fraction",
    "bagging_freq",
    "lambda_l1",
    "lambda_l2",
    "min_gain_to_split",
    "max_bin",
)
_MODEL_FILE = "model.lgb.txt"


@dataclass(frozen=True)
class Recipe:
    """How a model is fitted: LightGBM's parameters and the number of trees."""

    params: Mapping[str, float | int]
    trees: int


def open_booster(directory: Path) -> Any | None:
    """The champion's booster; None where the champion is a rule. Verify the directory before."""
    import lightgbm

    path = directory / _MODEL_FILE
    return lightgbm.Booster(model_file=str(path)) if path.is_file() else None


def read_recipe(booster: Any | None, declared: BoosterSettings) -> Recipe:
    """The champion's own way of fitting, or the declared one."""
    if booster is None:
        params = declared.model_dump()
        trees = int(params.pop("trees"))
        return Recipe({**params, "bagging_freq": 1}, trees)
    loaded = booster.params
    return Recipe({name: loaded[name] for name in _CARRIED if name in loaded}, booster.num_trees())


def check_enough(rows: LabelledRows, settings: ReasonsSettings) -> None:
    """Raise DataRejected (65) where the rows cannot teach who leaves."""
    known = rows.matured
    customers = len(np.unique(rows.customers[known]))
    left = int((rows.churned[known] == 1).sum())
    stayed = int((rows.churned[known] == 0).sum())
    if customers < settings.minimum_customers or not left or not stayed:
        raise DataRejected(
            "There are too few customers to learn reasons from.",
            found=(
                f"{customers:,} customers with a known outcome ({settings.minimum_customers:,}"
                f" needed); {left:,} left, {stayed:,} stayed"
            ),
            next_step=(
                "take more history in, widen `features.activity_window_days`, or lower"
                " `reasons.minimum_customers`"
            ),
        )


def fit(
    rows: LabelledRows,
    chosen: NDArray[np.bool_],
    recipe: Recipe,
    *,
    seed: int,
    resample: bool,
    threads: int = 1,
) -> Any:
    """A booster of the chosen rows; with `resample` of as many customers drawn with replacement.

    The same arguments give the same booster, however many threads.
    """
    import lightgbm

    taken = np.flatnonzero(chosen & rows.matured)
    if resample:
        taken = _draw_customers(rows.customers, taken, seed)
    params = dict(recipe.params)
    if "min_data_in_leaf" in params and rows.share < 1:
        params["min_data_in_leaf"] = max(5, round(params["min_data_in_leaf"] * rows.share))
    fixed = {
        "objective": "binary",
        "verbosity": -1,
        "deterministic": True,
        "force_row_wise": True,
        "feature_pre_filter": False,
        "num_threads": threads,
        "seed": seed % 2_147_483_647,
    }
    data = lightgbm.Dataset(
        rows.features[taken],
        (rows.churned[taken] == 1).astype(np.float32),
        feature_name=list(rows.feature_names),
        params={**params, **fixed},
    )
    return lightgbm.train({**params, **fixed}, data, num_boost_round=recipe.trees)


def fit_again(
    rows: LabelledRows, recipe: Recipe, *, count: int, seed: int, workers: int
) -> tuple[Any, ...]:
    """`count` boosters of customers drawn anew, each with a seed of its own, several at a time.

    One thread a model: for this many rows LightGBM's own threads mostly wait for each other.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(workers) as pool, show_progress("fitting models again") as report:
        started = [
            pool.submit(fit, rows, rows.matured, recipe, seed=seed + number, resample=True)
            for number in range(count)
        ]
        fitted = []
        for number, one in enumerate(started):
            if report is not None:
                report(number, count, None)
            fitted.append(one.result())
    return tuple(fitted)


def _draw_customers(
    customers: NDArray[np.int64], taken: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """Rows of customers drawn with replacement: all rows of one come together, or none."""
    present, place = np.unique(customers[taken], return_inverse=True)
    random = np.random.default_rng(seed)
    times = np.bincount(random.integers(len(present), size=len(present)), minlength=len(present))
    return np.repeat(taken, times[place])
