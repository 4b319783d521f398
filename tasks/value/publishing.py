"""Values of customers and what was found out about them, into the lake at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.archive import hash_parts, insert_findings, recall_findings
from tasks.crash import crash_point
from tasks.findings import ValueFindings

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.handles import FeatureTable
    from tasks.settings import Settings
    from tasks.studies import TriedSetting
    from tasks.warehouse import Lake

Floats = NDArray[np.float64]

_SQL = Path(__file__).with_name("sql")
# Counted up when the same data give other rows, lest a night be taken for done by older code.
_METHOD = 2
_UNIT = 10_000  # amounts have four decimals


@dataclass(frozen=True, slots=True)
class Values:
    """One row a customer, arrays of shape (customers,). Amounts are rounded to four decimals.

    `orders`, `alive` and `churn` are NaN where unknown; `contradiction` holds codes or None.
    """

    customer_ids: pa.Array
    orders: Floats
    spend: Floats
    value: Floats
    low: Floats
    high: Floats
    alive: Floats
    churn: Floats
    contradiction: pa.Array


@dataclass(frozen=True, slots=True)
class Valuation:
    """A run and what it found; `is_new` is false where it had been published before.

    `figures` and `trials` are for the tracking store.
    """

    run_id: str
    found: ValueFindings
    is_new: bool
    figures: dict[str, float]
    trials: tuple[TriedSetting, ...] = ()


def name_run(settings: Settings, table: FeatureTable, scoring_id: str | None, orders: str) -> str:
    """The run's id: sha256, shortened, over everything that its rows depend on.

    `orders` names what is known of the customers' past beside the features of the night.
    """
    parts = {
        "method": _METHOD,
        "deployment": settings.deployment,
        "features": table.fingerprint,
        "as_of": table.as_of[-1].isoformat(),
        "known_by": table.known_by[-1].isoformat(),
        "orders": orders,
        "scoring": scoring_id,
        "value": settings.value.model_dump(mode="json"),
        "outcome": settings.features.model_dump(mode="json"),
        "margin": [settings.economics.margin_share, settings.economics.currency],
    }
    return hash_parts(parts)


def find_run(lake: Lake, run_id: str) -> Valuation | None:
    """A run that is already published, or None."""
    found = recall_findings(lake, ValueFindings, run_id)
    return None if found is None else Valuation(run_id, found, False, {})


def publish(lake: Lake, made: Valuation, values: Values) -> Valuation:
    """The rows and the findings in one transaction; once, whoever races us."""
    import pyarrow as pa

    found = made.found
    columns: dict[str, Any] = {
        "customer_id": values.customer_ids,
        "expected_orders": _nullable(values.orders),
        "spend": values.spend,
        "value": values.value,
        "low": values.low,
        "high": values.high,
        "alive_probability": _nullable(values.alive),
        "churn_probability": _nullable(values.churn),
        "contradiction": values.contradiction,
    }
    with lake.writer_lock("publish values"):
        done = find_run(lake, made.run_id)
        if done is not None:
            return replace(done, figures=made.figures, trials=made.trials)
        crash_point("value.before_publish")
        lake.load_arrow("value_rows", pa.table(columns))
        try:
            with lake.publish(
                "holdfast",
                f"values of {found.as_of:%Y-%m-%d} by {found.contest.served}",
                {"run_id": made.run_id},
            ):
                lake.run(
                    _SQL / "publish.sql",
                    {
                        "as_of": found.as_of,
                        "known_by": found.known_by,
                        "run_id": made.run_id,
                        "method": found.contest.served,
                        "horizon_days": found.horizon_days,
                        "currency": found.currency,
                    },
                )
                insert_findings(lake, made.run_id, found)
        finally:
            lake.drop_arrow("value_rows")
    crash_point("value.published")
    return made


def round_amounts(amounts: Floats) -> Floats:
    """To the four decimals that the lake keeps."""
    return np.asarray(np.rint(amounts * _UNIT) / _UNIT)


def add_amounts(amounts: Floats) -> Decimal:
    """The exact sum of rounded amounts."""
    return Decimal(int(np.rint(amounts * _UNIT).astype(np.int64).sum())) / _UNIT


def to_amount(value: float) -> Decimal:
    """A figure as an amount of four decimals."""
    return Decimal(round(value * _UNIT)) / _UNIT


def _nullable(column: Floats) -> pa.Array:
    import pyarrow as pa

    return pa.array(column, pa.float64(), from_pandas=True)
