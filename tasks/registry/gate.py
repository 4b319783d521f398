"""The gate: a challenger gets in only on complete evidence, and a tie keeps the champion.

It fails closed. Challenger, champion and best rule are compared on the same final customers by
the profit of contacting the customers whom each would choose within the budget; the uncertainty
is a paired bootstrap over customers. A missing, NaN or infinite figure, an empty hold-out or an
exception in a criterion blocks, and the reason says which.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from tasks.handles import Candidate, Champion, Decision
from tasks.moments import read_clock

if TYPE_CHECKING:
    from tasks.sections import RegistrySettings

Array = NDArray[np.float64]
Outcome = Literal["promote", "serve_rule", "keep", "blocked"]

# Figures of the final test without which nobody is let in.
REQUIRED_METRICS = (
    "auc",
    "average_precision",
    "log_loss",
    "brier",
    "calibration_error",
    "top_decile_lift",
    "profit_amount",
    "expected_maximum_profit_amount",
)
# Weight draws per comparison: with many customers fewer replicates do, since each is steadier.
_MAXIMUM_DRAWS = 40_000_000
_MINIMUM_REPLICATES = 200
_CHUNK_DRAWS = 4_000_000
# How many criteria come before the comparisons, which are what a promotion's reason tells.
_EVIDENCE_CRITERIA = 5


@dataclass(frozen=True, slots=True)
class GateEvidence:
    """What the three say of the same final customers, row by row; every array has shape (n,).

    `churned` is 0 or 1; `contact_gain_amount` is what contacting that customer would have earned
    net of its cost, given what then happened, in `currency`. A `*_return_amount` is what a contact
    was expected to bring by that model's probabilities: the list is made of those above 0, highest
    first, up to `budget_contacts`. `challenger_probability` is the calibrated probability itself.
    `challenger_customers` and `champion_customers` are fingerprints of the customers each has
    scored, in order. `champion_return_amount` is None only where there is no champion.
    """

    churned: Array
    contact_gain_amount: Array
    challenger_probability: Array
    challenger_return_amount: Array
    rule_return_amount: Array
    champion_return_amount: Array | None
    challenger_customers: str
    champion_customers: str | None
    rule_name: str
    budget_contacts: int
    currency: str
    required_metrics: tuple[str, ...] = REQUIRED_METRICS
    # Hashes of models that a person took from serving; the same data would bring them back.
    rolled_back_hashes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Criterion:
    """One question of the gate; `evidence_missing` where it could not be answered at all."""

    name: str
    passed: bool
    detail: str
    evidence_missing: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """Profit of one list less another's: estimate, 90 % interval, and share of resamples above."""

    difference_amount: float
    low_amount: float
    high_amount: float
    share_above_zero: float
    share_above_tolerance: float
    tolerance_amount: float
    profit_amount: float
    other_profit_amount: float
    replicates: int


class _EvidenceMissing(Exception):
    """A figure that a criterion needs is not there, or is no number."""


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
    criteria = [
        _ask("evidence is complete", lambda: _check_arrays(champion, evidence)),
        _ask("enough customers", lambda: _check_size(evidence, settings)),
        _ask("metrics are complete", lambda: _check_metrics(challenger, evidence)),
        _ask("probabilities are sound", lambda: _check_probabilities(evidence)),
        _ask("was not rolled back", lambda: _check_not_rolled_back(challenger, evidence)),
    ]
    beats_rule = holds_champion = rule_beats_champion = False
    if all(criterion.passed for criterion in criteria):
        against_rule = _ask(
            "earns more than the best rule",
            lambda: _check_rule(evidence, settings, figures),
        )
        criteria.append(against_rule)
        beats_rule = against_rule.passed
        if champion is not None:
            against = _ask(
                "is not behind the champion",
                lambda: _check_champion(challenger, champion, evidence, settings, figures),
            )
            criteria.append(against)
            holds_champion = against.passed
            if not beats_rule and not against_rule.evidence_missing:
                replacing = _ask(
                    "the best rule earns more than the champion",
                    lambda: _check_rule_over_champion(champion, evidence, settings, figures),
                )
                figures["rule_over_champion_detail"] = replacing.detail
                rule_beats_champion = replacing.passed
    outcome, reason = _conclude(
        criteria,
        evidence,
        has_champion=champion is not None,
        beats_rule=beats_rule,
        holds_champion=holds_champion,
        rule_beats_champion=rule_beats_champion,
    )
    return Decision(
        decision_id=uuid4().hex,
        decided_at=read_clock(),
        kind="gate",
        subject=challenger.name,
        outcome=outcome,
        reason=reason,
        evidence={
            "criteria": [asdict(criterion) for criterion in criteria],
            "rule": _text(evidence, "rule_name"),
            "currency": _text(evidence, "currency"),
            "champion_version": champion.version if champion else None,
            "champion_decision_id": champion.decision_id if champion else None,
            **figures,
        },
        model_hash=challenger.model_hash,
        model_version=challenger.version,
        snapshot_id=challenger.snapshot_id,
        run_id=run_id or challenger.run_id,
    )


def compare_profit(
    one: Array,
    other: Array,
    gain_amount: Array,
    *,
    budget_contacts: int,
    replicates: int,
    seed: int,
    tolerance_share: float = 0.0,
) -> Comparison:
    """Paired bootstrap of the profit difference of two lists over the same customers.

    Each replicate draws how often every customer is there (Poisson with mean 1, the usual
    stand-in for drawing n of n: Chamandy et al. 2012, "Estimating uncertainty for massive data
    streams") and contacts the first `budget_contacts` of either list whose expected return is
    above 0. Equal ones are ordered at random, alike for both. Only customers near the head of
    either list are drawn for.
    """
    customers = len(gain_amount)
    budget = min(budget_contacts, customers)
    random = np.random.default_rng(seed)
    shuffle = random.permutation(customers)
    # Poisson weights reach the budget within this many places but for a chance below 1e-12.
    reach = math.ceil(budget + 8 * math.sqrt(budget) + 50)
    heads = [
        np.lexsort((shuffle, -score))[: min(reach, int(np.count_nonzero(score > 0)))]
        for score in (one, other)
    ]
    drawn, places = np.unique(np.concatenate(heads), return_inverse=True)
    columns = (places[: len(heads[0])], places[len(heads[0]) :])
    gains = [gain_amount[head] for head in heads]
    point = [float(gain[:budget].sum()) for gain in gains]
    count = max(_MINIMUM_REPLICATES, min(replicates, _MAXIMUM_DRAWS // max(1, len(drawn))))
    table = _poisson_table()
    chunk = max(1, _CHUNK_DRAWS // max(1, len(drawn)))
    differences = np.empty(count)
    for start in range(0, count, chunk):
        size = min(chunk, count - start)
        weights = table[random.integers(0, len(table), (size, len(drawn)), dtype=np.uint16)]
        profit = [
            _weighted_profit(weights[:, column], gain, budget)
            for column, gain in zip(columns, gains, strict=True)
        ]
        differences[start : start + size] = profit[0] - profit[1]
    low, high = np.quantile(differences, (0.05, 0.95))
    tolerance = tolerance_share * abs(point[1])
    return Comparison(
        difference_amount=point[0] - point[1],
        low_amount=float(low),
        high_amount=float(high),
        share_above_zero=float(np.mean(differences > 0)),
        share_above_tolerance=float(np.mean(differences >= -tolerance)),
        tolerance_amount=tolerance,
        profit_amount=point[0],
        other_profit_amount=point[1],
        replicates=count,
    )


def _weighted_profit(weights: NDArray[np.uint8], gain: Array, budget: int) -> Array:
    """Profit of the first `budget` customers of a list in which each stands `weights` times."""
    before = np.cumsum(weights, axis=1, dtype=np.int32) - weights
    taken = np.clip(budget - before, 0, weights)
    profit: Array = taken @ gain
    return profit


def _poisson_table() -> NDArray[np.uint8]:
    """A uniform 16-bit number looked up here is Poisson(1), to 1 part in 65,536; 20x the speed."""
    counts = [round(65_536 / math.e / math.factorial(k)) for k in range(9)]
    counts[0] += 65_536 - sum(counts)
    return np.repeat(np.arange(9, dtype=np.uint8), counts)


def _ask(name: str, question: Callable[[], tuple[bool, str]]) -> Criterion:
    try:
        passed, detail = question()
    except _EvidenceMissing as error:
        return Criterion(name, False, str(error), evidence_missing=True)
    except Exception as error:  # noqa: BLE001 - whatever breaks in a criterion blocks, by design
        detail = f"could not be computed: {type(error).__name__}"
        return Criterion(name, False, detail, evidence_missing=True)
    # `is True`, since NaN, None and an array are no yes.
    return Criterion(name, passed is True, detail)


def _check_arrays(champion: Champion | None, evidence: GateEvidence) -> tuple[bool, str]:
    arrays = {
        "churned": evidence.churned,
        "contact_gain_amount": evidence.contact_gain_amount,
        "challenger_probability": evidence.challenger_probability,
        "challenger_return_amount": evidence.challenger_return_amount,
        "rule_return_amount": evidence.rule_return_amount,
    }
    if champion is not None:
        if evidence.champion_return_amount is None:
            raise _EvidenceMissing("the champion has not scored the final customers")
        if evidence.champion_customers != evidence.challenger_customers:
            raise _EvidenceMissing("champion and challenger scored different customers")
        arrays["champion_return_amount"] = evidence.champion_return_amount
    elif evidence.champion_return_amount is not None:
        raise _EvidenceMissing("scores of a champion are there, but no champion")
    if not evidence.challenger_customers:
        raise _EvidenceMissing("which customers were scored is not recorded")
    customers = len(evidence.churned)
    if customers == 0:
        raise _EvidenceMissing("the final customers are none")
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.shape != (customers,):
            raise _EvidenceMissing(f"{name} does not hold one number a customer")
        broken = int(np.count_nonzero(~np.isfinite(array)))
        if broken:
            raise _EvidenceMissing(f"{name} has {broken} values that are no finite number")
    if not np.isin(evidence.churned, (0.0, 1.0)).all():
        raise _EvidenceMissing("churned holds something other than 0 and 1")
    if not isinstance(evidence.budget_contacts, int) or evidence.budget_contacts < 1:
        raise _EvidenceMissing("the contact budget does not pay for one contact")
    if not evidence.currency:
        raise _EvidenceMissing("the amounts have no currency")
    return True, f"{customers:,} customers, every figure finite"


def _check_size(evidence: GateEvidence, settings: RegistrySettings) -> tuple[bool, str]:
    customers, churners = len(evidence.churned), int(np.sum(evidence.churned))
    detail = f"{customers:,} customers, {churners:,} churners"
    least = (settings.minimum_final_customers, settings.minimum_final_churners)
    if customers < least[0] or churners < least[1] or churners == customers:
        raise _EvidenceMissing(f"{detail}; {least[0]:,} and {least[1]:,} needed, and some who stay")
    return True, detail


def _check_metrics(challenger: Candidate, evidence: GateEvidence) -> tuple[bool, str]:
    if not challenger.metrics:
        raise _EvidenceMissing("the challenger has no metrics")
    missing = sorted(set(evidence.required_metrics) - set(challenger.metrics))
    if missing:
        raise _EvidenceMissing(f"missing: {', '.join(missing)}")
    broken = sorted(
        name
        for name, interval in challenger.metrics.items()
        if len(interval) != 3 or not all(_is_number(value) for value in interval)
    )
    if broken:
        raise _EvidenceMissing(f"not a finite number: {', '.join(broken)}")
    return True, f"{len(challenger.metrics)} metrics with intervals"


def _check_probabilities(evidence: GateEvidence) -> tuple[bool, str]:
    low, high = np.min(evidence.challenger_probability), np.max(evidence.challenger_probability)
    if low < 0 or high > 1:
        raise _EvidenceMissing("the challenger gives probabilities outside 0 to 1")
    if low == high:
        raise _EvidenceMissing("the challenger gives every customer the same probability")
    return True, f"from {low:.4f} to {high:.4f}"


def _check_not_rolled_back(challenger: Candidate, evidence: GateEvidence) -> tuple[bool, str]:
    if challenger.model_hash in evidence.rolled_back_hashes:
        return False, "this very model was rolled back; `holdfast rollback --to` lets it serve"
    return True, f"not one of {len(evidence.rolled_back_hashes)} models that were"


def _check_rule(
    evidence: GateEvidence, settings: RegistrySettings, figures: dict[str, Any]
) -> tuple[bool, str]:
    compared = _compare(
        evidence, evidence.challenger_return_amount, evidence.rule_return_amount, settings
    )
    figures["against_rule"] = asdict(compared)
    passed = (
        compared.difference_amount > 0 and compared.share_above_zero >= settings.rule_confidence
    )
    return passed, _describe(compared, f"'{evidence.rule_name}'", evidence.currency)


def _check_champion(
    challenger: Candidate,
    champion: Champion,
    evidence: GateEvidence,
    settings: RegistrySettings,
    figures: dict[str, Any],
) -> tuple[bool, str]:
    if challenger.model_hash == champion.model_hash:
        return False, f"it is version {champion.version} itself, byte for byte"
    assert evidence.champion_return_amount is not None
    compared = _compare(
        evidence, evidence.challenger_return_amount, evidence.champion_return_amount, settings
    )
    figures["against_champion"] = asdict(compared)
    passed = (
        compared.difference_amount > 0
        and compared.share_above_tolerance >= settings.champion_confidence
    )
    return passed, _describe(compared, f"version {champion.version}", evidence.currency)


def _check_rule_over_champion(
    champion: Champion,
    evidence: GateEvidence,
    settings: RegistrySettings,
    figures: dict[str, Any],
) -> tuple[bool, str]:
    assert evidence.champion_return_amount is not None
    compared = _compare(
        evidence, evidence.rule_return_amount, evidence.champion_return_amount, settings
    )
    figures["rule_against_champion"] = asdict(compared)
    passed = (
        compared.difference_amount > 0 and compared.share_above_zero >= settings.rule_confidence
    )
    return passed, _describe(compared, f"version {champion.version}", evidence.currency)


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
    broken = sorted(name for name, value in asdict(compared).items() if not _is_number(value))
    if broken:
        raise _EvidenceMissing(f"not a finite number: {', '.join(broken)}")
    return compared


def _conclude(
    criteria: Sequence[Criterion],
    evidence: GateEvidence,
    *,
    has_champion: bool,
    beats_rule: bool,
    holds_champion: bool,
    rule_beats_champion: bool,
) -> tuple[Outcome, str]:
    failed = [criterion for criterion in criteria if not criterion.passed]
    if any(criterion.evidence_missing for criterion in failed):
        first = next(criterion for criterion in failed if criterion.evidence_missing)
        return "blocked", f"{first.name}: no. {first.detail}"
    if beats_rule and (holds_champion or not has_champion):
        return "promote", "; ".join(
            f"{one.name}: {one.detail}" for one in criteria[_EVIDENCE_CRITERIA:]
        )
    detail = f"{failed[0].name}: no. {failed[0].detail}"
    if not beats_rule and (rule_beats_champion or not has_champion):
        rule = _text(evidence, "rule_name")
        return "serve_rule", f"the rule '{rule}' serves, since the model does not beat it. {detail}"
    return "keep", f"the champion stays. {detail}"


def _describe(compared: Comparison, other: str, currency: str) -> str:
    return (
        f"{compared.profit_amount:,.2f} against {compared.other_profit_amount:,.2f} {currency} of"
        f" {other}: {compared.difference_amount:+,.2f}"
        f" (90 % interval {compared.low_amount:+,.2f} to {compared.high_amount:+,.2f}),"
        f" above in {compared.share_above_zero:.1%} of resamples"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _text(evidence: GateEvidence, name: str) -> str:
    return str(getattr(evidence, name, "unknown"))


def decision_tags(decision: Decision) -> Mapping[str, str]:
    """A gate decision as MLflow tags: outcome, reason, and each criterion's answer."""
    tags = {"decision": decision.outcome, "decision_reason": decision.reason}
    for criterion in decision.evidence.get("criteria", ()):
        key = "gate." + str(criterion["name"]).replace(" ", "_")
        tags[key] = ("yes: " if criterion["passed"] else "NO: ") + str(criterion["detail"])
    return tags
