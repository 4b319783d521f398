"""The gate lets in on complete evidence alone.

challenger beats rule   not behind champion   outcome
yes                     (none)                promote
no                      (none)                serve_rule
yes                     yes                   promote
yes                     no, or a tie          keep
no                      -                     keep; serve_rule if the rule beats the champion
anything missing        -                     blocked
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.audits import LeakAudit
from tasks.gating import Criteria, RegistrySettings, StabilityLimits
from tasks.handles import Candidate, Champion
from tasks.registry.comparing import compare_profit
from tasks.registry.evidence import REQUIRED_METRICS, Agreement, Answer, GateEvidence
from tasks.registry.gate import decision_tags, gate
from tasks.registry.integrity import TrialLoad
from tasks.registry.sheet import Sheet, SheetAnswer

# The made-up champions know nothing of what the challengers know, so their scores are far apart.
SETTINGS = RegistrySettings(
    bootstrap_replicates=400,
    criteria=Criteria(
        stability=StabilityLimits(champion_rank_minimum=-0.5, champion_shift_maximum=10)
    ),
)
CANDIDATE = Candidate(
    kind="model",
    name="lightgbm",
    directory=Path("/nowhere"),
    model_hash="c" * 64,
    metrics=dict.fromkeys(REQUIRED_METRICS, (0.5, 0.4, 0.6)),
    feature_names=("a",),
    features_fingerprint="f" * 64,
    snapshot_id=7,
    golden=(0.1, 0.9),
)
CHAMPION = Champion(
    name="shop.churn",
    version=3,
    kind="model",
    candidate="lightgbm",
    directory=Path("/nowhere"),
    model_hash="d" * 64,
    files={"model.lgb.txt": "e" * 64},
    feature_names=("a",),
    metrics={},
    golden=(),
    decision_id="before",
    promoted_at=datetime(2026, 1, 1, tzinfo=UTC),
    features_fingerprint="f" * 64,
    snapshot_id=5,
    run_id=None,
)


@cache
def make_evidence(
    challenger: float = 1.0, champion: float | None = None, rule: float = 0.2, n: int = 3000
) -> GateEvidence:
    """Three lists of growing skill: 1 knows the truth but for some noise, 0 knows nothing."""
    random = np.random.default_rng(3)
    churned = (random.random(n) < 0.3).astype(float)
    gain = np.where(churned == 1, random.gamma(2.0, 6.0, n), -2.0)

    def expect(skill: float) -> np.ndarray:
        noise = np.random.default_rng(round(skill * 1000)).normal(0, 1, n)
        return skill * 2 * (churned - 0.3) + noise + 3.0

    def probability(skill: float) -> np.ndarray:
        """What is true of a customer with such a return: Bayes, of two normal distributions."""
        drawn = expect(skill) - 3.0
        logit = np.log(0.3 / 0.7) + skill * 2 * (drawn - skill * 2 * (0.5 - 0.3))
        return 1 / (1 + np.exp(-logit))

    returns = expect(challenger)
    return GateEvidence(
        churned=churned,
        contact_gain_amount=gain,
        challenger_probability=probability(challenger),
        challenger_return_amount=returns,
        rule_return_amount=expect(rule),
        champion_return_amount=None if champion is None else expect(champion),
        challenger_customers="same",
        champion_customers=None if champion is None else "same",
        rule_name="longest silence first",
        budget_contacts=n // 10,
        currency="GBP",
        rule_probability=probability(rule),
        champion_probability=None if champion is None else probability(champion),
        refit_probability=probability(challenger) * 0.98,
        refit_return_amount=returns * 0.98,
        slices={"half": np.where(np.arange(n) % 2, "odd", "even")},
        leak_audit=LeakAudit("recency", 0.7, 5, (), (), 50),
        trial=TrialLoad((0.1, 0.9), (), 12.0, 40_000),
        agreement=Agreement(True, 1000, 0.0, 0.0),
        sheet=Sheet((SheetAnswer("L1.1", "Is there a test set?", "yes", True, False, {}),)),
    )


@pytest.mark.parametrize(
    ("challenger", "champion", "rule", "outcome"),
    [
        (1.0, None, 0.2, "promote"),
        (0.2, None, 1.0, "serve_rule"),
        (0.5, None, 0.5, "serve_rule"),  # a tie with the rule
        (1.5, 0.6, 0.2, "promote"),
        (0.6, 1.5, 0.2, "keep"),
        (1.0, 1.0, 0.2, "keep"),  # a tie with the champion
        (0.2, 1.5, 0.8, "keep"),
        (0.2, 0.1, 1.5, "serve_rule"),
        (0.2, 1.5, 1.5, "keep"),
    ],
)
def test_outcomes(challenger: float, champion: float | None, rule: float, outcome: str) -> None:
    evidence = make_evidence(challenger, champion, rule)
    decision = gate(CANDIDATE, CHAMPION if champion is not None else None, evidence, SETTINGS)
    assert decision.outcome == outcome, decision.reason
    assert decision.reason
    assert "GBP" in decision_tags(decision)["gate.earns_more_than_the_best_rule"]


def test_the_champion_itself_is_no_challenger() -> None:
    same = replace(CANDIDATE, model_hash=CHAMPION.model_hash)
    decision = gate(same, CHAMPION, make_evidence(1.5, 0.2), SETTINGS)
    assert decision.outcome == "keep"
    assert "byte for byte" in decision.reason


def test_what_was_rolled_back_does_not_come_in_again() -> None:
    evidence = replace(make_evidence(1.5, 0.6, 0.2), rolled_back_hashes=frozenset({"c" * 64}))
    decision = gate(CANDIDATE, CHAMPION, evidence, SETTINGS)
    assert decision.outcome == "keep"
    assert "was not rolled back: no. this very model was rolled back" in decision.reason
    others = replace(evidence, rolled_back_hashes=frozenset({"9" * 64}))
    assert gate(CANDIDATE, CHAMPION, others, SETTINGS).outcome == "promote"


def test_same_evidence_same_decision() -> None:
    first, second = (gate(CANDIDATE, CHAMPION, make_evidence(1.2, 1.0), SETTINGS) for _ in "ab")
    assert (first.outcome, first.reason, first.evidence) == (
        second.outcome,
        second.reason,
        second.evidence,
    )


ARRAYS = (
    "churned",
    "contact_gain_amount",
    "challenger_probability",
    "challenger_return_amount",
    "rule_return_amount",
    "champion_return_amount",
)


def _poison(name: str, value: float) -> Callable[[GateEvidence], GateEvidence]:
    def change(evidence: GateEvidence) -> GateEvidence:
        array = getattr(evidence, name).copy()
        array[17] = value
        return replace(evidence, **{name: array})

    return change


def _set(**values: Any) -> Callable[[GateEvidence], GateEvidence]:
    return lambda evidence: replace(evidence, **values)


def _cut(name: str) -> Callable[[GateEvidence], GateEvidence]:
    return lambda evidence: replace(evidence, **{name: getattr(evidence, name)[:-1]})


def _empty(evidence: GateEvidence) -> GateEvidence:
    return replace(evidence, **{name: np.empty(0) for name in ARRAYS})


BROKEN_EVIDENCE = {
    **{f"{name} {bad}": _poison(name, bad) for name in ARRAYS for bad in (math.nan, math.inf)},
    **{f"{name} -inf": _poison(name, -math.inf) for name in ARRAYS},
    **{f"{name} none": _set(**{name: None}) for name in ARRAYS},
    **{f"{name} short": _cut(name) for name in ARRAYS},
    **{f"{name} text": _set(**{name: np.array(["x"] * 3000)}) for name in ARRAYS},
    "hold-out empty": _empty,
    "other customers": _set(champion_customers="others"),
    "customers unknown": _set(challenger_customers="", champion_customers=""),
    "nobody churned": _set(churned=np.zeros(3000)),
    "everybody churned": _set(churned=np.ones(3000)),
    "half a churner": _poison("churned", 0.5),
    "probability above 1": _poison("challenger_probability", 1.01),
    "probability below 0": _poison("challenger_probability", -0.01),
    "constant": _set(challenger_probability=np.full(3000, 0.3)),
    "no budget": _set(budget_contacts=0),
    "budget none": _set(budget_contacts=None),
    "budget nan": _set(budget_contacts=math.nan),
    "no currency": _set(currency=""),
}


@pytest.mark.parametrize("broken", BROKEN_EVIDENCE)
def test_missing_evidence_blocks(broken: str) -> None:
    """The challenger is far better in every case: only the missing figure keeps it out."""
    whole = make_evidence(2.0, 0.1)
    assert gate(CANDIDATE, CHAMPION, whole, SETTINGS).outcome == "promote"
    decision = gate(CANDIDATE, CHAMPION, BROKEN_EVIDENCE[broken](whole), SETTINGS)
    assert decision.outcome == "blocked", decision.reason
    assert decision.reason
    assert any("NO: " in value for value in decision_tags(decision).values())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None, "0.7"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_metric_that_is_no_number_blocks(bad: Any, place: int) -> None:
    evidence = make_evidence(2.0, n=300)
    for metric in REQUIRED_METRICS:
        interval: list[Any] = [0.5, 0.4, 0.6]
        interval[place] = bad
        candidate = replace(CANDIDATE, metrics={**CANDIDATE.metrics, metric: tuple(interval)})
        decision = gate(candidate, None, evidence, SETTINGS)
        assert decision.outcome == "blocked"
        assert metric in decision.reason


def test_metric_not_there_blocks() -> None:
    evidence = make_evidence(2.0, n=300)
    for metric in REQUIRED_METRICS:
        metrics = {name: value for name, value in CANDIDATE.metrics.items() if name != metric}
        decision = gate(replace(CANDIDATE, metrics=metrics), None, evidence, SETTINGS)
        assert decision.outcome == "blocked"
        assert metric in decision.reason


def test_scores_far_from_a_models_are_not_let_in_and_far_from_a_rules_are() -> None:
    """What a made-up champion knows the challenger does not: their ranks have little in common."""
    strict = RegistrySettings(
        bootstrap_replicates=400,
        criteria=Criteria(stability=StabilityLimits(champion_rank_minimum=0.6)),
    )
    evidence = make_evidence(1.5, 0.6)
    decision = gate(CANDIDATE, CHAMPION, evidence, strict)
    assert decision.outcome == "keep"
    assert "scores are stable: no" in decision.reason
    rule = replace(CHAMPION, kind="rule")
    assert gate(CANDIDATE, rule, evidence, strict).outcome == "promote"
    alike = np.full(len(evidence.churned), 0.3)
    flat = replace(evidence, champion_probability=alike)
    assert gate(CANDIDATE, rule, flat, SETTINGS).outcome == "promote"
    assert gate(CANDIDATE, CHAMPION, flat, SETTINGS).outcome == "blocked"


def test_too_few_customers_block() -> None:
    decision = gate(CANDIDATE, None, make_evidence(2.0, n=150), SETTINGS)
    assert decision.outcome == "blocked"
    assert "200" in decision.reason


def test_champion_without_scores_and_scores_without_champion_block() -> None:
    assert gate(CANDIDATE, CHAMPION, make_evidence(2.0), SETTINGS).outcome == "blocked"
    assert gate(CANDIDATE, None, make_evidence(2.0, 0.1), SETTINGS).outcome == "blocked"


@pytest.mark.parametrize("stage", range(15))
def test_exception_in_any_criterion_blocks(stage: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names = (
        "criteria.check_arrays",
        "criteria.check_size",
        "criteria.check_metrics",
        "criteria.check_probabilities",
        "criteria.check_not_rolled_back",
        "criteria.check_rule",
        "criteria.check_champion",
        "qualities.check_calibration",
        "qualities.check_slices",
        "qualities.check_stability",
        "qualities.check_serving",
        "qualities.check_leaks",
        "qualities.check_golden_rows",
        "qualities.check_agreement",
        "qualities.check_sheet",
    )

    def explode(*_: object) -> Answer:
        raise ZeroDivisionError

    monkeypatch.setattr(f"tasks.registry.{names[stage]}", explode)
    decision = gate(CANDIDATE, CHAMPION, make_evidence(2.0, 0.1), SETTINGS)
    assert decision.outcome == "blocked"
    assert "ZeroDivisionError" in decision.reason


@pytest.mark.parametrize("answer", [math.nan, 1, "yes", None, np.True_])
def test_only_true_is_a_yes(answer: object, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = Answer(answer, "odd")  # type: ignore[arg-type]
    monkeypatch.setattr("tasks.registry.criteria.check_rule", lambda *_: odd)
    assert gate(CANDIDATE, None, make_evidence(2.0), SETTINGS).outcome != "promote"


@pytest.mark.statistics
def test_bootstrap_agrees_with_drawing_customers_one_by_one() -> None:
    """Against the slow way: draw n of n customers, sort, contact, subtract."""
    evidence = make_evidence(0.8, 0.5, n=600)
    one, other = evidence.challenger_return_amount, evidence.champion_return_amount
    gain, budget = evidence.contact_gain_amount, 60
    assert other is not None
    fast = compare_profit(one, other, gain, budget_contacts=budget, replicates=10_000, seed=1)
    random = np.random.default_rng(2)
    slow = np.empty(4000)
    for place in range(len(slow)):
        drawn = random.integers(0, 600, 600)
        profits = [gain[drawn][np.argsort(-score[drawn])[:budget]].sum() for score in (one, other)]
        slow[place] = profits[0] - profits[1]
    low, high = np.quantile(slow, (0.05, 0.95))
    spread = high - low
    assert fast.low_amount == pytest.approx(low, abs=0.06 * spread)
    assert fast.high_amount == pytest.approx(high, abs=0.06 * spread)
    assert fast.share_above_zero == pytest.approx(np.mean(slow > 0), abs=0.03)


@pytest.mark.statistics
def test_equal_models_are_rarely_promoted() -> None:
    """Two lists of equal skill: the better-looking one gets in no more often than its level."""
    promoted = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        churned = (random.random(1000) < 0.3).astype(float)
        gain = np.where(churned == 1, 12.0, -2.0)
        lists = [churned + random.normal(0, 1, 1000) + 3 for _ in "ab"]
        compared = compare_profit(*lists, gain, budget_contacts=100, replicates=300, seed=seed)
        promoted += compared.share_above_zero >= 0.9
    assert promoted / 200 < 0.16


def test_only_expected_gains_are_contacted() -> None:
    gain = np.array([10.0, -5.0, -5.0, -5.0])
    one, other = np.array([1.0, -1.0, -2.0, -3.0]), np.array([4.0, 3.0, 2.0, 1.0])
    compared = compare_profit(one, other, gain, budget_contacts=4, replicates=200, seed=1)
    assert (compared.profit_amount, compared.other_profit_amount) == (10.0, -5.0)


def test_many_customers_take_seconds() -> None:
    random = np.random.default_rng(1)
    n = 300_000
    one, other, gain = (random.normal(1, 1, n) for _ in range(3))
    start = time.process_time()
    compared = compare_profit(one, other, gain, budget_contacts=n // 10, replicates=2000, seed=1)
    assert math.isfinite(compared.low_amount)
    assert time.process_time() - start < 10
