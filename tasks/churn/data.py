"""The labelled rows that a training learns from, as plain matrices."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import DataRejected, InternalError, suggest

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_NUMBERS = ("int", "uint", "float", "double", "bool", "decimal", "halffloat")


@dataclass(frozen=True)
class TrainingData:
    """Customers at cut-offs with what was known of them then and whether they left after.

    Shapes: `features` (n, p) float64 with NaN where missing; `churned`, `as_of`, `customers`,
    `value_amount` (n,). `as_of` is datetime64[us] in UTC. `customers` are numbers from 0 in the
    order of the ids' text: they group rows and say nothing else. `value_amount` is what a customer
    is worth before margin (NaN: unknown). Rows are sorted by (as_of, customer), so that the same
    table in another order gives the same data. `horizon_days` is the length of the label's
    window; None for a static set, whose outcome is given. `words` says each driver in plain words.
    """

    features: Floats
    churned: NDArray[np.bool_]
    as_of: NDArray[np.datetime64]
    customers: Indices
    value_amount: Floats
    feature_names: tuple[str, ...]
    drivers: tuple[str, ...]
    horizon_days: float | None
    slices: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return int(self.features.shape[0])

    @cached_property
    def cutoffs(self) -> NDArray[np.datetime64]:
        """The distinct cut-offs, earliest first."""
        return np.unique(self.as_of)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over everything a model can learn from; row order does not matter."""
        digest = hashlib.sha256()
        digest.update(repr((self.feature_names, self.drivers, self.horizon_days)).encode())
        for part in (self.features, self.churned, self.as_of.astype("int64"), self.customers):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()

    def column(self, name: str) -> Floats:
        """One feature, shape (n,)."""
        return self.features[:, self.feature_names.index(name)]


def read_training_data(
    table: pa.Table,
    *,
    drivers: Mapping[str, str],
    horizon_days: float | None,
    value_column: str | None = None,
    slice_columns: Sequence[str] = (),
    words: Mapping[str, str] | None = None,
) -> TrainingData:
    """Take the columns `customer_id`, `as_of`, `churned` and the features out of `table`.

    `drivers` maps each feature to its business driver, and its order is the matrix's. Rows whose
    outcome is not known (`churned` NULL) are left out. Raises DataRejected (65) where a column is
    missing, a feature is not a number or infinite, or a customer stands twice at a cut-off.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    needed = ["customer_id", "as_of", "churned", *drivers, *slice_columns]
    needed += [value_column] if value_column else []
    for name in needed:
        if name not in table.column_names:
            raise DataRejected(
                f"The labelled table has no column '{name}'.",
                found=suggest(name, table.column_names),
            )
    matured = pc.is_valid(table["churned"])
    table = table.filter(matured)
    if table.num_rows == 0:
        raise DataRejected(
            "No row of the labelled table has a known outcome.",
            next_step="wait until a horizon has passed after the first cut-off, or shorten it",
        )
    order = pc.sort_indices(
        table.select(["as_of", "customer_id"]),
        sort_keys=[("as_of", "ascending"), ("customer_id", "ascending")],
    )
    table = table.take(order)
    as_of = table["as_of"].cast(pa.timestamp("us", tz=_zone(table["as_of"].type))).to_numpy()
    ids = np.asarray(table["customer_id"].cast(pa.string()).to_pylist(), dtype=object)
    _, customers = np.unique(ids, return_inverse=True)
    if len(np.unique(np.column_stack([as_of.astype("int64"), customers]), axis=0)) < len(ids):
        raise DataRejected("A customer stands twice at one cut-off of the labelled table.")
    features = np.empty((table.num_rows, len(drivers)), dtype=np.float64)
    for place, name in enumerate(drivers):
        features[:, place] = read_numbers(table[name], name)
    value = (
        read_numbers(table[value_column], value_column)
        if value_column
        else np.full(table.num_rows, np.nan)
    )
    return TrainingData(
        features=features,
        churned=np.asarray(table["churned"].cast(pa.bool_()).to_pylist(), dtype=np.bool_),
        as_of=as_of.astype("datetime64[us]"),
        customers=customers.astype(np.int64),
        value_amount=value,
        feature_names=tuple(drivers),
        drivers=tuple(drivers.values()),
        horizon_days=horizon_days,
        slices={name: _texts(table[name]) for name in slice_columns},
        words=dict(words or {}),
    )


def read_numbers(column: Any, name: str) -> Floats:
    """An Arrow column as float64, NULL as NaN. Raises DataRejected for text or an infinity."""
    import pyarrow as pa

    if not str(column.type).startswith(_NUMBERS):
        raise DataRejected(
            f"The feature '{name}' is {column.type}, not a number.",
            next_step="encode it in the feature query, or leave it out",
        )
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    numbers = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    values: Floats = np.array(numbers, dtype=np.float64)
    if np.isinf(values).any():
        raise DataRejected(
            f"The feature '{name}' is infinite in {int(np.isinf(values).sum())} rows.",
            next_step="guard the division in its query",
        )
    return values


def _zone(kind: Any) -> str | None:
    zone: str | None = kind.tz if hasattr(kind, "tz") else None
    if not str(kind).startswith("timestamp"):
        raise InternalError(f"`as_of` of the labelled table is {kind}, not a timestamp.")
    return zone


def _texts(column: Any) -> NDArray[np.str_]:
    return np.asarray(["unknown" if v is None else str(v) for v in column.to_pylist()])
