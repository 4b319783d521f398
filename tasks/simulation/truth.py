"""What is true of simulated customers at a moment: who is there, who will lapse, what contact does.

The probabilities are those of an observer who knows each customer's rates, whether he is still
there, and when complaints and contacts come, and only not when he leaves and orders: the most
that any model could know. They are integrated day by day, exactly where hazard and purchase rate
keep their ratio within a day.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import UsageError
from tasks.simulation.process import MARGIN_DAYS, SQL, Plan, make_lives, make_world
from tasks.warehouse import Connection, scratch

if TYPE_CHECKING:
    import pyarrow as pa

# Sums of floating point numbers depend on their order; on one thread it is always the same.
_THREADS = 1


def reveal(
    plan: Plan,
    as_of: date,
    horizon_days: int,
    *,
    memory_limit_mb: int = 1024,
) -> pa.Table:
    """One row a customer who had come by `as_of` (midnight UTC), for the days [as_of, + horizon).

    Columns: customer_id; is_alive, contact_kind, is_held_out; dropout_probability (leaves for
    good), lapse_probability (no order), orders_mean, spend_mean (in the currency, net of discounts
    and returns); contact_effect_on_{dropout,lapse,spend}: one contact at `as_of` against none.
    Raises UsageError (64) if the moment lies outside of what is simulated.
    """
    import pyarrow as pa

    with scratch(memory_limit_mb=memory_limit_mb, threads=_THREADS) as connection:
        return pa.concat_tables(reveal_chunks(connection, plan, as_of, horizon_days))


def write_truth(plan: Plan, as_of: date, horizon_days: int, path: Path) -> Path:
    """The table of `reveal` as a Parquet file, made chunk by chunk."""
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    writer: pq.ParquetWriter | None = None
    try:
        with scratch(threads=_THREADS) as connection:
            for table in reveal_chunks(connection, plan, as_of, horizon_days):
                if writer is None:
                    writer = pq.ParquetWriter(partial, table.schema, compression="zstd")
                writer.write_table(table)
        if writer is not None:
            writer.close()
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def reveal_chunks(
    connection: Connection, plan: Plan, as_of: date, horizon_days: int
) -> Iterator[pa.Table]:
    """The same in chunks of customers, in their order."""
    as_of_day = (as_of - plan.start_on).days
    if not 0 <= as_of_day <= plan.window_days or not horizon_days >= 1:
        raise UsageError(
            f"{as_of} lies outside of what is simulated.",
            found=f"simulated from {plan.start_on} to {plan.end_on}",
        )
    if as_of_day + horizon_days > plan.window_days + MARGIN_DAYS:
        raise UsageError(
            f"{horizon_days} days after {as_of} reach too far.",
            found=f"known until {MARGIN_DAYS} days after {plan.end_on}",
        )
    world = make_world(connection, plan)
    sql = connection.text(SQL / "truth_at.sql")
    size = plan.population.chunk_customers
    for first in range(0, plan.customers, size):
        values = make_lives(connection, world, first, min(first + size, plan.customers))
        yield connection.arrow(
            sql, {**values, "as_of_day": float(as_of_day), "horizon_days": float(horizon_days)}
        )
