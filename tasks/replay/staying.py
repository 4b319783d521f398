"""Simulated outcomes: a listed customer who would have lapsed may stay, and then orders once more.

History was not changed by our lists, so recorded outcomes cannot tell a good list from a bad one by
what a rollout sees. With `replay.outcomes: simulated` whoever the served list names, is not held
out and has no order within the horizon stays with an assumed probability, drawn by a hash of
customer and cut-off. Who stays repeats the line of their last order at a moment within the horizon;
it comes with the delivery that could first have held it, and its order is called `stayed-...`.
Only the stand-in's deliveries are changed: neither the slices of history nor anybody's lake.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tasks.contracts import CONTRACTS
from tasks.offers import held_out_sql
from tasks.replay.contacts import SERVED
from tasks.replay.planting import find_column, write_rows
from tasks.warehouse import Connection, Lake, literal, quote, scratch

if TYPE_CHECKING:
    from tasks.replay.slicing import Slice
    from tasks.settings import Settings
    from tasks.sources import RawColumn, Source

SQL = Path(__file__).parent / "sql"
MARK = "stayed-"
# Of the horizon: nobody orders in the hour of the contact, nor when it is too late to count.
_SOONEST, _LATEST = 0.25, 0.95
_TYPES = {"text": "varchar", "integer": "bigint", "number": "double", "boolean": "boolean"}
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Stays:
    """Of a step's list: who could be asked about, who of them would have lapsed, who stayed."""

    listed: int = 0
    lapsing: int = 0
    stayed: int = 0


@dataclass(frozen=True, slots=True)
class Last:
    """A customer's last order before a cut-off, as it was delivered."""

    source: str
    ordered_at: datetime
    row: Row


@dataclass(frozen=True, slots=True)
class Orders:
    """The recorded orders of all of history, in a scratch database: nothing that was simulated."""

    connection: Connection
    sources: tuple[str, ...]

    def find_lapsing(
        self, as_of: datetime, customers: Collection[str], horizon_days: int
    ) -> dict[str, Last]:
        """Of `customers`, who orders before `as_of` and not in the horizon after it."""
        last: dict[str, tuple[datetime, str, int]] = {}
        back: set[str] = set()
        for name in self.sources:
            text = self.connection.text(SQL / "lapsing.sql", names={"line": quote(f"line_{name}")})
            values = {"as_of": as_of, "customers": list(customers), "horizon_days": horizon_days}
            for row in self.connection.rows(text, values):
                who, at = str(row["customer_id"]), row["last_at"].astimezone(UTC)
                if row["comes_back"]:
                    back.add(who)
                if who not in last or last[who][0] < at:
                    last[who] = (at, name, int(row["place"]))
        found = {}
        for who in sorted(set(last) - back):
            at, name, place = last[who]
            row = self.connection.one(
                f"select * exclude (holdfast_place) from {quote(f'delivered_{name}')}"
                " where holdfast_place = $place",
                {"place": place},
            )
            found[who] = Last(name, at, {key: value or "" for key, value in row.items()})
        return found


@contextmanager
def open_orders(settings: Settings, slices: Sequence[Slice]) -> Iterator[Orders]:
    """Read the order lines of all slices; gone when it is left."""
    names = sorted(
        {one.source for one in slices if settings.intake.sources[one.source].table == "orders"}
    )
    with scratch(
        memory_limit_mb=settings.warehouse.memory_limit_mb,
        threads=settings.warehouse.threads,
        temporary=settings.home / "spill",
    ) as connection:
        for name in names:
            paths = sorted(str(one.path) for one in slices if one.source == name)
            _read(connection, name, settings.intake.sources[name], paths)
        yield Orders(connection, tuple(names))


def _read(connection: Connection, name: str, source: Source, paths: Sequence[str]) -> None:
    listed = ", ".join(literal(path) for path in paths)
    connection.execute(f"set TimeZone = {literal(source.time_zone or 'UTC')}")
    connection.execute(
        f"create temp table {quote(f'delivered_{name}')} as"
        " select row_number() over () as holdfast_place, * from read_csv"
        f"([{listed}], header = true, all_varchar = true, union_by_name = true)"
    )
    typed = ", ".join(
        f"{_typed(column, source.column(column))} as {quote(column)}" for column in source.columns
    )
    event = CONTRACTS["orders"].event_time
    is_return = source.map.get("is_return", "false")
    connection.execute(
        f"create temp table {quote(f'line_{name}')} as"
        f" select holdfast_place as place, ({source.map['customer_id']})::varchar as customer_id,"
        f" try_cast(({source.map[event]}) as timestamptz) as ordered_at,"
        f" coalesce(try_cast(({is_return}) as boolean), false) as is_return"
        f" from (select holdfast_place, {typed} from {quote(f'delivered_{name}')})"
    )


def _typed(column: str, declared: RawColumn) -> str:
    if declared.type == "timestamp":
        if declared.format is not None:
            return f"try_strptime({quote(column)}, {literal(declared.format)})"
        return f"try_cast({quote(column)} as timestamptz)"
    return f"try_cast({quote(column)} as {_TYPES[declared.type]})"


def read_listed(lake: Lake, as_of: datetime) -> list[str]:
    """Whom the served list of a step names, without those who are held out of everything."""
    actions = lake.settings.actions
    rows = lake.rows(
        "select customer_id from lake.main.replay_contacts"
        " where as_of = $as_of and policy = $policy"
        f" and not {held_out_sql('customer_id')} order by customer_id",
        {
            "as_of": as_of,
            "policy": SERVED,
            "hold_out_salt": actions.hold_out_salt,
            "hold_out_share": actions.hold_out_share,
        },
    )
    return [str(row["customer_id"]) for row in rows]


def read_chances(truth: Any) -> dict[str, float]:
    """By customer: the probability that a contact keeps who would lapse (`truth` as `reveal`)."""
    names = ("customer_id", "lapse_probability", "contact_effect_on_lapse")
    columns = [truth[name].to_pylist() for name in names]
    return {
        str(who): min(1.0, max(0.0, -float(effect) / float(lapse))) if lapse else 0.0
        for who, lapse, effect in zip(*columns, strict=True)
    }


def draw(customer_id: str, as_of: datetime, what: str = "stay") -> float:
    """A number in [0, 1), the same whenever it is drawn."""
    text = f"{what}\0{customer_id}\0{as_of.astimezone(UTC):%Y-%m-%d}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def write_stays(
    settings: Settings,
    slices: Sequence[Slice],
    as_of: datetime,
    listed: Sequence[str],
    chances: Mapping[str, float],
    folder: Path,
) -> Stays:
    """Draw who stays of a step's list, and write their orders below `folder`; again: the same.

    `chances` maps a customer to the probability that a contact keeps them if they would lapse
    without; who is not in it is not kept. A row lies in `<source>/<cut-off>/<part>.csv`, `part`
    being the delivery that it comes with.
    """
    days = settings.features.horizon_days
    with open_orders(settings, slices) as orders:
        lapsing = orders.find_lapsing(as_of, listed, days)
    rows: dict[tuple[str, str], list[Row]] = {}
    stayed = 0
    for who, last in lapsing.items():
        if draw(who, as_of) >= chances.get(who, 0.0):
            continue
        share = _SOONEST + (_LATEST - _SOONEST) * draw(who, as_of, "when")
        moment = (as_of + share * timedelta(days=days)).replace(microsecond=0)
        source = settings.intake.sources[last.source]
        known_at = moment + timedelta(days=source.known.lag_days or 0.0)
        part = next(
            (
                one.part
                for one in sorted(slices, key=lambda one: one.delivered_at)
                if one.source == last.source and one.delivered_at >= known_at
            ),
            None,
        )
        if part is None:
            continue
        stayed += 1
        made = _repeat(source, last.row, f"{MARK}{as_of:%Y%m%d}-{who}", moment)
        rows.setdefault((last.source, part), []).append(made)
    for name in {one.source for one in slices}:
        shutil.rmtree(folder / name / f"{as_of:%Y-%m-%d}", ignore_errors=True)
    for (name, part), found in rows.items():
        target = folder / name / f"{as_of:%Y-%m-%d}" / f"{part}.csv"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_rows(target, list(found[0]), found)
    return Stays(len(listed), len(lapsing), stayed)


def _repeat(source: Source, row: Row, key: str, moment: datetime) -> Row:
    """The line once more, as another order at another moment, in the form of the delivery."""
    stamp = find_column(source, CONTRACTS["orders"].event_time, "timestamp")
    declared = source.column(stamp)
    zone = ZoneInfo(source.time_zone or "UTC")
    if declared.format is not None:
        text = moment.astimezone(zone).strftime(declared.format)
    elif datetime.fromisoformat(row[stamp]).tzinfo is None:
        text = moment.astimezone(zone).replace(tzinfo=None).isoformat(sep=" ")
    else:
        text = moment.isoformat(sep=" ")
    made = row | {stamp: text}
    for canonical in ("order_id", "line_id"):
        if canonical in source.map:
            made[find_column(source, canonical, "text")] = key
    return made


def join_stays(slices: Sequence[Slice], as_of: datetime, folder: Path, joined: Path) -> list[Slice]:
    """The slices with the orders of those who stayed, as they are delivered up to a step.

    A slice that nobody's order comes with stays as it is; others are written once below `joined`:
    the lists that have a say in it are older than it, so they are complete.
    """
    found = []
    for one in slices:
        target = joined / one.source / f"{one.part}.csv"
        if one.as_of > as_of:
            found.append(one)
            continue
        if not target.is_file():
            parts = sorted((folder / one.source).glob(f"*/{one.part}.csv"))
            extra = [row for path in parts for row in _rows(path)]
            if extra:
                rows = [*_rows(one.path), *extra]
                target.parent.mkdir(parents=True, exist_ok=True)
                write_rows(target, list(rows[0]), rows)
        found.append(replace(one, path=target) if target.is_file() else one)
    return found


def _rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def say_assumption(settings: Settings, *, knows_truth: bool, lapsing: int, stayed: int) -> str:
    """Which outcomes are simulated, by which assumption, and where: a paragraph of the report."""
    if settings.replay.outcomes == "recorded":
        return (
            "Outcomes are as recorded: history's customers were not contacted by these lists, and"
            " nobody does otherwise for being on one."
        )
    by = (
        "the simulator's truth of what a contact does to each customer"
        if knows_truth
        else f"`economics.accept_share` ({settings.economics.accept_share:.0%}) for everybody"
    )
    return (
        f"Outcomes of the served lists are simulated: of their customers who are not held out,"
        f" {lapsing:,} would have lapsed and {stayed:,} stayed, by {by}, drawn by a hash of"
        " customer and cut-off. Who stays repeats their last order within the horizon; its row"
        f" comes with the stand-in's next deliveries, its order is called {MARK}... . Lists whose"
        " horizon ends after the last step change nothing. The money is judged by what customers"
        " would have done without a contact, as recorded."
    )


def without_stays(settings: Settings, slices: Sequence[Slice], outcomes: Any) -> Any:
    """`outcomes` (`read_outcomes`) as they would have been had nobody been contacted."""
    import pyarrow as pa

    moments = [one.astimezone(UTC) for one in outcomes["as_of"].to_pylist()]
    ids = [str(one) for one in outcomes["customer_id"].to_pylist()]
    by_cutoff: dict[datetime, set[str]] = {}
    for moment, who in zip(moments, ids, strict=True):
        by_cutoff.setdefault(moment, set()).add(who)
    with open_orders(settings, slices) as orders:
        lapsing = {
            moment: set(orders.find_lapsing(moment, people, settings.features.horizon_days))
            for moment, people in by_cutoff.items()
        }
    churned = [
        bool(was) or who in lapsing[moment]
        for was, moment, who in zip(outcomes["churned"].to_pylist(), moments, ids, strict=True)
    ]
    place = outcomes.schema.get_field_index("churned")
    return outcomes.set_column(place, "churned", pa.array(churned, pa.bool_()))
