"""Rows of feature tables as plain matrices, and what the lake knows of the same customers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.errors import DataRejected
from tasks.handles import FeatureTable
from tasks.warehouse import Lake, literal, quote

if TYPE_CHECKING:
    import pyarrow as pa

SQL = Path(__file__).parent / "sql"
Floats = NDArray[np.float64]
# The hash of an id that draws customers is a whole number below this.
_BUCKETS = 1_000_000


@dataclass(frozen=True)
class LabelledRows:
    """Customers at past cut-offs, those whose outcome is not known yet included.

    Shapes: `features` (n, p), NaN where missing; `customers` numbers from 0 in the order of ids,
    `cutoff_days` days since 1970, `churned` 1, 0, or -1 for not known: (n,). Sorted by cut-off and
    customer. `customer_ids` (customers,). `share` of all customers is here. `present` (n,) is
    False for who had paused for longer than the horizon at the cut-off: gone already, as far as
    can be seen, though still counted as active.
    """

    features: Floats
    customers: NDArray[np.int64]
    customer_ids: NDArray[np.object_]
    cutoff_days: NDArray[np.int64]
    churned: NDArray[np.int8]
    present: NDArray[np.bool_]
    feature_names: tuple[str, ...]
    share: float

    @property
    def matured(self) -> NDArray[np.bool_]:
        return self.churned >= 0


def read_labelled(
    lake: Lake, table: FeatureTable, names: Sequence[str], *, maximum_rows: int, seed: int
) -> LabelledRows:
    """Rows of a labelled table; if there are more than `maximum_rows`, those of some customers.

    A feature that the table lacks is NaN for everybody. Raises DataRejected (65) without a row.
    """
    share = min(1.0, maximum_rows / max(1, table.rows))
    listed = _list_features(names, table.feature_names)
    rows = lake.arrow(
        f"select customer_id, (epoch_us(as_of) // 86400000000)::bigint as cutoff_day,"
        f" coalesce(churned::tinyint, -1)::tinyint as outcome,"
        f" {present_condition(lake, table)} as is_present{listed}"
        f" from lake.main.{quote(table.table)} customer where {drawn_customers(share, seed)}"
        " order by as_of, customer_id"
    )
    if rows.num_rows == 0:
        raise DataRejected(
            "No customer of a past cut-off is there to learn reasons from.",
            found=f"the feature table '{table.table}' has {table.rows:,} rows",
            next_step="take more history in, or shorten `features.horizon_days`",
        )
    ids = np.asarray(rows["customer_id"].to_pylist(), dtype=object)
    customer_ids, customers = np.unique(ids, return_inverse=True)
    return LabelledRows(
        features=read_matrix(rows, names),
        customers=customers.astype(np.int64),
        customer_ids=customer_ids,
        cutoff_days=rows["cutoff_day"].to_numpy().astype(np.int64),
        churned=rows["outcome"].to_numpy().astype(np.int8),
        present=np.asarray(rows["is_present"].to_pylist(), dtype=np.bool_),
        feature_names=tuple(names),
        share=share,
    )


@dataclass(frozen=True)
class Batch:
    """Customers of the newest cut-off; `value` is NaN and a segment None where not known."""

    ids: list[str]
    features: Floats
    value: Floats
    segments: list[str | None]


def read_newest(
    lake: Lake, table: FeatureTable, names: Sequence[str], rows: int, segments_run: str | None
) -> Iterator[Batch]:
    """The newest cut-off in batches, ordered by id. A feature that the table lacks is NaN."""
    import pyarrow as pa

    sql = lake.text(
        SQL / "newest.sql",
        names={
            "table": f"lake.main.{quote(table.table)}",
            "features": _list_features(names, table.feature_names),
        },
    )
    reader = lake.cursor()
    values = {"as_of": table.as_of[-1], "segments_run": segments_run}
    for batch in reader.batches(sql, values, rows=rows):
        part = pa.Table.from_batches([batch])
        yield Batch(
            ids=part["customer_id"].to_pylist(),
            features=read_matrix(part, names),
            value=part["holdfast_value"].to_numpy(zero_copy_only=False).astype(np.float64),
            segments=part["holdfast_segment"].to_pylist(),
        )


def read_matrix(rows: pa.Table, names: Sequence[str]) -> Floats:
    """Columns by name as (rows, names) float64, NULL as NaN."""
    import pyarrow as pa

    matrix = np.empty((rows.num_rows, len(names)), dtype=np.float64)
    for place, name in enumerate(names):
        column = rows[name].cast(pa.float64()).combine_chunks()
        matrix[:, place] = column.to_numpy(zero_copy_only=False)
    matrix[~np.isfinite(matrix)] = np.nan
    return matrix


def as_table(matrix: Floats, names: Sequence[str]) -> pa.Table:
    """A matrix as the Arrow table that a predictor asks for; NaN is NULL."""
    import pyarrow as pa

    return pa.table(
        {
            name: pa.array(matrix[:, place], pa.float64(), from_pandas=True)
            for place, name in enumerate(names)
        }
    )


def present_condition(lake: Lake, table: FeatureTable) -> str:
    """SQL that is true for who had ordered within the horizon before the cut-off.

    Where leaving is not a lapse, whoever is in the table is there.
    """
    features = lake.settings.features
    if features.outcome != "lapse" or "recency_days" not in table.feature_names:
        return "true"
    return f"coalesce(recency_days <= {int(features.horizon_days)}, true)"


def find_constant(lake: Lake, table: FeatureTable, names: Sequence[str]) -> tuple[str, ...]:
    """Features with one value, or none, for all customers of the newest cut-off."""
    there = [name for name in names if name in set(table.feature_names)]
    if not there:
        return tuple(names)
    listed = ", ".join(
        f"count({quote(name)}) = 0 or (count({quote(name)}) = count(*)"
        f" and min({quote(name)}) = max({quote(name)})) as {quote(name)}"
        for name in there
    )
    row = lake.one(
        f"select {listed} from lake.main.{quote(table.table)} where as_of = $as_of",
        {"as_of": table.as_of[-1]},
    )
    return tuple(name for name in names if row.get(name, True))


def drawn_customers(share: float, seed: int) -> str:
    """The condition that draws this share of the customers, the same ones each time."""
    if share >= 1:
        return "true"
    least = max(1, round(share * _BUCKETS))
    return f"md5_number_lower(customer_id || {literal(str(seed))}) % {_BUCKETS} < {least}"


def find_segmentation(lake: Lake, as_of: datetime) -> str | None:
    """The newest run that put the customers of a cut-off into segments; None: there is none."""
    rows = lake.rows(lake.text(SQL / "newest_segmentation.sql"), {"as_of": as_of})
    return str(rows[0]["run_id"]) if rows else None


def _list_features(names: Sequence[str], present: Sequence[str]) -> str:
    there = set(present)
    return "".join(
        f", {f'customer.{quote(name)}' if name in there else 'null'}::double as {quote(name)}"
        for name in names
    )
