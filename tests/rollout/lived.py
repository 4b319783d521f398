"""The rows of a rollout as its ledger would have them, without a ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tasks.rollout.recording import Rollout, RowKind, State, Terms
from tasks.rollout.stepping import compare_worlds
from tasks.rollout.verdict import (
    CompletenessFinding,
    Estimate,
    HarmFinding,
    Look,
    RatioFinding,
    Verdict,
)
from tests.rollout.made_up import make_plan

BEGAN = datetime(2026, 3, 2, tzinfo=UTC)
ARMS: Mapping[str, Mapping[str, float]] = {
    "challenger": {"assigned": 384, "matured": 380, "events": 161, "amount_sum": 4_906.5},
    "champion": {"assigned": 446, "matured": 438, "events": 177, "amount_sum": 5_593.25},
}


def plan_row(
    offline: tuple[float, float, float] | None = (900.0, 200.0, 1_350.0), **changes: Any
) -> Rollout:
    """`offline` is the gate's difference with its interval."""
    amount, low, high = offline or (None, None, None)
    terms = Terms(
        champion_decision_id="d1", hold_out_salt="holdfast", hold_out_share=0.1, early_days=10,
        margin_share=0.3, currency="EUR", offline_difference_amount=amount,
        offline_low_amount=low, offline_high_amount=high, planned_days=49, base_rate=0.41,
    )  # fmt: skip
    row = Rollout(make_plan(**{"stages": (0.2, 0.5), **changes}), terms, "planned", "plan", 1)
    return replace(row, decided_at=BEGAN, reason="903 customers detect 9.2 points.")


def add(rows: list[Rollout], day: int, kind: RowKind, state: State, **changes: Any) -> None:
    """The next row, of the night so many days after the first stage began."""
    night = BEGAN + timedelta(days=day)
    verdict = changes.pop("verdict", None)
    evidence = dict(changes.pop("evidence", {}))
    if verdict is not None:
        evidence |= {"verdict": json.loads(verdict.to_json()), "arms": ARMS}
        if verdict.outcome not in ("continue", "hold"):
            evidence["agreement"] = compare_worlds(rows[0], verdict)
    reason = changes.pop("reason", f"night {day}")
    row = rows[-1].next(kind, state, reason, as_of=night, evidence=evidence, **changes)
    rows.append(replace(row, decided_at=night))


def judged(outcome: str = "continue", **changes: Any) -> Verdict:
    found: dict[str, Any] = {
        "harms": (
            HarmFinding("errors", 0, 0, 0.0, 1.0, 1.0, 0.05 / 3, False),
            HarmFinding("early_signs", 177, 161, 150.1, 4.25, 1 / 4.25, None, False),
        ),
        "ratios": (RatioFinding("assigned", 446, 384, 0.5, 0.4627, 0.34, False),),
        "completeness": (CompletenessFinding("outcomes", "champion", 440, 438, True),),
    }
    return Verdict(outcome=outcome, reasons=("so it is",), **{**found, **changes})  # type: ignore[arg-type]


def look(number: int, day: int, share: float, z: float, bound: float, **changes: Any) -> Look:
    """A look with bounds on both sides, its effect a hundredth of z."""
    values: dict[str, Any] = {
        "number": number, "on": (BEGAN + timedelta(days=day)).date(), "information_share": share,
        "variance": 100.0, "z": z, "upper": bound, "lower": -bound, "alpha_spent": 0.01,
        "effect": z / 100, "standard_error": 0.01, "upper_effect": bound / 100,
        "lower_effect": -bound / 100,
    }  # fmt: skip
    return Look(**{**values, **changes})


def estimate(effect: float, reach: float, method: str = "repeated") -> Estimate:
    return Estimate(effect, effect - reach, effect + reach, 0.95, effect, method)  # type: ignore[arg-type]


def live_through(
    effect: float = -0.005,
    reach: float = 0.07,
    *,
    reason: str = "At the last look.",
    **changes: Any,
) -> list[Rollout]:
    """Planned, begun, widened, looked at on days 14, 21 and 84, quiet in between; ends open.

    `effect` and `reach` are what the last look says; `changes` are the plan's.
    """
    rows = [plan_row(**changes)]
    add(rows, 0, "start", "running", stages_since=(BEGAN,))
    add(rows, 7, "advance", "running", stage=1, verdict=judged())
    for number, day, share, z, bound in ((1, 14, 0.35, -0.79, 3.61), (2, 21, 0.85, 0.2, 2.17)):
        one = look(number, day, share, z, bound)
        guess = estimate(one.effect, bound / 100)
        add(rows, day, "continue", "running", verdict=judged(look=one, estimate=guess))
    for day in range(28, 84, 7):
        add(rows, day, "continue", "running", verdict=judged())
    last = look(3, 84, 1.0, 100 * effect, 2.15, is_last=True)
    end = judged("inconclusive", look=last, estimate=estimate(effect, reach, "stagewise"))
    add(rows, 84, "inconclusive", "inconclusive", verdict=end, reason=reason)
    return rows


def night(day: int) -> date:
    return (BEGAN + timedelta(days=day)).date()
