"""How often clean history alarms, day by day, and how many planted faults the bounds still catch.

    python -m benchmarks.false_alarms                          all sets, three seeds: ten minutes
    python -m benchmarks.false_alarms --sets completejourney   one of them
    python -m benchmarks.false_alarms --seeds 1 2 3 --customers 3000 --list

Each set is staged month by month as `ingest` would, cut into days, and each day measured and split
by the code that judges a batch (`measure`, `split_rows`); neither the lake nor Great Expectations
is asked, so that two years of days take a minute. The days are then replayed in order by
`tasks.validation.backtest`, all but the first 90, under the bounds in force and under bounds learnt
from the days before, fitted anew every ten. What only the lake knows (`published_before`,
`customers_known`) is not looked at.

The simulated shops are clean by making, with weekdays, a season and a feast: each stop is false.
The real shops have dirt of their own: `--list` names the days and the rules.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tasks.contracts import CONTRACTS
from tasks.intake.deliveries import discover
from tasks.intake.raw import find_source, keep_raw
from tasks.intake.reading import stage
from tasks.progress import track
from tasks.settings import SIMULATED_VARIABLE, Settings, load_settings
from tasks.simulation.writing import simulate
from tasks.validation.backtest import Replay, backtest
from tasks.validation.binding import bind_values
from tasks.validation.past import PastBatch
from tasks.validation.rules import active_rows, table_rules
from tasks.validation.splitting import split_rows
from tasks.validation.statistics import measure
from tasks.warehouse import literal, quote, scratch

FIRST_REPLAYED = 90
# Where a shop's day begins, in hours after midnight UTC.
_DAY_BEGINS = {"completejourney": 5}
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class KeptSource:
    """A source of a set, staged into a home of its own; its day begins so long after 00:00 UTC."""

    set: str
    seed: int | None
    source: str
    settings: Settings
    home: Path
    day_begins_hours: int


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--list", action="store_true", help="Name each stop.")
    arguments = parser.parse_args()
    totals: Counter[tuple[str, str]] = Counter()
    for kept in open_sources(arguments):
        started = time.perf_counter()
        days = list(cut_days(kept))
        seconds = time.perf_counter() - started
        seeded = f" seed {kept.seed}" if kept.seed is not None else ""
        print(f"\n{kept.set}{seeded}, {kept.source}: {len(days)} days measured in {seconds:.0f} s")
        for replay in backtest(days, kept.settings, batches=len(days) - FIRST_REPLAYED):
            _print(replay, arguments.list)
            kind = "simulated" if kept.set == "simulated" else "real"
            totals[kind, f"{replay.bounds} batches"] += replay.batches
            totals[kind, f"{replay.bounds} stopped"] += len(replay.stopped)
            totals[kind, f"{replay.bounds} warned"] += len(replay.warned)
    print()
    for kind in ("simulated", "real"):
        for bounds in ("in force", "proposed"):
            batches = totals[kind, f"{bounds} batches"]
            if batches:
                stopped = 100 * totals[kind, f"{bounds} stopped"] / batches
                warned = 100 * totals[kind, f"{bounds} warned"] / batches
                print(
                    f"{kind}, {bounds}: {stopped:.2f} stopped and {warned:.2f} warned"
                    f" in 100 of {batches:,} days"
                )


def make_parser(text: str | None) -> argparse.ArgumentParser:
    """Which sets are gone through: `open_sources` takes what it reads."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = ("simulated", "completejourney", "online_retail")
    parser.add_argument("--sets", nargs="+", choices=known, default=known)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--customers", type=int, default=3_000)
    return parser


def open_sources(arguments: argparse.Namespace) -> Iterator[KeptSource]:
    """Each source of each set and seed; its home is there until the next is asked for."""
    for name in arguments.sets:
        seeds: Sequence[int | None] = arguments.seeds if name == "simulated" else [None]
        for seed in seeds:
            with tempfile.TemporaryDirectory(prefix="holdfast-alarms-") as directory:
                home = Path(directory)
                settings = _prepare(name, seed, arguments.customers, home)
                for source in ("orders", "events") if name == "simulated" else ("orders",):
                    yield KeptSource(name, seed, source, settings, home, _DAY_BEGINS.get(name, 0))


def cut_days(kept: KeptSource) -> Iterator[PastBatch]:
    """The source's days in order, each as the ledger would remember it."""
    settings, source, home = kept.settings, kept.source, kept.home
    begins = f"interval {kept.day_begins_hours} hours"
    contract = CONTRACTS[find_source(source, settings).table]
    folder = home / "days" / source
    folder.mkdir(parents=True)
    paths = ", ".join(literal(str(path)) for path in stage_source(settings, source))
    event = quote(contract.event_time)
    # One thread writes one file a day.
    with scratch(threads=1, temporary=home, allowed_directories=[home]) as connection:
        connection.execute(
            f"copy (select *, strftime({event} - {begins}, '%Y-%m-%d')"
            f" as day from read_parquet([{paths}]) where {event} is not null"
            f" order by day) to {literal(str(folder))}"
            " (format parquet, partition_by (day), write_partition_columns false)"
        )
        entry = table_rules(contract.table)
        chosen = settings.validation.tables[contract.table]
        rules = active_rows(contract.table, chosen)
        names = sorted(folder.glob("day=*"))
        for number, path in enumerate(track(names, f"measure {source}", lambda path: path.name), 1):
            [file] = path.glob("*.parquet")
            figures = measure(connection, str(file), entry)
            values = bind_values(entry, rules, figures, settings, _NOW)
            split = split_rows(connection, str(file), rules, values)
            kept = figures.statistics(settings.validation.maximum_categories)
            yield PastBatch(
                batch_number=number,
                batch_name=f"{source}/{path.name.removeprefix('day=')}",
                source=source,
                table=contract.table,
                received_rows=figures.rows,
                quarantined_rows=split.quarantined_rows,
                recorded_at=_NOW,
                known_basis="declared",
                figures={(s.column, s.statistic): s.value for s in kept},
                broken={k: (count, figures.rows) for k, count in split.broken_rows.items()},
            )


def stage_source(settings: Settings, source: str) -> list[Path]:
    """The staged files of all of the source's deliveries."""
    deliveries = [d for d in discover(settings) if d.source == source]
    declared = find_source(source, settings)
    contract = CONTRACTS[declared.table]
    return [
        stage(keep_raw(delivery, settings), declared, contract, settings).staged_path
        for delivery in track(deliveries, f"stage {source}", lambda d: d.batch_name)
    ]


def _prepare(name: str, seed: int | None, customers: int, home: Path) -> Settings:
    if name != "simulated":
        return load_settings(name, home=home)
    import os

    directory = home / "population"
    os.environ[SIMULATED_VARIABLE] = str(directory)
    settings = load_settings(name, home=home)
    simulate(settings, customers=customers, directory=directory, seed=seed)
    return settings


def _print(replay: Replay, is_listed: bool) -> None:
    stopped, warned = len(replay.stopped), len(replay.warned)
    print(
        f"  {replay.bounds}: {stopped} stopped ({100 * stopped / replay.batches:.2f} in 100),"
        f" {warned} warned ({100 * warned / replay.batches:.2f} in 100) of {replay.batches} days"
    )
    for catch in replay.catches:
        print(
            f"    {catch.fault}: {catch.stopped / catch.planted:.1%} stopped,"
            f" {catch.warned / catch.planted:.1%} warned of {catch.planted}"
        )
    counts = Counter((a.level, a.rule, a.column) for a in replay.alarms)
    for (level, rule, column), count in sorted(counts.items()):
        print(f"    {level} {rule} {column}: {count}")
    if is_listed:
        for alarm in replay.alarms:
            if alarm.level == "stop":
                print(f"      {alarm.batch_name} {alarm.rule} {alarm.column}: {alarm.observed}")


if __name__ == "__main__":
    main()
