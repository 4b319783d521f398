"""Whether making value agree with churn costs or gains: on customers whose spend is known.

A stand-in for the churn model (LightGBM on the same features, taught by the cut-offs before the
judged one, its probabilities put right on the newest of them) tells the churn of the judged
customers; each contender's spend is then judged before and after it is made to agree. The curve
from score to probability is fitted on the other half of the customers.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from tasks.clock import find_time
from tasks.features.building import build_features
from tasks.settings import load_settings
from tasks.value.challengers import NAMES, divide, tune_challenger
from tasks.value.contenders import Contenders, fit_models
from tasks.value.horizons import plan_horizons
from tasks.value.measures import bias_share, mean_error_amount, normalised_gini
from tasks.value.reading import find_first_order, read_judged, see_orders
from tasks.value.reconciling import correct, find_curve
from tasks.warehouse import open_lake


def compare_agreement(deployment: str) -> list[tuple[str, str, float, float, float]]:
    """(contender, before or after, normalised Gini, bias, mean absolute error)."""
    import lightgbm

    settings = load_settings(deployment)
    value, churn_days = settings.value, settings.features.horizon_days
    with open_lake(settings) as lake:
        now, snapshot = find_time(lake, settings), lake.snapshot()
        sight = see_orders(lake, snapshot.snapshot_id, now.known_by)
        horizons = plan_horizons(now.as_of, find_first_order(lake, sight), settings)
        past = build_features(
            lake, horizons.cutoffs, now.known_at(horizons.cutoffs), snapshot, settings.features
        )
        parts = [
            read_judged(
                lake, past, cutoff, sight, horizon_days=horizons.horizon_days,
                churn_days=churn_days, maximum_rows=100_000,
            )
            for cutoff in horizons.cutoffs
        ]  # fmt: skip
        then = see_orders(lake, snapshot.snapshot_id, past.known_by[-1])
        models = fit_models(lake, then, horizons.judged)
    teaching, judged = parts[:-1], parts[-1]
    numbers = np.concatenate([np.full(len(one.spend), n) for n, one in enumerate(teaching)])
    features = np.concatenate([one.features for one in teaching])
    ordered = np.concatenate([one.ordered_soon for one in teaching])
    newest = horizons.teaching[-1]
    apart = {
        n: cutoff + timedelta(days=horizons.horizon_days) <= newest
        for n, cutoff in enumerate(horizons.teaching)
    }
    lessons = divide(
        features,
        np.concatenate([one.spend for one in teaching]),
        numbers,
        np.concatenate([one.lot for one in teaching]),
        apart,
    )
    options = {
        "objective": "binary", "learning_rate": 0.05, "num_leaves": 8, "min_data_in_leaf": 100,
        "feature_fraction": 0.5, "lambda_l2": 10.0, "seed": value.seed, "verbosity": -1,
        "num_threads": 1,
    }  # fmt: skip
    model = lightgbm.train(
        options, lightgbm.Dataset(features[lessons.early], ordered[lessons.early]), 100
    )
    right = find_curve(model.predict(features[lessons.validation]), ordered[lessons.validation])
    churn = 1 - right.at(np.asarray(model.predict(judged.features)))
    told, _ = Contenders(
        models, {name: tune_challenger(name, lessons, value) for name in NAMES}
    ).tell(judged.basics, judged.features, value, horizons.horizon_days, churn_days)
    half = judged.lot < 0.5
    found = []
    for one in told.values():
        after = np.empty(len(one.spend))
        for here in (half, ~half):
            curve = find_curve(one.score[~here], judged.ordered_soon[~here])
            after[here] = correct(one.spend[here], curve.at(one.score[here]), churn[here])
        for which, spend in (("before", one.spend), ("after", after)):
            found.append(
                (
                    one.name,
                    which,
                    normalised_gini(judged.spend, spend),
                    bias_share(judged.spend, spend),
                    mean_error_amount(judged.spend, spend),
                )
            )
    return found
