"""A replay's claims against the truth, where customers are simulated and the truth is known.

For each list of the served champion the truth's expected money is what the house's formula gives
with the true probabilities of lapsing; what the customers then did is one draw of it. The claim
is checked twice: whether the claimed sum with its interval covers the expected one, and whether
probabilities promised what was true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.economics import Economics
from tasks.replay.money import Account

_READ = ("customer_id", "lapse_probability", "contact_effect_on_lapse")


@dataclass(frozen=True, slots=True)
class Check:
    """One claim and its truth, in the currency or as a share; `covers` of the claim's interval."""

    claim: str
    claimed: float
    interval: tuple[float, float]
    true: float
    covers: bool


def compare_truth(
    outcomes: Any, truths: Mapping[str, Any], money: Economics, account: Account
) -> list[Check]:
    """Each policy's sum, and each lead of the champion, against what was to be expected.

    And the two shares that the money rests on: how many of the contacted leave, and how many of
    those a contact keeps. `outcomes` as `read_outcomes` gives them; `truths` maps a cut-off's date
    to the table of `reveal`.
    """
    known: dict[tuple[str, str], tuple[float, float]] = {}
    for day, table in truths.items():
        columns = [table[name].to_pylist() for name in _READ]
        known |= {
            (day, str(who)): (float(chance), float(effect))
            for who, chance, effect in zip(*columns, strict=True)
        }
    policies = np.asarray(outcomes["policy"].to_pylist(), dtype=object)
    keys = [
        (f"{at:%Y-%m-%d}", str(who))
        for at, who in zip(
            outcomes["as_of"].to_pylist(), outcomes["customer_id"].to_pylist(), strict=True
        )
    ]
    nothing = (np.nan, np.nan)
    true, effect = np.asarray([known.get(key, nothing) for key in keys]).T
    value = np.asarray(outcomes["value_amount"].to_numpy(), dtype=np.float64)
    claimed = np.asarray(outcomes["probability"].to_numpy(), dtype=np.float64)
    expected = np.where(np.isfinite(true), money.expected_returns(true, value), 0.0)
    served = policies == account.sums[0].policy
    checks = []
    for one in account.sums:
        chosen = policies == one.policy
        total = float(expected[chosen].sum())
        low, high = one.interval
        checks.append(
            Check(
                f"money of {one.policy}",
                float(one.realised_amount),
                one.interval,
                total,
                low <= total <= high,
            )
        )
        if one.policy != account.sums[0].policy:
            lead = float(expected[served].sum()) - total
            low, high = one.lead_interval
            checks.append(
                Check(
                    f"lead over {one.policy}",
                    float(one.lead_amount),
                    one.lead_interval,
                    lead,
                    low <= lead <= high,
                )
            )
    mine = served & np.isfinite(true)
    if mine.any():
        checks.append(_check_effect(true[mine], effect[mine], money))
        gap = claimed[mine] - true[mine]
        spread = 1.96 * float(gap.std(ddof=1)) / np.sqrt(mine.sum()) if mine.sum() > 1 else 0.0
        mean = float(claimed[mine].mean())
        interval = (mean - spread, mean + spread)
        truth = float(true[mine].mean())
        checks.append(
            Check(
                "share of the contacted who leave",
                mean,
                interval,
                truth,
                interval[0] <= truth <= interval[1],
            )
        )
    return checks


def _check_effect(lapse: np.ndarray, effect: np.ndarray, money: Economics) -> Check:
    """The share of leavers whom a contact keeps: as `economics` assumes it, and as it is."""
    from scipy.stats import beta

    kept = money.accept_share * money.accept_certainty
    low, high = beta.interval(0.95, kept, money.accept_certainty - kept)
    true = float(-effect.sum() / lapse.sum()) if lapse.sum() > 0 else 0.0
    return Check(
        "share of leavers whom a contact keeps",
        money.accept_share,
        (float(low), float(high)),
        true,
        bool(low <= true <= high),
    )
