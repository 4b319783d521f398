"""The batch that is judged: order lines with a known number of broken ones a rule, and its past."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.handles import StagedBatch
    from tasks.settings import Settings
    from tasks.validation.history import NoHistory

MEMORY_MB = 2048
NOW = datetime(2024, 4, 1, tzinfo=UTC)
# The rules of lines in the order of the places at which `lines.sql` breaks them.
PLACES = {
    "customer_id_present": 1,
    "order_id_present": 2,
    "ordered_at_present": 3,
    "quantity_present": 4,
    "net_amount_present": 5,
    "currency_present": 6,
    "is_return_present": 7,
    "ordered_at_plausible": 8,
    "quantity_in_range": 9,
    "net_amount_in_range": 10,
    "discount_amount_in_range": 11,
    "currency_allowed": 12,
    "return_sign": 13,
    "price_not_negative": 14,
    "product_code": 15,
    "price_not_zero": 16,
    "row_repeated": 40,
}
_CYCLE = 2000
CONFIGURATION = """
deployment: benchmark
warehouse: {{memory_limit_mb: {memory_mb}, threads: 2}}
validation:
  tables:
    orders:
      rows:
        product_code: {{severity: quarantine, pattern: POST|FEE}}
      batch:
        one_currency: {{stop_above: 2}}  # the planted gbp is a second one
        null_share: {{columns: {{line_id: {{stop_above: 0.5}}, product_id: {{stop_above: 0.5}},
          category: {{stop_above: 0.5}}, channel: {{stop_above: 0.5}},
          discount_amount: {{stop_above: 0.5}}}}}}
        median: {{columns: {{quantity: {{warn_above: 100}}, net_amount: {{warn_above: 1000}},
          discount_amount: {{warn_above: 1000}}}}}}
"""


def planted_rows(lines: int) -> dict[str, int]:
    """How many of `lines` lines break each rule."""
    return {rule: (lines - place - 1) // _CYCLE + 1 for rule, place in PLACES.items()}


def write_lines(file: Path, lines: int) -> None:
    """Write the staged file and beside it the figures that its past batches have."""
    from tasks.validation.rules import table_rules
    from tasks.validation.statistics import measure
    from tasks.warehouse import scratch

    partial = file.with_suffix(".partial")
    with scratch(memory_limit_mb=MEMORY_MB, temporary=file.parent / "spill") as made:
        made.run(
            Path(__file__).parent / "lines.sql",
            {"lines": lines},
            names={"file": str(partial).replace("'", "''")},
        )
        figures = measure(made, str(partial), table_rules("orders"))
    kept = [[kept.column, kept.statistic, kept.value] for kept in figures.statistics(200)]
    _figures_path(file).write_text(json.dumps(kept), encoding="utf-8")
    partial.replace(file)


def staged_batch(file: Path, lines: int) -> StagedBatch:
    from tasks.handles import Delivery, RawBatch, StagedBatch

    delivery = Delivery("orders/2024-03", "orders", "orders", str(file))
    return StagedBatch(RawBatch(delivery, "0" * 64, file, 0), file, lines, "observed", None)


def past(file: Path) -> NoHistory:
    """Three accepted batches that were like this one, so that no rule lacks history."""
    from tasks.validation.history import NoHistory, TrailingBatch

    stored = json.loads(_figures_path(file).read_text(encoding="utf-8"))
    figures = {(column, statistic): value for column, statistic, value in stored}

    class Past(NoHistory):
        def trailing_batches(self, staged: StagedBatch, limit: int) -> Sequence[TrailingBatch]:
            return [TrailingBatch(number, figures) for number in (1, 2, 3)]

        def newest_event_at(self, staged: StagedBatch) -> datetime | None:
            return datetime(2024, 3, 1, tzinfo=UTC)

    return Past()


def benchmark_settings(folder: Path) -> Settings:
    from tasks.settings import load_settings

    path = folder / "benchmark.yaml"
    path.write_text(CONFIGURATION.format(memory_mb=MEMORY_MB), encoding="utf-8")
    return load_settings(path, home=folder)


def _figures_path(file: Path) -> Path:
    return file.with_suffix(".figures.json")
