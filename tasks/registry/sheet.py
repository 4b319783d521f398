"""The model information sheet: what each model must say of itself, computed and never ticked.

The leakage questions and their names are those of Kapoor and Narayanan (2023), "Leakage and the
reproducibility crisis in machine-learning-based science", whose sheet asks the author; this one
asks the data. A question without its figures is unanswered, which blocks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tasks.handles import TrainingRecord
from tasks.registry.evidence import EvidenceMissing, is_number, require_numbers

if TYPE_CHECKING:
    from tasks.audits import LeakAudit
    from tasks.gating import RegistrySettings

Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SheetAnswer:
    """One question; `answer` says in words what `figures` say in numbers.

    `unanswered` where a figure is missing or no number. `passed` is False where it tells of
    leakage beyond the limit, and where it is unanswered.
    """

    code: str
    question: str
    answer: str
    passed: bool
    unanswered: bool
    figures: Figures


@dataclass(frozen=True)
class Sheet:
    """All questions of one candidate, with answers."""

    answers: tuple[SheetAnswer, ...]

    @cached_property
    def digest(self) -> str:
        """sha256 over the answers as JSON with sorted keys."""
        text = json.dumps(self.rows(), sort_keys=True, ensure_ascii=False, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def rows(self) -> list[dict[str, Any]]:
        """One a question, ready for JSON."""
        return [
            {
                "code": one.code,
                "question": one.question,
                "answer": one.answer,
                "passed": one.passed,
                "unanswered": one.unanswered,
                "figures": dict(one.figures),
            }
            for one in self.answers
        ]


@dataclass(frozen=True, slots=True)
class _Basis:
    record: TrainingRecord
    audit: LeakAudit | None
    settings: RegistrySettings

    def figures(self, code: str) -> Figures:
        found = self.record.leakage.get(code)
        if not found:
            raise EvidenceMissing(f"no figures of {code} came with the training")
        return found


_Reply = tuple[bool, str, Figures]


def fill_sheet(
    record: TrainingRecord, audit: LeakAudit | None, settings: RegistrySettings
) -> Sheet:
    """Answer every question from what the training and the audit have measured."""
    basis = _Basis(record, audit, settings)
    return Sheet(tuple(_ask(basis, *question) for question in _QUESTIONS))


def _ask(basis: _Basis, code: str, question: str, reply: Callable[[_Basis], _Reply]) -> SheetAnswer:
    try:
        passed, answer, figures = reply(basis)
        require_numbers(figures)
    except EvidenceMissing as error:
        return SheetAnswer(code, question, str(error), False, True, {})
    except Exception as error:  # noqa: BLE001 - a question that breaks is one without an answer
        told = f"could not be computed: {type(error).__name__}: {error}"
        return SheetAnswer(code, question, told, False, True, {})
    return SheetAnswer(code, question, answer, passed is True, False, figures)


def _number(figures: Figures, name: str) -> Any:
    value = figures[name]
    if not is_number(value):
        raise EvidenceMissing(f"{name} is not a finite number")
    return value


def _count(figures: Figures, *names: str) -> list[int]:
    return [int(_number(figures, name)) for name in names]


def _tell_data(basis: _Basis) -> _Reply:
    record = basis.record
    figures = {
        "snapshot_id": record.snapshot_id,
        "table": record.dataset_name,
        "fingerprint_sha256": record.dataset_fingerprint,
        "rows": record.dataset_rows,
    }
    answer = (
        f"{record.dataset_rows:,} labelled rows of {record.dataset_name}, snapshot"
        f" {record.snapshot_id}, sha256 {record.dataset_fingerprint}"
    )
    return bool(record.dataset_fingerprint) and record.dataset_rows > 0, answer, figures


def _tell_code(basis: _Basis) -> _Reply:
    record = basis.record
    figures = {
        "git_commit": record.git_commit,
        "lock_sha256": record.lock_hash,
        "model_sha256": record.model.model_hash,
    }
    answer = (
        f"code {record.git_commit}, libraries sha256 {record.lock_hash}, model files sha256"
        f" {record.model.model_hash}"
    )
    return all(figures.values()), answer, figures


def _tell_use(basis: _Basis) -> _Reply:
    record = basis.record
    names, drivers = record.model.feature_names, sorted(record.drivers)
    answer = (
        f"the probability that a customer of '{record.deployment}' leaves, from {len(names)}"
        f" features of {', '.join(drivers)}; the list is judged by profit in {record.currency}"
    )
    return bool(names and record.currency), answer, {"features": len(names), "drivers": drivers}


def _tell_quality(basis: _Basis) -> _Reply:
    metrics = basis.record.model.metrics
    named = ("auc", "average_precision", "log_loss", "profit_amount")
    figures = {
        f"{name}{suffix}": value
        for name in named
        for suffix, value in zip(("", "_low", "_high"), metrics[name], strict=True)
    }
    answer = "; ".join(
        f"{name} {metrics[name][0]:,.4g} ({metrics[name][1]:,.4g} to {metrics[name][2]:,.4g})"
        for name in named
    )
    return True, answer, figures


def _judge_test_set(basis: _Basis) -> _Reply:
    figures = basis.figures("L1.1")
    final, churners, training, both = _count(
        figures, "final_rows", "final_churners", "training_rows", "rows_in_both"
    )
    answer = (
        f"{training:,} rows teach and {final:,} others judge, once; {both:,} rows are in both;"
        f" {churners:,} of the final customers left"
    )
    return final > 0 and training > 0 and both == 0, answer, figures


def _judge_preprocessing(basis: _Basis) -> _Reply:
    figures = basis.figures("L1.2")
    fitted, shared = _count(figures, "fitted_rows", "final_rows_among_them")
    answer = (
        f"bins, calibration and fallbacks were learnt from {fitted:,} rows, {shared:,} of them"
        " final"
    )
    return fitted > 0 and shared == 0, answer, figures


def _judge_selection(basis: _Basis) -> _Reply:
    figures = basis.figures("L1.3")
    offered, used, tuning, shared = _count(
        figures, "features_offered", "features_used", "tuning_rows", "final_rows_among_them"
    )
    answer = (
        f"{offered - used:,} of {offered:,} features were left out by what they did; settings were"
        f" chosen on {tuning:,} rows, {shared:,} of them final"
    )
    return offered == used and tuning > 0 and shared == 0, answer, figures


def _judge_duplicates(basis: _Basis) -> _Reply:
    figures, limits = basis.figures("L1.4"), basis.settings.criteria.sheet
    twice = _count(figures, "same_customer_and_cutoff")[0]
    identical, frozen = float(_number(figures, "identical_share")), list(figures["frozen_features"])
    answer = (
        f"{twice:,} customers stand in both at one cut-off; {identical:.2%} of the final rows equal"
        f" {figures['compared_with']} in every feature (at most"
        f" {limits.identical_share_maximum:.0%}); {len(frozen)} features stood still since the"
        f" cut-off before (at most {limits.frozen_features_maximum})"
        + (f": {', '.join(frozen[:5])}" if frozen else "")
    )
    passed = (
        twice == 0
        and identical <= limits.identical_share_maximum
        and len(frozen) <= limits.frozen_features_maximum
    )
    return passed, answer, figures


def _judge_features(basis: _Basis) -> _Reply:
    audit, limits = basis.audit, basis.settings.criteria.leaks
    if audit is None:
        raise EvidenceMissing("the features were not audited")
    if audit.sampled_customers < 1:
        raise EvidenceMissing("no feature was computed again without the later rows")
    figures = {
        "best_feature": audit.feature,
        "highest_auc": audit.highest_auc,
        "later": list(audit.later),
        "allowed": list(audit.allowed),
        "sampled_customers": audit.sampled_customers,
    }
    answer = (
        f"alone, {audit.feature} tells best who leaves: AUC {audit.highest_auc:.3f} (at most"
        f" {limits.feature_auc_maximum:g}); {len(audit.later)} features change for"
        f" {audit.sampled_customers:,} customers when later rows are taken away;"
        f" {len(audit.allowed)} were let through by name"
    )
    return audit.highest_auc <= limits.feature_auc_maximum and not audit.later, answer, figures


def _judge_time(basis: _Basis) -> _Reply:
    figures = basis.figures("L3.1")
    after = _count(figures, "training_outcomes_after_final_cutoff")[0]
    final, ends = _moment(figures, "final_cutoff"), _moment(figures, "final_outcome_ends_at")
    known = _moment(figures, "outcomes_known_by")
    seen = _moment(figures, "final_features_known_by")
    taught = _moment(figures, "latest_training_outcome_ends_at")
    if figures["kind"] == "time":
        answer = (
            f"the last outcome that teaches ended {taught:%Y-%m-%d}, the final cut-off is"
            f" {final:%Y-%m-%d}; {after:,} training outcomes end after it; its own ended"
            f" {ends:%Y-%m-%d}, known by {known:%Y-%m-%d}; its features were known by"
            f" {seen:%Y-%m-%d %H:%M}"
        )
        passed = after == 0 and taught <= final and ends <= known + timedelta(seconds=1)
    else:
        answer = (
            f"all rows are of the same {figures['cutoffs']} cut-off(s), none later than another;"
            " nothing is claimed of a later time"
        )
        passed = after == 0
    return passed, answer, figures


def _judge_independence(basis: _Basis) -> _Reply:
    figures = dict(basis.figures("L3.2"))
    both, customers, overlapping = _count(
        figures, "customers_in_both", "final_customers", "overlapping_windows"
    )
    new = figures.pop("auc_of_new_customers")
    if new is not None:
        figures["auc_of_new_customers"] = new
    answer = (
        f"{both:,} of {customers:,} final customers also taught, with {overlapping:,} outcome"
        " windows that reach into the final one"
    )
    if figures["kind"] == "time":
        answer += "; the same customers come back in service too"
    if new is not None:
        answer += f"; AUC of those who did not teach: {new:.3f}"
    passed = overlapping == 0 and (figures["kind"] == "time" or both == 0)
    return passed, answer, figures


def _judge_sampling(basis: _Basis) -> _Reply:
    figures = dict(basis.figures("L3.3"))
    everybody, labelled, final = _count(
        figures, "customers_at_cutoff", "labelled_at_cutoff", "final_rows"
    )
    limit = basis.settings.criteria.sheet.excluded_share_maximum
    excluded = 1 - labelled / everybody
    figures["excluded_share"] = excluded
    drawn = "all of them judge" if final == labelled else f"{final:,} drawn at random judge"
    answer = (
        f"of {everybody:,} customers at the final cut-off {labelled:,} have an outcome,"
        f" {excluded:.2%} not (at most {limit:.0%}); {drawn};"
        f" {_number(figures, 'final_churn_share'):.1%} of them left, of the training rows"
        f" {_number(figures, 'training_churn_share'):.1%}"
    )
    whole = final == labelled or figures["kind"] != "time"
    return 0 <= excluded <= limit and whole, answer, figures


def _moment(figures: Figures, name: str) -> datetime:
    value = figures[name]
    if not isinstance(value, str):
        raise EvidenceMissing(f"{name} is not known")
    return datetime.fromisoformat(value)


_QUESTIONS: tuple[tuple[str, str, Callable[[_Basis], _Reply]], ...] = (
    ("use", "What is it for, and what does it look at?", _tell_use),
    ("data", "What was it learnt from?", _tell_data),
    ("code", "What made it?", _tell_code),
    ("quality", "How good is it on the final customers?", _tell_quality),
    ("L1.1", "Is there a test set that taught nothing?", _judge_test_set),
    ("L1.2", "Was anything prepared on training and test rows together?", _judge_preprocessing),
    ("L1.3", "Were features or settings chosen with the test rows?", _judge_selection),
    ("L1.4", "Do test rows stand among the training rows, or are they stale?", _judge_duplicates),
    ("L2", "Does a feature stand for the outcome, or come from later?", _judge_features),
    ("L3.1", "Does the training know anything of the test's future?", _judge_time),
    ("L3.2", "Do training and test depend on each other?", _judge_independence),
    ("L3.3", "Are the test customers those that the model is for?", _judge_sampling),
)
