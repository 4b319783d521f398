"""What a judging says, with every number it rests on; kept in the ledger as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Literal

from pydantic import TypeAdapter

from tasks.rollout.plan import Arm

Outcome = Literal["continue", "promote", "roll_back", "hold", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the metric. Later looks depend on all earlier ones: none may be lost.

    `information_share` is how much of the planned information was there (0 to 1), `variance` that
    of the score statistic, `z` the statistic (above 0: the challenger is better), `upper` and
    `lower` what it was held against, `effect` and `standard_error` in the metric's unit; beyond
    `upper_effect` or `lower_effect` the look would have ended the rollout.
    """

    number: int
    on: date
    information_share: float
    variance: float
    z: float
    upper: float
    lower: float | None
    alpha_spent: float
    effect: float
    standard_error: float
    upper_effect: float
    lower_effect: float | None
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Estimate:
    """The effect (above 0: the challenger is better), adjusted for having looked before.

    `stagewise` is the median-unbiased estimate and interval of who stopped by the plan's rule,
    `repeated` an interval that holds at every look. `crude` is the plain difference.
    """

    effect: float
    low: float
    high: float
    confidence: float
    crude: float
    method: Literal["stagewise", "repeated"]


@dataclass(frozen=True, slots=True)
class HarmFinding:
    """What stands against a guardrail: events and customers by arm, evidence, and its p-value.

    `evidence` is the largest value that the e-process has had; `p_value` is 1 over it, `bar` what
    Holm's step held it against (None: it was not reached).
    """

    guardrail: str
    champion_events: int
    challenger_events: int
    expected_events: float
    evidence: float
    p_value: float
    bar: float | None
    is_harm: bool
    since: date | None = None


@dataclass(frozen=True, slots=True)
class RatioFinding:
    """Whether customers fall to the arms as they should: of those assigned, exposed or matured."""

    of: Literal["assigned", "exposed", "matured"]
    champion: int
    challenger: int
    planned_share: float
    found_share: float | None
    p_value: float
    is_broken: bool


@dataclass(frozen=True, slots=True)
class CompletenessFinding:
    """Which share of what should be there is there."""

    of: Literal["exposures", "logs", "outcomes"]
    arm: Arm
    expected: int
    found: int
    is_enough: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do now. `may_widen`: the next stage may begin; `reasons` are whole sentences."""

    outcome: Outcome
    reasons: tuple[str, ...]
    may_widen: bool = False
    look: Look | None = None
    estimate: Estimate | None = None
    harms: tuple[HarmFinding, ...] = ()
    ratios: tuple[RatioFinding, ...] = ()
    completeness: tuple[CompletenessFinding, ...] = ()

    def to_json(self) -> str:
        return _adapter().dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        """Read what `to_json` wrote. Raises ValueError for anything else."""
        verdict: Verdict = _adapter().validate_json(text)
        return verdict


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(Verdict)
