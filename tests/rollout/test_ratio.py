"""A split that is not as planned is seen; one that is, is not; what is missing is counted."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
import tea_tasting
from scipy.stats import binom

from tasks.rollout.evidence import DayCounts, DayTable
from tasks.rollout.ratio import check_completeness, check_ratios, ratio_evidence

_DAY = date(2026, 1, 5)


def _table(*cells: tuple[int, int], **shares: float) -> DayTable:
    """Days of (champion, challenger) assigned; a share of them is exposed, logged and so on."""
    rows = []
    for number, pair in enumerate(cells):
        for arm, count in zip(("champion", "challenger"), pair, strict=True):
            exposed = round(count * shares.get(f"{arm}_exposed", 1))
            logged = round(exposed * shares.get(f"{arm}_logged", 1))
            matured = round(exposed * shares.get(f"{arm}_matured", 1))
            rows.append(
                DayCounts(
                    _DAY + timedelta(days=number), arm, count, exposed, logged, exposed, matured, 0
                )
            )
    return DayTable.of(rows)


@pytest.mark.parametrize("share", [0.5, 0.05])
def test_expected_evidence_is_one(share: float) -> None:
    total = 60
    law = binom(total, share)
    expected = 0.0
    for challenger in range(total + 1):
        # Of one day alone, so that the greatest of all days does not count; it is 1 or more.
        counts = np.array([[[total - challenger, challenger]]], dtype=float)
        expected += law.pmf(challenger) * max(float(ratio_evidence(counts, share)[0]), 0)
    assert 1 <= expected < 1.2


def test_planned_split_is_trusted() -> None:
    found = check_ratios(_table((501, 489), (250, 262)), 0.5, 0.001)
    assert not any(row.is_broken for row in found)
    assert [row.of for row in found] == ["assigned", "exposed", "matured"]
    assert found[0].found_share == pytest.approx(751 / 1502)


def test_lost_customers_are_seen_as_a_fixed_test_would() -> None:
    found = check_ratios(_table((5000, 5000), challenger_exposed=0.9), 0.5, 0.001)
    assert [row.is_broken for row in found] == [False, True, True]
    data = pd.DataFrame({"variant": ["champion"] * 5000 + ["challenger"] * 4500})
    peer = tea_tasting.Experiment(split=tea_tasting.SampleRatio()).analyze(data, "champion")
    assert peer["split"].pvalue < 0.001


def test_a_fault_at_the_start_is_not_forgotten() -> None:
    days = [(200, 100), *[(1000, 1000)] * 30]
    assert check_ratios(_table(*days), 0.5, 0.001)[0].is_broken


def test_nobody_yet_is_no_fault() -> None:
    assert not any(row.is_broken for row in check_ratios(DayTable.of([]), 0.5, 0.001))
    assert all(row.is_enough for row in check_completeness(DayTable.of([]), 0.98))


def test_what_is_missing_is_counted_by_arm() -> None:
    found = check_completeness(_table((1000, 1000), challenger_logged=0.9), 0.98)
    lacking = [(row.arm, row.of) for row in found if not row.is_enough]
    assert lacking == [("challenger", "logs")]


def test_two_of_the_first_ten_may_be_missing() -> None:
    assert all(
        row.is_enough for row in check_completeness(_table((10, 10), champion_exposed=0.8), 0.98)
    )
    assert not all(
        row.is_enough for row in check_completeness(_table((10, 10), champion_exposed=0.7), 0.98)
    )
