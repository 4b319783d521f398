"""What the gate decides by: figures of challenger, champion and rule on the same customers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tasks.audits import LeakAudit
    from tasks.registry.integrity import TrialLoad
    from tasks.registry.sheet import Sheet

Array = NDArray[np.float64]

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


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether the registered artifact is what scores: its files, and its predictions.

    `same_files` says that the artifact fetched back from the registry of models has the checksums
    of the copy that would serve. `registered_difference` is the largest between its predictions,
    in a process of its own, and the batch scores of `compared_customers`; `batch_difference` that
    between the batch scores of the copy and the training's, of all final customers.
    """

    same_files: bool
    compared_customers: int
    registered_difference: float
    batch_difference: float


@dataclass(frozen=True, slots=True)
class GateEvidence:
    """What the three say of the same final customers, row by row; every array has shape (n,).

    `churned` is 0 or 1; `contact_gain_amount` is what contacting that customer would have earned
    net of its cost, given what then happened, in `currency`. A `*_return_amount` is what a contact
    was expected to bring by that model's probabilities: the list is made of those above 0, highest
    first, up to `budget_contacts`. A `*_probability` is calibrated; `refit_*` are of the challenger
    learnt once more a little differently. `challenger_customers` and `champion_customers` are
    fingerprints of the customers each has scored, in order. What a champion says is None only where
    there is no champion; any other None is evidence that is missing, and blocks.
    `load_failure` says why `trial` is None: the challenger did not load.
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
    rule_probability: Array | None = None
    champion_probability: Array | None = None
    refit_probability: Array | None = None
    refit_return_amount: Array | None = None
    slices: Mapping[str, NDArray[np.str_]] | None = None
    leak_audit: LeakAudit | None = None
    trial: TrialLoad | None = None
    load_failure: str = ""
    agreement: Agreement | None = None
    sheet: Sheet | None = None


class EvidenceMissing(Exception):
    """A figure that a criterion needs is not there, or is no number."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One question of the gate; `evidence_missing` where it could not be answered at all.

    `figures` are the numbers that it was answered by, `limits` those they were held against.
    """

    name: str
    passed: bool
    detail: str
    evidence_missing: bool = False
    figures: Mapping[str, Any] | None = None
    limits: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a question is answered with yes, in words, and by which figures and limits."""

    passed: bool
    detail: str
    figures: Mapping[str, Any] | None = None
    limits: Mapping[str, Any] | None = None


def ask(name: str, question: Callable[[], Answer]) -> Criterion:
    """Put a question; whatever breaks in it, and any figure that is no finite number, is a no."""
    try:
        answer = question()
        require_numbers(answer.figures or {})
    except EvidenceMissing as error:
        return Criterion(name, False, str(error), evidence_missing=True)
    except Exception as error:  # noqa: BLE001 - whatever breaks in a criterion blocks, by design
        detail = f"could not be computed: {type(error).__name__}"
        return Criterion(name, False, detail, evidence_missing=True)
    # `is True`, since NaN, None and an array are no yes.
    passed = answer.passed is True
    return Criterion(name, passed, answer.detail, False, answer.figures, answer.limits)


def is_number(value: Any) -> bool:
    """Whether it is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def require_numbers(figures: Mapping[str, Any]) -> None:
    """Raise EvidenceMissing that names the figures which are neither finite numbers nor text."""
    broken = sorted(
        name
        for name, value in figures.items()
        if not (is_number(value) or isinstance(value, str | bool | list | tuple))
    )
    if broken:
        raise EvidenceMissing(f"not a finite number: {', '.join(broken)}")


def require_column(array: Any, customers: int, name: str) -> Array:
    """The array, if it holds one finite number a customer; else EvidenceMissing."""
    if not isinstance(array, np.ndarray) or array.shape != (customers,):
        raise EvidenceMissing(f"{name} does not hold one number a customer")
    broken = int(np.count_nonzero(~np.isfinite(array)))
    if broken:
        raise EvidenceMissing(f"{name} has {broken} values that are no finite number")
    return array
