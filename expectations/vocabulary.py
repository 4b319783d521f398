"""The phrases that the suites of `expectations/` are written in.

A phrase names a rule and adds the expectation that checks it, if `bounds` holds the rule: which
rules apply, and with which numbers, is decided in `conf/`. A bound that no phrase has used is an
error, so that a rule in `conf/` is never silently without a check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import great_expectations.expectations as gxe
from great_expectations import ExpectationSuite

from expectations.conditions import (
    ExpectColumnConditionToHold,
    ExpectColumnValuesToBeKnown,
    ExpectColumnValuesToBePresent,
    ExpectPositiveQuantilesToBeBetween,
    ExpectRowsToBeDistinct,
)

Bounds = Mapping[str, Mapping[str, Any]]

QUANTILES = (0.25, 0.5, 0.75, 0.9)
SYSTEM_COLUMNS = ("row_number", "raw_line", "received_at")


class Phrases:
    """Collects the expectations of one table.

    `bounds` maps a rule, or `rule:column` for a rule that several columns have, to its numbers.
    """

    def __init__(self, table: str, bounds: Bounds) -> None:
        self._bounds = bounds
        self._used: set[str] = set()
        self._table = table
        self._expectations: list[Any] = []

    def suite(self) -> ExpectationSuite:
        """The suite. Raises ValueError naming a bound that no phrase knows."""
        unused = sorted(set(self._bounds) - self._used)
        if unused:
            raise ValueError(f"suite {self._table}: no expectation for {', '.join(unused)}")
        # Built at once: adding to a suite asks for a context, and a suite needs none.
        return ExpectationSuite(name=self._table, expectations=self._expectations)

    def _take(self, rule: str) -> Mapping[str, Any] | None:
        self._used.add(rule)
        return self._bounds.get(rule)

    def _columns_of(self, rule: str) -> list[tuple[str, str, Mapping[str, Any]]]:
        """(key, column, bound) of every bound of a rule that columns share."""
        found = []
        for key, bound in self._bounds.items():
            name, _, column = key.partition(":")
            if name == rule and column:
                self._used.add(key)
                found.append((key, column, bound))
        return found

    def _add(self, rule: str, expectation: Any) -> None:
        expectation.meta = {"rule": rule}
        self._expectations.append(expectation)

    # -- about the batch ---------------------------------------------------------------------

    def rows(self) -> None:
        """Not vacuous, not endless."""
        for rule in ("rows", "volume"):
            if (bound := self._take(rule)) is not None:
                self._add(
                    rule,
                    gxe.ExpectTableRowCountToBeBetween(
                        min_value=bound.get("minimum"), max_value=bound.get("maximum")
                    ),
                )

    def exact_columns(self, *names: str, system: Sequence[str] = SYSTEM_COLUMNS) -> None:
        """These columns, or without names those that the bound lists, and no other."""
        if (bound := self._take("columns")) is not None:
            wanted = [*names, *system] or list(bound["names"])
            self._add(
                "columns", gxe.ExpectTableColumnsToMatchSet(column_set=wanted, exact_match=True)
            )

    def null_shares(self) -> None:
        """No more missing values than the ceiling."""
        for key, column, bound in self._columns_of("null_share"):
            self._add(
                key,
                gxe.ExpectColumnValuesToNotBeNull(
                    column=column, mostly=max(0.0, 1.0 - bound["maximum"])
                ),
            )

    def distributions(self) -> None:
        """Quartiles and ninth decile of the positive values near those of the batches before."""
        for key, column, bound in self._columns_of("shift"):
            self._add(
                key,
                ExpectPositiveQuantilesToBeBetween(
                    column=column, levels=QUANTILES, ranges=tuple(map(tuple, bound["ranges"]))
                ),
            )
        for key, column, bound in self._columns_of("median"):
            self._add(
                key,
                ExpectPositiveQuantilesToBeBetween(
                    column=column,
                    levels=(0.5,),
                    ranges=((bound.get("minimum"), bound.get("maximum")),),
                ),
            )

    def categories(self) -> None:
        """Categories that batches before have shown."""
        for key, column, bound in self._columns_of("new_category"):
            self._add(
                key,
                ExpectColumnValuesToBeKnown(
                    column=column,
                    known=tuple(bound["known"]),
                    mostly=max(0.0, 1.0 - bound["maximum"]),
                ),
            )

    def fresh(self, column: str) -> None:
        """The newest event is not too old."""
        rule = f"freshness:{column}"
        if (bound := self._take(rule)) is not None:
            self._add(rule, gxe.ExpectColumnMaxToBeBetween(column=column, min_value=bound["after"]))

    def one_currency(self) -> None:
        """A source pays in one currency."""
        rule = "one_currency:currency"
        if (bound := self._take(rule)) is not None:
            self._add(
                rule,
                gxe.ExpectColumnUniqueValueCountToBeBetween(
                    column="currency", max_value=int(bound["maximum"])
                ),
            )

    def base_rate(self, column: str) -> None:
        """The share of churners is one that can be."""
        rule = f"base_rate:{column}"
        if self._take(rule) is not None:
            self._add(rule, ExpectColumnConditionToHold(column=column, condition=f"NOT {column}"))

    # -- about each row ----------------------------------------------------------------------

    def text_present(self, *columns: str) -> None:
        """Text that is neither NULL nor blank nor a word for missing."""
        for column in columns:
            rule = f"{column}_present"
            if (bound := self._take(rule)) is not None:
                self._add(
                    rule,
                    ExpectColumnValuesToBePresent(
                        column=column, refused=tuple(bound.get("refused", ()))
                    ),
                )

    def present(self, *columns: str) -> None:
        """A value that is not NULL."""
        for column in columns:
            rule = f"{column}_present"
            if self._take(rule) is not None:
                self._add(rule, gxe.ExpectColumnValuesToNotBeNull(column=column))

    def in_range(self, *columns: str) -> None:
        """A number within its absolute range."""
        for column in columns:
            rule = f"{column}_in_range"
            if (bound := self._take(rule)) is not None:
                self._add(
                    rule,
                    gxe.ExpectColumnValuesToBeBetween(
                        column=column,
                        min_value=bound.get("minimum"),
                        max_value=bound.get("maximum"),
                    ),
                )

    def finite(self, *columns: str) -> None:
        """Neither NaN nor infinite."""
        for column in columns:
            self.holds(f"{column}_finite", column, f"isfinite({column})")

    def each_finite(self) -> None:
        """Neither NaN nor infinite, in every column that the bounds name."""
        for key, column, _ in self._columns_of("finite"):
            quoted = '"' + column.replace('"', '""') + '"'
            self._add(
                key, ExpectColumnConditionToHold(column=column, condition=f"isfinite({quoted})")
            )

    def each_in_range(self) -> None:
        """Within its range, in every column that the bounds name."""
        for key, column, bound in self._columns_of("range"):
            self._add(
                key,
                gxe.ExpectColumnValuesToBeBetween(
                    column=column,
                    min_value=bound.get("minimum"),
                    max_value=bound.get("maximum"),
                ),
            )

    def not_constant(self, column: str) -> None:
        """Several different values."""
        rule = f"distinct_values:{column}"
        if (bound := self._take(rule)) is not None:
            self._add(
                rule,
                gxe.ExpectColumnUniqueValueCountToBeBetween(
                    column=column, min_value=int(bound["minimum"])
                ),
            )

    def plausible_time(self, *columns: str) -> None:
        """After the earliest day that can be, and not in the future."""
        for column in columns:
            rule = f"{column}_plausible"
            if (bound := self._take(rule)) is not None:
                earliest: datetime = bound["earliest"]
                latest: datetime = bound["latest"]
                self._add(
                    rule,
                    gxe.ExpectColumnValuesToBeBetween(
                        column=column, min_value=earliest, max_value=latest
                    ),
                )

    def in_order(self, earlier: str, *later: str) -> None:
        """What follows is not before what it follows."""
        for column in later:
            rule = f"{column}_after_{earlier}"
            if self._take(rule) is not None:
                self._add(
                    rule,
                    gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                        column_A=column,
                        column_B=earlier,
                        or_equal=True,
                        ignore_row_if="either_value_is_missing",
                    ),
                )

    def currency(self) -> None:
        """A currency of the list, or without a list any of ISO 4217's form."""
        if (bound := self._take("currency_allowed")) is not None:
            if bound.get("allowed"):
                expectation: Any = gxe.ExpectColumnValuesToBeInSet(
                    column="currency", value_set=list(bound["allowed"])
                )
            else:
                expectation = ExpectColumnConditionToHold(
                    column="currency", condition="regexp_full_match(currency, '[A-Z]{3}')"
                )
            self._add("currency_allowed", expectation)

    def not_matching(self, rule: str, column: str) -> None:
        """Text that the pattern of the rule does not fit in full."""
        if (bound := self._take(rule)) is not None:
            pattern = str(bound["pattern"]).replace("'", "''")
            self._add(
                rule,
                ExpectColumnConditionToHold(
                    column=column, condition=f"NOT regexp_full_match({column}, '{pattern}')"
                ),
            )

    def holds(self, rule: str, column: str, condition: str) -> None:
        """An SQL condition over the row; NULL counts as kept."""
        if self._take(rule) is not None:
            self._add(rule, ExpectColumnConditionToHold(column=column, condition=condition))

    def distinct(
        self, rule: str, columns: Sequence[str], *, unless_null: Sequence[str] = ()
    ) -> None:
        """No row repeats an earlier one in these columns."""
        if self._take(rule) is not None:
            self._add(
                rule,
                ExpectRowsToBeDistinct(columns=list(columns), unless_null=list(unless_null)),
            )
