"""What the family reads of the lake: counts, amounts, features with what came after, churn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import DataRejected
from tasks.handles import FeatureTable
from tasks.value.btyd import Counts
from tasks.visibility import supersessions, visible
from tasks.warehouse import quote

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.warehouse import Lake

Floats = NDArray[np.float64]

_SQL = Path(__file__).with_name("sql")
_DAYS_A_WEEK = 7.0
# Of the features, what rules and purchase models look at.
BASICS = ("recency_days", "tenure_days", "order_days_total", "amount_total", "amount_365")


@dataclass(frozen=True, slots=True)
class Basics:
    """What each customer's orders come to at a cut-off; arrays of shape (customers,), in days."""

    recency_days: Floats
    tenure_days: Floats
    order_days: Floats
    amount_total: Floats
    amount_365: Floats

    @property
    def frequency(self) -> Floats:
        return self.order_days - 1

    @property
    def recency_weeks(self) -> Floats:
        """From the first order to the last."""
        return (self.tenure_days - self.recency_days) / _DAYS_A_WEEK

    @property
    def age_weeks(self) -> Floats:
        return self.tenure_days / _DAYS_A_WEEK

    @property
    def mean_amount(self) -> Floats:
        return self.amount_total / self.order_days


@dataclass(frozen=True, slots=True)
class Judged:
    """The customers of a past cut-off and what they did after it; arrays have a row a customer.

    `features` is (customers, features) float32 with NaN for missing. Rows are in the order of a
    hash of the customer.
    """

    basics: Basics
    features: NDArray[np.float32]
    spend: Floats
    ordered_soon: NDArray[np.bool_]
    order_days: Floats
    lot: Floats


@dataclass(frozen=True, slots=True)
class Served:
    """The customers of the night. `churn` is NaN where nobody has scored them."""

    customer_ids: pa.Array
    basics: Basics
    features: NDArray[np.float32]
    churn: Floats


@dataclass(frozen=True, slots=True)
class Sight:
    """The orders as known at a moment of the night's snapshot: SQL, and the value it binds."""

    orders: str
    known_by: datetime


def see_orders(lake: Lake, snapshot_id: int, known_by: datetime) -> Sight:
    """The orders of a snapshot that are visible at `known_by`."""
    superseded = supersessions(lake, snapshot_id, "orders")
    return Sight(visible("orders", snapshot_id, superseded), known_by)


def find_first_order(lake: Lake, sight: Sight) -> datetime | None:
    """When the first order came, or None."""
    first: datetime | None = lake.scalar(
        f"select min(ordered_at) from {sight.orders} where not is_return",
        {"known_by": sight.known_by},
    )
    return first


def name_orders(lake: Lake, sight: Sight, as_of: datetime) -> str:
    """A text that changes with the orders: how many, their sum, and when the last was received."""
    row = lake.one(
        "select count(*) as lines, sum(net_amount) as amount, max(received_at) as received_at"
        f" from {sight.orders} where ordered_at < $as_of",
        {"known_by": sight.known_by, "as_of": as_of},
    )
    return f"{row['lines']}:{row['amount']}:{row['received_at']}"


def read_counts(lake: Lake, sight: Sight, as_of: datetime) -> Counts:
    """Everybody who has ordered by the cut-off, active or not, collapsed; times in weeks."""
    table = lake.arrow(
        lake.text(_SQL / "purchase_counts.sql", names={"orders": sight.orders}),
        {
            "known_by": sight.known_by,
            "as_of": as_of,
            "as_of_day": int(as_of.timestamp()) // 86_400,
        },
    )
    return Counts(
        frequency=_column(table, "frequency"),
        recency=_column(table, "recency_days") / _DAYS_A_WEEK,
        age=_column(table, "age_days") / _DAYS_A_WEEK,
        customers=_column(table, "customers"),
    )


def read_amounts(lake: Lake, sight: Sight, as_of: datetime) -> tuple[Floats, Floats, Floats]:
    """Order days, mean amount of one, and how many customers share both; as of the cut-off."""
    table = lake.arrow(
        lake.text(_SQL / "mean_amounts.sql", names={"orders": sight.orders}),
        {"known_by": sight.known_by, "as_of": as_of},
    )
    return (
        _column(table, "order_days"),
        _column(table, "mean_amount"),
        _column(table, "customers"),
    )


def read_judged(
    lake: Lake,
    table: FeatureTable,
    as_of: datetime,
    sight: Sight,
    *,
    horizon_days: int,
    churn_days: int,
    maximum_rows: int,
) -> Judged:
    """The customers of one cut-off of a feature table and what `sight` knows came after it.

    Of more than `maximum_rows` those with the lowest hash.
    """
    names = _require_columns(table)
    found = lake.arrow(
        lake.text(
            _SQL / "judged.sql",
            names={
                "orders": sight.orders,
                "columns": ", ".join(f"features.{quote(name)}" for name in names),
                "features": f"lake.main.{quote(table.table)}",
            },
        ),
        {
            "known_by": sight.known_by,
            "as_of": as_of,
            "horizon_days": horizon_days,
            "churn_days": churn_days,
            "maximum_rows": maximum_rows,
        },
    )
    return Judged(
        basics=_basics(found),
        features=_matrix(found, names),
        spend=_column(found, "holdfast_spend"),
        ordered_soon=found["holdfast_ordered_soon"].to_numpy().astype(bool),
        order_days=_column(found, "holdfast_order_days"),
        lot=_column(found, "holdfast_lot"),
    )


def read_served(
    lake: Lake, table: FeatureTable, scoring_id: str | None, *, with_features: bool
) -> Served:
    """Every customer of the newest cut-off of a feature table, with churn by that scoring.

    Without `with_features` the matrix has no columns: rules and purchase models need none.
    """
    every = _require_columns(table)
    names = every if with_features else BASICS
    scores = "select null::varchar as customer_id, null::double as probability where false"
    if scoring_id is not None:
        scores = (
            "select customer_id, probability from lake.main.scores where scoring_id = $scoring_id"
        )
    found = lake.arrow(
        lake.text(
            _SQL / "served.sql",
            names={
                "columns": ", ".join(quote(name) for name in names),
                "features": f"lake.main.{quote(table.table)}",
                "scores": scores,
            },
        ),
        {"as_of": table.as_of[-1], "scoring_id": scoring_id},
    )
    return Served(
        customer_ids=found["customer_id"].combine_chunks(),
        basics=_basics(found),
        features=_matrix(found, every if with_features else ()),
        churn=_column(found, "holdfast_churn"),
    )


def _require_columns(table: FeatureTable) -> Sequence[str]:
    missing = [name for name in BASICS if name not in table.feature_names]
    if missing:
        raise DataRejected(
            "The feature table lacks what value is worked out from.",
            found=f"no column {', '.join(missing)}",
            next_step="build features from orders: `features.outcome: lapse` does",
        )
    return table.feature_names


def _basics(found: pa.Table) -> Basics:
    return Basics(
        recency_days=_column(found, "recency_days"),
        tenure_days=_column(found, "tenure_days"),
        order_days=np.maximum(_column(found, "order_days_total"), 1.0),
        amount_total=np.maximum(np.nan_to_num(_column(found, "amount_total")), 0.0),
        amount_365=np.maximum(np.nan_to_num(_column(found, "amount_365")), 0.0),
    )


def _matrix(found: pa.Table, names: Sequence[str]) -> NDArray[np.float32]:
    matrix = np.empty((found.num_rows, len(names)), dtype=np.float32)
    for place, name in enumerate(names):
        matrix[:, place] = _column(found, name)
    return matrix


def _column(found: Any, name: str) -> Floats:
    return np.asarray(found[name].to_numpy(), dtype=np.float64)
