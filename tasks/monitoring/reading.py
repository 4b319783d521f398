"""Rows of feature tables as columns of numbers; of very many customers always the same part."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.monitoring.money import Floats
from tasks.warehouse import quote

if TYPE_CHECKING:
    from tasks.handles import FeatureTable
    from tasks.warehouse import Lake

# The hash of an id that draws customers is a whole number below this.
_BUCKETS = 1_000_000


def read_columns(
    lake: Lake,
    table: FeatureTable,
    names: Sequence[str],
    share: float,
    as_of: datetime | None = None,
) -> tuple[dict[str, Floats], NDArray[np.int64]]:
    """Columns by name, NaN where missing, and each row's cut-off in microseconds since 1970.

    `share` of the customers are drawn; `as_of` takes one cut-off. A name that the table lacks is
    missing for everybody.
    """
    present = {row["column_name"] for row in lake.rows(f"describe lake.main.{quote(table.table)}")}
    listed = ", ".join(
        f"{quote(name) if name in present else 'null'}::double as {quote(name)}" for name in names
    )
    rows = lake.arrow(
        f"select epoch_us(as_of) as holdfast_moment, {listed} from lake.main.{quote(table.table)}"
        " where ($as_of::timestamptz is null or as_of = $as_of)"
        " and md5_number_lower(customer_id) % $buckets::ubigint < $least"
        " order by as_of, customer_id",
        {
            "as_of": as_of,
            "buckets": _BUCKETS,
            "least": _BUCKETS if share >= 1 else max(1, round(share * _BUCKETS)),
        },
    )
    columns = {}
    for name in names:
        values = rows[name].combine_chunks().to_numpy(zero_copy_only=False).astype(np.float64)
        columns[name] = np.where(np.isfinite(values), values, np.nan)
    return columns, rows["holdfast_moment"].to_numpy().astype(np.int64)
