"""What a verdict says, in whole sentences with the numbers they rest on."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.rollout.plan import Plan
from tasks.rollout.stratified import Difference
from tasks.rollout.verdict import (
    CompletenessFinding,
    Estimate,
    HarmFinding,
    Look,
    RatioFinding,
)


@dataclass(frozen=True, slots=True)
class Wording:
    """Sentences about the rollout of one plan."""

    plan: Plan

    def effect(self, value: float) -> str:
        """`1.43 points`, or `2.10 a customer`."""
        if self.plan.metric == "lapse_share":
            return f"{round(value * 100, 2) + 0.0:.2f} points"  # never -0.00
        return f"{round(value, 2) + 0.0:.2f} a customer"

    def _interval(self, estimate: Estimate) -> str:
        return (
            f"{self.effect(estimate.effect)} ({self.effect(estimate.low)} to"
            f" {self.effect(estimate.high)}, {100 * estimate.confidence:g} %)"
        )

    @property
    def _better(self) -> str:
        return "fewer lapses" if self.plan.metric == "lapse_share" else "more margin"

    def win(self, look: Look, estimate: Estimate) -> str:
        return (
            f"The challenger brings {self._better}: {self._interval(estimate)}, z {look.z:.2f}"
            f" above {look.upper:.2f} at {self._share(look)} of the planned information."
        )

    def loss(self, look: Look, estimate: Estimate) -> str:
        return (
            f"The challenger is worse: the effect is {self._interval(estimate)},"
            f" z {look.z:.2f} below {look.lower or 0:.2f}"
            f" at {self._share(look)} of the planned information."
        )

    def neither(self, look: Look, estimate: Estimate) -> str:
        return (
            f"At the last look no difference is shown: the effect is {self._interval(estimate)},"
            f" z {look.z:.2f} short of {look.upper:.2f}."
        )

    def open(self, look: Look) -> str:
        return (
            f"Look {look.number}: z {look.z:.2f} has not reached {look.upper:.2f}"
            f" at {self._share(look)} of the planned information."
        )

    @staticmethod
    def _share(look: Look) -> str:
        return f"{100 * look.information_share:.0f} %"

    def harm(self, harm: HarmFinding) -> str:
        total = harm.champion_events + harm.challenger_events
        return (
            f"Harm in {harm.guardrail}: {harm.challenger_events:,} of {total:,} events are the"
            f" challenger's, where at most {harm.expected_events:,.1f} were tolerated; evidence"
            f" {harm.evidence:,.0f} to 1 (p {harm.p_value:.2g})."
        )

    def missing(self, what: str) -> str:
        return f"Evidence is missing: {what}"

    def incomplete(self, found: CompletenessFinding) -> str:
        return (
            f"Of the {found.arm}'s {found.of}, {found.found:,} of {found.expected:,} are there;"
            f" the plan asks for {100 * self.plan.minimum_complete_share:g} %."
        )

    def broken_ratio(self, found: RatioFinding) -> str:
        share = found.found_share or 0.0
        return (
            f"The split of the {found.of} customers is not as planned: the challenger has"
            f" {100 * share:.2f} % where {100 * found.planned_share:g} % was planned"
            f" (p {found.p_value:.2g}). Whoever is missing may be missing for a reason."
        )

    def too_few(self, difference: Difference | None, least: float) -> str:
        return f"The rollout ends without a look at the metric: {self._lack(difference, least)}"

    def waiting(self, elapsed_days: int, difference: Difference | None, least: float) -> str:
        if elapsed_days < self.plan.earliest_decision_days:
            return (
                f"Day {elapsed_days}: no win is declared before day"
                f" {self.plan.earliest_decision_days}."
            )
        if difference is None or difference.least_expected < least:
            return self._lack(difference, least)
        share = min(1.0, difference.information / self.plan.information)
        reached = f"{100 * share:.0f} % of the planned information is there"
        return (
            f"{reached}; the next look is not due yet, the last is on day {self.plan.maximum_days}."
        )

    @staticmethod
    def _lack(difference: Difference | None, least: float) -> str:
        if difference is None:
            return "no day has matured outcomes of both arms that differ."
        return (
            f"{difference.least_expected:.1f} outcomes are expected in the smaller arm,"
            f" {least:g} are needed."
        )
