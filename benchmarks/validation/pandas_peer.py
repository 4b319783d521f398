"""The same rules by Great Expectations on pandas; prints one line of JSON.

Amounts are floats, because decimals are Python objects to pandas. Great Expectations counts every
member of a group of equal rows, the first too; the planted groups are pairs, so half is meant.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
import warnings
from collections import Counter
from typing import Any

BLANK = r"[\s\u00A0\u200B]*"
MISSING = rf"(?i)^{BLANK}(?:nan|null|none|n/a|undefined)?{BLANK}$"
COLUMNS = [
    "customer_id", "order_id", "line_id", "ordered_at", "product_id", "category", "channel",
    "quantity", "net_amount", "discount_amount", "currency", "is_return",
]  # fmt: skip


def _expectations() -> list[tuple[str, Any]]:
    import great_expectations.expectations as gxe
    import pandas as pd
    from great_expectations.expectations.row_conditions import Column

    sold, returned = Column("is_return") == False, Column("is_return") == True  # noqa: E712
    chosen: list[tuple[str, Any]] = [
        (f"{name}_present", gxe.ExpectColumnValuesToNotBeNull(column=name))
        for name in COLUMNS
        if name not in ("line_id", "product_id", "category", "channel", "discount_amount")
    ]
    for name, pattern in (
        ("customer_id", MISSING),
        ("order_id", f"^{BLANK}$"),
        ("currency", f"^{BLANK}$"),
    ):
        chosen.append(
            (
                f"{name}_present",
                gxe.ExpectColumnValuesToNotMatchRegex(column=name, regex=pattern),
            )
        )
    for name, low, high in (
        ("ordered_at", pd.Timestamp("1990-01-01", tz="UTC"), pd.Timestamp("2024-04-02 02:00Z")),
        ("quantity", -100_000, 100_000),
        ("net_amount", -1_000_000, 1_000_000),
        ("discount_amount", 0, 1_000_000),
    ):
        rule = f"{name}_plausible" if name == "ordered_at" else f"{name}_in_range"
        chosen.append(
            (
                rule,
                gxe.ExpectColumnValuesToBeBetween(column=name, min_value=low, max_value=high),
            )
        )

    def between(rule: str, column: str, condition: Any, **limits: float) -> None:
        chosen.append(
            (
                rule,
                gxe.ExpectColumnValuesToBeBetween(column=column, row_condition=condition, **limits),
            )
        )

    between("return_sign", "quantity", returned, max_value=0)
    between("return_sign", "net_amount", returned, max_value=0)
    between("return_sign", "quantity", sold, min_value=0)
    between("price_not_negative", "net_amount", sold, min_value=0)
    chosen += [
        (
            "price_not_zero",
            gxe.ExpectColumnValuesToNotBeInSet(
                column="net_amount", value_set=[0], row_condition=sold
            ),
        ),
        (
            "currency_allowed",
            gxe.ExpectColumnValuesToMatchRegex(column="currency", regex="^[A-Z]{3}$"),
        ),
        (
            "product_code",
            gxe.ExpectColumnValuesToNotMatchRegex(column="product_id", regex="^(?:POST|FEE)$"),
        ),
        (
            "row_repeated",
            gxe.ExpectCompoundColumnsToBeUnique(column_list=COLUMNS, ignore_row_if="never"),
        ),
    ]
    return chosen


def _judge(file: str) -> dict[str, int]:
    import great_expectations as gx
    import pyarrow as pa
    import pyarrow.parquet as pq
    from great_expectations.data_context.types.base import ProgressBarsConfig

    table = pq.read_table(file, columns=COLUMNS)
    for name in ("quantity", "net_amount", "discount_amount"):
        place = table.column_names.index(name)
        table = table.set_column(place, name, table[name].cast(pa.float64()))
    rows = table.to_pandas(self_destruct=True)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("lines")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": rows})
    suite = gx.ExpectationSuite(name="orders")
    for rule, expectation in _expectations():
        expectation.meta = {"rule": rule}
        suite.add_expectation(expectation)
    counts: Counter[str] = Counter()
    results = batch.validate(
        suite, result_format={"result_format": "BASIC", "partial_unexpected_count": 0}
    )
    for result in results.results:
        rule = result.expectation_config.meta["rule"]
        if "unexpected_count" not in result.result:
            raise SystemExit(f"{rule}: {result.exception_info}")
        counts[rule] += result.result["unexpected_count"]
    counts["row_repeated"] //= 2
    return dict(counts)


def main(file: str) -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    import great_expectations.expectations  # noqa: F401 - its import is measured apart

    cpu, wall = time.process_time(), time.perf_counter()
    counts = _judge(file)
    print(
        json.dumps(
            {
                "cpu_seconds": time.process_time() - cpu,
                "wall_seconds": time.perf_counter() - wall,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "counts": counts,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
