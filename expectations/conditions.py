"""Expectations that Great Expectations does not bring, or not for DuckDB.

Each is computed in SQL and, but for `ExpectRowsToBeDistinct`, shares one scan with the others.
Importing this module registers them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import sqlalchemy as sa
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation, ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    column_condition_partial,
)
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider

# White space, no-break space, zero-width space.
_BLANK = r"[\s\x{00A0}\x{200B}]*"


class CountedExpectation(ColumnMapExpectation):
    """A column map expectation whose rows may break it by being NULL.

    Great Expectations' own summary divides by the rows that are not NULL, and refuses its own
    result where more rows than those are unexpected. Here a row is a row.
    """

    def _validate(
        self,
        metrics: Mapping[str, Any],
        runtime_configuration: Any = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        rows = int(metrics["table.row_count"] or 0)
        # The sum over no row at all is NULL.
        unexpected = int(metrics[f"{self.map_metric}.unexpected_count"] or 0)
        return {
            "success": unexpected == 0,
            "result": {"element_count": rows, "unexpected_count": unexpected},
        }


class ColumnValuesPresent(ColumnMapMetricProvider):
    """Text that is there: neither NULL nor blank nor a word for 'missing'."""

    condition_metric_name = "column_values.present"
    condition_value_keys = ("refused",)
    filter_column_isnull = False

    @column_condition_partial(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(cls, column: Any, refused: Any = None, **_: Any) -> Any:
        # Matches of the whole text: a search within it costs DuckDB about twice as much.
        conditions = [
            column.isnot(None),
            sa.not_(sa.func.regexp_full_match(column, _BLANK)),
        ]
        if refused:
            words = "|".join(re.escape(word) for word in refused)
            pattern = f"(?i){_BLANK}(?:{words}){_BLANK}"
            conditions.append(sa.not_(sa.func.regexp_full_match(column, pattern)))
        return sa.and_(*conditions)


class ExpectColumnValuesToBePresent(CountedExpectation):
    """Expect text that is neither NULL nor blank nor one of the words in `refused`."""

    refused: tuple[str, ...] = ()

    map_metric: ClassVar[str] = "column_values.present"
    success_keys: ClassVar[tuple[str, ...]] = ("refused", "mostly")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "refused")


class ColumnValuesKnown(ColumnMapMetricProvider):
    """A value of a list; NULL counts as kept."""

    condition_metric_name = "column_values.known"
    condition_value_keys = ("known",)

    @column_condition_partial(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(cls, column: Any, known: Any = None, **_: Any) -> Any:
        # A function is computed once a word of Parquet's dictionary; IN compares row by row, which
        # for 24 categories costs twenty times as much.
        return sa.func.list_contains(sa.func.list_value(*known), column)


class ExpectColumnValuesToBeKnown(ColumnMapExpectation):
    """Expect each value to be one of `known`, which has at least one."""

    known: tuple[str, ...]

    map_metric: ClassVar[str] = "column_values.known"
    success_keys: ClassVar[tuple[str, ...]] = ("known", "mostly")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "known")


class ColumnConditionHolds(ColumnMapMetricProvider):
    """An SQL condition on the row; a NULL condition counts as kept."""

    condition_metric_name = "column_values.condition_holds"
    condition_value_keys = ("condition",)
    filter_column_isnull = False

    @column_condition_partial(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(cls, column: Any, condition: str, **_: Any) -> Any:
        # A colon would be read as the start of a bound value.
        escaped = condition.replace(":", r"\:")
        return sa.func.coalesce(sa.text(f"({escaped})"), sa.true())


class ExpectColumnConditionToHold(CountedExpectation):
    """Expect the SQL `condition` of every row not to be false; `column` is what it is about."""

    condition: str

    map_metric: ClassVar[str] = "column_values.condition_holds"
    success_keys: ClassVar[tuple[str, ...]] = ("condition", "mostly")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "condition")


class RowsRepeated(TableMetricProvider):
    """Rows minus different rows, a row being its values in `columns`."""

    metric_name = "rows.repeated"
    value_keys = ("columns", "unless_null")

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,
        execution_engine: Any,
        metric_domain_kwargs: Any,
        metric_value_kwargs: Any,
        metrics: Any,
        runtime_configuration: Any,
    ) -> int:
        batch, _, _ = execution_engine.get_compute_domain(
            metric_domain_kwargs, domain_type=MetricDomainTypes.TABLE
        )
        columns: list[Any] = [sa.column(name) for name in metric_value_kwargs["columns"]]
        present = [sa.column(name).isnot(None) for name in metric_value_kwargs["unless_null"]]
        # Grouping all rows by all columns holds every row in memory. Equal rows have equal hashes,
        # so those whose hash stands alone are no repetition and need no group.
        content = sa.func.hash(*columns)
        several = (
            sa.select(content)
            .select_from(batch)
            .where(*present)
            .group_by(content)
            .having(sa.func.count() > 1)
        )
        groups = (
            sa.select(sa.func.count().label("members"))
            .select_from(batch)
            .where(*present, content.in_(several))
            .group_by(*columns)
            .subquery()
        )
        query = sa.select(
            sa.func.coalesce(sa.func.sum(groups.c.members) - sa.func.count(), 0)
        ).select_from(groups)
        return int(execution_engine.execute_query(query).scalar())


class ExpectRowsToBeDistinct(BatchExpectation):
    """Expect no row to repeat an earlier one in `columns`.

    The observed value is the number of rows but the first of each group. Rows with a NULL in one
    of `unless_null` are not looked at.
    """

    columns: list[str]
    unless_null: list[str] = []  # noqa: RUF012 - a pydantic field, copied for each object

    metric_dependencies: ClassVar[tuple[str, ...]] = ("rows.repeated",)
    success_keys: ClassVar[tuple[str, ...]] = ("columns", "unless_null")
    args_keys: ClassVar[tuple[str, ...]] = ("columns", "unless_null")

    def _validate(
        self,
        metrics: Mapping[str, Any],
        runtime_configuration: Any = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        repeated = int(metrics["rows.repeated"])
        return {"success": repeated == 0, "result": {"observed_value": repeated}}


class PositiveQuantiles(TableMetricProvider):
    """Quantiles of the positive values of a column; None where there is no such value."""

    metric_name = "column.positive_quantiles"
    value_keys = ("column", "levels")

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,
        execution_engine: Any,
        metric_domain_kwargs: Any,
        metric_value_kwargs: Any,
        metrics: Any,
        runtime_configuration: Any,
    ) -> list[float] | None:
        batch, _, _ = execution_engine.get_compute_domain(
            metric_domain_kwargs, domain_type=MetricDomainTypes.TABLE
        )
        column: Any = sa.column(metric_value_kwargs["column"])
        # All levels of one sorting; Great Expectations' own metric sorts once a level.
        levels = sa.func.list_value(*(sa.literal(level) for level in metric_value_kwargs["levels"]))
        query = (
            sa.select(sa.func.quantile_disc(column, levels)).select_from(batch).where(column > 0)
        )
        values = execution_engine.execute_query(query).scalar()
        return [float(value) for value in values] if values else None


class ExpectPositiveQuantilesToBeBetween(BatchExpectation):
    """Expect the quantiles of a column's positive values to lie in their ranges.

    `ranges` has a pair of limits for each of `levels`, either limit None for no limit; limits
    belong to the range, to the last digit. A column without positive values breaks it.
    """

    column: str
    levels: tuple[float, ...]
    ranges: tuple[tuple[float | None, float | None], ...]

    metric_dependencies: ClassVar[tuple[str, ...]] = ("column.positive_quantiles",)
    success_keys: ClassVar[tuple[str, ...]] = ("column", "levels", "ranges")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "levels", "ranges")

    def _validate(
        self,
        metrics: Mapping[str, Any],
        runtime_configuration: Any = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        values = metrics["column.positive_quantiles"]
        kept = values is not None and all(
            (low is None or value >= low) and (high is None or value <= high)
            for value, (low, high) in zip(values, self.ranges, strict=True)
        )
        return {"success": kept, "result": {"observed_value": values}}
