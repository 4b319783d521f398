"""Rules that say in a few words who is in a segment, as text and as SQL with the same answer.

A rule is a conjunction of at most five conditions, each a closed interval of one feature with or
without those of whom it is unknown. It is searched for each segment against all others: a beam of
boxes, improved one interval at a time, where the best interval of a feature given all the other
conditions is found exactly (the greatest sum of a run of bins). A tree of the same number of
conditions cuts space from the top for all segments at once and describes each of them worse: the
figures of both are printed by `python -m benchmarks.segment_memory`.

Rules may overlap, and leave somebody out. `Description.case_sql` and `Description.assign` ask them
in order, surest first, and give everybody exactly one segment.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.segments.boxes import Binned, Box, bin_features, find_box, harmonic_share
from tasks.segments.profiles import check_matrix
from tasks.warehouse import literal, quote

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MAXIMUM_CONDITIONS = 5
# What a rule must reach, in precision and in recall, to count as a description of its segment.
DESCRIBED_SHARE = 0.9
_SAMPLE_ROWS = 20_000
_FINE_BINS = 1_000
# A condition, a bound, or digits of a bound are left out where that costs less than this of the
# harmonic mean of precision and recall.
_CONDITION_WORTH = 0.005
_DIGITS_WORTH = 0.002
_MOST_DIGITS = 6
_MOST_PLAIN_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Condition:
    """`low <= feature <= high`, each side open where None; with `nulls` also who has no value.

    Without bounds it asks whether there is a value at all: none (`nulls`) or any (not `nulls`).
    """

    feature: str
    low: float | None = None
    high: float | None = None
    nulls: bool = False

    def holds(self, values: Floats) -> Flags:
        """For whom it is true, shape as `values` (n,); NaN is no value."""
        unknown = np.isnan(values)
        if self.low is None and self.high is None:
            return unknown if self.nulls else ~unknown
        # A comparison with NaN is false, as one with NULL is not true.
        inside = ~unknown
        if self.low is not None:
            inside &= values >= self.low
        if self.high is not None:
            inside &= values <= self.high
        return inside | unknown if self.nulls else inside

    @property
    def text(self) -> str:
        """`recency_days <= 30`, `30 <= amount_365 <= 90 (or unknown)`."""
        if self.low is None and self.high is None:
            return f"{self.feature} is {'unknown' if self.nulls else 'known'}"
        if self.low == self.high:
            said = f"{self.feature} = {_say(self.low)}"
        else:
            low = "" if self.low is None or self.high is None else f"{_say(self.low)} <= "
            side = f" >= {_say(self.low)}" if self.high is None else f" <= {_say(self.high)}"
            said = f"{low}{self.feature}{side}"
        return f"{said} (or unknown)" if self.nulls else said

    @property
    def sql(self) -> str:
        """The same as a predicate on a table of features, whose columns are DOUBLE."""
        column = quote(self.feature)
        if self.low is None and self.high is None:
            return f"{column} is null" if self.nulls else f"{column} is not null"
        if self.low == self.high:
            said = f"{column} = {_number(self.low)}"
        elif self.low is None:
            said = f"{column} <= {_number(self.high)}"
        elif self.high is None:
            said = f"{column} >= {_number(self.low)}"
        else:
            said = f"{column} between {_number(self.low)} and {_number(self.high)}"
        return f"({said} or {column} is null)" if self.nulls else said


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule of one segment and how well it tells its members, over all customers.

    `agreement_share` is the part of all customers put right, in or out; in a small segment it is
    high for any rule, so `is_described` asks precision and recall. A rule without conditions
    selects everybody if it is the only segment, else nobody: no rule was found.
    """

    segment_id: str
    conditions: tuple[Condition, ...]
    selects_all: bool
    precision_share: float
    recall_share: float
    agreement_share: float

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(condition.text for condition in self.conditions)

    @property
    def sql(self) -> str:
        """A predicate that is true for whom the rule selects; false or NULL for others."""
        if not self.conditions:
            return "true" if self.selects_all else "false"
        return " and ".join(condition.sql for condition in self.conditions)

    @property
    def is_described(self) -> bool:
        return min(self.precision_share, self.recall_share) >= DESCRIBED_SHARE

    @property
    def shortfall_share(self) -> float:
        """How much precision or recall, the worse of the two, lacks; 0 where described."""
        return max(0.0, DESCRIBED_SHARE - min(self.precision_share, self.recall_share))

    def selects(self, matrix: Floats, places: Mapping[str, int]) -> Flags:
        """Whom the rule selects of a matrix whose features stand at `places`, shape (n,)."""
        chosen = np.full(matrix.shape[0], bool(self.conditions) or self.selects_all)
        for condition in self.conditions:
            chosen &= condition.holds(matrix[:, places[condition.feature]])
        return chosen


@dataclass(frozen=True, slots=True)
class Description:
    """The rules of a segmentation by segment id, and the order in which they are asked.

    `fallback_id` is who no rule selects. `agreement_share` is the part of all customers to whom
    the rules, asked in order, give their own segment.
    """

    feature_names: tuple[str, ...]
    rules: dict[str, Rule]
    order: tuple[str, ...]
    fallback_id: str
    agreement_share: float

    def assign(self, matrix: ArrayLike) -> NDArray[np.object_]:
        """The segment of each row of `matrix` (n, p) by the rules, shape (n,)."""
        values = np.asarray(matrix, dtype=np.float64)
        return _assign(values, self.feature_names, [self.rules[i] for i in self.order],
                       self.fallback_id)  # fmt: skip

    @property
    def case_sql(self) -> str:
        """An expression on a table of features that is the segment, as `assign` gives it."""
        cases = "".join(
            f"\n    when {self.rules[name].sql} then {literal(name)}" for name in self.order
        )
        if not cases:
            return literal(self.fallback_id)
        return f"case{cases}\n    else {literal(self.fallback_id)}\nend"


def describe_segments(
    matrix: ArrayLike,
    feature_names: Sequence[str],
    segment_ids: ArrayLike,
    *,
    seed: int = 0,
    maximum_conditions: int = MAXIMUM_CONDITIONS,
    sample_rows: int = _SAMPLE_ROWS,
) -> Description:
    """Find each segment's rule on a sample, and judge it on all customers.

    `matrix` (n, p) holds the features as the feature table does, NaN for NULL; `segment_ids` (n,).
    Constant and all-NULL columns are not asked about. The same input gives the same rules. Raises
    DataRejected (65) without customers, or for an infinite value.
    """
    values, ids = check_matrix(matrix, feature_names, segment_ids)
    names = tuple(feature_names)
    rows = _sample(len(ids), sample_rows, seed)
    binned = bin_features(values[rows])
    places = {name: place for place, name in enumerate(names)}
    rules = {}
    segments = [str(name) for name in np.unique(ids)]
    for name in segments:
        members = ids == name
        conditions: tuple[Condition, ...] = ()
        if len(segments) > 1 and members[rows].any():
            conditions = _search(binned, values[rows], members[rows], names, maximum_conditions)
        rule = Rule(name, conditions, len(segments) == 1, 0.0, 0.0, 0.0)
        rules[name] = _judge(rule, rule.selects(values, places), members)
    return _order_rules(rules, values, names, ids)


def _sample(rows: int, most: int, seed: int) -> NDArray[np.int64]:
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, size=most, replace=False))


def _search(
    binned: Binned, values: Floats, members: Flags, names: tuple[str, ...], most: int
) -> tuple[Condition, ...]:
    """The best box as conditions; once its features are found, its sides are in fine steps."""
    features = sorted(find_box(binned, members, most))
    fine = bin_features(values[:, features], _FINE_BINS)
    box = find_box(fine, members, most)
    own = tuple(names[feature] for feature in features)
    return _simplify(box, fine, values[:, features], members, own)


def _simplify(
    box: Box, binned: Binned, values: Floats, members: Flags, names: tuple[str, ...]
) -> tuple[Condition, ...]:
    """The box as conditions: without what adds nothing, in round numbers, the weightiest first."""
    columns = {names[f]: values[:, f] for f in box}
    conditions = [_condition(names[f], binned, f, *box[f]) for f in sorted(box)]
    conditions = _drop(conditions, columns, members)
    conditions = _round(conditions, columns, members)
    loss = {
        c.feature: -_worth([o for o in conditions if o is not c], columns, members)
        for c in conditions
    }
    return tuple(sorted(conditions, key=lambda c: (-loss[c.feature], c.feature)))


def _condition(
    name: str, binned: Binned, feature: int, low: int, high: int, nulls: bool
) -> Condition:
    lows, highs = binned.lows[feature], binned.highs[feature]
    if low > high:
        return Condition(name, nulls=True)
    return Condition(
        name,
        float(lows[low]) if low > 0 else None,
        float(highs[high]) if high < len(highs) - 1 else None,
        nulls,
    )


def _worth(conditions: Sequence[Condition], columns: Mapping[str, Floats], members: Flags) -> float:
    chosen = np.ones(len(members), dtype=bool)
    for condition in conditions:
        chosen &= condition.holds(columns[condition.feature])
    return harmonic_share(chosen, members)


def _drop(
    conditions: list[Condition], columns: Mapping[str, Floats], members: Flags
) -> list[Condition]:
    """Leave out conditions and single bounds that are worth less than their room."""
    while conditions:
        now = _worth(conditions, columns, members)
        lighter: list[tuple[float, list[Condition]]] = []
        for place, condition in enumerate(conditions):
            before, after = conditions[:place], conditions[place + 1 :]
            lighter.append((_CONDITION_WORTH, [*before, *after]))
            if condition.low is not None and condition.high is not None:
                for bare in (replace(condition, low=None), replace(condition, high=None)):
                    lighter.append((_DIGITS_WORTH, [*before, bare, *after]))
            if condition.nulls and (condition.low is not None or condition.high is not None):
                lighter.append((0.0, [*before, replace(condition, nulls=False), *after]))
        scored = [
            (_worth(fewer, columns, members) - now + worth, fewer)
            for worth, fewer in lighter
            if fewer
        ]
        best = max(scored, key=lambda one: one[0], default=None)
        # At equality nothing is lost by the lighter one.
        if best is None or best[0] < 0:
            break
        conditions = best[1]
    return conditions


def _round(
    conditions: list[Condition], columns: Mapping[str, Floats], members: Flags
) -> list[Condition]:
    """Each bound with the fewest digits that cost next to nothing."""
    rounded = list(conditions)
    for place, condition in enumerate(conditions):
        for bound, is_low in ((condition.low, True), (condition.high, False)):
            if bound is None:
                continue
            least = _worth(rounded, columns, members) - _DIGITS_WORTH
            for round_bound in _rounder(bound, upwards=not is_low):
                tried = (
                    replace(rounded[place], low=round_bound)
                    if is_low
                    else replace(rounded[place], high=round_bound)
                )
                if tried.low is not None and tried.high is not None and tried.low > tried.high:
                    continue
                others = [*rounded[:place], tried, *rounded[place + 1 :]]
                if _worth(others, columns, members) >= least:
                    rounded = others
                    break
    return rounded


def _rounder(bound: float, *, upwards: bool) -> Iterator[float]:
    """The bound in one digit, two, and so on: the nearest number, then the next one outwards."""
    if bound == 0:
        return
    for digits in range(1, _MOST_DIGITS + 1):
        nearest = float(f"{bound:.{digits - 1}e}")
        yield nearest
        exponent = math.floor(math.log10(abs(bound))) - digits + 1
        step = 1 if upwards else -1
        outward = float(f"{round(nearest / 10.0**exponent) + step}e{exponent}")
        yield outward


def _judge(rule: Rule, chosen: Flags, members: Flags) -> Rule:
    right = int(np.count_nonzero(chosen & members))
    selected, own = int(np.count_nonzero(chosen)), int(np.count_nonzero(members))
    return replace(
        rule,
        precision_share=right / selected if selected else 0.0,
        recall_share=right / own if own else 0.0,
        agreement_share=float(np.mean(chosen == members)),
    )


def _order_rules(
    rules: dict[str, Rule], values: Floats, names: tuple[str, ...], texts: NDArray[np.str_]
) -> Description:
    order = sorted(
        (name for name, rule in rules.items() if rule.conditions),
        key=lambda name: (-rules[name].precision_share, name),
    )
    given = _assign(values, names, [rules[name] for name in order], "")
    left = texts[given == ""]
    counted, sizes = np.unique(left if len(left) else texts, return_counts=True)
    fallback = str(counted[int(np.argmax(sizes))])
    given[given == ""] = fallback
    return Description(names, rules, tuple(order), fallback, float(np.mean(given == texts)))


def _assign(
    values: Floats, names: Sequence[str], rules: Sequence[Rule], fallback_id: str
) -> NDArray[np.object_]:
    places = {name: place for place, name in enumerate(names)}
    given = np.full(len(values), fallback_id, dtype=object)
    free = np.ones(len(values), dtype=bool)
    for rule in rules:
        taken = free & rule.selects(values, places)
        given[taken] = rule.segment_id
        free &= ~taken
    return given


def _say(value: float | None) -> str:
    return _number(value).removesuffix("e0")


def _number(value: float | None) -> str:
    """A number as SQL reads it exactly: plain where decimal digits are few, else a DOUBLE."""
    assert value is not None
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    plain = np.format_float_positional(value, trim="-")
    digits = plain.replace("-", "").replace(".", "").strip("0")
    if len(digits) <= _MOST_PLAIN_DIGITS and len(plain) <= 2 * _MOST_PLAIN_DIGITS:
        return plain
    return repr(value) if "e" in repr(value) else f"{value!r}e0"
