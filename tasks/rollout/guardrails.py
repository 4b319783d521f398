"""What must not get worse, all of it together: Holm's procedure over the guardrails' evidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from tasks.rollout.evidence import DayTable, GuardrailCounts
from tasks.rollout.harm import HarmEvidence, weigh_harm, weigh_lapses
from tasks.rollout.plan import Plan
from tasks.rollout.verdict import HarmFinding

# The matured outcomes are a guardrail of every rollout, whatever its metric is.
LAPSES = "lapses"


def check_guardrails(
    plan: Plan, table: DayTable, counts: Sequence[GuardrailCounts]
) -> tuple[HarmFinding, ...]:
    """One finding a guardrail of the plan, and one of the lapses, in the plan's order.

    The p-values hold at every time at once, and so does Holm over them: harm is found where there
    is none, in any guardrail on any night, with probability `plan.harm_alpha` at most.
    """
    by_name: dict[str, list[GuardrailCounts]] = defaultdict(list)
    for row in counts:
        by_name[row.guardrail].append(row)
    findings = [
        _finding(rail.name, weigh_harm(by_name.get(rail.name, ()), rail.tolerance_ratio))
        for rail in plan.guardrails
    ]
    findings.append(_finding(LAPSES, weigh_lapses(table)))
    return tuple(holm(findings, plan.harm_alpha))


def holm(findings: Sequence[HarmFinding], alpha: float) -> list[HarmFinding]:
    """The findings in their order, each with its bar and whether it is harm."""
    judged = list(findings)
    for step, place in enumerate(sorted(range(len(judged)), key=lambda i: judged[i].p_value)):
        bar = alpha / (len(judged) - step)
        is_harm = judged[place].p_value <= bar
        judged[place] = replace(judged[place], bar=bar, is_harm=is_harm)
        if not is_harm:
            break
    return judged


def _finding(name: str, evidence: HarmEvidence) -> HarmFinding:
    return HarmFinding(
        guardrail=name,
        champion_events=evidence.champion_events,
        challenger_events=evidence.challenger_events,
        expected_events=evidence.expected_events,
        evidence=evidence.greatest,
        p_value=evidence.p_value,
        bar=None,
        is_harm=False,
        since=evidence.since,
    )
