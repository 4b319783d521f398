"""Bounds learnt from accepted batches, with room, as lines that `conf/` takes.

For each rule about batches, the figure that the rule itself would have seen on every accepted
batch, in order, each beside the batches before it. A bound is the widest of three:

- a fence: one and a half (warn) or three (stop) interquartile ranges beyond the quartiles, Tukey's
  inner and outer fence (Exploratory Data Analysis, 1977, 2C). It needs no bell curve, and the
  quartiles do not move with a few strange batches.
- the most extreme batch with room. Of n batches, the next is beyond all of them once in n + 1
  times: of twelve, the extreme itself would alarm on business as usual, of five hundred hardly.
  So twelve get half the way from the median again (warn) or all of it (stop), and more batches
  less, by the square root of their number.
- a floor, in the rule's own unit: a history that never varied says little of next year.

Ratios and amounts are compared by their logarithms, so that half and double are equally far.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from tasks.sections import BatchRuleSettings, Limits, ValidationSettings
from tasks.settings import Settings
from tasks.validation.batch_checks import list_checks
from tasks.validation.checks import describe_limits, limits_of, percent, shorten
from tasks.validation.past import PastBatch, rebuild, surround
from tasks.validation.rules import CATALOGUE, active_batch, active_rows, check_settings, table_rules

# Fewer figures have no quartiles worth the name: a year of months is the least.
MINIMUM_FIGURES = 12

_FENCE = {"warn": 1.5, "stop": 3.0}
_ROOM = {"warn": 0.5, "stop": 1.0}
# Wide enough to look at every figure and to judge none.
_OPEN = 1e15
_OPEN_BY_RULE = {"shift": 1e12, "freshness": 100_000.0}
_DIGITS = 2
ROW_SHARE = "stop_above_share"
QUARANTINED = "quarantined_share"


@dataclass(frozen=True, slots=True)
class _Form:
    """How a rule's figure is bounded: on which sides, by which scale, and never tighter than what.

    `floors` are (warn, stop) above; below, the inverse for ratios and `floors_below` for shares.
    `most` is the greatest value that a figure can have.
    """

    floors: tuple[float, float]
    ratio: bool = False
    below: bool = False
    above: bool = True
    by_column: bool = False
    floors_below: tuple[float, float] = (0.0, 0.0)
    most: float = math.inf


# The floors: a third more or less is a good week, twice a feast; what is a hundredth, a tenth or
# a hundred times as much lies far beyond. Shares are in parts of 1, ages in days.
_FORMS: Mapping[str, _Form] = {
    "volume": _Form((1.5, 3.0), ratio=True, below=True),
    "time_shift": _Form((0.10, 0.15), most=1.0),
    "time_span": _Form((2.0, 4.0), ratio=True, below=False),
    "freshness": _Form((7.0, 30.0), most=36_500.0),
    "null_share": _Form((0.02, 0.10), by_column=True, most=1.0),
    "null_jump": _Form((0.05, 0.20), by_column=True, most=1.0),
    "shift": _Form((1.5, 3.0), ratio=True, by_column=True),
    "median": _Form((2.0, 5.0), ratio=True, below=True, by_column=True),
    "new_category": _Form((0.02, 0.10), by_column=True, most=1.0),
    "category_mix": _Form((0.10, 0.30), by_column=True, most=1.0),
    "customers_known": _Form(
        (1.0, 1.0), below=True, above=False, floors_below=(0.10, 0.30), most=1.0
    ),
    "base_rate": _Form((0.05, 0.15), below=True, floors_below=(0.05, 0.10), most=1.0),
    QUARANTINED: _Form((0.02, 0.10), most=1.0),
}
# A new currency is another unit of money: it gets no room unless history has it.
_EXACT = frozenset([("new_category", "currency")])
# Rules about rows: less than this share of rows is not worth a stop, whatever history says.
_ROW_FLOOR = 0.05


@dataclass(frozen=True, slots=True)
class Observation:
    """The figure of one rule on one accepted batch. `place` is the batch's, in its source."""

    place: int
    rule: str
    column: str
    figure: float


@dataclass(frozen=True, slots=True)
class Bound:
    """One proposed line: limits of a rule about batches, or the ceiling of a rule about rows.

    `figures` is how many batches it was learnt from, `lowest` to `highest` what they had, `lower`
    and `upper` their quartiles. With `limits` empty there were too few.
    """

    table: str
    rule: str
    column: str
    limits: Mapping[str, float]
    figures: int
    about_rows: bool = False
    lowest: float = 0.0
    lower: float = 0.0
    upper: float = 0.0
    highest: float = 0.0

    @property
    def place(self) -> tuple[str, str, str]:
        return self.table, self.rule, self.column


def observe(past: Sequence[PastBatch], settings: Settings) -> list[Observation]:
    """The figures that the rules would have seen on each batch of one source, in order."""
    found = []
    for place, batch in enumerate(past):
        if not batch.figures:
            continue
        figures = rebuild(batch)
        chosen = settings.validation.tables[batch.table]
        rules = {
            name: _opened(name, rule, table_rules(batch.table).measured)
            for name, rule in active_batch(batch.table, chosen).items()
            if name in _FORMS
        }
        around = surround(batch, past[:place], figures, settings)
        for check in list_checks(table_rules(batch.table), rules, around):
            if check.figure is not None:
                found.append(Observation(place, check.rule, check.column, check.figure))
        if chosen.batch[QUARANTINED].enabled and batch.received_rows:
            share = batch.quarantined_rows / batch.received_rows
            found.append(Observation(place, QUARANTINED, "", share))
        for rule, _ in active_rows(batch.table, chosen):
            failed, checked = batch.broken.get(rule.name, (0, 0))
            if checked:
                found.append(Observation(place, rule.name, "", failed / checked))
    return found


def _opened(name: str, rule: BatchRuleSettings, measured: Iterable[str]) -> BatchRuleSettings:
    """The rule with limits that no figure reaches, so that every figure is seen."""
    limit = _OPEN_BY_RULE.get(name, _OPEN)
    columns = {column: Limits(warn_above=limit) for column in rule.columns}
    if name == "median":
        columns |= {column: Limits(warn_above=limit) for column in measured}
    return BatchRuleSettings(enabled=True, compare=rule.compare, columns=columns, warn_above=limit)


def suggest_bounds(
    past: Sequence[PastBatch],
    observations: Sequence[Observation],
    validation: ValidationSettings,
    *,
    before: int | None = None,
) -> list[Bound]:
    """Bounds of one source, from its batches at places below `before` (all of them without).

    In the order of the catalogue; a rule with too few figures comes back without limits.
    """
    if not past:
        return []
    table = past[-1].table
    figures: dict[tuple[str, str], list[float]] = {}
    for seen in observations:
        if before is None or seen.place < before:
            figures.setdefault((seen.rule, seen.column), []).append(seen.figure)
    bounds = []
    chosen = validation.tables[table]
    for rule, settings in active_rows(table, chosen):
        values = figures.get((rule.name, ""), [])
        # A rule that never stops a batch is meant so.
        if values and settings.severity != "stop" and settings.stop_above_share < 1:
            bounds.append(_row_bound(table, rule.name, values, settings.stop_above_share))
    for name in table_rules(table).batch:
        for (rule_name, column), values in figures.items():
            if rule_name == name:
                bounds.append(_batch_bound(table, name, column, values))
    return bounds


def _row_bound(table: str, rule: str, values: Sequence[float], now: float) -> Bound:
    if len(values) < MINIMUM_FIGURES:
        return Bound(table, rule, "", {}, len(values), about_rows=True)
    form = _Form((min(now, _ROW_FLOOR),) * 2, most=1.0)
    ceiling = _upper(values, form, "stop", form.floors[1])
    return _described(table, rule, "", {ROW_SHARE: ceiling}, values, about_rows=True)


def _batch_bound(table: str, rule: str, column: str, values: Sequence[float]) -> Bound:
    form = _FORMS[rule]
    if len(values) < MINIMUM_FIGURES or (form.ratio and min(values) <= 0):
        return Bound(table, rule, column, {}, len(values))
    limits: dict[str, float] = {}
    centre = median(values)
    for place, level in enumerate(("warn", "stop")):
        if form.below:
            usual = centre if rule == "median" else 1.0
            low = usual / form.floors[place] if form.ratio else centre - form.floors_below[place]
            limits[f"{level}_below"] = _lower(values, form, level, low)
        if form.above:
            high = form.floors[place]
            if rule == "median":
                high *= centre
            elif rule in ("null_share", "base_rate", QUARANTINED):
                high += centre
            elif (rule, column) in _EXACT:
                high = 0.0
            limits[f"{level}_above"] = _upper(values, form, level, high)
    return _described(table, rule, column, limits, values, about_rows=False)


def _described(
    table: str,
    rule: str,
    column: str,
    limits: Mapping[str, float],
    values: Sequence[float],
    *,
    about_rows: bool,
) -> Bound:
    lower, _, upper = quantiles(values, n=4, method="inclusive")
    return Bound(
        table, rule, column, limits, len(values), about_rows, min(values), lower, upper, max(values)
    )


def _upper(values: Sequence[float], form: _Form, level: str, floor: float) -> float:
    """The bound above: the widest of fence, extreme with room and floor, rounded outwards."""
    found = max(floor, _from_scale(_beyond([_to_scale(v, form) for v in values], level), form))
    return _round(min(found, form.most), up=True)


def _lower(values: Sequence[float], form: _Form, level: str, floor: float) -> float:
    mirrored = -_beyond([-_to_scale(v, form) for v in values], level)
    found = min(floor, _from_scale(mirrored, form))
    return _round(found if form.ratio else max(found, 0.0), up=False)


def _beyond(values: Sequence[float], level: str) -> float:
    lower, centre, upper = quantiles(values, n=4, method="inclusive")
    highest = max(values)
    fence = upper + _FENCE[level] * (upper - lower)
    room = _ROOM[level] * math.sqrt(MINIMUM_FIGURES / len(values))
    return max(fence, highest + room * (highest - centre))


def _to_scale(value: float, form: _Form) -> float:
    return math.log(value) if form.ratio else value


def _from_scale(value: float, form: _Form) -> float:
    # A history as wide as the machine's numbers bounds nothing.
    return math.exp(min(max(value, -700.0), 700.0)) if form.ratio else value


def _round(value: float, *, up: bool) -> float:
    """To two digits, outwards: bounds are read and edited by people."""
    if value == 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - _DIGITS + 1)
    # A number that is round already stays: the division may leave it a hair above itself.
    whole = value / step
    near = round(whole)
    if abs(whole - near) > 1e-9 * abs(whole):
        near = math.ceil(whole) if up else math.floor(whole)
    return float(f"{near * step:.{_DIGITS + 4}g}")


def learn_bounds(past: Mapping[str, Sequence[PastBatch]], settings: Settings) -> list[Bound]:
    """Bounds of all given sources, by table: limits belong to a table, whoever delivers to it.

    Those that are in force already are left out.
    Raises ConfigurationError (78) where `conf/` and the catalogue of rules differ.
    """
    check_settings(settings.validation)
    bounds = [
        bound
        for batches in past.values()
        for bound in suggest_bounds(batches, observe(batches, settings), settings.validation)
    ]
    tables = list(CATALOGUE)
    joined = join(sorted(bounds, key=lambda bound: tables.index(bound.table)))
    # What is in force already is no proposal.
    return [bound for bound in joined if bound.limits != _limits_in_force(bound, settings)]


def _limits_in_force(bound: Bound, settings: Settings) -> dict[str, float | None]:
    table = settings.validation.tables[bound.table]
    if bound.about_rows:
        return {ROW_SHARE: table.rows[bound.rule].stop_above_share}
    found = limits_of(table.batch[bound.rule], bound.column)
    return {name: getattr(found, name) for name in bound.limits} or {"": None}


def join(bounds: Iterable[Bound]) -> list[Bound]:
    """One bound a rule of a table: where sources share a table, the widest of their limits."""
    joined: dict[tuple[str, str, str], Bound] = {}
    for bound in bounds:
        other = joined.get(bound.place)
        if other is None or not other.limits:
            joined[bound.place] = bound
            continue
        if not bound.limits:
            continue
        limits = {
            name: (min if name.endswith("below") else max)(value, bound.limits[name])
            for name, value in other.limits.items()
        }
        joined[bound.place] = Bound(
            *bound.place,
            limits,
            other.figures + bound.figures,
            bound.about_rows,
            min(other.lowest, bound.lowest),
            min(other.lower, bound.lower),
            max(other.upper, bound.upper),
            max(other.highest, bound.highest),
        )
    return list(joined.values())


def as_overlay(bounds: Iterable[Bound]) -> dict[str, Any]:
    """The bounds as `validation` of a deployment file has them."""
    tables: dict[str, Any] = {}
    for bound in bounds:
        if not bound.limits:
            continue
        table = tables.setdefault(bound.table, {})
        rules = table.setdefault("rows" if bound.about_rows else "batch", {})
        rule = rules.setdefault(bound.rule, {})
        if not bound.about_rows and _FORMS[bound.rule].by_column:
            rule.setdefault("columns", {})[bound.column] = dict(bound.limits)
        else:
            rule.update(bound.limits)
    return {"tables": tables}


def put_in_force(settings: Settings, bounds: Iterable[Bound]) -> Settings:
    """The settings with the bounds in place of those that they have."""
    validation = settings.validation
    tables = dict(validation.tables)
    for table, groups in as_overlay(bounds)["tables"].items():
        entry = tables[table]
        rows, batch = dict(entry.rows), dict(entry.batch)
        for name, limits in groups.get("rows", {}).items():
            rows[name] = rows[name].model_copy(update=limits)
        for name, limits in groups.get("batch", {}).items():
            own = {key: value for key, value in limits.items() if key != "columns"}
            columns = dict(batch[name].columns)
            for column, values in limits.get("columns", {}).items():
                before = columns.get(column, Limits())
                columns[column] = before.model_copy(update=values)
            batch[name] = batch[name].model_copy(update={**own, "columns": columns})
        tables[table] = entry.model_copy(update={"rows": rows, "batch": batch})
    return settings.model_copy(
        update={"validation": validation.model_copy(update={"tables": tables})}
    )


def render(bounds: Sequence[Bound], settings: Settings) -> str:
    """The bounds as YAML, a line a rule and column, each with what it comes from."""
    lines = [
        "# Proposed by `holdfast rules suggest` from accepted batches. It is a deployment file's",
        "# `validation` as it stands; where the file has one already, take over its lines.",
    ]
    kept = [bound for bound in bounds if bound.limits]
    if kept:
        lines += ["validation:", "  tables:"]
    for table in dict.fromkeys(bound.table for bound in kept):
        lines.append(f"    {table}:")
        for group, about_rows in (("rows", True), ("batch", False)):
            chosen = [b for b in kept if b.table == table and b.about_rows is about_rows]
            if chosen:
                lines.append(f"      {group}:")
                lines += _render_group(chosen, settings.validation)
    for bound in bounds:
        if not bound.limits:
            name = f"{bound.rule} {bound.column}".strip()
            lines.append(
                f"# {bound.table}: {name}: not enough history, {bound.figures} of"
                f" {MINIMUM_FIGURES} batches"
            )
    if not bounds:
        lines.append("# Nothing to propose: no batch has been accepted.")
    return "\n".join(lines) + "\n"


def _render_group(bounds: Sequence[Bound], validation: ValidationSettings) -> Iterable[str]:
    for rule in dict.fromkeys(bound.rule for bound in bounds):
        found = [bound for bound in bounds if bound.rule == rule]
        if found[0].about_rows or not _FORMS[rule].by_column:
            [bound] = found
            yield f"        {rule}: {_flow(bound.limits)}  # {_origin(bound, validation)}"
            continue
        yield f"        {rule}:"
        yield "          columns:"
        for bound in found:
            origin = _origin(bound, validation)
            yield f"            {bound.column}: {_flow(bound.limits)}  # {origin}"


def _flow(limits: Mapping[str, float]) -> str:
    return "{" + ", ".join(f"{name}: {_plain(value)}" for name, value in limits.items()) + "}"


def _plain(value: float) -> str:
    # `1e-05` is text to YAML 1.1, `1.0e-05` is a number.
    text = f"{value:.6g}"
    return text if "e" not in text or "." in text else text.replace("e", ".0e")


def _origin(bound: Bound, validation: ValidationSettings) -> str:
    table = validation.tables[bound.table]
    form = percent if bound.about_rows or _FORMS[bound.rule].most == 1.0 else shorten
    if bound.about_rows:
        now = f"at most {percent(table.rows[bound.rule].stop_above_share)} (stop)"
    else:
        now = describe_limits(limits_of(table.batch[bound.rule], bound.column), form)
    return (
        f"{bound.figures} batches: {form(bound.lowest)} to {form(bound.highest)},"
        f" middle half {form(bound.lower)} to {form(bound.upper)};"
        f" in force: {now or 'no limit'}"
    )
