"""Scored customers written straight into the lake, with what other families would say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from tasks.contracts import CUSTOMER_TABLES, SCORES, Column
from tasks.exports import arrow_schema
from tasks.warehouse import Lake, quote

AS_OF = datetime(2023, 1, 1, tzinfo=UTC)
KNOWN_BY = AS_OF + timedelta(days=1)
_PLACES = {"values": "value", "segments": "segments", "reasons": "reasons"}


def put_scores(
    lake: Lake, rows: Sequence[Mapping[str, Any]], scoring_id: str = "s1", as_of: datetime = AS_OF
) -> None:
    """Scores of a night: `customer_id`, `probability` and `value_amount` (before margin) a row."""
    listed = ", ".join(f"{quote(column.name)} {column.type}" for column in SCORES)
    lake.execute(f"create table if not exists lake.main.scores ({listed})")
    _fill(
        lake,
        "scores",
        SCORES,
        [
            {
                "rank": number,
                "percentile": 50.0,
                "expected_return_amount": 0,
                "money_at_risk_amount": 0,
                "currency": "USD",
                "as_of": as_of,
                "known_by": as_of + timedelta(days=1),
                "model_name": "shop.churn",
                "model_version": 1,
                "model_hash": "h",
                "scoring_id": scoring_id,
                "stale_days": 0.0,
                **row,
            }
            for number, row in enumerate(rows, 1)
        ],
    )
    lake.execute(
        "insert into lake.ledger.exports values"
        " ($id, 'scores.parquet', 'scores.parquet', 'x', $rows, $at)",
        {"id": scoring_id, "rows": len(rows), "at": datetime.now(UTC)},
    )


def put_known(lake: Lake, what: str, rows: Sequence[Mapping[str, Any]], run_id: str = "r1") -> None:
    """Rows of `customer_values`, `_segments` or `_reasons`, with the findings that name them."""
    defaults = {
        "values": {
            "method": "m",
            "horizon_days": 365,
            "spend_amount": 0,
            "low_amount": 0,
            "high_amount": 0,
            "currency": "USD",
        },
        "segments": {"segmentation_id": "g", "segment_name": ""},
        "reasons": {"agreement_share": 1.0},
    }[what]
    stamp = {"as_of": AS_OF, "known_by": KNOWN_BY, "run_id": run_id}
    table = f"customer_{what}"
    _fill(lake, table, CUSTOMER_TABLES[table], [{**defaults, **stamp, **row} for row in rows])
    lake.execute(
        "insert into lake.ledger.findings values ($id, $kind, $as_of, $known_by, 1, $at, '{}')",
        {"id": run_id, "kind": _PLACES[what], "at": datetime.now(UTC), **stamp},
    )


def _fill(
    lake: Lake, table: str, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]
) -> None:
    from decimal import Decimal

    names = {column.name for column in columns if column.type.startswith("DECIMAL")}
    plain = [
        {
            key: Decimal(str(value)) if key in names and value is not None else value
            for key, value in row.items()
        }
        for row in rows
    ]
    lake.load_arrow("made_rows", pa.Table.from_pylist(plain, arrow_schema(columns)))
    lake.execute(f"insert into lake.main.{quote(table)} by name from made_rows")
    lake.drop_arrow("made_rows")
