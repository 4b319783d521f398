"""The stratified comparison against libraries and against sampling without replacement itself."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
import tea_tasting
from scipy.stats import hypergeom
from statsmodels.stats.contingency_tables import StratifiedTable

from tasks.rollout.evidence import DayCounts, DayTable
from tasks.rollout.stratified import compare

_DAY = date(2026, 1, 5)


def _shares(cells: list[tuple[int, int, int, int]]) -> DayTable:
    """Days of (champion customers, lapses, challenger customers, lapses)."""
    rows = []
    for number, (n0, x0, n1, x1) in enumerate(cells):
        day = _DAY + timedelta(days=number)
        rows.append(DayCounts(day, "champion", n0, n0, n0, n0, n0, x0))
        rows.append(DayCounts(day, "challenger", n1, n1, n1, n1, n1, x1))
    return DayTable.of(rows)


def _amounts(days: pd.DataFrame) -> DayTable:
    """Rows of (day, arm, y, x)."""
    rows = []
    for (day, arm), cell in days.groupby(["day", "arm"]):
        y, x, n = cell["y"], cell["x"], len(cell)
        rows.append(
            DayCounts(
                _DAY + timedelta(days=int(day)), arm, n, n, n, n, n, 0,
                y.sum(), (y**2).sum(), x.sum(), (x**2).sum(), (x * y).sum(),
                (y**3).sum(), (x**3).sum(), (y * y * x).sum(), (y * x * x).sum(),
            )
        )  # fmt: skip
    return DayTable.of(rows)


def test_share_is_the_cochran_mantel_haenszel_statistic() -> None:
    cells = [(120, 20, 80, 6), (300, 60, 290, 49), (33, 2, 21, 3), (9, 0, 8, 1)]
    found = compare(_shares(cells), "lapse_share")
    assert found is not None
    peer = StratifiedTable([[[x1, n1 - x1], [x0, n0 - x0]] for n0, x0, n1, x1 in cells])
    assert found.z**2 == pytest.approx(peer.test_null_odds(correction=False).statistic)
    assert found.z > 0  # the challenger has fewer


def test_one_large_day_is_the_plain_difference() -> None:
    found = compare(_shares([(4000, 400, 4000, 320)]), "lapse_share")
    assert found is not None
    assert found.effect == pytest.approx(0.02)
    plain = np.sqrt(0.1 * 0.9 / 4000 + 0.08 * 0.92 / 4000)
    assert found.standard_error == pytest.approx(plain, rel=1e-3)
    # Information is that of no effect: both arms at 9 %.
    assert found.information == pytest.approx(1 / (0.09 * 0.91 / 2000), rel=1e-3)


def test_skewness_is_the_hypergeometric_distribution_s() -> None:
    found = compare(_shares([(950, 60, 50, 0)]), "lapse_share")
    assert found is not None
    exact = float(hypergeom(1000, 60, 50).stats("s"))
    assert found.skewness == pytest.approx(-exact)


def test_days_of_one_arm_say_nothing() -> None:
    with_one = compare(_shares([(100, 10, 100, 5), (500, 250, 0, 0)]), "lapse_share")
    without = compare(_shares([(100, 10, 100, 5)]), "lapse_share")
    assert with_one == without
    assert compare(_shares([(500, 250, 0, 0)]), "lapse_share") is None
    assert compare(DayTable.of([]), "margin_amount") is None


def test_a_ramp_over_a_growing_base_finds_nothing() -> None:
    # 10 % lapse early, when the champion has all, 20 % late: pooled, the challenger is worse.
    found = compare(_shares([(950, 95, 50, 5), (500, 100, 500, 100)]), "lapse_share")
    assert found is not None
    assert found.z == pytest.approx(0)
    assert found.effect == pytest.approx(0)


def _money(rng: np.random.Generator, customers: int, days: int = 1) -> pd.DataFrame:
    x = rng.gamma(2, 10, customers)
    arm = np.where(rng.random(customers) < 0.5, "challenger", "champion")
    y = 0.6 * x + rng.gamma(2, 6, customers) + 0.8 * (arm == "challenger")
    return pd.DataFrame({"day": rng.integers(0, days, customers), "arm": arm, "y": y, "x": x})


def test_money_agrees_with_tea_tasting_s_cuped() -> None:
    data = _money(np.random.default_rng(4), 6000)
    found = compare(_amounts(data), "margin_amount")
    assert found is not None
    experiment = tea_tasting.Experiment(
        money=tea_tasting.Mean("y", covariate="x", use_t=False), variant="arm"
    )
    peer = experiment.analyze(data, control="champion")["money"]
    assert found.effect == pytest.approx(peer.effect_size, rel=2e-2)
    low = found.effect - 1.959964 * found.standard_error
    assert low == pytest.approx(peer.effect_size_ci_lower, abs=0.02)
    assert found.z == pytest.approx(peer.statistic, abs=0.05)


def test_cuped_takes_out_what_the_period_before_knows() -> None:
    data = _money(np.random.default_rng(5), 6000, days=14)
    with_it = compare(_amounts(data), "margin_amount")
    without = compare(_amounts(data.assign(x=0.0)), "margin_amount")
    assert with_it is not None
    assert without is not None
    assert with_it.theta == pytest.approx(0.6, abs=0.03)
    explained = np.corrcoef(data["x"], data["y"])[0, 1] ** 2
    narrower = (with_it.standard_error / without.standard_error) ** 2
    assert narrower == pytest.approx(1 - explained, abs=0.02)


def test_moments_of_money_are_those_of_drawing_without_replacement() -> None:
    rng = np.random.default_rng(6)
    y = rng.lognormal(0, 1.2, 60)
    chosen = np.arange(60) < 6
    data = pd.DataFrame(
        {"day": 0, "arm": np.where(chosen, "challenger", "champion"), "y": y, "x": 0.0}
    )
    found = compare(_amounts(data), "margin_amount")
    assert found is not None
    sums = np.array([rng.permutation(y)[:6].sum() for _ in range(100_000)])
    assert found.variance == pytest.approx(sums.var(), rel=0.03)
    assert found.skewness == pytest.approx(
        ((sums - sums.mean()) ** 3).mean() / sums.std() ** 3, rel=0.06
    )
    # The z of the luckiest draw of 200, the long tail taken out, is what a normal one is worth.
    lucky = np.quantile(sums, 0.995)
    raw = (lucky - 6 * y.mean()) / sums.std()
    gamma = found.skewness
    assert raw > 2.9
    fair = 3 / gamma * (np.sqrt(1 + 2 * gamma * raw / 3 + gamma**2 / 9) - 1)
    assert fair == pytest.approx(2.576, abs=0.15)
