"""The texts that fill the places of the SQL files: relations, and comparisons with the cut-offs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from tasks.features.request import Request, day_of, moment_sql
from tasks.warehouse import literal

# The categories and the channels of the orders; None where they are too many for bits.
Kinds = Mapping[str, Sequence[str]] | None

_DAY_US = 86_400_000_000
_ALIASES = {
    "events": "event",
    "tickets": "ticket",
    "contacts": "contact",
    "subscriptions": "contract",
    "customers": "entry",
    "labelled": "entry",
}


def fill_places(
    request: Request, kinds: Kinds, inside: str, numbers: Sequence[int]
) -> dict[str, str]:
    """The texts that fill the SQL: relations, and sums of comparisons with the cut-offs."""
    days = [day_of(request.as_of[number]) for number in numbers]
    horizon = request.horizon_days
    latest = request.latest_known_by
    last_day = days[-1] + (horizon if request.labelled else 0)
    wanted = [
        inside,
        f"ordered_at < make_timestamptz({last_day * _DAY_US})",
        f"received_at <= {moment_sql(latest)}",
    ]
    gone = [
        item.batch_number
        for item in request.superseded.get("orders", ())
        if item.superseded_at <= request.known_by[0]
    ]
    if gone:
        wanted.append(f"batch_number not in ({', '.join(map(str, gone))})")
    doubtful = request.doubtful_batches()
    names = {
        "wanted": " and ".join(wanted),
        "any_doubtful": "bool_or(doubtful)" if doubtful else "false",
        "doubtful": f"batch_number in ({', '.join(map(str, doubtful))})" if doubtful else "false",
        "late_day": _count(f"day >= {day}" for day in days),
        "horizon_end": _count(f"day >= {day + horizon}" for day in days),
    }
    for table in request.relations:
        names[table] = f"(select * from {request.relations[table]} where {inside})"
        alias = _ALIASES.get(table, table)
        names[f"seen_{table}"] = request.seen_by(table, "pair.known_by", alias)
        names[f"seen_{table}_cutoff"] = request.seen_by(table, "cutoff.known_by", alias)
        if request.labels_known_by is not None:
            names[f"seen_by_run_{table}"] = request.seen_by(table, request.labels_known_by, alias)
    if "orders" in request.relations:
        names["lines"] = f"(select * from {request.relations['orders']})"
    return names | _kind_names(kinds) | _late_names(request, numbers)


def _late_names(request: Request, numbers: Sequence[int]) -> dict[str, str]:
    """The text that counts the cut-offs which cannot see a line: the first so many.

    Mostly every cut-off is looked at the same time after it. Then one day says it all: that
    of the order, or, if later, that of the first cut-off by which the line was known.
    """
    days = [day_of(request.as_of[number]) for number in numbers]
    waits = {request.known_by[number] - request.as_of[number] for number in numbers}
    if len(waits) == 1:
        wait_us = waits.pop() // timedelta(microseconds=1)
        return {
            "seen_day": "(greatest(epoch_us(ordered_at), epoch_us(received_at)"
            f" - {wait_us + 1}) // {_DAY_US})::integer",
            "late": _count(f"seen_day >= {day}" for day in days),
        }
    unseen = (
        f"day >= {day} or received_at > {moment_sql(request.known_by[number])}"
        for day, number in zip(days, numbers, strict=True)
    )
    return {"seen_day": _count(unseen), "late": "seen_day"}


def _kind_names(kinds: Kinds) -> dict[str, str]:
    """The texts for counting categories and channels: by bits, or where they are many by row."""
    if kinds is None:
        return {
            "category_bit": "0::ubigint",
            "channel_bit": "0::ubigint",
            "first_seen_columns": ", first_seen.* exclude (customer_id, day)",
            "join_first_seen": "left join first_seen using (customer_id, day)",
        }
    names = {"first_seen_columns": "", "join_first_seen": ""}
    for one in ("category", "channel"):
        listed = ", ".join(literal(kind) for kind in kinds[one])
        # DuckDB looks each word of a column's dictionary up once, not each row.
        names[f"{one}_bit"] = (
            f"(1::ubigint << (list_position([{listed}]::varchar[], {one}) - 1)::ubigint)"
        )
    return names


def _count(conditions: Iterator[str]) -> str:
    return "(" + " + ".join(f"({condition})::utinyint" for condition in conditions) + ")"
