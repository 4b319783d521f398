"""Which rows may teach, which tune, and which judge: forward in time, never across a label.

    cut-offs      1    2    3    4    5    6    7    8    9    T
    test          ----- final training ----->  (embargo)       T
    fold 3        ----- training ---->  (embargo)    v
    fold 2        -- training -->  (embargo)    v
    fold 1        - training >  (embargo)  v

An outcome is known one horizon after its cut-off, so a training cut-off may only lie a whole
horizon before the cut-off it is judged at: that gap is the embargo. It also stands between the
validation cut-offs and the final test: what was chosen by them was known at the test's cut-off.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.churn.data import Indices, TrainingData
from tasks.errors import DataRejected

_TEST_SHARE = 0.25
_LEAST_CUSTOMERS_A_PART = 20


@dataclass(frozen=True)
class Fold:
    """Rows that teach and rows that judge, as row numbers.

    `at` is the cut-off of the rows that judge; None where customers, not times, were held out.
    """

    train: Indices
    valid: Indices
    label: str
    at: np.datetime64 | None = None


@dataclass(frozen=True)
class Splits:
    """`final` teaches the model that is judged once on `test`; `folds` choose it.

    `rolling` are the folds and those before them, earliest first: more cut-offs to calibrate on.
    `kind` is 'time', or 'customers' where the data has no earlier cut-off to learn from: then
    parts hold different customers and the figures say nothing of another time.
    """

    kind: Literal["time", "customers"]
    folds: tuple[Fold, ...]
    rolling: tuple[Fold, ...]
    final: Indices
    test: Indices
    test_as_of: datetime
    notes: tuple[str, ...] = ()


def split_data(data: TrainingData, *, folds: int, seed: int, calibration_folds: int = 0) -> Splits:
    """Divide the rows: by time where cut-offs allow, else by customer.

    Raises DataRejected (65) where a part would hold no churner or nobody who stayed.
    """
    if data.horizon_days is None or len(data.cutoffs) < 2:
        splits = _split_by_customer(data, folds, seed)
    else:
        splits = _split_by_time(data, folds, max(folds, calibration_folds), seed)
    for name, rows in (("the final test", splits.test), ("the training rows", splits.final)):
        churners = int(data.churned[rows].sum())
        if churners == 0 or churners == len(rows):
            raise DataRejected(
                f"Of {len(rows):,} customers in {name}, {churners:,} left: nothing to tell apart.",
                next_step="widen the horizon, or take more history in",
            )
    return splits


def _split_by_time(data: TrainingData, folds: int, rolling: int, seed: int) -> Splits:
    assert data.horizon_days is not None
    embargo = np.timedelta64(round(data.horizon_days * 86_400_000_000), "us")
    cutoffs = data.cutoffs
    test_at = cutoffs[-1]
    past = cutoffs[cutoffs + embargo <= test_at]
    if not len(past):
        raise DataRejected(
            "No cut-off lies a whole horizon before the last one.",
            found=f"{len(cutoffs)} cut-offs, {_day(cutoffs[0])} to {_day(test_at)}; "
            f"the horizon is {data.horizon_days:g} days",
            next_step="take more history in, or shorten the horizon",
        )
    made: list[Fold] = []
    for valid_at in past[::-1]:
        before = cutoffs[cutoffs + embargo <= valid_at]
        if not len(before) or len(made) == rolling:
            break
        train, valid = np.isin(data.as_of, before), data.as_of == valid_at
        if _has_both(data.churned[train]) and _has_both(data.churned[valid]):
            made.append(Fold(_rows(train), _rows(valid), _day(valid_at), valid_at))
    final = _rows(np.isin(data.as_of, past))
    notes: tuple[str, ...] = ()
    if len(made) < folds:
        notes = (f"{len(made)} of {folds} validation cut-offs: the history is short.",)
    if not made:
        made = list(_customer_folds(data, final, max(2, folds), seed))
        notes = ("No validation cut-off: chosen on customers held out, not on a later time.",)
    made.reverse()
    return Splits(
        kind="time",
        folds=tuple(made[-folds:]) if made[0].at is not None else tuple(made),
        rolling=tuple(made),
        final=final,
        test=_rows(data.as_of == test_at),
        test_as_of=_utc(test_at),
        notes=notes,
    )


def _split_by_customer(data: TrainingData, folds: int, seed: int) -> Splits:
    test = _draw(data.customers, seed) < _TEST_SHARE
    final = _rows(~test)
    note = "Split by customer, not by time: says nothing of how well it holds later."
    made = tuple(_customer_folds(data, final, max(2, folds), seed + 1))
    return Splits("customers", made, made, final, _rows(test), _utc(data.cutoffs[-1]), (note,))


def _customer_folds(data: TrainingData, rows: Indices, folds: int, seed: int) -> list[Fold]:
    part = (_draw(data.customers, seed)[rows] * folds).astype(np.int64)
    made: list[Fold] = []
    for number in range(folds):
        train, valid = rows[part != number], rows[part == number]
        if _has_both(data.churned[train]) and _has_both(data.churned[valid]):
            made.append(Fold(train, valid, f"customers {number + 1}/{folds}"))
    if not made or len(np.unique(data.customers[rows])) < _LEAST_CUSTOMERS_A_PART * folds:
        raise DataRejected(
            f"{len(np.unique(data.customers[rows])):,} customers are too few to choose a model by.",
            next_step="take more history or more customers in",
        )
    return made


def _draw(customers: Indices, seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each row, the same for all rows of a customer."""
    drawn: NDArray[np.float64] = np.random.default_rng(seed).random(int(customers.max()) + 1)
    return drawn[customers]


def _has_both(churned: NDArray[np.bool_]) -> bool:
    return bool(churned.any() and not churned.all())


def _rows(mask: NDArray[np.bool_]) -> Indices:
    return np.flatnonzero(mask).astype(np.int64)


def _utc(at: np.datetime64) -> datetime:
    moment: datetime = at.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)


def _day(at: np.datetime64) -> str:
    return _utc(at).date().isoformat()
