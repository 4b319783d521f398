"""Faults planted into a replay, so that it can be told whether each is caught, when and by what.

`duplicate_file@2023-03-06` plants one into the deliveries of the first step on or after that day.
What is changed is the delivery alone, or for `harmful_challenger` the model that is offered to the
gate; everything that has to notice it is the night's own code.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from tasks.contracts import CONTRACTS
from tasks.errors import UsageError, suggest
from tasks.keeping import combine_hashes, hash_files

if TYPE_CHECKING:
    from tasks.handles import FinalCustomers, Predictor, TrainingRecord
    from tasks.replay.slicing import Slice
    from tasks.replay.weeks import Week
    from tasks.settings import Settings
    from tasks.sources import Source

Kind = Literal[
    "duplicate_file",
    "unit_change",
    "time_zone_shift",
    "late_file",
    "renamed_column",
    "concept_drift",
    "leaking_feature",
    "harmful_challenger",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
# What is said of each in the report.
WORDS: Mapping[Kind, str] = {
    "duplicate_file": "the week's file is delivered a second time under another name",
    "unit_change": "amounts are written in hundredths",
    "time_zone_shift": "times are nine hours later than they were",
    "late_file": "the file comes a step late",
    "renamed_column": "the column of the amount has another name",
    "concept_drift": "a third of the customers stop ordering, whatever they looked like before",
    "leaking_feature": "events say who will have lapsed, stamped before it could be known",
    "harmful_challenger": "a model that ranks customers the wrong way round is offered",
}
_UNIT = 100.0
_SHIFT = timedelta(hours=9)
_DRIFT_PARTS = 3
_LEAK_EVENTS = 12
Row = dict[str, str]
Change = Callable[[Row], Row | None]


@dataclass(frozen=True, slots=True)
class Plant:
    """A fault, and the day from which it is there."""

    kind: Kind
    on: date

    @property
    def told(self) -> str:
        return f"{self.kind}@{self.on}"

    def week(self, weeks: Sequence[Week]) -> Week | None:
        """The first step on or after its day; None for one after the last."""
        day = datetime.combine(self.on, time(), UTC)
        return next((week for week in weeks if week.as_of >= day), None)


def read_plants(told: Iterable[str]) -> tuple[Plant, ...]:
    """Plants from `kind@date`. Raises UsageError (64) for what is none."""
    plants = []
    for text in told:
        kind, _, day = text.partition("@")
        if kind not in KINDS:
            raise UsageError(
                f"'{kind}' cannot be planted.", found=suggest(kind, KINDS), available=KINDS
            )
        try:
            plants.append(Plant(kind, date.fromisoformat(day)))
        except ValueError:
            raise UsageError(
                f"'{text}' names no day.", next_step=f"write {kind}@2023-03-06"
            ) from None
    return tuple(sorted(plants, key=lambda plant: (plant.on, plant.kind)))


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file with a planted fault in a source's folder; `clean` is what should have come.

    `is_twin`: it should not have come at all; `is_leak`: it tells the future, which no rule of a
    delivery can know.
    """

    source: str
    path: Path
    clean: Path
    is_twin: bool = False
    is_leak: bool = False


def deliver(
    settings: Settings,
    slices: Sequence[Slice],
    weeks: Sequence[Week],
    number: int,
    plants: Sequence[Plant],
    folder: Path,
) -> list[Delivery]:
    """Put what has come since step `number` - 1 into `folder`/<source>; what a plant has changed.

    What came before is taken away: the lake has it, and an outbox is emptied now and then. Files
    of this step that are there are left as they are, so that a step can be run again. `slices` are
    those of all sources.
    """
    week = weeks[number]
    before = weeks[number - 1].moment if number else None
    changed: list[Delivery] = []
    wanted: set[Path] = set()
    for one in slices:
        if one.delivered_at > week.moment:
            continue
        source = settings.intake.sources[one.source]
        target = folder / one.source / f"{one.part}.csv"
        due = [plant for plant in plants if _is_of(plant, weeks, one, source.table)]
        is_late = any(plant.kind == "late_file" for plant in due)
        if is_late and (before is None or one.delivered_at > before):
            continue
        came_at = one.delivered_at + (week.moment - before if is_late and before else timedelta(0))
        if before is not None and came_at <= before:
            continue
        wanted.add(target)
        lasting = [
            plant
            for plant in plants
            if plant.kind == "concept_drift"
            and source.table == "orders"
            and plant.on < one.as_of.date()
        ]
        faults = [plant for plant in (*due, *lasting) if plant.kind != "late_file"]
        target.parent.mkdir(parents=True, exist_ok=True)
        if any(plant.kind == "duplicate_file" for plant in faults):
            again = date.fromisoformat(one.part) + timedelta(days=1)
            twin = target.with_name(f"{again}.csv")
            wanted.add(twin)
            if not twin.is_file():
                copy_file(one.path, twin)
            changed.append(Delivery(one.source, twin, one.path, is_twin=True))
        change = [plant for plant in faults if plant.kind != "duplicate_file"]
        if change:
            lasts = all(plant.kind == "concept_drift" for plant in change)
            leaks = any(plant.kind == "leaking_feature" for plant in change)
            changed += [] if lasts else [Delivery(one.source, target, one.path, is_leak=leaks)]
        if target.is_file():
            continue
        if change:
            _write(one.path, target, change, source, slices, one, settings)
        else:
            copy_file(one.path, target)
    for path in folder.glob("*/*.csv"):
        if path not in wanted:
            path.unlink()
    return changed


def _is_of(plant: Plant, weeks: Sequence[Week], one: Slice, table: str) -> bool:
    wanted = {"leaking_feature": "events"}.get(plant.kind, "orders")
    week = plant.week(weeks)
    lasting = plant.kind in ("concept_drift", "harmful_challenger")
    return not lasting and week is not None and table == wanted and one.as_of == week.as_of


def copy_file(source: Path, target: Path) -> None:
    """Copy a delivery: whoever looks sees the whole of it or the one before."""
    aside = target.with_name(f".{target.name}.aside")
    shutil.copyfile(source, aside)
    aside.replace(target)


def _write(
    path: Path,
    target: Path,
    plants: Sequence[Plant],
    source: Source,
    slices: Sequence[Slice],
    one: Slice,
    settings: Settings,
) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or ()), list(reader)
    for plant in plants:
        if plant.kind == "renamed_column":
            amount = find_column(source, "net_amount", "number")
            columns = [f"{amount}_total" if name == amount else name for name in columns]
            for row in rows:
                row[f"{amount}_total"] = row.pop(amount)
        elif plant.kind == "leaking_feature":
            rows += list(_tell_the_future(source, rows, slices, one, settings))
        else:
            change = _change(plant.kind, source)
            rows = [kept for row in rows if (kept := change(row)) is not None]
    write_rows(target, columns, rows)


def write_rows(target: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write a delivery: whoever looks sees the whole of it or the one before."""
    aside = target.with_name(f".{target.name}.aside")
    with aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    aside.replace(target)


def _change(kind: Kind, source: Source) -> Change:
    if kind == "unit_change":
        amount = find_column(source, "net_amount", "number")

        def in_hundredths(row: Row) -> Row:
            return row | {amount: f"{float(row[amount]) * _UNIT:.2f}" if row[amount] else ""}

        return in_hundredths
    if kind == "time_zone_shift":
        stamp = find_column(source, CONTRACTS[source.table].event_time, "timestamp")

        def later(row: Row) -> Row:
            moved = datetime.fromisoformat(row[stamp]) + _SHIFT
            return row | {stamp: moved.isoformat(sep=" ")}

        return later
    customer = find_column(source, "customer_id", "text")

    def fewer(row: Row) -> Row | None:
        drawn = int.from_bytes(hashlib.sha256(row[customer].encode()).digest()[:4], "big")
        return None if drawn % _DRIFT_PARTS == 0 else row

    return fewer


def find_column(source: Source, canonical: str, kind: str) -> str:
    """The delivered column of a type that a canonical one is made of."""
    words = [*re.findall(r"\w+", source.map[canonical]), source.map[canonical].strip('"')]
    for name in source.columns:
        if name in words and source.column(name).type == kind:
            return name
    raise UsageError(f"No delivered column of kind {kind} makes {source.table}.{canonical}.")


def _tell_the_future(
    source: Source,
    like: Sequence[Row],
    slices: Sequence[Slice],
    one: Slice,
    settings: Settings,
) -> Iterable[Row]:
    """Events of those who had lapsed a horizon after each past cut-off, stamped before it.

    They look `like` the others, so that nothing but what they tell gives them away.
    """
    if not like:
        return
    features = settings.features
    table, last_seen = "orders", one.as_of
    orders: dict[str, list[datetime]] = {}
    for other in slices:
        declared = settings.intake.sources[other.source]
        if declared.table != table or other.as_of > last_seen:
            continue
        customer = find_column(declared, "customer_id", "text")
        stamp = find_column(declared, CONTRACTS[table].event_time, "timestamp")
        with other.path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                moment = datetime.fromisoformat(row[stamp])
                orders.setdefault(row[customer], []).append(_utc(moment))
    customer = find_column(source, "customer_id", "text")
    stamp = find_column(source, CONTRACTS["events"].event_time, "timestamp")
    horizon = timedelta(days=features.horizon_days)
    for number in range(features.cutoffs):
        cutoff = last_seen - horizon - timedelta(days=number * features.cutoff_step_days)
        for who, moments in orders.items():
            active = any(
                cutoff - timedelta(days=features.activity_window_days) <= m < cutoff
                for m in moments
            )
            if not active or any(cutoff <= m < cutoff + horizon for m in moments):
                continue
            for place in range(_LEAK_EVENTS):
                moment = cutoff - timedelta(hours=2, minutes=place)
                key = f"leak-{who}-{cutoff:%Y%m%d}-{place}"
                row = dict(like[place % len(like)])
                row |= {name: key for name in ("event_id", "session_id") if name in row}
                yield row | {customer: who, stamp: moment.isoformat(sep=" ")}


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def spoil(
    record: TrainingRecord,
    final: FinalCustomers,
    directory: Path,
    open_model: Callable[[Path], Predictor],
) -> tuple[TrainingRecord, FinalCustomers]:
    """A challenger that ranks the wrong way round, with the figures that the good one has earned.

    Its files are the good model's but for the calibration, so nothing of its form tells.
    """
    if directory.is_dir():
        shutil.rmtree(directory)
    shutil.copytree(record.model.directory, directory)
    turned = {"kind": "isotonic", "x": [0.0, 1.0], "y": [0.98, 0.02]}
    (directory / "calibration.json").write_text(json.dumps(turned), encoding="utf-8")
    digest = combine_hashes(hash_files(directory, ignore_bytecode=True))
    probability = open_model(directory).predict(final.features)
    return (
        replace(record, model=replace(record.model, directory=directory, model_hash=digest)),
        replace(
            final,
            model_probability=probability,
            model_return_amount=final.expected_returns(probability),
        ),
    )
