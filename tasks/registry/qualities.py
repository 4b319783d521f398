"""The gate's criteria of the model itself: true, harmless, steady, quick, clean, and the same.

Each gives its numbers with the limits of `registry.criteria` that they were held against. What
a number is missing for, blocks: nothing here has a default.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING

from tasks.handles import Candidate, Champion
from tasks.registry.comparing import (
    compare_calibration,
    correlate_ranks,
    find_harm,
    list_kept_share,
    measure_shift,
)
from tasks.registry.evidence import Answer, Array, EvidenceMissing, GateEvidence, require_column

if TYPE_CHECKING:
    from tasks.gating import RegistrySettings


def check_calibration(
    champion: Champion | None, evidence: GateEvidence, settings: RegistrySettings
) -> Answer:
    """Probabilities come true, in the large and by group, and clearly no less than before."""
    limits = settings.criteria.calibration
    other, called = _reference(champion, evidence)
    found = compare_calibration(
        evidence.churned,
        evidence.challenger_probability,
        other,
        replicates=settings.bootstrap_replicates,
        seed=settings.bootstrap_seed,
    )
    # The part of the gap that chance does not explain.
    sure_gap = max(0.0, found.gap_low, -found.gap_high)
    passed = (
        found.error - found.chance <= limits.error_maximum
        and sure_gap <= limits.gap_maximum
        and found.worsening_low <= limits.worsening_maximum
    )
    return Answer(
        passed,
        f"expected calibration error {found.error:.4f}, {found.error - found.chance:+.4f} beyond"
        f" chance (at most {limits.error_maximum:g};"
        f" {called}: {found.other_error:.4f}, worse by {found.worsening:+.4f}, surely by"
        f" {found.worsening_low:+.4f}, at most {limits.worsening_maximum:g}); mean probability less"
        f" share that left {found.gap:+.4f} (90 % interval {found.gap_low:+.4f} to"
        f" {found.gap_high:+.4f}, at most {limits.gap_maximum:g} away)",
        asdict(found),
        limits.model_dump(),
    )


def check_slices(
    champion: Champion | None, evidence: GateEvidence, settings: RegistrySettings
) -> Answer:
    """No slice or segment fares worse than under who serves now, beyond the tolerance.

    A slice is harmed where the mean squared error of its probabilities is surely higher by more
    than the tolerance; the level is kept over all slices together.
    """
    limits = settings.criteria.slices
    other, called = _reference(champion, evidence)
    customers = len(evidence.churned)
    if not evidence.slices:
        raise EvidenceMissing("the final customers are in no slices")
    for name, labels in evidence.slices.items():
        if getattr(labels, "shape", None) != (customers,):
            raise EvidenceMissing(f"the slices by {name} do not hold one label a customer")
    harms = find_harm(
        evidence.churned,
        evidence.challenger_probability,
        other,
        evidence.slices,
        tolerance=limits.harm_tolerance,
        minimum_customers=limits.minimum_customers,
    )
    if not harms:
        raise EvidenceMissing(f"no slice has {limits.minimum_customers:,} customers")
    harmed = [harm for harm in harms if not harm.p_value > limits.family_error]
    figures = {
        "slices": len(harms),
        "harmed": len(harmed),
        "largest_harm": max(harm.harm for harm in harms),
        "smallest_p_value": harms[0].p_value,
        "by_slice": [asdict(harm) for harm in harms],
    }
    if not all(math.isfinite(value) for harm in harms for value in (harm.harm, harm.p_value)):
        raise EvidenceMissing("the harm of a slice is not a finite number")
    worst = harms[0]
    told = ", ".join(f"'{harm.slice}' ({harm.harm:+.4f})" for harm in harmed[:5])
    return Answer(
        not harmed,
        f"{len(harmed)} of {len(harms)} slices harmed against {called} by more than"
        f" {limits.harm_tolerance:g} in squared error"
        + (f": {told}" if harmed else "")
        + f"; surest: '{worst.slice}' {worst.harm:+.4f}, p {worst.p_value:.3f} by Holm",
        figures,
        limits.model_dump(),
    )


def check_stability(
    champion: Champion | None, evidence: GateEvidence, settings: RegistrySettings
) -> Answer:
    """Scores hardly move when learnt anew, and are still about the same as the champion's."""
    limits = settings.criteria.stability
    customers = len(evidence.churned)
    refit = require_column(evidence.refit_probability, customers, "refit_probability")
    refit_return = require_column(evidence.refit_return_amount, customers, "refit_return_amount")
    challenger = evidence.challenger_probability
    figures = {
        "refit_rank": correlate_ranks(challenger, refit),
        "refit_list_kept": list_kept_share(
            evidence.challenger_return_amount, refit_return, evidence.budget_contacts
        ),
    }
    passed = (
        figures["refit_rank"] >= limits.refit_rank_minimum
        and figures["refit_list_kept"] >= limits.refit_list_kept_minimum
    )
    detail = (
        f"learnt with another seed and nine tenths of the customers: rank correlation"
        f" {figures['refit_rank']:.3f} (at least {limits.refit_rank_minimum:g}),"
        f" {figures['refit_list_kept']:.1%} of the contact list kept"
        f" (at least {limits.refit_list_kept_minimum:.0%})"
    )
    if champion is not None:
        before = require_column(evidence.champion_probability, customers, "champion_probability")
        assert evidence.champion_return_amount is not None
        # A rule orders on a scale of its own, or everybody alike: told, and held to no limit.
        is_model = champion.kind == "model"
        rank = correlate_ranks(challenger, before)
        figures |= {
            "champion_rank": rank if is_model or math.isfinite(rank) else 0.0,
            "champion_shift": measure_shift(challenger, before),
            "champion_list_kept": list_kept_share(
                evidence.challenger_return_amount,
                evidence.champion_return_amount,
                evidence.budget_contacts,
            ),
        }
        passed = passed and (
            not is_model
            or (
                figures["champion_rank"] >= limits.champion_rank_minimum
                and figures["champion_shift"] <= limits.champion_shift_maximum
            )
        )
        detail += (
            f"; against version {champion.version}: rank correlation"
            f" {figures['champion_rank']:.3f} (at least {limits.champion_rank_minimum:g}),"
            f" stability index {figures['champion_shift']:.3f} (at most"
            f" {limits.champion_shift_maximum:g}), {figures['champion_list_kept']:.1%} of the list"
            " kept"
        )
    return Answer(passed, detail, figures, limits.model_dump())


def check_serving(evidence: GateEvidence, settings: RegistrySettings) -> Answer:
    """It loads in a process of its own, is quick and is small."""
    limits = settings.criteria.serving
    if evidence.trial is None:
        raise EvidenceMissing(evidence.load_failure or "it was not tried in a process of its own")
    found = evidence.trial
    passed = (
        0 <= found.milliseconds <= limits.milliseconds_maximum
        and 0 < found.size_bytes <= limits.size_maximum_bytes
    )
    return Answer(
        passed,
        f"{found.milliseconds:,.1f} ms for 1,000 customers (at most"
        f" {limits.milliseconds_maximum:,g}), {found.size_bytes:,} bytes of files (at most"
        f" {limits.size_maximum_bytes:,})",
        {"milliseconds": found.milliseconds, "size_bytes": found.size_bytes},
        limits.model_dump(),
    )


def check_leaks(
    challenger: Candidate, evidence: GateEvidence, settings: RegistrySettings
) -> Answer:
    """No feature knows the outcome or comes from later, and the model is not too good."""
    limits = settings.criteria.leaks
    audit = evidence.leak_audit
    if audit is None:
        raise EvidenceMissing("the features were not audited")
    if audit.sampled_customers < 1:
        raise EvidenceMissing("no feature was computed again without the later rows")
    auc = challenger.metrics["auc"][0]
    passed = (
        audit.highest_auc <= limits.feature_auc_maximum
        and not audit.later
        and auc <= limits.model_auc_maximum
    )
    allowed = f", {', '.join(audit.allowed)} left out" if audit.allowed else ""
    later = ", ".join(audit.later) or "none"
    return Answer(
        passed,
        f"best of {audit.features} features alone: {audit.feature}, AUC {audit.highest_auc:.3f} (at"
        f" most {limits.feature_auc_maximum:g}{allowed}); from later rows: {later}, computed again"
        f" for {audit.sampled_customers:,} customers; the model's AUC {auc:.3f} (at most"
        f" {limits.model_auc_maximum:g})",
        {
            "highest_auc": audit.highest_auc,
            "feature": audit.feature,
            "features": audit.features,
            "later": list(audit.later),
            "sampled_customers": audit.sampled_customers,
            "model_auc": auc,
        },
        limits.model_dump(),
    )


def check_golden_rows(
    challenger: Candidate, evidence: GateEvidence, settings: RegistrySettings
) -> Answer:
    """The copy that would serve predicts the golden rows as on the day it was trained."""
    limit = settings.criteria.agreement.golden_difference_maximum
    if evidence.trial is None:
        raise EvidenceMissing(evidence.load_failure or "it was not tried in a process of its own")
    recorded, found = challenger.golden, evidence.trial.golden
    if not recorded or len(recorded) != len(found):
        raise EvidenceMissing("the golden predictions were not recorded when it was trained")
    difference = max(abs(one - other) for one, other in zip(recorded, found, strict=True))
    return Answer(
        difference <= limit,
        f"off by at most {difference:.3g} on {len(found)} golden rows (at most {limit:g})",
        {"rows": len(found), "difference": difference},
        {"golden_difference_maximum": limit},
    )


def check_agreement(evidence: GateEvidence, settings: RegistrySettings) -> Answer:
    """What the registry holds is what would serve: same files, same scores."""
    limit = settings.criteria.agreement.registered_difference_maximum
    found = evidence.agreement
    if found is None:
        raise EvidenceMissing(
            evidence.load_failure or "the registered artifact was not compared with batch scores"
        )
    if found.compared_customers < 1:
        raise EvidenceMissing("the registered artifact scored no final customer")
    passed = (
        found.same_files is True
        and found.registered_difference <= limit
        and found.batch_difference <= limit
    )
    return Answer(
        passed,
        f"the registered files {'are' if found.same_files else 'are NOT'} those that would serve;"
        f" their scores differ by at most {found.registered_difference:.3g} from batch scores of"
        f" {found.compared_customers:,} final customers, and those by at most"
        f" {found.batch_difference:.3g} from the training's (at most {limit:g})",
        asdict(found),
        {"registered_difference_maximum": limit},
    )


def check_sheet(evidence: GateEvidence) -> Answer:
    """Every question of the model information sheet has an answer, and none says leakage."""
    sheet = evidence.sheet
    if sheet is None or not sheet.answers:
        raise EvidenceMissing("there is no model information sheet")
    open_questions = [one.code for one in sheet.answers if one.unanswered]
    if open_questions:
        first = next(one for one in sheet.answers if one.unanswered)
        raise EvidenceMissing(
            f"not answered: {', '.join(open_questions)}. {first.code}: {first.answer}"
        )
    failed = [one for one in sheet.answers if one.passed is not True]
    told = "; ".join(f"{one.code}: {one.answer}" for one in failed)
    return Answer(
        not failed,
        told or f"all {len(sheet.answers)} questions answered, no leakage; sha256 {sheet.digest}",
        {"questions": len(sheet.answers), "failed": [one.code for one in failed]},
    )


def _reference(champion: Champion | None, evidence: GateEvidence) -> tuple[Array, str]:
    """The probabilities of who serves now; where nobody does yet, of the best rule."""
    customers = len(evidence.churned)
    if champion is None:
        rule = require_column(evidence.rule_probability, customers, "rule_probability")
        return rule, f"'{evidence.rule_name}'"
    before = require_column(evidence.champion_probability, customers, "champion_probability")
    return before, f"version {champion.version}"
