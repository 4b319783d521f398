"""Whether the customers can be trusted: the split of the arms, and that nothing is missing.

The split is tested at every look at once by a multinomial e-process (Lindon and Malek 2022): the
likelihood ratio of the counts against the planned shares, the true shares drawn from Dirichlet
distributions around them, mixed over how near. By Ville's inequality it ever exceeds 1 / alpha with
probability alpha at most if the split is as planned.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.rollout.evidence import DayTable
from tasks.rollout.plan import Arm
from tasks.rollout.verdict import CompletenessFinding, RatioFinding

# How many customers the shares are taken to be worth: off by a tenth, by a few hundredths, by one.
CONCENTRATIONS = (100.0, 1_000.0, 10_000.0)
# So few may be missing whatever their share: the first nights have ten customers.
ALWAYS_ALLOWED = 2

_OF: tuple[Literal["assigned", "exposed", "matured"], ...] = ("assigned", "exposed", "matured")
_PARTS: tuple[tuple[Literal["exposures", "logs", "outcomes"], str, str], ...] = (
    ("exposures", "assigned", "exposed"),
    ("logs", "exposed", "logged"),
    ("outcomes", "due", "matured"),
)
_COUNTED = ("assigned", "exposed", "logged", "due", "matured")


def ratio_evidence(counts: NDArray[np.float64], challenger_share: float) -> NDArray[np.float64]:
    """The greatest evidence of any day against the planned split.

    `counts` is (..., days, arms), champion first; the result has the axes before them.
    """
    from scipy.special import betaln

    summed = np.cumsum(counts, axis=-2)
    second, first = summed[..., 0, None], summed[..., 1, None]
    a = np.array(CONCENTRATIONS) * challenger_share
    b = np.array(CONCENTRATIONS) - a
    planned = first * math.log(challenger_share) + second * math.log1p(-challenger_share)
    paths = betaln(a + first, b + second) - betaln(a, b) - planned
    evidence = np.logaddexp.reduce(paths, axis=-1) - math.log(len(CONCENTRATIONS))
    greatest: NDArray[np.float64] = np.exp(np.clip(evidence.max(axis=-1, initial=0.0), 0, 700))
    return greatest


def check_ratios(
    table: DayTable, challenger_share: float, alpha: float
) -> tuple[RatioFinding, ...]:
    """The split of the assigned, of the exposed and of the matured, Bonferroni over the three."""
    counts = np.stack([table[of] for of in _OF])
    greatest = ratio_evidence(counts, challenger_share)
    found = []
    for of, evidence, (champion, challenger) in zip(
        _OF, greatest.tolist(), counts.sum(axis=1).astype(int).tolist(), strict=True
    ):
        p_value = min(1.0, len(_OF) / evidence)
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


def check_completeness(table: DayTable, minimum_share: float) -> tuple[CompletenessFinding, ...]:
    """By arm: of the assigned who is exposed, of those who is logged, of the due who matured."""
    arms: tuple[Arm, Arm] = ("champion", "challenger")
    totals = {name: table[name].sum(axis=0).tolist() for name in _COUNTED}
    found = []
    for place, arm in enumerate(arms):
        for of, whole, part in _PARTS:
            expected, there = int(totals[whole][place]), int(totals[part][place])
            allowed = max((1 - minimum_share) * expected, ALWAYS_ALLOWED)
            found.append(
                CompletenessFinding(
                    of=of,
                    arm=arm,
                    expected=expected,
                    found=there,
                    is_enough=expected - there <= allowed,
                )
            )
    return tuple(found)
