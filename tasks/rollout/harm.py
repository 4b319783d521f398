"""Harm, looked at every night: an exact one-sided e-process on counts of events.

Each event falls to the challenger with the probability of its share of the customers at risk that
day, weighted by what the plan tolerates, if there is no harm. The evidence is the likelihood ratio
against harm of several sizes, mixed evenly. Under no harm its expectation is at most 1 at every
time, so that by Ville's inequality it ever exceeds 1 / alpha with probability alpha at most,
however often one looks and however rare the events are: nothing is approximated.

Exact for customers who count once: given a day's events, the challenger's are hypergeometric, or
less than that where the true ratio is below the tolerated; both are more concentrated than the
binomial here, and a likelihood ratio is convex (Hoeffding 1963).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tasks.rollout.evidence import DayTable, GuardrailCounts

Floats = NDArray[np.float64]

# So many times what is tolerated: from what is barely seen in a year to what a night shows.
HARM_RATIOS = (1.15, 1.3, 1.6, 2.0, 3.0, 5.0, 10.0)
_LOG_RATIOS = np.log(np.array(HARM_RATIOS))[:, None]
_ADDED = np.array(HARM_RATIOS)[:, None] - 1
_LOG_COUNT = math.log(len(HARM_RATIOS))


@dataclass(frozen=True, slots=True)
class HarmEvidence:
    """`greatest` is the most evidence that any day had, `since` that day; `now` the last day's."""

    greatest: float
    now: float
    since: date | None
    champion_events: int
    challenger_events: int
    expected_events: float

    @property
    def p_value(self) -> float:
        """Holds at every time at once."""
        return min(1.0, 1 / self.greatest)


def weigh_harm(counts: Iterable[GuardrailCounts], tolerance_ratio: float) -> HarmEvidence:
    """The evidence that the challenger's rate is more than `tolerance_ratio` the champion's.

    `counts` are one guardrail's.
    """
    ordered = sorted(counts, key=lambda row: row.day)
    table = np.array(
        [
            (
                row.champion_at_risk,
                row.challenger_at_risk,
                row.champion_events,
                row.challenger_events,
            )
            for row in ordered
        ],
        dtype=np.float64,
    ).reshape(-1, 4)
    return _weigh(table, [row.day for row in ordered], tolerance_ratio)


def weigh_lapses(table: DayTable, tolerance_ratio: float = 1.0) -> HarmEvidence:
    """As `weigh_harm`, of the matured outcomes: at risk is who entered on a day."""
    values = np.concatenate([table["matured"], table["events"]], axis=1)
    return _weigh(values, table.days, tolerance_ratio)


def _weigh(table: Floats, days: Sequence[date], tolerance_ratio: float) -> HarmEvidence:
    """`table` is (days, 4): at risk by arm, events by arm; champion first."""
    champion, challenger, left, gone = table.T
    if not len(days):
        return HarmEvidence(1.0, 1.0, None, 0, 0, 0.0)
    weighted = tolerance_ratio * challenger
    share = weighted / np.maximum(champion + weighted, 1)  # without customers there are no events
    # Under harm r times the tolerated, the challenger's share of the events is
    # r s / (1 - s + r s): the likelihood ratio of x of m events is r^x / (1 - s + r s)^m.
    steps = gone * _LOG_RATIOS - (left + gone) * np.log1p(_ADDED * share)
    paths = steps.cumsum(axis=1)
    evidence = np.logaddexp.reduce(paths, axis=0) - _LOG_COUNT
    peak = int(evidence.argmax())
    return HarmEvidence(
        greatest=_exp(max(float(evidence[peak]), 0.0)),
        now=_exp(float(evidence[-1])),
        since=days[peak] if evidence[peak] > 0 else None,
        champion_events=int(left.sum()),
        challenger_events=int(gone.sum()),
        expected_events=float((share * (left + gone)).sum()),
    )


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))
