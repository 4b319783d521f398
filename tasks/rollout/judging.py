"""The one place where a rollout is decided: a pure function of plan, evidence and earlier looks.

The order is that of what can hurt. Harm stops whatever else is the case, and needs no trust in the
data beyond the counts that show it. Then trust: with a broken split or missing data nothing is
concluded, and no alpha is spent. Only then is the metric looked at, no sooner than the plan says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tasks.rollout.evidence import DayTable, Evidence
from tasks.rollout.guardrails import check_guardrails
from tasks.rollout.plan import BUCKETS, Plan
from tasks.rollout.ratio import check_completeness, check_ratios
from tasks.rollout.sequential import adjust_stagewise, find_bounds
from tasks.rollout.stratified import Difference, compare
from tasks.rollout.verdict import (
    CompletenessFinding,
    Estimate,
    Look,
    RatioFinding,
    Verdict,
)
from tasks.rollout.wording import Wording

# A look adds so much of the planned information, unless it is the last one.
LEAST_NEW_SHARE = 0.05
# Where an effect is large the outcomes vary less than was planned, and the planned information is
# there before the planned customers are. They are worth waiting for: what is left of alpha is kept
# for the last day, or for so many times the planned information.
ENOUGH_SHARE = 1.3
_LAST_BUT_ONE = 0.95
# A look whose variance is within so much of the next one's is taken as one with it.
_SAME_VARIANCE = 1.01
# Outcomes expected in the smaller arm, fewer of which no normal distribution describes.
LEAST_EXPECTED = 10.0


def judge(plan: Plan, evidence: Evidence, looks: Sequence[Look]) -> Verdict:
    """What to do with a rollout on the evidence's day.

    `looks` are all looks of earlier verdicts, in order; the verdict's own look, where it has one,
    must be added to them before the next judging. Raises nothing for evidence that lacks something:
    the verdict is then `hold`.
    """
    wording = Wording(plan)
    table = DayTable.of(evidence.days)
    harms = check_guardrails(plan, table, evidence.guardrails)
    ratios = check_ratios(table, _split(plan), plan.sample_ratio_alpha)
    completeness = check_completeness(table, plan.minimum_complete_share)
    difference = compare(table, plan.metric)
    verdict = Verdict(
        outcome="continue", reasons=(), harms=harms, ratios=ratios, completeness=completeness
    )
    if any(harm.is_harm for harm in harms):
        return replace(
            verdict,
            outcome="roll_back",
            reasons=tuple(wording.harm(harm) for harm in harms if harm.is_harm),
            estimate=_repeated(plan, looks, difference),
        )
    doubts = _doubts(wording, evidence, ratios, completeness)
    if doubts:
        return replace(verdict, outcome="hold", reasons=doubts)
    is_last = _elapsed_days(evidence) >= plan.maximum_days
    look = _look(plan, evidence, looks, difference, is_last=is_last)
    if look is not None and difference is not None:
        return _decide(plan, evidence, looks, look, difference, verdict)
    if is_last:
        return replace(
            verdict, outcome="inconclusive", reasons=(wording.too_few(difference, LEAST_EXPECTED),)
        )
    return replace(
        verdict,
        reasons=(wording.waiting(_elapsed_days(evidence), difference, LEAST_EXPECTED),),
        may_widen=_may_widen(plan, evidence),
    )


def _decide(
    plan: Plan,
    evidence: Evidence,
    looks: Sequence[Look],
    look: Look,
    difference: Difference,
    verdict: Verdict,
) -> Verdict:
    """A look was made: above its bound, below it, or neither."""
    wording = Wording(plan)
    verdict = replace(verdict, look=look)
    is_loss = look.lower is not None and look.z <= look.lower
    if look.z < look.upper and not is_loss and not look.is_last:
        return replace(
            verdict,
            reasons=(wording.open(look),),
            estimate=_repeated(plan, looks, difference),
            may_widen=_may_widen(plan, evidence),
        )
    former = _former(looks, look.variance)
    adjusted = adjust_stagewise(
        [*(one.variance for one in former), look.variance],
        [(one.upper_effect, one.lower_effect) for one in former],
        difference.pivot,
        effect=look.effect,
        standard_error=float(difference.pivot.error(np.array([look.effect]))[0]),
        confidence=_confidence(plan),
    )
    estimate = Estimate(
        effect=adjusted.effect,
        low=adjusted.low,
        high=adjusted.high,
        confidence=_confidence(plan),
        crude=look.effect,
        method="stagewise",
    )
    if look.z >= look.upper:
        return replace(
            verdict, outcome="promote", reasons=(wording.win(look, estimate),), estimate=estimate
        )
    if is_loss:
        return replace(
            verdict, outcome="roll_back", reasons=(wording.loss(look, estimate),), estimate=estimate
        )
    return replace(
        verdict, outcome="inconclusive", reasons=(wording.neither(look, estimate),),
        estimate=estimate,
    )  # fmt: skip


def _look(
    plan: Plan,
    evidence: Evidence,
    looks: Sequence[Look],
    difference: Difference | None,
    *,
    is_last: bool,
) -> Look | None:
    """Today's look at the metric, or None if it is not time or there is too little to see."""
    if difference is None or difference.least_expected < LEAST_EXPECTED:
        return None
    if difference.standard_error <= 0:
        return None
    if _elapsed_days(evidence) < plan.earliest_decision_days:
        return None
    former = looks[-1] if looks else None
    reached = former.information_share if former else 0.0
    there = difference.information / plan.information
    is_last = is_last or there >= ENOUGH_SHARE
    share = max(reached, min(_LAST_BUT_ONE, there))
    if not is_last:
        if former and (evidence.as_of - former.on).days < plan.look_every_days:
            return None
        if share < reached + LEAST_NEW_SHARE:
            return None
    # The last look spends what is left. That it is the last was planned, by the calendar or by the
    # information, not by what was seen.
    spending = 1.0 if is_last else share
    shares, variances = _history(looks, spending, difference.variance)
    bounds = find_bounds(shares, variances, plan.side_alpha, plan.sides)[-1]
    return Look(
        number=len(looks) + 1,
        on=evidence.as_of,
        information_share=spending,
        variance=difference.variance,
        z=difference.z,
        upper=bounds.upper,
        lower=bounds.lower,
        alpha_spent=bounds.alpha_spent * plan.sides,
        effect=difference.effect,
        standard_error=difference.standard_error,
        upper_effect=difference.effect_at(bounds.upper),
        lower_effect=None if bounds.lower is None else difference.effect_at(bounds.lower),
        is_last=is_last,
    )


def _history(
    looks: Sequence[Look], share: float, variance: float
) -> tuple[list[float], list[float]]:
    """The shares and variances of the looks with the new one.

    A former look of all but the same customers is one with the new one: who passed it would pass
    this one too, whose bound is lower. So is one of more customers than there are now, which
    happens where customers were erased.
    """
    former = _former(looks, variance)
    shares = [*(look.information_share for look in former), share]
    return shares, [*(look.variance for look in former), variance]


def _former(looks: Sequence[Look], variance: float) -> list[Look]:
    kept: list[Look] = []
    for look in reversed(looks):
        if variance >= look.variance * _SAME_VARIANCE:
            kept.append(look)
            variance = look.variance
    return kept[::-1]


def _repeated(plan: Plan, looks: Sequence[Look], difference: Difference | None) -> Estimate | None:
    """The effect with an interval that holds at every look, whether or not one stops at it."""
    if difference is None or difference.standard_error <= 0:
        return None
    share = min(_LAST_BUT_ONE, difference.information / plan.information)
    if looks:
        share = max(share, looks[-1].information_share)
    shares, variances = _history(looks, share, difference.variance)
    upper = find_bounds(shares, variances, plan.side_alpha, plan.sides)[-1].upper
    reach = upper * difference.standard_error
    return Estimate(
        effect=difference.effect,
        low=difference.effect - reach,
        high=difference.effect + reach,
        confidence=_confidence(plan),
        crude=difference.effect,
        method="repeated",
    )


def _doubts(
    wording: Wording,
    evidence: Evidence,
    ratios: Sequence[RatioFinding],
    completeness: Sequence[CompletenessFinding],
) -> tuple[str, ...]:
    return (
        *(wording.missing(text) for text in evidence.missing),
        *(wording.incomplete(found) for found in completeness if not found.is_enough),
        *(wording.broken_ratio(found) for found in ratios if found.is_broken),
    )


def _may_widen(plan: Plan, evidence: Evidence) -> bool:
    """Whether the next stage may begin: there is one, and this one has lasted as planned."""
    in_stage = (evidence.as_of - evidence.stage_started_on).days
    return evidence.stage < len(plan.stages) - 1 and in_stage >= plan.minimum_stage_days


def _elapsed_days(evidence: Evidence) -> int:
    return (evidence.as_of - evidence.started_on).days


def _confidence(plan: Plan) -> float:
    return 1 - 2 * plan.side_alpha


def _split(plan: Plan) -> float:
    """The challenger's share as the buckets have it: in ten-thousandths."""
    return round(plan.final_share * BUCKETS) / BUCKETS
