"""The e-process is exact: its expectation is 1 at most, by adding up all that can happen."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from scipy.stats import nchypergeom_fisher

from tasks.rollout.evidence import DayCounts, DayTable, GuardrailCounts
from tasks.rollout.guardrails import LAPSES, check_guardrails, holm
from tasks.rollout.harm import weigh_harm, weigh_lapses
from tasks.rollout.plan import Guardrail
from tasks.rollout.verdict import HarmFinding
from tests.rollout.made_up import make_plan

_DAY = date(2026, 1, 5)


def _day(number: int, champion: int, challenger: int, left: int, gone: int) -> GuardrailCounts:
    day = _DAY + timedelta(days=number)
    return GuardrailCounts("complaints", day, champion, challenger, left, gone)


@pytest.mark.parametrize("tolerance", [1.0, 1.5, 3.0])
@pytest.mark.parametrize(
    ("champion", "challenger", "events"), [(50, 50, 3), (990, 10, 7), (20, 5, 12), (3, 3, 5)]
)
def test_expected_evidence_is_one_at_most(
    tolerance: float, champion: int, challenger: int, events: int
) -> None:
    """Given the day's events, the challenger's are Fisher's noncentral hypergeometric."""
    law = nchypergeom_fisher(champion + challenger, challenger, events, tolerance)
    low, high = max(0, events - champion), min(events, challenger)
    expected = sum(
        float(law.pmf(gone))
        * weigh_harm([_day(0, champion, challenger, events - gone, gone)], tolerance).now
        for gone in range(low, high + 1)
    )
    assert expected <= 1 + 1e-9


def test_harm_is_seen_and_dated() -> None:
    quiet = [_day(n, 500, 500, 1, 1) for n in range(10)]
    loud = [_day(n, 500, 500, 1, 6) for n in range(10, 20)]
    assert weigh_harm(quiet, 1.0).p_value > 0.5
    found = weigh_harm(quiet + loud, 1.0)
    assert found.p_value < 0.001
    assert found.since == _DAY + timedelta(days=19)
    assert (found.champion_events, found.challenger_events) == (20, 70)
    assert found.expected_events == pytest.approx(45)


def test_evidence_is_not_taken_back() -> None:
    """A p-value that holds at every time is the least of all times."""
    bad = [_day(0, 500, 500, 0, 20)]
    good = [_day(n, 500, 500, 20, 0) for n in range(1, 9)]
    assert weigh_harm(bad + good, 1.0).greatest == pytest.approx(weigh_harm(bad, 1.0).greatest)
    assert weigh_harm(bad + good, 1.0).now < 1


def test_what_is_tolerated_is_no_harm() -> None:
    days = [_day(n, 1000, 1000, 10, 15) for n in range(20)]
    assert weigh_harm(days, 1.0).p_value < 0.01
    assert weigh_harm(days, 1.5).p_value > 0.5


def test_nothing_seen_is_no_evidence() -> None:
    found = weigh_harm([], 1.0)
    assert (found.greatest, found.p_value) == (1.0, 1.0)
    assert weigh_lapses(DayTable.of([])).p_value == 1.0
    assert weigh_harm([_day(0, 0, 0, 0, 0)], 1.0).p_value == 1.0


def test_lapses_are_weighed_by_day_of_entry() -> None:
    rows = [
        DayCounts(_DAY, "champion", 900, 900, 900, 900, 900, 90),
        DayCounts(_DAY, "challenger", 100, 100, 100, 100, 100, 40),
    ]
    assert weigh_lapses(DayTable.of(rows)).p_value < 1e-4


def _finding(name: str, p_value: float) -> HarmFinding:
    return HarmFinding(name, 0, 0, 0.0, 1 / p_value, p_value, None, False)


def test_holm_stops_at_the_first_that_holds() -> None:
    found = holm([_finding("a", 0.03), _finding("b", 0.001), _finding("c", 0.9)], 0.05)
    assert [row.is_harm for row in found] == [False, True, False]
    assert found[1].bar == pytest.approx(0.05 / 3)
    assert found[0].bar == pytest.approx(0.05 / 2)
    assert found[2].bar is None


def test_guardrails_without_events_and_unplanned_ones() -> None:
    plan = make_plan(guardrails=(Guardrail(name="errors"),))
    found = check_guardrails(plan, DayTable.of([]), [_day(0, 10, 10, 0, 9)])
    assert [row.guardrail for row in found] == ["errors", LAPSES]
    assert not any(row.is_harm for row in found)
    assert np.isclose(found[0].evidence, 1)
