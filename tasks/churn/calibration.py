"""From scores to probabilities that come true, learnt on predictions for later cut-offs.

The kinds differ in how much they can bend; which one is used is decided forward in time: fitted
on the parts whose outcomes were known by then, judged by log loss on a later one. Where the share
of leavers moves with the season, the level of the last months misleads, and the untouched score,
whose model has seen a year, often wins. All are increasing: who stands before whom stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.churn.data import Floats
from tasks.churn.model_code import calibrate

# Simplest first: of two that are equally good the simpler one is taken.
KINDS = ("identity", "platt", "beta", "isotonic")
# A more flexible kind must better the log loss by this much, or it is noise that it follows.
_LEAST_GAIN = 1e-4
_ISOTONIC_LEAST_ROWS = 1000
# Two points this close on either axis are one: the interpolation must keep rising.
_LEAST_STEP = 1e-6


@dataclass(frozen=True)
class Part:
    """Predictions for customers that taught nothing: scores in (0, 1) and what happened.

    `at` is their cut-off, `known_at` when their outcomes were known; None where the parts differ
    in customers and not in time.
    """

    raw: Floats
    churned: NDArray[np.bool_]
    at: np.datetime64 | None = None
    known_at: np.datetime64 | None = None


@dataclass(frozen=True)
class Calibration:
    """The chosen function and the log loss each kind had out of time."""

    content: Mapping[str, Any]
    log_losses: Mapping[str, float]

    @property
    def kind(self) -> str:
        return str(self.content["kind"])

    def apply(self, raw: Floats) -> Floats:
        return calibrate(raw, dict(self.content))


def choose_calibration(parts: Sequence[Part]) -> Calibration:
    """Choose the kind forward in time and fit it on all `parts`, earliest first."""
    pairs = _pair(parts)
    losses: dict[str, float] = {}
    for kind in KINDS:
        fitted = [(fit(kind, before), after) for before, after in pairs]
        if all(content is not None for content, _ in fitted):
            losses[kind] = float(
                np.mean([_log_loss(calibrate(a.raw, c or {}), a.churned) for c, a in fitted])
            )
    best = "identity"
    for kind in KINDS[1:]:
        if kind in losses and losses[kind] < losses[best] - _LEAST_GAIN:
            best = kind
    content = fit(best, list(parts))
    assert content is not None  # it could be fitted on fewer rows
    return Calibration(content, losses)


def _pair(parts: Sequence[Part]) -> list[tuple[list[Part], Part]]:
    """What may be fitted on, and what it is judged on."""
    if len(parts) == 1:
        # One cut-off only: every other row judges what the rest taught, both ways round.
        part = parts[0]
        halves = [Part(part.raw[i::2], part.churned[i::2]) for i in range(2)]
        return [([halves[0]], halves[1]), ([halves[1]], halves[0])]
    pairs = [
        (known, part)
        for part in parts
        if (known := [other for other in parts if _known_by(other, part)])
    ]
    # A short history has no part known a whole horizon before another: then the next one judges.
    return pairs or [(list(parts[:number]), parts[number]) for number in range(1, len(parts))]


def _known_by(other: Part, part: Part) -> bool:
    return part.at is not None and other.known_at is not None and bool(other.known_at <= part.at)


def fit(kind: str, parts: Sequence[Part]) -> dict[str, Any] | None:
    """Fit one kind on the rows of all parts; None where they are too few for it."""
    raw = np.concatenate([part.raw for part in parts])
    churned = np.concatenate([part.churned for part in parts])
    if kind == "identity":
        return {"kind": kind}
    if churned.all() or not churned.any():
        return None
    if kind == "isotonic":
        return _fit_isotonic(raw, churned) if len(raw) >= _ISOTONIC_LEAST_ROWS else None
    return _fit_beta(raw, churned, same=kind == "platt")


def _fit_beta(raw: Floats, churned: NDArray[np.bool_], *, same: bool) -> dict[str, Any]:
    """Maximum likelihood; `same` ties a to b. Platt's smoothed targets keep it finite."""
    from scipy.optimize import minimize

    clipped = np.clip(raw, 1e-9, 1 - 1e-9)
    left, right = np.log(clipped), -np.log1p(-clipped)
    columns = np.column_stack([left + right] if same else [left, right])
    positives, negatives = churned.sum(), (~churned).sum()
    target = np.where(churned, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(theta: Floats) -> tuple[float, Floats]:
        margin = columns @ theta[:-1] + theta[-1]
        probability = 1 / (1 + np.exp(-margin))
        value = float(np.mean(np.logaddexp(0, margin) - target * margin))
        gap = (probability - target) / len(target)
        return value, np.append(columns.T @ gap, gap.sum())

    start = np.append(np.ones(columns.shape[1]), 0.0)
    bounds = [(1e-3, 50.0)] * columns.shape[1] + [(-50.0, 50.0)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    a, b = (found[0], found[0]) if same else (found[0], found[1])
    return {
        "kind": "platt" if same else "beta",
        "a": float(a),
        "b": float(b),
        "c": float(found[-1]),
    }


def _fit_isotonic(raw: Floats, churned: NDArray[np.bool_]) -> dict[str, Any]:
    """Isotonic regression joined through the middles of its steps (Oron and Flournoy 2017).

    Steps would tie customers whom the model tells apart; lines between the middles do not.
    """
    from sklearn.isotonic import isotonic_regression

    order = np.argsort(raw, kind="stable")
    scores, outcomes = raw[order], churned[order].astype(np.float64)
    values = isotonic_regression(outcomes, y_min=0.0, y_max=1.0)
    starts = np.flatnonzero(np.append(True, np.diff(values) > 0))
    sizes = np.diff(np.append(starts, len(values)))
    x = np.add.reduceat(scores, starts) / sizes
    y = values[starts]
    # A step of only stayers or churners says "rare", not "never": one more of each outcome.
    y = np.clip(y, 1 / (sizes + 2), 1 - 1 / (sizes + 2))
    y = np.maximum.accumulate(y)
    keep_x, keep_y = [0.0], [min(float(y[0]) / 2, 1e-3)]
    for at, value in zip(x.tolist(), y.tolist(), strict=True):
        if at > keep_x[-1] + _LEAST_STEP and value > keep_y[-1] + _LEAST_STEP:
            keep_x.append(at)
            keep_y.append(value)
    if keep_x[-1] > 1 - _LEAST_STEP:
        keep_x.pop()
        keep_y.pop()
    keep_x.append(1.0)
    keep_y.append(max((1 + keep_y[-1]) / 2, 1 - 1e-3))
    return {"kind": "isotonic", "x": keep_x, "y": keep_y}


def _log_loss(probability: Floats, churned: NDArray[np.bool_]) -> float:
    clipped = np.clip(probability, 1e-15, 1 - 1e-15)
    return float(-np.mean(np.where(churned, np.log(clipped), np.log1p(-clipped))))
