"""Lists and groups of earlier nights, written straight into the lake."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from tasks.contracts import CUSTOMER_TABLES
from tasks.exports import arrow_schema
from tasks.warehouse import Lake, quote


def put_list(
    lake: Lake,
    night: datetime,
    people: Sequence[str],
    is_held_out: Callable[[str], bool],
    run_id: str | None = None,
    **columns: Any,
) -> None:
    """The action list of a night, published: who on it is held out is not contacted."""
    name = run_id or f"list of {night:%Y-%m-%d}"
    rows = [
        {
            "customer_id": who,
            "listed_for": "retention",
            "rank": number,
            "held_out": is_held_out(who),
            "action": "voucher",
            "channel": "email",
            "probability": 0.5,
            "as_of": night,
            "known_by": night,
            "run_id": name,
            **columns,
        }
        for number, who in enumerate(people, 1)
    ]
    _put(lake, "customer_actions", rows, "actions", night, name)


def put_group(lake: Lake, night: datetime, groups: Mapping[str, str], run_id: str) -> None:
    """The segments of a night, published."""
    rows = [
        {
            "customer_id": who,
            "as_of": night,
            "known_by": night,
            "run_id": run_id,
            "segmentation_id": "one",
            "segment_id": group,
            "segment_name": group,
        }
        for who, group in groups.items()
    ]
    _put(lake, "customer_segments", rows, "segments", night, run_id)


def _put(
    lake: Lake, table: str, rows: Sequence[Mapping[str, Any]], kind: str, at: datetime, name: str
) -> None:
    lake.load_arrow(
        "made_rows", pa.Table.from_pylist(list(rows), arrow_schema(CUSTOMER_TABLES[table]))
    )
    lake.execute(f"insert into lake.main.{quote(table)} by name from made_rows")
    lake.drop_arrow("made_rows")
    lake.execute(
        "insert into lake.ledger.findings values ($id, $kind, $as_of, $as_of, 1, $now, '{}')",
        {"id": name, "kind": kind, "as_of": at, "now": datetime.now(UTC)},
    )
