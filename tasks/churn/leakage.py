"""What leakage there could be between the rows that teach and those that judge, counted.

The types are those of Kapoor and Narayanan (2023), "Leakage and the reproducibility crisis in
machine-learning-based science". Nothing is judged here: the figures go with the training, and the
gate holds them against its limits. L2, illegitimate features, is the features' own audit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.churn.data import Floats, Indices, TrainingData
from tasks.churn.metrics import area_under_curve
from tasks.churn.splits import Splits

# A feature that changed for this share of customers between two cut-offs is expected to move on.
_MOVING_SHARE = 0.5
_CHUNK_ROWS = 100_000
_LEAST_NEW_CUSTOMERS = 100


def measure_leakage(
    data: TrainingData, splits: Splits, probability: Floats, used_features: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """Figures by type of leakage; `probability` is the model's for the final rows, in order.

    Rows are counted, times are ISO text in UTC, shares are of the final rows.
    """
    train, test = splits.final, splits.test
    fitted = _union([train, *(fold.valid for fold in splits.rolling)])
    tuned = _union([rows for fold in splits.folds for rows in (fold.train, fold.valid)])
    moving = splits.kind == "time"
    return {
        "L1.1": {
            "final_rows": len(test),
            "final_churners": int(data.churned[test].sum()),
            "training_rows": len(train),
            "rows_in_both": _common(train, test),
        },
        "L1.2": {
            # What the model, its calibration and the rules' fallbacks were learnt from.
            "fitted_rows": len(fitted),
            "final_rows_among_them": _common(fitted, test),
        },
        "L1.3": {
            "features_offered": len(data.feature_names),
            "features_used": len(used_features),
            "tuning_rows": len(tuned),
            "final_rows_among_them": _common(tuned, test),
        },
        "L1.4": {
            "same_customer_and_cutoff": _same_pairs(data, train, test),
            "identical_share": _identical_share(data, train, test, by_customer=moving),
            "compared_with": "their own training rows" if moving else "any training row",
            "frozen_features": list(_find_frozen(data)),
        },
        "L3.1": _describe_times(data, splits),
        "L3.2": {
            "kind": splits.kind,
            "customers_in_both": _common(data.customers[train], data.customers[test]),
            "final_customers": len(np.unique(data.customers[test])),
            "overlapping_windows": _overlapping_windows(data, train, test),
            "auc_of_new_customers": _auc_of_new(data, train, test, probability),
        },
        "L3.3": {
            "kind": splits.kind,
            "labelled_at_cutoff": int((data.as_of == data.as_of[test].max()).sum()),
            "final_rows": len(test),
            "final_churn_share": float(data.churned[test].mean()),
            "training_churn_share": float(data.churned[train].mean()),
        },
    }


def _union(parts: list[Indices]) -> Indices:
    rows: Indices = np.unique(np.concatenate(parts))
    return rows


def _common(one: Indices, other: Indices) -> int:
    return len(np.intersect1d(one, other))


def _same_pairs(data: TrainingData, train: Indices, test: Indices) -> int:
    def pairs(rows: Indices) -> set[tuple[int, int]]:
        moments = data.as_of[rows].astype("int64")
        return set(zip(data.customers[rows].tolist(), moments.tolist(), strict=True))

    return len(pairs(train) & pairs(test))


def _identical_share(
    data: TrainingData, train: Indices, test: Indices, *, by_customer: bool
) -> float:
    """Share of final rows whose features and value equal a training row's, to the bit."""
    keys = [_hash_rows(data, rows, by_customer=by_customer) for rows in (train, test)]
    return float(np.isin(keys[1], keys[0]).mean())


def _hash_rows(data: TrainingData, rows: Indices, *, by_customer: bool) -> NDArray[np.uint64]:
    """64 bits a row; two different rows collide once in billions."""
    random = np.random.default_rng(64)
    columns = data.features.shape[1] + 2
    factors = random.integers(1, 2**63, columns, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    hashes = np.empty(len(rows), dtype=np.uint64)
    for start in range(0, len(rows), _CHUNK_ROWS):
        part = rows[start : start + _CHUNK_ROWS]
        owner = data.customers[part] if by_customer else np.zeros(len(part))
        matrix = np.column_stack([data.features[part], data.value_amount[part], owner])
        # One NaN and one zero, so that equal values are equal bits.
        bits = np.where(np.isnan(matrix), np.nan, matrix + 0.0).view(np.uint64)
        bits = (bits ^ (bits >> np.uint64(31))) * factors
        hashes[start : start + len(part)] = (bits ^ (bits >> np.uint64(29))).sum(
            axis=1, dtype=np.uint64
        )
    return hashes


def _find_frozen(data: TrainingData) -> tuple[str, ...]:
    """Features that stood still for everybody at the last cut-off and moved for most before."""
    if len(data.cutoffs) < 3:
        return ()
    last, before = (
        _changed_shares(data, data.cutoffs[place - 1], data.cutoffs[place]) for place in (-1, -2)
    )
    if last is None or before is None:
        return ()
    frozen = (last == 0) & (before >= _MOVING_SHARE)
    return tuple(name for name, stood in zip(data.feature_names, frozen, strict=True) if stood)


def _changed_shares(data: TrainingData, one: np.datetime64, other: np.datetime64) -> Floats | None:
    """By feature: share of the customers at both cut-offs for whom it changed; None without any."""
    rows = [np.flatnonzero(data.as_of == at) for at in (one, other)]
    _, first, second = np.intersect1d(
        data.customers[rows[0]], data.customers[rows[1]], return_indices=True
    )
    if not len(first):
        return None
    shares: Floats = np.empty(len(data.feature_names))
    for place in range(len(shares)):
        a = data.features[rows[0][first], place]
        b = data.features[rows[1][second], place]
        shares[place] = np.mean(~((a == b) | (np.isnan(a) & np.isnan(b))))
    return shares


def _horizon(data: TrainingData) -> np.timedelta64:
    return np.timedelta64(round((data.horizon_days or 0.0) * 86_400_000_000), "us")


def _describe_times(data: TrainingData, splits: Splits) -> dict[str, Any]:
    ends = data.as_of[splits.final] + _horizon(data)
    at = data.as_of[splits.test].min()
    timed = splits.kind == "time"
    return {
        "kind": splits.kind,
        "cutoffs": len(data.cutoffs),
        "final_cutoff": _iso(at),
        "latest_training_cutoff": _iso(data.as_of[splits.final].max()),
        "latest_training_outcome_ends_at": _iso(ends.max()),
        # Where customers were held out, not times, all share the cut-offs and no row is later.
        "training_outcomes_after_final_cutoff": int((ends > at).sum()) if timed else 0,
        "final_outcome_ends_at": _iso(at + _horizon(data)),
    }


def _overlapping_windows(data: TrainingData, train: Indices, test: Indices) -> int:
    """Training rows of final customers whose outcome window reaches into the final one."""
    shared = np.isin(data.customers[train], data.customers[test])
    starts = data.as_of[test].min()
    if data.horizon_days is None:
        return int(shared.sum())
    return int((shared & (data.as_of[train] + _horizon(data) > starts)).sum())


def _auc_of_new(
    data: TrainingData, train: Indices, test: Indices, probability: Floats
) -> float | None:
    """How well those are ordered whom no training row is about; None for too few of them."""
    new = ~np.isin(data.customers[test], data.customers[train])
    churned = data.churned[test][new]
    if len(churned) < _LEAST_NEW_CUSTOMERS or churned.all() or not churned.any():
        return None
    return float(area_under_curve(churned, probability[new]))


def _iso(at: np.datetime64) -> str:
    return f"{at.astype('datetime64[s]')}Z"
