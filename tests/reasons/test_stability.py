"""A reason is one only if it leads again when the model is fitted anew."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.drivers import BoosterSettings
from tasks.reasons.refits import fit, read_recipe
from tasks.reasons.stability import NONE, find_leading, push_of, top_driver
from tasks.settings import Settings
from tests.reasons.made_up import BORN, FEATURES, make_rows

PUSHES = arrays(np.float64, (6, 3), elements=st.floats(-5, 5, allow_subnormal=False))


def test_a_reason_holds_only_if_enough_refits_say_the_same() -> None:
    served = np.array([[2.0, 1.0], [2.0, 1.0], [-1.0, -2.0], [-1.0, 0.5]])
    agree = np.array([[1.0, 0.2], [0.1, 0.2], [-1.0, -3.0], [-2.0, 0.1]])
    other = np.array([[0.4, 0.2], [0.4, 0.2], [-1.0, -3.0], [-2.0, -0.1]])
    found = find_leading(served, [agree, other], agreement_share=0.8)
    assert found.driver.tolist() == [0, 0, NONE, 1]
    assert found.agreement.tolist() == [1.0, 0.5, 0.0, 0.5]
    # The last one's driver comes first in both, but does not push towards leaving in one of them.
    assert found.holds.tolist() == [True, False, False, False]
    assert found.push.tolist() == [2.0, 2.0, 0.0, 0.5]


@given(PUSHES, st.lists(PUSHES, min_size=1, max_size=5), st.floats(0.51, 1.0))
def test_agreement_is_a_share_and_what_holds_has_enough_of_it(
    served: np.ndarray, refits: list[np.ndarray], needed: float
) -> None:
    found = find_leading(served, refits, needed)
    assert ((found.agreement >= 0) & (found.agreement <= 1)).all()
    assert (found.push >= 0).all()
    assert (found.agreement[found.holds] >= needed - 1e-9).all()
    assert (found.push[found.holds] > 0).all()
    alone = find_leading(served, [served] * 3, needed)
    assert (alone.holds == (top_driver(served) != NONE)).all()


def test_the_planted_driver_leads_whoever_complained(settings: Settings) -> None:
    """Truth is known: tickets and complaints make them leave, so they must come first."""
    from tasks.reasons.grouping import group_features

    rows = make_rows(500)
    grouping = group_features(FEATURES, settings.reasons.drivers, named={}, born=BORN)
    recipe = read_recipe(None, BoosterSettings(trees=40, learning_rate=0.1, min_data_in_leaf=40))
    boosters = [
        fit(rows, rows.matured, recipe, seed=seed, resample=True, threads=1) for seed in range(4)
    ]
    features = rows.features[:600]
    pushes = [push_of(one, features, grouping) for one in boosters]
    found = find_leading(pushes[0], pushes[1:], 0.8)
    complained = (features[:, 2] >= 1) & (features[:, 3] == 1)
    service = grouping.drivers.index("service")
    assert (found.driver[complained] == service).mean() > 0.98
    assert found.holds[complained].mean() > 0.95
    # What is only noise leads for few, and holds for fewer.
    noise = np.isin(found.driver, [grouping.drivers.index(n) for n in ("price", "engagement")])
    assert (noise & found.holds).mean() < 0.25


def test_the_same_seed_gives_the_same_model() -> None:
    rows = make_rows(120)
    recipe = read_recipe(None, BoosterSettings(trees=12, min_data_in_leaf=20))
    one, again = (
        fit(rows, rows.matured, recipe, seed=5, resample=True, threads=threads)
        for threads in (1, 2)
    )
    other = fit(rows, rows.matured, recipe, seed=6, resample=True)
    assert (one.predict(rows.features) == again.predict(rows.features)).all()
    assert (one.predict(rows.features) != other.predict(rows.features)).any()


def test_refits_learn_as_the_champion_did() -> None:
    import lightgbm

    rows = make_rows(100)
    params = {"objective": "binary", "num_leaves": 5, "lambda_l2": 3.5, "verbosity": -1}
    booster = lightgbm.train(
        params, lightgbm.Dataset(rows.features, (rows.churned == 1).astype(float)), 9
    )
    recipe = read_recipe(
        lightgbm.Booster(model_str=booster.model_to_string()), BoosterSettings.model_validate({})
    )
    assert recipe.trees == 9
    assert recipe.params["num_leaves"] == 5
    assert recipe.params["lambda_l2"] == 3.5
