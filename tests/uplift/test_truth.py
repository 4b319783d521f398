"""Where truth is known: the claim agrees with it, and whom a contact drives away is left out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tasks.uplift.finding import find_uplift
from tasks.uplift.subjects import Learnable, read_with_features, stage_subjects
from tasks.uplift.targeting import Contest, compare_strategies
from tests.conftest import MakeSettings
from tests.uplift.simulated import Shop, open_shop

pytestmark = pytest.mark.statistics


@pytest.fixture(scope="module")
def shop(make_settings: MakeSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    directory = tmp_path_factory.mktemp("uplift") / "shop"
    with open_shop(make_settings, directory, 3500, resamples=200, folds=3) as opened:
        yield opened


@pytest.fixture(scope="module")
def judged(shop: Shop) -> tuple[Learnable, Contest]:
    plan = shop.plan()
    table = shop.build(plan)
    assert table is not None
    settings = shop.lake.settings
    stage_subjects(shop.lake, plan.as_of, plan.known_by, plan.snapshot, settings)
    read = read_with_features(shop.lake, "retention", "mailing", table, 200_000)
    assert read is not None
    return read, compare_strategies(read.trial, read.features, "lapse_share", settings.uplift)


def test_the_claim_agrees_with_the_truth(shop: Shop, judged: tuple[Learnable, Contest]) -> None:
    read, contest = judged
    assert contest.unlocked
    truth = shop.reveal_effects(tuple(sorted(set(read.decided_at))))
    known = [truth[one] for one in zip(read.customer_ids, read.decided_at, strict=True)]
    kinds = np.array([one[0] for one in known])
    kept = -np.array([one[1] for one in known])
    first = np.argsort(-contest.scores, kind="stable")[: round(0.3 * len(kept))]
    true_gain = kept[first].sum() / len(kept) * 1000
    by_name = {one.name: one for one in contest.strategies}
    claim = by_name[contest.served]
    assert claim.at_budget_low <= true_gain <= claim.at_budget_high
    # And it is worth having: more than chance, and more than contacting everybody.
    assert true_gain > 5
    assert true_gain > kept.mean() * 1000
    # A list by risk finds those whom a contact drives away; uplift leaves them out.
    everybody = (kinds == "do_not_disturb").mean()
    assert (kinds[first] == "do_not_disturb").mean() < 0.5 * everybody
    assert (kinds[first] == "persuadable").mean() > (kinds == "persuadable").mean()
    assert claim.at_budget > by_name["risk"].at_budget
    assert contest.over_risk[1] > 0


def test_undeclared_the_same_lot_is_refused(shop: Shop) -> None:
    """It was a lot; but nobody says so, and nothing is told of it but who was contacted."""
    lake = shop.lake
    before = lake.settings
    lake.settings = before.model_copy(
        update={"uplift": before.uplift.model_copy(update={"campaigns": {}})}
    )
    try:
        plan = shop.plan()
        assert len(plan.cutoffs) == 1
        found = find_uplift(lake, plan, shop.build(plan)).findings
    finally:
        lake.settings = before
    assert found.studies == ()
    assert {cell.verdict for cell in found.cells} == {"none"}
    assert "mailing" not in {cell.action for cell in found.cells}
    (refused,) = found.undeclared
    assert "nobody declares" in refused.reason.en
    assert refused.customers > 100
    assert len(refused.worst) == 5
    # Nor are they alike: who is held out was never contacted, and stands among the others.
    assert refused.worst[0].feature.startswith("contact")
    assert abs(refused.worst[0].difference) > 0.1
