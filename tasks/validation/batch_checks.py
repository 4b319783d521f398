"""The rules about a batch as a whole, one function a rule.

A comparison that lacks history says so and passes; absolute limits of the same figures apply from
the first batch on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from statistics import median

from tasks.contracts import CONTRACTS
from tasks.sections import BatchRuleSettings, Limits
from tasks.validation.checks import (
    Check,
    Surroundings,
    decide,
    has_limits,
    limits_of,
    percent,
    shorten,
    tightest,
    widen_down,
    widen_up,
)
from tasks.validation.hours import HOURS, describe, find_movement
from tasks.validation.rules import TableRules
from tasks.validation.statistics import HOUR_PREFIX, MOMENTS, QUANTILES, SHARE_PREFIX
from tasks.validation.units import hint_unit
from tasks.validation.volumes import Usual, expect_rows

# Batches that cover this much more or less time are compared by their rows a day.
_SAME_SPAN = 3.0


def list_checks(
    entry: TableRules, rules: Mapping[str, BatchRuleSettings], around: Surroundings
) -> list[Check]:
    """The checks of every active batch rule but `columns` and `quarantined_share`."""
    makers: dict[str, Callable[[TableRules, BatchRuleSettings, Surroundings], Iterator[Check]]] = {
        "rows": _rows,
        "volume": _volume,
        "time_span": _time_span,
        "time_shift": _time_shift,
        "freshness": _freshness,
        "null_share": _null_share,
        "null_jump": _null_jump,
        "shift": _shift,
        "median": _median,
        "new_category": _new_category,
        "category_mix": _category_mix,
        "one_currency": _one_currency,
        "customers_known": _customers_known,
        "base_rate": _base_rate,
    }
    return [
        check
        for name, settings in rules.items()
        if name in makers
        for check in makers[name](entry, settings, around)
    ]


def _past(around: Surroundings, column: str, statistic: str) -> list[float]:
    """The figure in the trailing batches, those apart that had too few values to have one."""
    found = []
    for batch in around.trailing:
        value = batch.figures.get((column, statistic))
        if value is None:
            continue
        if statistic in {name for name, _ in QUANTILES}:
            values = batch.figures.get((column, "positive_values"), 0.0)
            if values < around.settings.minimum_values:
                continue
        found.append(value)
    return found


def _no_history(around: Surroundings, found: int) -> str:
    wanted = around.settings.minimum_batches
    return "" if found >= wanted else f"not enough history: {found} of {wanted} batches"


def _skip(rule: str, column: str, limits: Limits, note: str, around: Surroundings) -> Check:
    return Check(rule, column, None, limits, "", note, checked_rows=around.figures.rows)


def _rows(_: TableRules, settings: BatchRuleSettings, around: Surroundings) -> Iterator[Check]:
    limits = limits_of(settings, "")
    low, high = tightest(limits, "below"), tightest(limits, "above")
    rows = around.figures.rows
    yield decide(
        "rows",
        "",
        float(rows),
        limits,
        observed=f"{rows:,} rows",
        bound={
            "minimum": math.ceil(low) if low is not None else None,
            "maximum": math.floor(high) if high is not None else None,
        },
        checked_rows=rows,
    )


def _volume(_: TableRules, settings: BatchRuleSettings, around: Surroundings) -> Iterator[Check]:
    limits, figures = limits_of(settings, ""), around.figures
    past = _past(around, "", "rows")
    if note := _no_history(around, len(past)):
        yield _skip("volume", "", limits, note, around)
        return
    spans = _past(around, "", "span_days")
    days = [
        batch.figures["", "rows"] / max(1.0, batch.figures.get(("", "active_days"), 1.0))
        for batch in around.trailing
        if ("", "rows") in batch.figures
    ]
    unlike = (
        figures.span_days is not None
        and spans
        and not (1 / _SAME_SPAN <= figures.span_days / median(spans) <= _SAME_SPAN)
    )
    if unlike:
        # A week after months, or the rest of a year at once: only rows a day can be compared.
        rate = figures.rows / max(1, figures.active_days)
        figure = rate / median(days)
        yield decide(
            "volume",
            "",
            figure,
            limits,
            observed=f"{figure:.3g} times the usual rows a day ({rate:,.0f}; {median(days):,.0f})",
            checked_rows=figures.rows,
        )
        return
    usual = None
    if settings.compare == "calendar":
        usual = expect_rows(figures, around.volumes, around.settings)
    if usual is None:
        usual = Usual(median(past), "the trailing median", "")
    centre = usual.rows
    low, high = tightest(limits, "below"), tightest(limits, "above")
    minimum = math.ceil(widen_down(centre * low)) if low is not None else None
    maximum = math.floor(widen_up(centre * high)) if high is not None else None
    figure = figures.rows / centre
    yield Check(
        "volume",
        "",
        figure,
        limits,
        f"{figure:.3g} times {usual.words} ({figures.rows:,}; {centre:,.0f}{usual.detail})",
        bound={"minimum": minimum, "maximum": maximum},
        checked_rows=figures.rows,
        fails=(minimum is not None and figures.rows < minimum)
        or (maximum is not None and figures.rows > maximum),
    )


def _time_span(
    entry: TableRules, settings: BatchRuleSettings, around: Surroundings
) -> Iterator[Check]:
    limits, span = limits_of(settings, ""), around.figures.span_days
    column = CONTRACTS[entry.table].event_time
    past = _past(around, "", "span_days")
    note = _no_history(around, len(past))
    if note or span is None or around.figures.rows < around.settings.minimum_values:
        yield _skip("time_span", column, limits, note or "too few rows to say", around)
        return
    figure = span / median(past)
    yield decide(
        "time_span",
        column,
        figure,
        limits,
        observed=f"covers {span:,.3g} days, {figure:.3g} times the usual {median(past):,.3g}",
        checked_rows=around.figures.rows,
    )


def _time_shift(
    entry: TableRules, settings: BatchRuleSettings, around: Surroundings
) -> Iterator[Check]:
    column = CONTRACTS[entry.table].event_time
    limits, moments = limits_of(settings, column), around.figures.moments
    past = [
        (
            [batch.figures.get((column, f"{HOUR_PREFIX}{hour:02}"), 0.0) for hour in range(HOURS)],
            count,
        )
        for batch in around.trailing
        if (count := batch.figures.get((column, MOMENTS), 0.0)) >= around.settings.minimum_values
    ]
    note = _no_history(around, len(past)) or ("" if len(past) > 1 else "nothing to compare with")
    if note or sum(moments) < around.settings.minimum_values:
        yield _skip("time_shift", column, limits, note or "too few rows to say", around)
        return
    found = find_movement(moments, past)
    if found is None:
        yield _skip("time_shift", column, limits, "the hours of the day say nothing", around)
        return
    figures = f"profile differs by {found.distance:.2f}, by {found.moved_back:.2f}"
    if not found.hours:
        observed = f"no shift of the times ({figures} at the shift that fits best)"
    else:
        clocks = ", as when clocks are changed" if found.is_clocks else ""
        observed = (
            f"{entry.table.removesuffix('s')} times look moved by {describe(found.hours)}{clocks}"
            f" ({figures} once moved back)"
        )
    if found.is_clocks:
        # Clocks are changed twice a year, and some sources go by them: no reason to stop.
        limits = Limits(warn_above=limits.warn_above)
    yield decide(
        "time_shift",
        column,
        found.gain,
        limits,
        observed=observed,
        checked_rows=around.figures.rows,
    )


def _freshness(
    entry: TableRules, settings: BatchRuleSettings, around: Surroundings
) -> Iterator[Check]:
    limits, newest = limits_of(settings, ""), around.figures.newest_at
    column = CONTRACTS[entry.table].event_time
    if around.reference_at is None or newest is None:
        yield _skip("freshness", column, limits, "nothing published to be older than", around)
        return
    age_days = max(0.0, (around.reference_at - newest).total_seconds() / 86_400)
    oldest_allowed = tightest(limits, "above")
    bound = None
    fails = False
    if oldest_allowed is not None:
        after = around.reference_at - timedelta(days=oldest_allowed)
        bound, fails = {"after": after}, newest < after
    yield Check(
        "freshness",
        column,
        age_days,
        limits,
        f"the newest is of {newest:%Y-%m-%d}, {age_days:,.1f} days before"
        f" {around.reference_at:%Y-%m-%d}",
        bound=bound,
        checked_rows=around.figures.rows,
        fails=fails,
    )


def _null_share(
    entry: TableRules, settings: BatchRuleSettings, around: Surroundings
) -> Iterator[Check]:
    """Only of optional columns that the source fills: the others are missing by declaration."""
    figures = around.figures
    for column in CONTRACTS[entry.table].columns:
        limits = limits_of(settings, column.name)
        # A ceiling of the column's own always holds, the general one where the source fills it.
        own = column.name in settings.columns
        unmapped = column.name not in around.mapped_columns and not own
        if not column.nullable or unmapped or not has_limits(limits):
            continue
        if figures.rows < around.settings.minimum_values:
            yield _skip("null_share", column.name, limits, "too few rows to say", around)
            continue
        count, share = figures.null_counts[column.name], figures.null_share(column.name)
        yield decide(
            "null_share",
            column.name,
            share,
            limits,
            observed=f"{percent(share)} missing",
            bound={"maximum": tightest(limits, "above") or 0.0},
            checked_rows=figures.rows,
            failed_rows=count,
        )


def _null_jump(
    entry: TableRules, settings: BatchRuleSettings, around: Surroundings
) -> Iterator[Check]:
    for column in CONTRACTS[entry.table].names:
        limits = limits_of(settings, column)
        past = _past(around, column, "null_share")
        if note := _no_history(around, len(past)):
            # Said once: it is the same for every column.
            yield _skip("null_jump", "", limits, note, around)
            return
        if around.figures.rows < around.settings.minimum_values:
            yield _skip("null_jump", "", limits, "too few rows to say", around)
            return
        share = around.figures.null_share(column)
        yield decide(
            "null_jump",
            column,
            share - median(past),
            limits,
            observed=f"{percent(share)} missing, usually {percent(median(past))}",
            checked_rows=around.figures.rows,
        )


def _shift(entry: TableRules, settings: BatchRuleSettings, around: Surroundings) -> Iterator[Check]:
    figures = around.figures
    for column in entry.measured:
        limits = limits_of(settings, column)
        factor = tightest(limits, "above")
        values = figures.quantiles.get(column)
        if factor is None or (not values and not _past(around, column, "q50")):
            continue
        past = [_past(around, column, name) for name, _ in QUANTILES]
        if note := _no_history(around, min(len(found) for found in past)):
            yield _skip("shift", column, limits, note, around)
            continue
        count = figures.positive_counts.get(column, 0)
        if not values or count < around.settings.minimum_values:
            yield _skip("shift", column, limits, f"too few positive values: {count}", around)
            continue
        centres = [median(found) for found in past]
        ranges = [(widen_down(centre / factor), widen_up(centre * factor)) for centre in centres]
        ratios = [value / centre for value, centre in zip(values, centres, strict=True)]
        farthest = max(ratios, key=lambda ratio: abs(math.log(ratio)))
        yield Check(
            "shift",
            column,
            max(farthest, 1 / farthest),
            limits,
            f"trailing ratio {farthest:.3g}{hint_unit(ratios)}",
            bound={"ranges": ranges},
            checked_rows=figures.rows,
            fails=any(
                not low <= value <= high for value, (low, high) in zip(values, ranges, strict=True)
            ),
        )


def _median(
    entry: TableRules, settings: BatchRuleSettings, around: Surroundings
) -> Iterator[Check]:
    middle = [name for name, _ in QUANTILES].index("q50")
    for column in entry.measured:
        limits = limits_of(settings, column)
        values = around.figures.quantiles.get(column)
        if not has_limits(limits):
            continue
        count = around.figures.positive_counts.get(column, 0)
        if not values or count < around.settings.minimum_values:
            yield _skip("median", column, limits, f"too few positive values: {count}", around)
            continue
        low, high = tightest(limits, "below"), tightest(limits, "above")
        yield decide(
            "median",
            column,
            values[middle],
            limits,
            observed=f"median {shorten(values[middle])}",
            bound={
                "minimum": widen_down(low) if low is not None else None,
                "maximum": widen_up(high) if high is not None else None,
            },
            checked_rows=around.figures.rows,
        )


def _past_shares(around: Surroundings, column: str) -> list[dict[str, float]]:
    found = []
    for batch in around.trailing:
        shares = {
            statistic.removeprefix(SHARE_PREFIX): value
            for (name, statistic), value in batch.figures.items()
            if name == column and statistic.startswith(SHARE_PREFIX)
        }
        if shares:
            found.append(shares)
    return found


def _new_category(
    entry: TableRules, settings: BatchRuleSettings, around: Surroundings
) -> Iterator[Check]:
    figures = around.figures
    for column in entry.sorted_into:
        limits = limits_of(settings, column)
        counts, past = figures.counts.get(column, {}), _past_shares(around, column)
        if not counts and not past:
            continue
        if note := _no_history(around, len(past)):
            yield _skip("new_category", column, limits, note, around)
            continue
        if any(len(shares) >= around.settings.maximum_categories for shares in past):
            yield _skip("new_category", column, limits, "more categories than are kept", around)
            continue
        known = sorted(set().union(*past))
        present = sum(counts.values())
        new = sum(count for name, count in counts.items() if name not in set(known))
        if present == 0:
            yield _skip("new_category", column, limits, "no value", around)
            continue
        yield decide(
            "new_category",
            column,
            new / present,
            limits,
            observed=f"{percent(new / present)} in categories unseen before",
            bound={"known": known, "maximum": tightest(limits, "above") or 0.0},
            checked_rows=present,
            failed_rows=new,
        )


def _category_mix(
    entry: TableRules, settings: BatchRuleSettings, around: Surroundings
) -> Iterator[Check]:
    """Total variation distance: half the sum of the differences of all shares."""
    figures = around.figures
    for column in entry.sorted_into:
        limits = limits_of(settings, column)
        shares, past = figures.shares(column), _past_shares(around, column)
        if not shares and not past:
            continue
        present = sum(figures.counts.get(column, {}).values())
        note = _no_history(around, len(past))
        if note or present < around.settings.minimum_values:
            yield _skip("category_mix", column, limits, note or "too few rows to say", around)
            continue
        names = set(shares).union(*past)
        usual = {n: sum(p.get(n, 0.0) for p in past) / len(past) for n in names}
        moved = sum(abs(shares.get(name, 0.0) - usual[name]) for name in names) / 2
        yield decide(
            "category_mix",
            column,
            moved,
            limits,
            observed=f"{percent(moved)} of rows in another category than usual",
            checked_rows=present,
        )


def _one_currency(
    _: TableRules, settings: BatchRuleSettings, around: Surroundings
) -> Iterator[Check]:
    limits = limits_of(settings, "currency")
    counts = around.figures.counts.get("currency")
    highest = tightest(limits, "above")
    if counts is None or highest is None:
        return
    # What is no code may be anything, an address too, and is not repeated.
    codes = sorted(code for code in counts if re.fullmatch("[A-Z]{3}", code))
    listed = ", ".join(codes[:5])
    yield decide(
        "one_currency",
        "currency",
        float(len(counts)),
        limits,
        observed=f"{len(counts)} {'currency' if len(counts) == 1 else 'currencies'}"
        f"{': ' + listed if listed else ''}",
        bound={"maximum": math.floor(highest)},
        checked_rows=around.figures.rows,
    )


def _customers_known(
    _: TableRules, settings: BatchRuleSettings, around: Surroundings
) -> Iterator[Check]:
    limits, found = limits_of(settings, ""), around.customers
    if found is None or found.customers == 0:
        yield _skip("customers_known", "customer_id", limits, "nobody is known yet", around)
        return
    share = found.known / found.customers
    yield decide(
        "customers_known",
        "customer_id",
        share,
        limits,
        observed=f"{found.known:,} of {found.customers:,} customers known ({percent(share)})",
        checked_rows=around.figures.rows,
    )


def _base_rate(_: TableRules, settings: BatchRuleSettings, around: Surroundings) -> Iterator[Check]:
    limits, churned = limits_of(settings, "churned"), around.figures.churned_count
    if churned is None or around.figures.rows < around.settings.minimum_values:
        yield _skip("base_rate", "churned", limits, "too few rows to say", around)
        return
    share = churned / around.figures.rows
    yield decide(
        "base_rate",
        "churned",
        share,
        limits,
        observed=f"{percent(share)} churned",
        bound={},
        checked_rows=around.figures.rows,
        failed_rows=churned,
    )
