"""How a model ages: fitted at past cut-offs with fixed parameters, judged at later ones.

Nothing is tuned or calibrated here, which would cost hours a fit: the parameters are the sound
ones that every tuning starts from, the same for all ages. Against each aged model stands the
freshest one that could have been trained for the same cut-off, judged on the same customers, so
seasons and luck fall on both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.churn import worker
from tasks.churn.data import Floats, TrainingData
from tasks.churn.metrics import compare, measure
from tasks.churn.tuning import first_params
from tasks.economics import Economics
from tasks.errors import DataRejected
from tasks.progress import track

if TYPE_CHECKING:
    from tasks.handles import Interval
    from tasks.sections import ChurnSettings


@dataclass(frozen=True)
class Aged:
    """One aged model at one cut-off: what it lost against the freshest, with paired intervals."""

    age_days: int
    auc_loss: Interval
    profit_loss: Interval


def measure_ageing(
    data: TrainingData,
    churn: ChurnSettings,
    economics: Economics,
    *,
    origins: int,
    confidence: float,
) -> list[Aged]:
    """Every (past training, later cut-off) pair, by age in days from the freshest one's training.

    `origins` is how many cut-offs are judged at, newest first. Raises DataRejected (65) where no
    cut-off has two trainings before it.
    """
    if data.horizon_days is None:
        raise DataRejected("A static set has one cut-off: nothing ages in it.")
    embargo = np.timedelta64(round(data.horizon_days * 86_400_000_000), "us")
    cutoffs = data.cutoffs
    # A model is named by its newest training cut-off.
    usable = [[known for known in cutoffs if known + embargo <= at] for at in cutoffs]
    judged = [number for number, known in enumerate(usable) if len(known) >= 2][-origins:]
    if not judged:
        raise DataRejected(
            "The history is too short to see a model age.",
            found=f"{len(cutoffs)} cut-offs, a horizon of {data.horizon_days:g} days",
            next_step="take more history in, or raise `features.cutoffs`",
        )
    wanted = sorted({known for number in judged for known in usable[number]})
    models = {
        until: _fit(data, np.flatnonzero(data.as_of <= until), churn)
        for until in track(wanted, "fitting", lambda one: str(one)[:10])
    }
    found = []
    for number in judged:
        rows = np.flatnonzero(data.as_of == cutoffs[number])
        features = data.features[rows]
        replicates = {
            until: measure(
                data.churned[rows],
                models[until](features),
                data.value_amount[rows],
                data.customers[rows],
                economics,
                resamples=min(200, churn.resamples),
                seed=churn.seed,
            )
            for until in usable[number]
        }
        freshest = usable[number][-1]
        for until in usable[number][:-1]:
            gaps = compare(replicates[freshest], replicates[until], confidence)
            age = int((freshest - until) / np.timedelta64(1, "D"))
            found.append(Aged(age, gaps["auc"], gaps["profit_amount"]))
    return found


def _fit(data: TrainingData, rows: np.ndarray, churn: ChurnSettings) -> Callable[[Floats], Floats]:
    import lightgbm

    given = first_params(churn, len(rows))
    params = worker.booster_params(given, seed=churn.seed, maximum_bins=churn.maximum_bins)
    binned = lightgbm.Dataset(
        data.features[rows],
        data.churned[rows].astype(np.float32),
        feature_name=list(data.feature_names),
        params=worker.dataset_params(seed=churn.seed, maximum_bins=churn.maximum_bins),
    )
    # Half of the steps of a tuned trial: with these settings ranking is best well before the end.
    trees = max(20, worker.count_trees(given, churn.maximum_trees) // 2)
    booster = lightgbm.train(params, binned, num_boost_round=trees)

    def predict(features: Floats) -> Floats:
        return np.asarray(booster.predict(features, num_threads=1), dtype=np.float64)

    return predict
