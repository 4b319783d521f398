"""Features of a static labelled set: its own numbers and categories, one column each.

A category becomes an integer by a mapping that is kept: a category has its code for ever, a new
one gets the next number of its column. The numbers say nothing of order, and a tree does not ask.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tasks.errors import DataRejected
from tasks.features.declaration import DRIVERS, Driver, Feature
from tasks.warehouse import Connection, literal, quote

# A column with more categories than this names its customers rather than groups them.
_MOST_CATEGORIES = 200
_RESERVED = frozenset(
    {"customer_id", "customer_number", "cutoff_number", "as_of", "churned", "value_amount"}
)


@dataclass(frozen=True, slots=True)
class Pivot:
    """The columns found, the SQL of the view `labelled_features`, and codes not yet kept."""

    features: tuple[Feature, ...]
    view: str
    new_codes: Mapping[tuple[str, str], int]


def find_pivot(
    connection: Connection,
    relation: str,
    seen: str,
    codes: Mapping[tuple[str, str], int],
    drivers: Mapping[str, str],
    taken: Collection[str] = (),
) -> Pivot:
    """What numbers and categories the visible rows of `relation` have.

    `seen` is the condition of visibility, `codes` the kept mapping of (column, category),
    `drivers` the driver of each column by its name in the source. Makes the temporary table
    `category_code`. Raises DataRejected (65) for a column with too many categories.
    """
    numbers = [
        row["name"]
        for row in connection.rows(
            f"select distinct unnest(map_keys(numbers)) as name from {relation}"
            f" where {seen} order by name"
        )
    ]
    found = [
        (row["name"], row["category"])
        for row in connection.rows(
            "select distinct entry.key as name, entry.value as category from ("
            f"select unnest(map_entries(categories)) as entry from {relation} where {seen})"
            " where entry.value is not null order by name, category"
        )
    ]
    categories = list(dict.fromkeys(name for name, _ in found))
    for name in categories:
        count = sum(1 for column, _ in found if column == name)
        if count > _MOST_CATEGORIES:
            raise DataRejected(
                f"The column '{name}' has {count:,} categories; {_MOST_CATEGORIES} can be learnt"
                " from.",
                next_step="map it as a number, or leave it out of the source's `categories`",
            )
    every, new = _extend_codes(codes, found)
    _write_codes(connection, every)
    columns = _column_names([*numbers, *categories], taken)
    features: list[Feature] = []
    selected = ["pair.customer_number", "pair.cutoff_number"]
    joins: list[str] = []
    for place, name in enumerate([*numbers, *categories]):
        column = quote(columns[place])
        if place < len(numbers):
            selected.append(f"pair.numbers[{literal(name)}] as {column}")
            meaning, unit = name, "number"
        else:
            alias = f"code_{place}"
            selected.append(f"{alias}.code as {column}")
            joins.append(
                f"left join category_code {alias} on {alias}.column_name = {literal(name)}"
                f" and {alias}.category = pair.categories[{literal(name)}]"
            )
            meaning, unit = name, "category"
        driver = drivers.get(name, "profile")
        chosen: Driver = driver if driver in DRIVERS else "profile"
        features.append(Feature(columns[place], meaning, chosen, unit, "labelled"))
    view = (
        "create or replace temporary view labelled_features as select "
        + ", ".join(selected)
        + " from pair "
        + " ".join(joins)
    )
    return Pivot(tuple(features), view, new)


def _extend_codes(
    codes: Mapping[tuple[str, str], int], found: list[tuple[str, str]]
) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]:
    every = dict(codes)
    new: dict[tuple[str, str], int] = {}
    following: dict[str, int] = {}
    for (name, _), code in codes.items():
        following[name] = max(following.get(name, 0), code + 1)
    for key in found:
        if key not in every:
            code = following.get(key[0], 0)
            following[key[0]] = code + 1
            every[key] = new[key] = code
    return every, new


def _write_codes(connection: Connection, codes: Mapping[tuple[str, str], int]) -> None:
    connection.execute(
        "create or replace temporary table category_code as"
        " select unnest($names)::varchar as column_name, unnest($categories)::varchar as category,"
        " unnest($codes)::integer as code",
        {
            "names": [name for name, _ in codes],
            "categories": [category for _, category in codes],
            "codes": list(codes.values()),
        },
    )


def column_drivers(drivers: Mapping[str, str]) -> dict[str, str]:
    """The configured drivers by the names that the columns have in a feature table."""
    return dict(zip(_column_names(list(drivers), ()), drivers.values(), strict=True))


def _column_names(names: list[str], taken: Collection[str]) -> list[str]:
    """`Monthly Charge` -> monthly_charge; a name that is taken gets a number."""
    used = set(taken) | _RESERVED
    columns: list[str] = []
    for name in names:
        base = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "column"
        column, number = base, 2
        while column in used:
            column, number = f"{base}_{number}", number + 1
        used.add(column)
        columns.append(column)
    return columns
