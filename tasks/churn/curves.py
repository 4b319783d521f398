"""The points that a training's plots are drawn from, of customers nobody can be told from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tasks.churn.data import Floats
from tasks.churn.metrics import CALIBRATION_BINS, Ranking
from tasks.economics import Economics
from tasks.handles import Curves

# Points of a curve: more cannot be seen, and fewer would tell single customers apart.
_POINTS = 200
Points = tuple[tuple[float, float], ...]


def trace_curves(
    churned: NDArray[np.bool_],
    probabilities: Mapping[str, Floats],
    value_amount: Floats,
    economics: Economics,
) -> Curves:
    """Calibration, gain, precision-recall and profit of each set of probabilities."""
    calibration: dict[str, tuple[tuple[float, float, float], ...]] = {}
    gain: dict[str, Points] = {}
    precision_recall: dict[str, Points] = {}
    profit: dict[str, Points] = {}
    for name, probability in probabilities.items():
        calibration[name] = _bins(churned, probability)
        ranking = Ranking.of(probability)
        found = np.cumsum(churned[ranking.order])[ranking.ends]
        contacted = ranking.ends + 1
        share, recall = contacted / len(churned), found / max(1, found[-1])
        gain[name] = _thin(np.append(0.0, share), np.append(0.0, recall))
        precision_recall[name] = _thin(recall, found / contacted)
        order = np.argsort(-economics.expected_returns(probability, value_amount), kind="stable")
        earned = np.cumsum(economics.realised_returns(churned, value_amount)[order])
        shares = np.arange(len(churned) + 1) / len(churned)
        profit[name] = _thin(shares, np.append(0.0, earned))
    return Curves(calibration, gain, precision_recall, profit)


def _bins(
    churned: NDArray[np.bool_], probability: Floats
) -> tuple[tuple[float, float, float], ...]:
    parts = np.array_split(np.argsort(probability, kind="stable"), CALIBRATION_BINS)
    return tuple(
        (float(probability[rows].mean()), float(churned[rows].mean()), float(len(rows)))
        for rows in parts
        if len(rows)
    )


def _thin(x: Floats, y: Floats) -> Points:
    keep = np.unique(np.linspace(0, len(x) - 1, min(_POINTS, len(x))).round().astype(np.int64))
    return tuple(zip(x[keep].tolist(), y[keep].tolist(), strict=True))
