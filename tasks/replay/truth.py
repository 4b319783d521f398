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

from tasks.replay.contacts import Money
from tasks.replay.money import Account


@dataclass(frozen=True, slots=True)
class Check:
    """One claim and its truth, in the currency or as a share; `covers` of the claim's interval."""

    claim: str
    claimed: float
    interval: tuple[float, float]
    true: float
    covers: bool


def compare_truth(
    outcomes: Any, truths: Mapping[str, Any], money: Money, account: Account
) -> list[Check]:
    """Each policy's sum, and each lead of the champion, against what was to be expected.

    `outcomes` as `read_outcomes` gives them; `truths` maps a cut-off's date to the table of
    `reveal`, of which `customer_id` and `lapse_probability` are read.
    """
    probability: dict[tuple[str, str], float] = {}
    for day, table in truths.items():
        ids, chances = table["customer_id"].to_pylist(), table["lapse_probability"].to_pylist()
        probability |= {(day, who): float(p) for who, p in zip(ids, chances, strict=True)}
    policies = np.asarray(outcomes["policy"].to_pylist(), dtype=object)
    keys = [
        (f"{at:%Y-%m-%d}", str(who))
        for at, who in zip(
            outcomes["as_of"].to_pylist(), outcomes["customer_id"].to_pylist(), strict=True
        )
    ]
    true = np.asarray([probability.get(key, np.nan) for key in keys])
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
