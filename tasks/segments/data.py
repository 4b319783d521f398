"""What segments are learnt from: a sample of customers at a cut-off whose outcome is known.

    as_of (of the night) ----------------------------------------------+
    taught at: the last cut-off whose horizon has passed ---+- horizon -+   churn and spending
    the cut-off before it ------------------------+- step -+               stability by the month

The sample is drawn by a hash of the customer, so the same lake gives the same sample, in the same
order, at any later time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import DataRejected
from tasks.warehouse import quote

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.groups import SegmentsSettings
    from tasks.handles import FeatureTable
    from tasks.sections import FeaturesSettings
    from tasks.warehouse import Lake

_SQL = Path(__file__).with_name("sql")
Matrix = NDArray[np.float64]
# Beside every feature table's features; what the fifths by value are cut from.
VALUE_COLUMN = "value_amount"
# What they have spent so far; the difference between two cut-offs is what they spent between.
_TOTAL_COLUMN = "amount_total"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Customers of one cut-off, what they were a step before, and what became of them.

    `matrix` and `before` are (rows, names) with NaN for missing; `was_there` says whose row of
    `before` exists. `churned` is 0 or 1, NaN where unknown; `spent` in currency, over the horizon
    after the cut-off where it can be told, else `value_amount`.
    """

    customer_ids: NDArray[Any]
    names: tuple[str, ...]
    matrix: Matrix
    before: Matrix
    was_there: NDArray[np.bool_]
    churned: Matrix
    spent: Matrix

    def __len__(self) -> int:
        return len(self.customer_ids)

    def take(self, rows: NDArray[Any] | slice) -> Evidence:
        """The same of some rows."""
        return Evidence(
            self.customer_ids[rows],
            self.names,
            self.matrix[rows],
            self.before[rows],
            self.was_there[rows],
            self.churned[rows],
            self.spent[rows],
        )

    def halves(self) -> tuple[Evidence, Evidence]:
        """Every other customer: what the search sees, and what the contest is held on."""
        return self.take(slice(0, None, 2)), self.take(slice(1, None, 2))


def plan_cutoffs(as_of: datetime, settings: FeaturesSettings) -> tuple[datetime, ...]:
    """The cut-offs to build, ascending: the one before, the taught one, and `as_of`.

    A static set ('given') has the one cut-off `as_of`.
    """
    if settings.outcome == "given":
        return (as_of,)
    taught = as_of - timedelta(days=settings.horizon_days)
    return taught - timedelta(days=settings.cutoff_step_days), taught, as_of


def choose_features(lake: Lake, table: FeatureTable, settings: SegmentsSettings) -> tuple[str, ...]:
    """The declared features that the table has and that differ between customers at each cut-off.

    In the order of declaration. Raises DataRejected (65) for fewer than two.
    """
    present = [name for name in settings.features if name in table.feature_names]
    kept: list[str] = []
    if present:
        spread = ", ".join(
            f"min({quote(name)}) < max({quote(name)}) as {quote(name)}" for name in present
        )
        rows = lake.rows(
            f"select {spread} from lake.main.{quote(table.table)}"
            " where as_of = $taught or as_of = $as_of group by as_of",
            {"taught": taught_at(table), "as_of": table.as_of[-1]},
        )
        kept = [name for name in present if rows and all(row[name] for row in rows)]
    if len(kept) < 2:
        raise DataRejected(
            "Customers cannot be grouped: two features are needed in which they differ.",
            found=(
                f"{len(settings.features)} declared in `segments.features`, {len(present)} of them"
                f" in the feature table, {len(kept)} not constant"
                + (f" ({', '.join(kept)})" if kept else "")
            ),
            available=table.feature_names,
            next_step="declare features that this deployment has in `segments.features`",
        )
    return tuple(kept)


def taught_at(table: FeatureTable) -> datetime:
    """The cut-off with the outcome, of a table built at `plan_cutoffs`."""
    return table.as_of[-2] if len(table.as_of) > 1 else table.as_of[-1]


def read_evidence(
    lake: Lake, table: FeatureTable, names: tuple[str, ...], settings: SegmentsSettings
) -> Evidence:
    """A sample of the customers at the cut-off with the outcome, in the order of their hash.

    Raises DataRejected (65) for too few customers.
    """
    taught, as_of = taught_at(table), table.as_of[-1]
    before = table.as_of[0] if len(table.as_of) > 2 else None
    columns = _columns(lake, table)
    told = _TOTAL_COLUMN in columns and taught < as_of
    selected = ", ".join(
        f"chosen.{quote(name)}::double as {quote(name)},"
        f" earlier.{quote(name)}::double as {quote('before ' + name)}"
        for name in names
    )
    rows = lake.arrow(
        lake.text(
            _SQL / "evidence.sql",
            names={
                "features": f"lake.main.{quote(table.table)}",
                "selected": selected,
                "churned": "chosen.churned::double" if "churned" in columns else "null::double",
                "spent": (
                    f"greatest(coalesce(later.{_TOTAL_COLUMN} - chosen.{_TOTAL_COLUMN}, 0), 0)"
                    if told
                    else f"chosen.{VALUE_COLUMN}"
                ),
            },
        ),
        {
            "taught": taught,
            "before": before,
            "as_of": as_of,
            "rows": max(settings.fit_rows, 2 * settings.judged_rows),
        },
    )
    if rows.num_rows < settings.minimum_customers:
        raise DataRejected(
            "There are too few customers to find groups among.",
            found=(
                f"{rows.num_rows:,} customers at {taught:%Y-%m-%d}, the last cut-off whose outcome"
                f" is known; {settings.minimum_customers:,} needed"
            ),
            next_step=(
                "wait for more customers or a longer history, or lower `segments.minimum_customers`"
            ),
        )
    return Evidence(
        customer_ids=np.array(rows["customer_id"].to_pylist(), dtype=object),
        names=names,
        matrix=to_matrix(rows, names),
        before=to_matrix(rows, tuple(f"before {name}" for name in names)),
        was_there=rows["was_there"].to_numpy(zero_copy_only=False).astype(bool),
        churned=_floats(rows["churned"]),
        spent=np.nan_to_num(_floats(rows["spent"])),
    )


def read_present(
    lake: Lake, table: FeatureTable, names: tuple[str, ...], rows: int
) -> tuple[NDArray[Any], Matrix]:
    """A sample of the customers at the newest cut-off: ids and (rows, names), by their hash."""
    listed = ", ".join(f"{quote(name)}::double as {quote(name)}" for name in names)
    found = lake.arrow(
        f"select customer_id, {listed} from lake.main.{quote(table.table)} where as_of = $as_of"
        " order by md5(customer_id), customer_id limit $rows",
        {"as_of": table.as_of[-1], "rows": rows},
    )
    return np.array(found["customer_id"].to_pylist(), dtype=object), to_matrix(found, names)


def to_matrix(rows: pa.Table, names: tuple[str, ...]) -> Matrix:
    """Columns of an Arrow table as (rows, names), NaN for NULL."""
    matrix = np.empty((rows.num_rows, len(names)), dtype=np.float64)
    for place, name in enumerate(names):
        matrix[:, place] = _floats(rows[name])
    return matrix


def _floats(column: pa.ChunkedArray) -> Matrix:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _columns(lake: Lake, table: FeatureTable) -> set[str]:
    rows = lake.rows(f"describe lake.main.{quote(table.table)}")
    return {str(row["column_name"]) for row in rows}
