"""The gate's criteria of evidence and of profit: is it whole, and does the challenger earn more?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.handles import Candidate, Champion
from tasks.registry.comparing import Comparison, compare_profit
from tasks.registry.evidence import (
    Answer,
    Array,
    EvidenceMissing,
    GateEvidence,
    is_number,
    require_column,
    require_numbers,
)

if TYPE_CHECKING:
    from tasks.gating import RegistrySettings


def check_arrays(champion: Champion | None, evidence: GateEvidence) -> Answer:
    """Every figure a customer is there and finite, and all scored the same customers."""
    arrays: dict[str, Any] = {
        "churned": evidence.churned,
        "contact_gain_amount": evidence.contact_gain_amount,
        "challenger_probability": evidence.challenger_probability,
        "challenger_return_amount": evidence.challenger_return_amount,
        "rule_return_amount": evidence.rule_return_amount,
    }
    if champion is not None:
        if evidence.champion_return_amount is None:
            raise EvidenceMissing("the champion has not scored the final customers")
        if evidence.champion_customers != evidence.challenger_customers:
            raise EvidenceMissing("champion and challenger scored different customers")
        arrays["champion_return_amount"] = evidence.champion_return_amount
    elif evidence.champion_return_amount is not None:
        raise EvidenceMissing("scores of a champion are there, but no champion")
    if not evidence.challenger_customers:
        raise EvidenceMissing("which customers were scored is not recorded")
    customers = len(evidence.churned)
    if customers == 0:
        raise EvidenceMissing("the final customers are none")
    for name, array in arrays.items():
        require_column(array, customers, name)
    if not np.isin(evidence.churned, (0.0, 1.0)).all():
        raise EvidenceMissing("churned holds something other than 0 and 1")
    if not isinstance(evidence.budget_contacts, int) or evidence.budget_contacts < 1:
        raise EvidenceMissing("the contact budget does not pay for one contact")
    if not evidence.currency:
        raise EvidenceMissing("the amounts have no currency")
    return Answer(True, f"{customers:,} customers, every figure finite")


def check_size(evidence: GateEvidence, settings: RegistrySettings) -> Answer:
    """There are customers and churners enough to tell anything by."""
    customers, churners = len(evidence.churned), int(np.sum(evidence.churned))
    detail = f"{customers:,} customers, {churners:,} churners"
    least = (settings.minimum_final_customers, settings.minimum_final_churners)
    if customers < least[0] or churners < least[1] or churners == customers:
        raise EvidenceMissing(f"{detail}; {least[0]:,} and {least[1]:,} needed, and some who stay")
    return Answer(
        True,
        detail,
        {"customers": customers, "churners": churners},
        {"minimum_customers": least[0], "minimum_churners": least[1]},
    )


def check_metrics(challenger: Candidate, evidence: GateEvidence) -> Answer:
    """The challenger's metrics are all there, with intervals of finite numbers."""
    if not challenger.metrics:
        raise EvidenceMissing("the challenger has no metrics")
    missing = sorted(set(evidence.required_metrics) - set(challenger.metrics))
    if missing:
        raise EvidenceMissing(f"missing: {', '.join(missing)}")
    broken = sorted(
        name
        for name, interval in challenger.metrics.items()
        if len(interval) != 3 or not all(is_number(value) for value in interval)
    )
    if broken:
        raise EvidenceMissing(f"not a finite number: {', '.join(broken)}")
    return Answer(True, f"{len(challenger.metrics)} metrics with intervals")


def check_probabilities(evidence: GateEvidence) -> Answer:
    """What the challenger gives are probabilities, and not one for all."""
    low = float(np.min(evidence.challenger_probability))
    high = float(np.max(evidence.challenger_probability))
    if low < 0 or high > 1:
        raise EvidenceMissing("the challenger gives probabilities outside 0 to 1")
    if low == high:
        raise EvidenceMissing("the challenger gives every customer the same probability")
    return Answer(True, f"from {low:.4f} to {high:.4f}", {"low": low, "high": high})


def check_not_rolled_back(challenger: Candidate, evidence: GateEvidence) -> Answer:
    """Nobody has taken this very model from serving before."""
    if challenger.model_hash in evidence.rolled_back_hashes:
        return Answer(
            False, "this very model was rolled back; `holdfast rollback --to` lets it serve"
        )
    return Answer(True, f"not one of {len(evidence.rolled_back_hashes)} models that were")


def check_rule(
    evidence: GateEvidence, settings: RegistrySettings, figures: dict[str, Any]
) -> Answer:
    """The challenger's list earns more than the best rule's; into `figures` goes how much."""
    compared = _compare(
        evidence, evidence.challenger_return_amount, evidence.rule_return_amount, settings
    )
    figures["against_rule"] = asdict(compared)
    return _answer_above(compared, f"'{evidence.rule_name}'", evidence.currency, settings)


def check_champion(
    challenger: Candidate,
    champion: Champion,
    evidence: GateEvidence,
    settings: RegistrySettings,
    figures: dict[str, Any],
) -> Answer:
    """The challenger's list earns more than the champion's, and hardly ever clearly less."""
    if challenger.model_hash == champion.model_hash:
        return Answer(False, f"it is version {champion.version} itself, byte for byte")
    assert evidence.champion_return_amount is not None
    compared = _compare(
        evidence, evidence.challenger_return_amount, evidence.champion_return_amount, settings
    )
    figures["against_champion"] = asdict(compared)
    passed = (
        compared.difference_amount > 0
        and compared.share_above_tolerance >= settings.champion_confidence
    )
    return Answer(
        passed,
        _describe(compared, f"version {champion.version}", evidence.currency),
        asdict(compared),
        {
            "share_above_tolerance": settings.champion_confidence,
            "tolerance_share": settings.champion_tolerance_share,
        },
    )


def check_rule_over_champion(
    champion: Champion,
    evidence: GateEvidence,
    settings: RegistrySettings,
    figures: dict[str, Any],
) -> Answer:
    """The best rule's list earns more than the champion's."""
    assert evidence.champion_return_amount is not None
    compared = _compare(
        evidence, evidence.rule_return_amount, evidence.champion_return_amount, settings
    )
    figures["rule_against_champion"] = asdict(compared)
    return _answer_above(compared, f"version {champion.version}", evidence.currency, settings)


def _answer_above(
    compared: Comparison, other: str, currency: str, settings: RegistrySettings
) -> Answer:
    passed = (
        compared.difference_amount > 0 and compared.share_above_zero >= settings.rule_confidence
    )
    return Answer(
        passed,
        _describe(compared, other, currency),
        asdict(compared),
        {"share_above_zero": settings.rule_confidence},
    )


def _compare(
    evidence: GateEvidence, one: Array, other: Array, settings: RegistrySettings
) -> Comparison:
    compared = compare_profit(
        one,
        other,
        evidence.contact_gain_amount,
        budget_contacts=evidence.budget_contacts,
        replicates=settings.bootstrap_replicates,
        seed=settings.bootstrap_seed,
        tolerance_share=settings.champion_tolerance_share,
    )
    require_numbers(asdict(compared))
    return compared


def _describe(compared: Comparison, other: str, currency: str) -> str:
    return (
        f"{compared.profit_amount:,.2f} against {compared.other_profit_amount:,.2f} {currency} of"
        f" {other}: {compared.difference_amount:+,.2f}"
        f" (90 % interval {compared.low_amount:+,.2f} to {compared.high_amount:+,.2f}),"
        f" above in {compared.share_above_zero:.1%} of resamples"
    )
