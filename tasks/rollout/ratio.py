"""Whether the customers can be trusted: the split of the arms, and that nothing is missing.

The split is tested at every look at once by a multinomial e-process (Lindon and Malek 2022): the
likelihood ratio of the counts against the planned shares, the true shares drawn from Dirichlet
distributions around them, mixed over how near. By Ville's inequality it ever exceeds 1 / alpha with
probability alpha at most if the split is as planned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.rollout.evidence import DayCounts
from tasks.rollout.plan import Arm
from tasks.rollout.verdict import CompletenessFinding, RatioFinding

# How many customers the shares are taken to be worth: off by a tenth, by a few hundredths, by one.
CONCENTRATIONS = (100.0, 1_000.0, 10_000.0)
# So few may be missing whatever their share: the first nights have ten customers.
ALWAYS_ALLOWED = 2

_STEPS: dict[Literal["assigned", "exposed", "matured"], Callable[[DayCounts], int]] = {
    "assigned": lambda counts: counts.assigned,
    "exposed": lambda counts: counts.exposed,
    "matured": lambda counts: counts.matured,
}


def ratio_evidence(
    champion: NDArray[np.int64], challenger: NDArray[np.int64], challenger_share: float
) -> float:
    """The greatest evidence of any day against the planned split; arguments are counts by day."""
    from scipy.special import betaln

    first, second = np.cumsum(challenger), np.cumsum(champion)
    if not len(first):
        return 1.0
    planned = first * math.log(challenger_share) + second * math.log1p(-challenger_share)
    paths = []
    for concentration in CONCENTRATIONS:
        a, b = concentration * challenger_share, concentration * (1 - challenger_share)
        paths.append(betaln(a + first, b + second) - betaln(a, b) - planned)
    stacked = np.stack(paths)
    highest = stacked.max(axis=0)
    evidence = highest + np.log(np.exp(stacked - highest).mean(axis=0))
    return math.exp(min(max(float(evidence.max()), 0.0), 700.0))


def check_ratios(
    days: Sequence[DayCounts], challenger_share: float, alpha: float
) -> tuple[RatioFinding, ...]:
    """The split of the assigned, of the exposed and of the matured, Bonferroni over the three."""
    found = []
    for of, count in _STEPS.items():
        table: dict[date, list[int]] = {}
        for counts in days:
            table.setdefault(counts.day, [0, 0])[counts.arm == "challenger"] += count(counts)
        values = np.array([table[day] for day in sorted(table)], dtype=np.int64).reshape(-1, 2)
        p_value = min(
            1.0, len(_STEPS) / ratio_evidence(values[:, 0], values[:, 1], challenger_share)
        )
        champion, challenger = (int(n) for n in values.sum(axis=0))
        total = champion + challenger
        found.append(
            RatioFinding(
                of=of,
                champion=champion,
                challenger=challenger,
                planned_share=challenger_share,
                found_share=challenger / total if total else None,
                p_value=p_value,
                is_broken=p_value <= alpha,
            )
        )
    return tuple(found)


def check_completeness(
    days: Iterable[DayCounts], minimum_share: float
) -> tuple[CompletenessFinding, ...]:
    """By arm: of the assigned who is exposed, of those who is logged, of the due who matured."""
    totals: dict[Arm, list[int]] = {"champion": [0] * 5, "challenger": [0] * 5}
    for counts in days:
        total = totals[counts.arm]
        for place, number in enumerate(
            (counts.assigned, counts.exposed, counts.logged, counts.due, counts.matured)
        ):
            total[place] += number
    found = []
    for arm, (assigned, exposed, logged, due, matured) in totals.items():
        pairs: list[tuple[Literal["exposures", "logs", "outcomes"], int, int]] = [
            ("exposures", assigned, exposed),
            ("logs", exposed, logged),
            ("outcomes", due, matured),
        ]
        for of, expected, there in pairs:
            found.append(
                CompletenessFinding(
                    of=of,
                    arm=arm,
                    expected=expected,
                    found=there,
                    is_enough=expected - there
                    <= max((1 - minimum_share) * expected, ALWAYS_ALLOWED),
                )
            )
    return tuple(found)
