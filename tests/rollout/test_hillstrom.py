"""A real randomised campaign: effects and intervals as published, through our comparison."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from tasks.rollout.evidence import DayCounts, DayTable
from tasks.rollout.ratio import check_ratios
from tasks.rollout.sequential import adjust_stagewise
from tasks.rollout.stratified import Difference, compare

_DAY = date(2008, 3, 20)


@pytest.fixture(scope="module")
def campaign(hillstrom: Path) -> pd.DataFrame:
    return pd.read_parquet(hillstrom)


def _table(campaign: pd.DataFrame, mail: str) -> DayTable:
    """`events` are visits, so that a better mail has more of them; money is what was spent."""
    rows = []
    for arm, segment in (("champion", "No E-Mail"), ("challenger", mail)):
        cell = campaign[campaign["segment"] == segment]
        n, y, x = len(cell), cell["spend"], cell["history"]
        rows.append(
            DayCounts(
                _DAY, arm, n, n, n, n, n, int(cell["visit"].sum()),  # type: ignore[arg-type]
                y.sum(), (y**2).sum(), x.sum(), (x**2).sum(), (x * y).sum(),
                (y**3).sum(), (x**3).sum(), (y * y * x).sum(), (y * x * x).sum(),
            )
        )  # fmt: skip
    return DayTable.of(rows)


def _interval(found: Difference) -> tuple[float, float, float]:
    """Of one look."""
    adjusted = adjust_stagewise(
        [found.variance], [], found.pivot,
        effect=found.effect, standard_error=found.standard_error, confidence=0.95,
    )  # fmt: skip
    return adjusted.effect, adjusted.low, adjusted.high


@pytest.mark.parametrize(
    ("mail", "published"),
    [
        ("Mens E-Mail", (0.0766, 0.0700, 0.0832)),
        ("Womens E-Mail", (0.0452, 0.0389, 0.0516)),
    ],
)
def test_visits_are_reproduced(
    campaign: pd.DataFrame, mail: str, published: tuple[float, float, float]
) -> None:
    table = _table(campaign, mail)
    found = compare(table, "lapse_share")
    assert found is not None
    effect, low, high = _interval(found)
    # More visits are "more events", which the comparison counts as worse: hence the sign.
    assert (-effect, -high, -low) == pytest.approx(published, abs=6e-5)
    assert not any(row.is_broken for row in check_ratios(table, 0.5, 0.001))


def test_money_is_that_of_tea_tasting(campaign: pd.DataFrame) -> None:
    import tea_tasting

    found = compare(_table(campaign, "Mens E-Mail"), "margin_amount")
    assert found is not None
    two = campaign[campaign["segment"].isin(["No E-Mail", "Mens E-Mail"])]
    peer = tea_tasting.Experiment(
        money=tea_tasting.Mean("spend", covariate="history", use_t=False), variant="segment"
    ).analyze(two, control="No E-Mail")["money"]
    effect, low, high = _interval(found)
    assert effect == pytest.approx(peer.effect_size, abs=0.002)
    assert low == pytest.approx(peer.effect_size_ci_lower, abs=0.003)
    assert high == pytest.approx(peer.effect_size_ci_upper, abs=0.003)
    assert found.z > 4
