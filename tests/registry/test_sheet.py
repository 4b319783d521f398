"""The information sheet: every question is answered by figures, and each one that is not blocks."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.audits import LeakAudit
from tasks.gating import RegistrySettings
from tasks.handles import TrainingRecord
from tasks.registry.sheet import SheetAnswer, fill_sheet
from tests.registry.models import make_model, make_rule
from tests.tracking.records import make_record

AUDIT = LeakAudit("recency_days", 0.71, 4, (), (), 500)
SETTINGS = RegistrySettings()
TIMES = {
    "kind": "time",
    "cutoffs": 9,
    "final_cutoff": "2011-09-10T00:00:00Z",
    "latest_training_cutoff": "2011-06-12T00:00:00Z",
    "latest_training_outcome_ends_at": "2011-09-10T00:00:00Z",
    "training_outcomes_after_final_cutoff": 0,
    "final_outcome_ends_at": "2011-12-09T00:00:00Z",
    "outcomes_known_by": "2011-12-10T00:00:00Z",
    "final_features_known_by": "2011-09-11T00:00:00Z",
}
LEAKAGE: dict[str, dict[str, Any]] = {
    "L1.1": {"final_rows": 900, "final_churners": 90, "training_rows": 8000, "rows_in_both": 0},
    "L1.2": {"fitted_rows": 8000, "final_rows_among_them": 0},
    "L1.3": {
        "features_offered": 4,
        "features_used": 4,
        "tuning_rows": 7000,
        "final_rows_among_them": 0,
    },
    "L1.4": {
        "same_customer_and_cutoff": 0,
        "identical_share": 0.001,
        "compared_with": "their own training rows",
        "frozen_features": [],
    },
    "L3.1": TIMES,
    "L3.2": {
        "kind": "time",
        "customers_in_both": 850,
        "final_customers": 900,
        "overlapping_windows": 0,
        "auc_of_new_customers": None,
    },
    "L3.3": {
        "kind": "time",
        "labelled_at_cutoff": 900,
        "final_rows": 900,
        "final_churn_share": 0.1,
        "training_churn_share": 0.12,
        "customers_at_cutoff": 905,
    },
}


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> TrainingRecord:
    root = tmp_path_factory.mktemp("candidates")
    made = make_record(make_model(root / "model"), make_rule(root / "rule"), "shop")
    metrics = {**made.model.metrics, "profit_amount": (2000.0, 1500.0, 2500.0)}
    return replace(made, model=replace(made.model, metrics=metrics), leakage=LEAKAGE)


def change(record: TrainingRecord, code: str, **figures: Any) -> TrainingRecord:
    return replace(record, leakage={**LEAKAGE, code: {**LEAKAGE[code], **figures}})


def answer(record: TrainingRecord, code: str, audit: LeakAudit | None = AUDIT) -> SheetAnswer:
    return next(one for one in fill_sheet(record, audit, SETTINGS).answers if one.code == code)


def test_a_clean_training_answers_everything(record: TrainingRecord) -> None:
    sheet = fill_sheet(record, AUDIT, SETTINGS)
    assert all(one.passed and not one.unanswered for one in sheet.answers), sheet.rows()
    assert sheet.digest == fill_sheet(record, AUDIT, SETTINGS).digest
    other = fill_sheet(change(record, "L1.1", final_churners=91), AUDIT, SETTINGS)
    assert other.digest != sheet.digest


@pytest.mark.parametrize(
    ("code", "figures"),
    [
        ("L1.1", {"rows_in_both": 1}),
        ("L1.1", {"final_rows": 0}),
        ("L1.2", {"final_rows_among_them": 3}),
        ("L1.3", {"final_rows_among_them": 3}),
        ("L1.3", {"features_used": 3}),
        ("L1.4", {"same_customer_and_cutoff": 1}),
        ("L1.4", {"identical_share": 0.2}),
        ("L1.4", {"frozen_features": ["orders_90d"]}),
        ("L3.1", {"training_outcomes_after_final_cutoff": 4}),
        ("L3.1", {"latest_training_outcome_ends_at": "2011-09-11T00:00:00Z"}),
        ("L3.1", {"outcomes_known_by": "2011-12-01T00:00:00Z"}),
        ("L3.2", {"overlapping_windows": 2}),
        ("L3.2", {"kind": "customers"}),
        ("L3.3", {"customers_at_cutoff": 2000}),
        ("L3.3", {"final_rows": 300}),
    ],
)
def test_leakage_is_a_no(record: TrainingRecord, code: str, figures: dict[str, Any]) -> None:
    found = answer(change(record, code, **figures), code)
    assert (found.passed, found.unanswered) == (False, False), found.answer


@pytest.mark.parametrize("code", LEAKAGE)
def test_a_question_without_figures_is_open(record: TrainingRecord, code: str) -> None:
    without = {name: figures for name, figures in LEAKAGE.items() if name != code}
    assert answer(replace(record, leakage=without), code).unanswered
    numbers = [n for n, figure in LEAKAGE[code].items() if isinstance(figure, int | float)]
    for name in sorted(set(numbers) - {"cutoffs"}):
        for bad in (None, math.nan, math.inf, "12"):
            assert not answer(change(record, code, **{name: bad}), code).passed, (name, bad)


def test_no_audit_no_answer(record: TrainingRecord) -> None:
    assert answer(record, "L2", None).unanswered
    assert answer(record, "L2", replace(AUDIT, sampled_customers=0)).unanswered
    assert answer(record, "L2", replace(AUDIT, highest_auc=math.nan)).unanswered
    for leaking in (replace(AUDIT, highest_auc=0.97), replace(AUDIT, later=("orders_90d",))):
        found = answer(record, "L2", leaking)
        assert (found.passed, found.unanswered) == (False, False)


def test_unknown_times_are_open(record: TrainingRecord) -> None:
    assert answer(change(record, "L3.1", final_features_known_by=None), "L3.1").unanswered
    assert answer(change(record, "L3.1", final_cutoff="soon"), "L3.1").unanswered


def test_no_path_in_the_answers(record: TrainingRecord) -> None:
    assert str(Path(record.model.directory)) not in str(fill_sheet(record, AUDIT, SETTINGS).rows())
