"""Rules about a batch as a whole: its figures beside absolute limits and the batches before.

Each rule becomes a `Check`: the figure, the limits at which it warns and stops, and the bound that
its expectation gets. A comparison that lacks history says so and passes; absolute limits of the
same figures apply from the first batch on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tasks.handles import StagedBatch
from tasks.sections import BatchRuleSettings, Limits, RowRuleSettings, ValidationSettings
from tasks.settings import Settings
from tasks.validation.history import CustomersKnown, PastVolume, TrailingBatch
from tasks.validation.statistics import Figures

# A figure that equals its limit is within it, also where one side is a decimal and the other a
# binary number: limits are widened by this part of themselves.
_TOLERANCE = 1e-9
_LEVELS = ("warn", "stop")


@dataclass(frozen=True, slots=True)
class Check:
    """One rule on one column of one batch.

    `figure` is None where there is nothing to compare, and `note` says why. `bound` is what the
    expectation is built from, None where Great Expectations cannot see what is compared (the
    lake, the split). `failed_rows` is the count that the expectation must agree with, None where
    only passing or failing can be compared; `fails` is the verdict at the tightest level.
    """

    rule: str
    column: str
    figure: float | None
    limits: Limits
    observed: str
    note: str = ""
    bound: Mapping[str, Any] | None = None
    checked_rows: int = 0
    failed_rows: int | None = None
    fails: bool = False

    @property
    def key(self) -> str:
        return f"{self.rule}:{self.column}" if self.column else self.rule

    @property
    def level(self) -> str:
        """'stop', 'warn' or '' for a check that passes."""
        if not self.fails or self.figure is None:
            return ""
        if self.limits.warn_below is None and self.limits.warn_above is None:
            return "stop"
        return "stop" if is_outside(self.figure, self.limits, "stop") else "warn"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a batch is compared with."""

    staged: StagedBatch
    figures: Figures
    trailing: Sequence[TrailingBatch]
    reference_at: datetime | None
    customers: CustomersKnown | None
    mapped_columns: frozenset[str]
    settings: ValidationSettings
    volumes: Sequence[PastVolume] = ()


def filled_columns(settings: Settings, source: str) -> frozenset[str]:
    """The columns that the source's mapping fills; none where the source is not in `conf/`."""
    found = settings.intake.sources.get(source)
    if found is None:
        return frozenset()
    return frozenset(name for name, text in found.map.items() if _says_something(text))


def _says_something(expression: str) -> bool:
    return not expression.strip().lower().removeprefix("cast(").startswith("null")


def row_rule_stops(settings: RowRuleSettings, failed_rows: int, checked_rows: int) -> bool:
    """Whether so many rows breaking a rule about rows stop their batch."""
    if failed_rows == 0:
        return False
    return settings.severity == "stop" or failed_rows / checked_rows > settings.stop_above_share


def decide(rule: str, column: str, figure: float, limits: Limits, **values: Any) -> Check:
    """A check whose figure is compared with its limits as they stand."""
    fails = any(is_outside(figure, limits, level) for level in _LEVELS)
    return Check(rule, column, figure, limits, fails=fails, **values)


def describe_limits(limits: Limits, form: Callable[[float], str]) -> str:
    """`at least 50% (warn) and 2% (stop)`, in the figure's own form."""
    parts = []
    for side, words in (("below", "at least"), ("above", "at most")):
        found = [
            f"{form(value)} ({level})"
            for level in _LEVELS
            if (value := getattr(limits, f"{level}_{side}")) is not None
        ]
        if found:
            parts.append(f"{words} {' and '.join(found)}")
    return ", ".join(parts)


def limits_of(settings: BatchRuleSettings, column: str) -> Limits:
    """The limits of a column: its own, and the rule's where it has none."""
    own = settings.columns.get(column)
    chosen = {}
    for name in Limits.model_fields:
        value = getattr(own, name) if own is not None else None
        chosen[name] = getattr(settings, name) if value is None else value
    return Limits(**chosen)


def has_limits(limits: Limits) -> bool:
    return any(getattr(limits, name) is not None for name in Limits.model_fields)


def is_outside(figure: float, limits: Limits, level: str) -> bool:
    low, high = getattr(limits, f"{level}_below"), getattr(limits, f"{level}_above")
    return (low is not None and figure < widen_down(low)) or (
        high is not None and figure > widen_up(high)
    )


def widen_down(limit: float) -> float:
    return limit - abs(limit) * _TOLERANCE


def widen_up(limit: float) -> float:
    return limit + abs(limit) * _TOLERANCE


def tightest(limits: Limits, side: str) -> float | None:
    values: list[float] = [
        value for level in _LEVELS if (value := getattr(limits, f"{level}_{side}")) is not None
    ]
    if not values:
        return None
    return max(values) if side == "below" else min(values)


def percent(share: float) -> str:
    return f"{share:.1%}" if share < 0.9995 or share >= 1 else f"{share:.2%}"


def shorten(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
