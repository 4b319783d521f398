"""Turns settings and a batch's own figures into the numbers that both sides of a rule use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from tasks.contracts import CONTRACTS
from tasks.sections import BatchRuleSettings, RowRuleSettings, ValidationSettings
from tasks.settings import Settings
from tasks.validation.checks import Check
from tasks.validation.rules import LAKE_RULES, RowRule, TableRules, missing_pattern
from tasks.validation.statistics import Figures

RowRules = Sequence[tuple[RowRule, RowRuleSettings]]

# Tukey's outer fence, in interquartile ranges: beyond it a time is far out of its batch.
_OUTER_FENCE = 3.0


def bind_values(
    entry: TableRules,
    rules: RowRules,
    figures: Figures,
    settings: Settings,
    now: datetime,
) -> dict[str, Any]:
    """The value of each parameter of the row rules, by `<rule>_<parameter>`."""
    chosen = settings.validation
    earliest = datetime.combine(chosen.earliest_at, time(), UTC)
    skewed = now + timedelta(hours=chosen.skew_allowance_hours)
    event_rule = f"{CONTRACTS[entry.table].event_time}_plausible"
    values: dict[str, Any] = {}
    for rule, own in rules:
        for parameter in rule.parameters:
            name = f"{rule.name}_{parameter}"
            if parameter == "earliest":
                values[name] = earliest
            elif parameter == "latest":
                values[name] = skewed
                # What follows an event (an answer, an end) may come long after its batch.
                if rule.name == event_rule and settings.clock.as_of == "data":
                    values[name] = min(skewed, batch_clock(figures, chosen, skewed))
            elif parameter == "refused":
                values[name] = [text.lower() for text in own.refused]
                values[f"{rule.name}_missing"] = missing_pattern(own.refused)
            elif parameter == "allowed":
                values[name] = list(own.allowed) if own.allowed else None
            elif parameter in ("minimum", "maximum"):
                values[name] = _plain(getattr(own, parameter))
            else:
                values[name] = getattr(own, parameter)
    return values


def _plain(number: float | None) -> float | None:
    """A whole number as one: against a float, DuckDB turns every decimal of a column into one."""
    return int(number) if number is not None and number.is_integer() else number


def batch_clock(figures: Figures, chosen: ValidationSettings, latest: datetime) -> datetime:
    """The latest time that the batch's own times make plausible.

    Where the data tell the time, one row of 2035 would make every customer look lapsed. Three
    quarters of the rows say when the batch is from; what lies both beyond Tukey's outer fence and
    `maximum_gap_days` after them is refused. `latest` is returned where the batch has no times.
    """
    if figures.times is None:
        return latest
    _, first_quartile, third_quartile, _ = figures.times
    spread = (third_quartile - first_quartile) * _OUTER_FENCE
    gap = max(spread, timedelta(days=chosen.maximum_gap_days))
    # A batch of far-future rows would overflow the calendar.
    return latest if latest - third_quartile < gap else third_quartile + gap


def expectation_bounds(
    rules: RowRules,
    checks: Sequence[Check],
    values: Mapping[str, Any],
    batch: Mapping[str, BatchRuleSettings],
) -> dict[str, dict[str, Any]]:
    """What `expectations/` gets: each rule that it can see, with its numbers."""
    bounds: dict[str, dict[str, Any]] = {}
    for rule, _ in rules:
        if rule.name not in LAKE_RULES:
            bounds[rule.name] = {
                parameter: values[f"{rule.name}_{parameter}"] for parameter in rule.parameters
            }
    for check in checks:
        if check.bound is not None:
            bounds[check.key] = dict(check.bound)
    if "columns" in batch:
        bounds["columns"] = {}
    return bounds
