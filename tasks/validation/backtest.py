"""Replays accepted batches under the bounds in force and under proposed ones.

Honest by a rolling origin: each replayed batch is judged by bounds learnt from batches before it,
fitted anew every few batches. Every batch here was accepted, so that a stop is a false one, unless
somebody should have stopped it; which, is for whoever reads the names to say. And since bounds
that never alarm are worthless, known faults are planted in the figures of each batch, and counted
when they are caught.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tasks.contracts import CONTRACTS
from tasks.settings import Settings
from tasks.validation.batch_checks import list_checks
from tasks.validation.checks import decide, limits_of, percent, row_rule_stops
from tasks.validation.past import PastBatch, rebuild, surround
from tasks.validation.rules import active_batch, active_rows, check_settings, table_rules
from tasks.validation.statistics import Figures
from tasks.validation.suggestion import (
    QUARANTINED,
    Observation,
    observe,
    put_in_force,
    suggest_bounds,
)

# Batches that one fit of the bounds judges, before the next fit knows them too.
REFIT_BATCHES = 10
IN_FORCE, PROPOSED = "in force", "proposed"
_OTHER_CURRENCIES = ("JPY", "KRW")
_HUNDREDFOLD = 100.0
_TENTH = 0.1
_JUMP_SHARE = 0.30
_LATER_HOURS = 9


@dataclass(frozen=True, slots=True)
class Alarm:
    """One rule that a batch broke; `level` is 'warn' or 'stop'."""

    batch_name: str
    rule: str
    column: str
    level: str
    observed: str


@dataclass(frozen=True, slots=True)
class Catch:
    """How often a planted fault was seen: in how many batches, how many stopped or warned more.

    Warned counts a batch that raises a warning which it would not raise without the fault.
    """

    fault: str
    planted: int
    stopped: int
    warned: int


@dataclass(frozen=True, slots=True)
class Replay:
    """One source under one set of bounds."""

    source: str
    bounds: str
    batches: int
    alarms: tuple[Alarm, ...]
    catches: tuple[Catch, ...]

    @property
    def stopped(self) -> list[str]:
        """Names of the batches that would have been stopped, in order."""
        return list(dict.fromkeys(a.batch_name for a in self.alarms if a.level == "stop"))

    @property
    def warned(self) -> list[str]:
        """Names of the batches that would have been let through with a warning."""
        stopped = set(self.stopped)
        names = dict.fromkeys(a.batch_name for a in self.alarms)
        return [name for name in names if name not in stopped]


def backtest(
    past: Sequence[PastBatch],
    settings: Settings,
    *,
    batches: int = 90,
    given: Settings | None = None,
) -> tuple[Replay, Replay]:
    """The last `batches` of one source, under the bounds in force and under proposed ones.

    `given` are settings with bounds to try; without them bounds are learnt along the way.
    Raises ConfigurationError (78) where `conf/` and the catalogue of rules differ.
    """
    for tried in (settings, given or settings):
        check_settings(tried.validation)
    first = max(0, len(past) - batches)
    observations = observe(past, settings) if given is None else []
    fits: dict[int, Settings] = {}

    def learnt(place: int) -> Settings:
        if given is not None:
            return given
        origin = first + (place - first) // REFIT_BATCHES * REFIT_BATCHES
        if origin not in fits:
            fits[origin] = _fit(past, observations, settings, origin)
        return fits[origin]

    return (
        _replay(past, first, IN_FORCE, lambda _: settings),
        _replay(past, first, PROPOSED, learnt),
    )


def _fit(
    past: Sequence[PastBatch],
    observations: Sequence[Observation],
    settings: Settings,
    origin: int,
) -> Settings:
    bounds = suggest_bounds(past, observations, settings.validation, before=origin)
    return put_in_force(settings, bounds)


def _replay(
    past: Sequence[PastBatch], first: int, bounds: str, settings_of: Callable[[int], Settings]
) -> Replay:
    alarms: list[Alarm] = []
    planted: dict[str, int] = {}
    stopped: dict[str, int] = {}
    warned: dict[str, int] = {}
    count = 0
    for place in range(first, len(past)):
        batch, settings = past[place], settings_of(place)
        if not batch.figures:
            continue
        count += 1
        earlier, figures = past[:place], rebuild(batch)
        raised = [
            *_judge_figures(batch, earlier, figures, settings),
            *_judge_rows(batch, settings),
        ]
        alarms += raised
        # A batch that is stopped as it is says nothing of a fault in it.
        if any(alarm.level == "stop" for alarm in raised):
            continue
        quiet = {(alarm.rule, alarm.column) for alarm in raised}
        for fault, distorted in plant(figures, batch.table, place, settings):
            levels = {
                alarm.level
                for alarm in _judge_figures(batch, earlier, distorted, settings)
                if alarm.level == "stop" or (alarm.rule, alarm.column) not in quiet
            }
            planted[fault] = planted.get(fault, 0) + 1
            stopped[fault] = stopped.get(fault, 0) + ("stop" in levels)
            warned[fault] = warned.get(fault, 0) + (levels == {"warn"})
    catches = tuple(
        Catch(fault, number, stopped[fault], warned[fault]) for fault, number in planted.items()
    )
    return Replay(past[-1].source if past else "", bounds, count, tuple(alarms), catches)


def _judge_figures(
    batch: PastBatch, earlier: Sequence[PastBatch], figures: Figures, settings: Settings
) -> Iterator[Alarm]:
    """The alarms of the rules about the batch as a whole."""
    rules = active_batch(batch.table, settings.validation.tables[batch.table])
    around = surround(batch, earlier, figures, settings)
    for check in list_checks(table_rules(batch.table), rules, around):
        if check.level:
            yield Alarm(batch.batch_name, check.rule, check.column, check.level, check.observed)


def _judge_rows(batch: PastBatch, settings: Settings) -> Iterator[Alarm]:
    """The alarms of what was counted row by row: shares above their ceilings."""
    table = settings.validation.tables[batch.table]
    for rule, chosen in active_rows(batch.table, table):
        failed, checked = batch.broken.get(rule.name, (0, 0))
        if checked and row_rule_stops(chosen, failed, checked):
            observed = f"{percent(failed / checked)} of rows"
            yield Alarm(batch.batch_name, rule.name, rule.column, "stop", observed)
    limits = limits_of(table.batch[QUARANTINED], "")
    if table.batch[QUARANTINED].enabled and batch.received_rows:
        share = batch.quarantined_rows / batch.received_rows
        check = decide(QUARANTINED, "", share, limits, observed=f"{percent(share)} set aside")
        if check.level:
            yield Alarm(batch.batch_name, QUARANTINED, "", check.level, check.observed)


def plant(
    figures: Figures, table: str, place: int, settings: Settings
) -> Iterator[tuple[str, Figures]]:
    """(fault, figures with it) of each fault that can be planted in the batch.

    An amount a hundredfold, a tenth of the rows, 30 points more of one column missing (another
    column with each `place`), another currency, times nine hours later. None where too few values
    could show it.
    """
    enough = settings.validation.minimum_values
    if figures.rows < enough:
        return
    amounts = [
        column
        for column in table_rules(table).measured
        if column.endswith("amount")
        and column in figures.quantiles
        and figures.positive_counts.get(column, 0) >= enough
    ] or [
        column for column in figures.quantiles if figures.positive_counts.get(column, 0) >= enough
    ]
    if amounts:
        values = {amounts[0]: tuple(v * _HUNDREDFOLD for v in figures.quantiles[amounts[0]])}
        yield "unit a hundredfold", replace(figures, quantiles={**figures.quantiles, **values})
    yield "a tenth of the rows", _thin(figures, _TENTH)
    columns = [
        name for name in CONTRACTS[table].names if figures.null_share(name) < 1.0 - _JUMP_SHARE
    ]
    if columns:
        column = columns[place % len(columns)]
        yield "30 points more missing", _blank(figures, column, _JUMP_SHARE)
    money = figures.counts.get("currency", {})
    if money:
        other = next(code for code in _OTHER_CURRENCIES if code not in money)
        counts = {**figures.counts, "currency": {other: sum(money.values())}}
        yield "another currency", replace(figures, counts=counts)
    if sum(figures.moments) >= enough:
        moved = figures.moments[-_LATER_HOURS:] + figures.moments[:-_LATER_HOURS]
        yield "times nine hours later", replace(figures, moments=moved)


def _thin(figures: Figures, share: float) -> Figures:
    """A batch of which only a share of the rows came."""
    return replace(
        figures,
        rows=max(1, round(figures.rows * share)),
        null_counts={name: round(n * share) for name, n in figures.null_counts.items()},
        positive_counts={name: round(n * share) for name, n in figures.positive_counts.items()},
        counts={name: _fewer(counts, share) for name, counts in figures.counts.items()},
    )


def _blank(figures: Figures, column: str, share: float) -> Figures:
    """A batch in which a column is missing in so much more of the rows, whatever stood there."""
    present = figures.rows - figures.null_counts[column]
    blanked = round(share * figures.rows)
    counts = dict(figures.counts)
    if column in counts:
        counts[column] = _fewer(counts[column], 1 - blanked / present)
    more = figures.null_counts[column] + blanked
    return replace(figures, null_counts={**figures.null_counts, column: more}, counts=counts)


def _fewer(counts: Mapping[str, int], share: float) -> dict[str, int]:
    return {name: members for name, count in counts.items() if (members := round(count * share))}


def as_plain(replay: Replay) -> dict[str, Any]:
    """The replay as plain values, ready for JSON."""
    return {
        "source": replay.source,
        "bounds": replay.bounds,
        "batches": replay.batches,
        "stopped": replay.stopped,
        "warned": replay.warned,
        "stopped_share": len(replay.stopped) / replay.batches if replay.batches else None,
        "warned_share": len(replay.warned) / replay.batches if replay.batches else None,
        "alarms": [
            {
                "batch_name": alarm.batch_name,
                "rule": alarm.rule,
                "column": alarm.column,
                "level": alarm.level,
                "observed": alarm.observed,
            }
            for alarm in replay.alarms
        ],
        "planted_faults": [
            {
                "fault": catch.fault,
                "planted": catch.planted,
                "stopped": catch.stopped,
                "warned": catch.warned,
            }
            for catch in replay.catches
        ],
    }
