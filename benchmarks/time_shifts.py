"""How often clean history looks moved in time, and which moves of a delivery are caught.

    python -m benchmarks.time_shifts                        all sets, by day, week and month
    python -m benchmarks.time_shifts --sets simulated --customers 400 --seeds 1 2 3

Each set is staged as `ingest` would and cut into days, weeks and months; each part is judged by the
rule `time_shift` and the limits of `conf/` beside the parts before it, as it is and with all of its
times moved by hours. By size too, since a small delivery says little of its hours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from benchmarks.false_alarms import KeptSource, make_parser, open_sources, stage_source
from tasks.contracts import CONTRACTS
from tasks.intake.raw import find_source
from tasks.settings import Settings
from tasks.validation.batch_checks import list_checks
from tasks.validation.hours import HOURS
from tasks.validation.past import PastBatch, surround
from tasks.validation.rules import table_rules
from tasks.validation.statistics import Figures
from tasks.warehouse import Connection, literal, scratch

MOVES = (0.0, 1.0, 5.5, 9.0, -8.0)
SIZES = (30, 100, 300, 1_000, 10_000)
PERIODS = ("day", "week", "month")
SQL = Path(__file__).with_suffix(".sql")
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
# (period or size, move) -> parts judged, stopped, warned of.
Counts = Counter[tuple[str, float, str]]


def main() -> None:
    total: Counts = Counter()
    sources = open_sources(make_parser(__doc__).parse_args())
    for name, group in groupby(sources, lambda kept: kept.set):
        counts = sum(map(_judge_source, group), Counts())
        print(f"\n{name}")
        _print(counts)
        total += counts
    print("\nall")
    _print(total)


def _judge_source(kept: KeptSource) -> Counts:
    settings, source = kept.settings, kept.source
    counts: Counts = Counter()
    paths = stage_source(settings, source)
    table = find_source(source, settings).table
    event_time = CONTRACTS[table].event_time
    for period in PERIODS:
        past: list[PastBatch] = []
        for number, moved in enumerate(_cut(paths, event_time, kept, period)):
            for move, moments in moved.items():
                figures = Figures(sum(moments), moments=moments, event_time=event_time)
                level = _judge(past, table, figures, settings)
                if level is None:
                    continue
                size = max(size for size in SIZES if size <= sum(moments))
                for group in (period, f"{size:,} or more"):
                    counts[group, move, "judged"] += 1
                    counts[group, move, level] += 1
            figures = Figures(sum(moved[0.0]), moments=moved[0.0], event_time=event_time)
            past.append(_as_past(number, source, table, figures))
    return counts


def _cut(
    paths: Sequence[Path], event_time: str, kept: KeptSource, period: str
) -> Iterator[dict[float, tuple[int, ...]]]:
    """The source's parts in order: by move, the moments of each hour of the day."""
    listed = ", ".join(literal(str(path)) for path in paths)
    with scratch(threads=1, temporary=kept.home, allowed_directories=[kept.home]) as connection:
        rows = connection.rows(
            Connection.text(SQL, names={"paths": f"[{listed}]", "event_time": event_time}),
            {"moves": list(MOVES), "period": period, "day_begins_hours": kept.day_begins_hours},
        )
    parts: dict[str, dict[float, list[int]]] = {}
    for row in rows:
        part = parts.setdefault(str(row["part"]), {move: [0] * HOURS for move in MOVES})
        part[float(row["move"])][int(row["hour"])] = int(row["moments"])
    for name in sorted(parts):
        yield {move: tuple(moments) for move, moments in parts[name].items()}


def _judge(
    past: Sequence[PastBatch], table: str, figures: Figures, settings: Settings
) -> str | None:
    """`stop`, `warn` or '' of the rule; None where it has nothing to compare."""
    batch = _as_past(len(past), table, table, figures)
    rules = {"time_shift": settings.validation.tables[table].batch["time_shift"]}
    around = surround(batch, past, figures, settings)
    [check] = list_checks(table_rules(table), rules, around)
    return check.level if check.figure is not None else None


def _as_past(number: int, source: str, table: str, figures: Figures) -> PastBatch:
    kept = {(s.column, s.statistic): s.value for s in figures.statistics(0)}
    return PastBatch(number, str(number), source, table, figures.rows, 0, _NOW, figures=kept)


def _print(counts: Counts) -> None:
    groups = [*PERIODS, *(f"{size:,} or more" for size in SIZES)]
    print(f"  {'':16} {'parts':>6} {'false stops':>12} {'and warnings':>13}   moved, stopped")
    for group in groups:
        judged = counts[group, 0.0, "judged"]
        if not judged:
            continue
        stopped, warned = (100 * counts[group, 0.0, level] / judged for level in ("stop", "warn"))
        caught = ", ".join(
            f"{move:+g} h {counts[group, move, 'stop'] / counts[group, move, 'judged']:.0%}"
            for move in MOVES[1:]
        )
        print(f"  {group:16} {judged:6,} {stopped:8.2f} in 100 {warned:6.2f} in 100   {caught}")


if __name__ == "__main__":
    main()
