"""The gate: a challenger gets in only on complete evidence, and a tie keeps the champion.

It fails closed. Challenger, champion and best rule are compared on the same final customers by
the profit of contacting the customers whom each would choose within the budget; then the model
itself is held against the limits of `registry.criteria`. A missing, NaN or infinite figure, an
empty hold-out or an exception in a criterion blocks, and the reason says which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from tasks.handles import Candidate, Champion, Decision
from tasks.moments import read_clock
from tasks.registry import criteria, qualities
from tasks.registry.evidence import REQUIRED_METRICS, Criterion, GateEvidence, ask

if TYPE_CHECKING:
    from tasks.gating import RegistrySettings

__all__ = ["REQUIRED_METRICS", "GateEvidence", "Outcome", "decision_tags", "gate"]

Outcome = Literal["promote", "serve_rule", "keep", "blocked"]

BEATS_RULE = "earns more than the best rule"
HOLDS_CHAMPION = "is not behind the champion"
LEAKS, SHEET = "no feature leaks", "the information sheet is clean"
GOLDEN, AGREEMENT = "golden rows are predicted alike", "the registered artifact scores alike"
# A no to one of these says that the data or the files are wrong, not that the model is weak.
_INTEGRITY = frozenset({LEAKS, SHEET, GOLDEN, AGREEMENT})


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that the conclusion is drawn from."""

    criteria: Sequence[Criterion]
    rule_name: str
    has_champion: bool
    rule_beats_champion: bool

    @property
    def failed(self) -> list[Criterion]:
        return [criterion for criterion in self.criteria if not criterion.passed]

    def passed(self, name: str) -> bool:
        return any(criterion.name == name and criterion.passed for criterion in self.criteria)


def gate(
    challenger: Candidate,
    champion: Champion | None,
    evidence: GateEvidence,
    settings: RegistrySettings,
    *,
    run_id: str | None = None,
) -> Decision:
    """Decide: `promote` the challenger, `serve_rule`, `keep` the champion, or `blocked`.

    Never raises for what is wrong with the evidence: that blocks, with the reason. Seeded, so
    the same evidence gives the same decision.
    """
    figures: dict[str, Any] = {}
    asked = [
        ask("evidence is complete", lambda: criteria.check_arrays(champion, evidence)),
        ask("enough customers", lambda: criteria.check_size(evidence, settings)),
        ask("metrics are complete", lambda: criteria.check_metrics(challenger, evidence)),
        ask("probabilities are sound", lambda: criteria.check_probabilities(evidence)),
        ask("was not rolled back", lambda: criteria.check_not_rolled_back(challenger, evidence)),
    ]
    rule_beats_champion = False
    if all(criterion.passed for criterion in asked):
        against_rule = ask(BEATS_RULE, lambda: criteria.check_rule(evidence, settings, figures))
        asked.append(against_rule)
        if champion is not None:
            asked.append(
                ask(
                    HOLDS_CHAMPION,
                    lambda: criteria.check_champion(
                        challenger, champion, evidence, settings, figures
                    ),
                )
            )
            if not against_rule.passed and not against_rule.evidence_missing:
                replacing = ask(
                    "the best rule earns more than the champion",
                    lambda: criteria.check_rule_over_champion(
                        champion, evidence, settings, figures
                    ),
                )
                figures["rule_over_champion_detail"] = replacing.detail
                rule_beats_champion = replacing.passed
        asked += _ask_of_the_model(challenger, champion, evidence, settings)
    outcome, reason = conclude(
        Findings(asked, _text(evidence, "rule_name"), champion is not None, rule_beats_champion)
    )
    return Decision(
        decision_id=uuid4().hex,
        decided_at=read_clock(),
        kind="gate",
        subject=challenger.name,
        outcome=outcome,
        reason=reason,
        evidence={
            "criteria": [asdict(criterion) for criterion in asked],
            "rule": _text(evidence, "rule_name"),
            "currency": _text(evidence, "currency"),
            "champion_version": champion.version if champion else None,
            "champion_decision_id": champion.decision_id if champion else None,
            "champion_model_hash": champion.model_hash if champion else None,
            "final_customers_fingerprint": _text(evidence, "challenger_customers"),
            "sheet": evidence.sheet.rows() if evidence.sheet else None,
            "sheet_sha256": evidence.sheet.digest if evidence.sheet else None,
            **figures,
        },
        model_hash=challenger.model_hash,
        model_version=challenger.version,
        snapshot_id=challenger.snapshot_id,
        run_id=run_id or challenger.run_id,
    )


def _ask_of_the_model(
    challenger: Candidate,
    champion: Champion | None,
    evidence: GateEvidence,
    settings: RegistrySettings,
) -> list[Criterion]:
    return [
        ask(
            "probabilities come true",
            lambda: qualities.check_calibration(champion, evidence, settings),
        ),
        ask("no slice is harmed", lambda: qualities.check_slices(champion, evidence, settings)),
        ask("scores are stable", lambda: qualities.check_stability(champion, evidence, settings)),
        ask("it loads and is quick and small", lambda: qualities.check_serving(evidence, settings)),
        ask(LEAKS, lambda: qualities.check_leaks(challenger, evidence, settings)),
        ask(GOLDEN, lambda: qualities.check_golden_rows(challenger, evidence, settings)),
        ask(AGREEMENT, lambda: qualities.check_agreement(evidence, settings)),
        ask(SHEET, lambda: qualities.check_sheet(evidence)),
    ]


def conclude(findings: Findings) -> tuple[Outcome, str]:
    """The outcome and its reason, from the answers alone; the only place that draws them.

    Missing evidence and broken integrity block. A challenger without a no is let in. One that is
    weak leaves the champion where it is; the best rule serves where it beats the champion, or
    where there is none.
    """
    failed = findings.failed
    missing = [criterion for criterion in failed if criterion.evidence_missing]
    broken = [criterion for criterion in failed if criterion.name in _INTEGRITY]
    if missing or broken:
        first = (missing or broken)[0]
        return "blocked", f"{first.name}: no. {first.detail}"
    if not failed:
        # A promotion's reason is the money; what else was asked stands in the evidence.
        compared = [one for one in findings.criteria if one.name in (BEATS_RULE, HOLDS_CHAMPION)]
        others = len(findings.criteria) - len(compared)
        told = "; ".join(f"{one.name}: {one.detail}" for one in compared)
        return "promote", f"{told}; {others} other criteria hold"
    detail = f"{failed[0].name}: no. {failed[0].detail}"
    beats_rule = findings.passed(BEATS_RULE)
    rule = findings.rule_name
    if not beats_rule and (findings.rule_beats_champion or not findings.has_champion):
        return "serve_rule", f"the rule '{rule}' serves, since the model does not beat it. {detail}"
    if not findings.has_champion:
        return "serve_rule", f"the rule '{rule}' serves, since the model is not let in. {detail}"
    return "keep", f"the champion stays. {detail}"


def _text(evidence: GateEvidence, name: str) -> str:
    return str(getattr(evidence, name, "unknown"))


def decision_tags(decision: Decision) -> Mapping[str, str]:
    """A gate decision as MLflow tags: outcome, reason, whom it met, and each criterion's answer."""
    evidence = decision.evidence
    tags = {
        "decision": decision.outcome,
        "decision_reason": decision.reason,
        "decision_id": decision.decision_id,
        "previous_champion": _name_previous(evidence),
        "sheet_sha256": str(evidence.get("sheet_sha256")),
    }
    for criterion in evidence.get("criteria", ()):
        key = "gate." + str(criterion["name"]).replace(" ", "_")
        tags[key] = ("yes: " if criterion["passed"] else "NO: ") + str(criterion["detail"])
    return tags


def _name_previous(evidence: Mapping[str, Any]) -> str:
    if evidence.get("champion_version") is None:
        return "none"
    return f"version {evidence['champion_version']}, decision {evidence['champion_decision_id']}"
