"""A lake filled by hand: rows straight into the canonical tables, as a published batch would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.contracts import CONTRACTS
from tasks.warehouse import Lake, quote

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


def at(day: float) -> datetime:
    """Midnight UTC of a day, counted from 2020-01-01; parts of a day are hours."""
    return EPOCH + timedelta(days=day)


def put(lake: Lake, table: str, rows: Sequence[Mapping[str, Any]], lag_days: float = 0) -> None:
    """Append rows to a table; what a row leaves out is NULL, `received_at` is event plus lag."""
    contract = CONTRACTS[table]
    names = [*contract.names, "batch_number", "row_number", "received_at"]
    listed = ", ".join(f"${name}" for name in names)
    with lake.transaction():
        for number, row in enumerate(rows):
            values = {
                **dict.fromkeys(contract.names),
                "batch_number": 1,
                "row_number": number,
                "received_at": row[contract.event_time] + timedelta(days=lag_days),
                **row,
            }
            lake.execute(
                f"insert into lake.main.{quote(table)} ({', '.join(map(quote, names))})"
                f" values ({listed})",
                values,
            )


def order(customer: str, day: float, amount: float = 10, **columns: Any) -> dict[str, Any]:
    """One order line at noon of a day."""
    return {
        "customer_id": customer,
        "order_id": f"{customer}-{day}",
        "ordered_at": at(day + 0.5),
        "quantity": 1,
        "net_amount": amount,
        "currency": "GBP",
        "is_return": amount < 0,
        **columns,
    }


def put_random_shop(lake: Lake, customers: int, days: int, gap_days: int = 20) -> None:
    """Customers who order about every `gap_days`, half of whom stop somewhere on the way."""
    lake.execute(
        "insert into lake.main.orders by name"
        " with person as (select 'c' || lpad(i::varchar, 5, '0') as customer_id, i,"
        "   (hash(i) % 1000) / 1000.0 as u, hash(i, 1) % 2 = 0 as stops,"
        "   (hash(i, 2) % $days)::integer as until from range($customers) r(i)),"
        " bought as (select *, $start + to_days(day::integer) + interval 12 hours as ordered_at"
        "   from person, range($days) d(day)"
        "   where hash(i, day, 3) % $gap_days = 0 and (not stops or day < until))"
        " select customer_id, customer_id || day as order_id, ordered_at,"
        "   1::decimal(18, 4) as quantity, (1 + hash(i, day) % 50)::decimal(18, 4) as net_amount,"
        "   'GBP' as currency, false as is_return, 1 as batch_number, day as row_number,"
        "   ordered_at as received_at from bought",
        {"days": days, "customers": customers, "start": EPOCH, "gap_days": gap_days},
    )
