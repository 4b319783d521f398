"""Order days of many customers, and what each cut-off sees of them, by cumulative sums.

The days lie sorted by customer and day. A sum over a window is then the difference of two
cumulative sums, and both ends are found for all customers of a cut-off at once:
one pass over the days serves every window of every cut-off. Sums are of whole numbers (int64),
so differences are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import InternalError

if TYPE_CHECKING:
    import pyarrow as pa

Ints = NDArray[np.int64]

WINDOWS_DAYS = (7, 30, 90, 180, 365)
# Columns that may not fit 32 bits start so.
_WIDE = ("amount", "last_amount", "returned", "discount", "gap_squares", "lines")
# Columns of `order_day` that are summed as they are.
_MEASURES = (
    "lines", "amount", "returned", "discount", "discount_known_amount"
)  # fmt: skip
# Which windows of which measure are wanted: the columns are called `<measure>_<days>`.
_WINDOWED = {
    "order_days": WINDOWS_DAYS,
    "amount": WINDOWS_DAYS,
    "lines": (90, 365),
    "returned": (365,),
    "return_days": (365,),
    "discount": (90, 365),
    "discount_known_amount": (90, 365),
    "new_categories": (90,),
}


@dataclass(frozen=True)
class OrderDays:
    """One entry a customer and day with a line, sorted; arrays of shape (n,), sums (n + 1,).

    `late` counts the cut-offs that cannot see the day, and does not fall within a customer.
    `last_order` and `next_order` are the nearest entries with something
    bought, at or before and at or after each (-1 and n: none), of any customer. `customers` have
    their first entries at `start`.
    """

    customer: Ints
    day: NDArray[np.int32]
    late: NDArray[np.int32]
    last_order: Ints
    next_order: Ints
    amount: Ints
    gap: Ints
    longest_gap: Ints
    sums: dict[str, Ints]
    customers: Ints
    start: Ints


def find_late_customers(table: pa.Table) -> Ints:
    """Customers for whom a cut-off does not see the beginning of what the next one sees."""
    customer, day, late = (_ints(table, name) for name in ("customer_number", "day", "late"))
    same = customer[1:] == customer[:-1]
    wrong = np.zeros(len(customer), dtype=bool)
    wrong[1:] = same & ((late[1:] < late[:-1]) | (day[1:] == day[:-1]))
    wrong |= table["doubtful"].to_numpy(zero_copy_only=False).astype(bool)
    return np.unique(customer[wrong])


def read_order_days(table: pa.Table, without: Ints) -> OrderDays:
    """Arrays of the table `order_day`, less the customers of `without`."""
    kept = ~np.isin(_ints(table, "customer_number"), without)

    def read(name: str) -> Ints:
        values = _ints(table, name)
        return values[kept] if len(without) else values

    customer, day = read("customer_number"), read("day")
    same_before = customer[1:] == customer[:-1]
    if ((customer[1:] < customer[:-1]) | same_before & (day[1:] <= day[:-1])).any():
        raise InternalError("Order days came out of the database unsorted or twice.")
    measures: dict[str, NDArray[Any]] = {name: read(name) for name in _MEASURES}
    bought = measures["lines"] > 0
    places = np.flatnonzero(bought)
    earlier, later = places[:-1], places[1:]
    same = customer[later] == customer[earlier]
    gap = np.zeros(len(customer), dtype=np.int64)
    gap[later] = np.where(same, day[later] - day[earlier], 0)
    # A day opens a calendar month if it is the customer's first order day in it.
    month = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    new_month = bought.copy()
    new_month[later] = ~(same & (month[later] == month[earlier]))
    for name in ("categories", "channels"):
        if f"new_{name}" in table.column_names:
            measures[f"new_{name}"] = read(f"new_{name}")
        else:
            bits = _ints(table, f"{name}_bits")[kept].view(np.uint64)
            measures[f"new_{name}"] = _count_new_bits(bits, customer)
    measures |= {
        "order_days": bought,
        "return_days": read("has_return"),
        "new_month": new_month,
        "gap_square": gap * gap,
        # A year has at most 53 of each weekday: seven counts of nine digits travel in one number.
        "weekdays": bought * (1 << (9 * ((day + 4) % 7))),
    }
    entries = np.arange(len(customer))
    # Gaps are lifted by customer, so that the running maximum starts anew with each.
    step = int(gap.max(initial=0)) + 1
    customers, start = np.unique(customer, return_index=True)
    return OrderDays(
        customer=customer,
        day=day.astype(np.int32),
        late=read("late").astype(np.int32),
        last_order=np.maximum.accumulate(np.where(bought, entries, -1)),
        next_order=np.minimum.accumulate(np.where(bought, entries, len(entries))[::-1])[::-1],
        amount=measures["amount"],
        gap=gap,
        longest_gap=np.maximum.accumulate(gap + customer * step) - customer * step,
        sums={name: _cumulated(values) for name, values in measures.items()},
        customers=customers,
        start=start,
    )


def see_windows(
    days: OrderDays, cutoff_days: Sequence[int], horizon_days: int, active_days: int | None
) -> pa.Table:
    """One row a customer and cut-off that sees an order of theirs: the table `order_window`.

    `cutoff_days` are the cut-offs as days since 1970; with `active_days` only customers whose last
    order is not older. Amounts are in ten-thousandths.
    """
    import pyarrow as pa

    parts = [
        _see(days, number, cutoff, horizon_days, active_days)
        for number, cutoff in enumerate(cutoff_days)
    ]
    merged = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    known_gap = merged["last_gap_days"] > 0
    return pa.table(
        {
            name: pa.array(column, mask=~known_gap)
            if name in ("last_gap_days", "longest_gap_days")
            else pa.array(column)
            for name, column in merged.items()
        }
    )


def list_gaps(days: OrderDays) -> pa.Table:
    """One row a customer with a second order day: the gaps in days, in order (`order_gaps`)."""
    import pyarrow as pa

    places = np.flatnonzero(days.gap > 0)
    numbers, first = np.unique(days.customer[places], return_index=True)
    offsets = np.append(first, len(places)).astype(np.int32)
    gaps = pa.ListArray.from_arrays(pa.array(offsets), pa.array(days.gap[places]))
    return pa.table({"customer_number": pa.array(numbers), "gaps": gaps})


def _see(
    days: OrderDays, number: int, cutoff: int, horizon_days: int, active_days: int | None
) -> dict[str, NDArray[Any]]:
    customers, start = days.customers, days.start
    # Entries from `start` up to `end` are those of the customer that the cut-off sees.
    end = start + _count_first(days.late <= number, start)
    last = days.last_order[end - 1] if len(end) else end
    seen = (end > start) & (last >= start)
    if active_days is not None:
        seen &= days.day[last] >= cutoff - active_days
    customers, start, end, last = customers[seen], start[seen], end[seen], last[seen]

    def since(age: int) -> Ints:
        """The first entry of each customer that is at most `age` days old, or `end`."""
        older = _count_first(days.day < cutoff - age, days.start)[seen]
        place: Ints = np.minimum(start + older, end)
        return place

    def total(name: str, low: Ints, high: Ints) -> Ints:
        return days.sums[name][high] - days.sums[name][low]

    begin = {window: since(window) for window in WINDOWS_DAYS}
    year = begin[365]
    year_ago = since(365 - horizon_days)
    found: dict[str, NDArray[Any]] = {
        "customer_number": customers,
        "cutoff_number": np.full(len(customers), number, dtype=np.int64),
        "first_order_day": days.day[days.next_order[start]],
        "last_order_day": days.day[last],
        "order_days": total("order_days", start, end),
        "amount": total("amount", start, end),
        "last_amount": days.amount[last],
        "last_gap_days": days.gap[last],
        "longest_gap_days": days.longest_gap[last],
        "gap_squares": total("gap_square", start, end),
        "categories": total("new_categories", start, end),
        "channels": total("new_channels", start, end),
        "order_days_year_ago": total("order_days", year, year_ago),
        "amount_year_ago": total("amount", year, year_ago),
        "active_months_365": total("new_month", year, end),
    }
    for name, windows in _WINDOWED.items():
        for window in windows:
            found[f"{name}_{window}"] = total(name, begin[window], end)
    packed = total("weekdays", year, end)
    weekdays = [(packed >> 9 * weekday) & 511 > 0 for weekday in range(7)]
    found["weekdays_365"] = np.sum(weekdays, axis=0)
    # The first order of the year may lie in a month that had been opened before it.
    inside = found["order_days_365"] > 0
    opening = days.next_order[year[inside]]
    found["active_months_365"][inside] += total("new_month", opening, opening + 1) == 0
    # Amounts need the whole width; days and counts do not, and half the width is half the copying.
    return {
        name: column if name.startswith(_WIDE) else column.astype(np.int32)
        for name, column in found.items()
    }


def _count_first(flags: NDArray[np.bool_], start: Ints) -> Ints:
    """How many entries of each customer have the flag; the flagged ones come first."""
    if not len(start):
        return start
    counted: Ints = np.add.reduceat(flags, start, dtype=np.int64)
    return counted


def _count_new_bits(bits: NDArray[np.uint64], customer: Ints) -> Ints:
    """How many bits of each entry no earlier entry of the customer has.

    The running OR is found in steps of doubled length: after the one of length k each entry
    holds the bits of the 2 k entries up to it.
    """
    running, step = bits.copy(), 1
    while step < len(bits):
        same = customer[step:] == customer[:-step]
        if not same.any():
            break
        following = running.copy()
        following[step:] |= np.where(same, running[:-step], np.uint64(0))
        running, step = following, step * 2
    before = np.zeros_like(bits)
    before[1:] = np.where(customer[1:] == customer[:-1], running[:-1], np.uint64(0))
    counted: Ints = np.bitwise_count(bits & ~before).astype(np.int64)
    return counted


def _cumulated(values: NDArray[Any]) -> Ints:
    out = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(values, dtype=np.int64, out=out[1:])
    return out


def _ints(table: pa.Table, name: str) -> Ints:
    column = table[name]
    if column.null_count:
        column = column.fill_null(0)
    values = column.to_numpy(zero_copy_only=False)
    # Sets of bits are unsigned; they keep their bits.
    found: Ints = values.view(np.int64) if values.dtype == np.uint64 else values.astype(np.int64)
    return found
