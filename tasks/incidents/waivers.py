"""Leave, for a time, that a rule need not be kept: read, granted, and ended by the clock alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tasks.handles import Waiver
from tasks.incidents.queue import SQL
from tasks.warehouse import Connection


def active_waivers(lake: Connection, source: str, now: datetime) -> tuple[Waiver, ...]:
    """What holds at `now` for deliveries of the source, those for a single one included."""
    return tuple(waiver for waiver in list_waivers(lake, source) if waiver.ends_at > now)


def list_waivers(lake: Connection, source: str | None = None) -> list[Waiver]:
    """Every waiver that was granted, oldest first."""
    rows = lake.rows(
        "select * from lake.ledger.waivers where $source is null or source = $source"
        " order by granted_at, waiver_id",
        {"source": source},
    )
    return [_as_waiver(row) for row in rows]


def name_waiver(
    incident_number: int | None,
    source: str,
    rules: Sequence[str],
    effect: str,
    batch_name: str | None,
    content_hash: str | None,
    row_numbers: Sequence[int],
    ends_at: datetime,
) -> str:
    """An id made of what is waived, so that granting it twice grants it once."""
    said = [
        incident_number,
        source,
        sorted(rules),
        effect,
        batch_name,
        content_hash,
        sorted(row_numbers),
        ends_at.astimezone(UTC).isoformat(),
    ]
    return "w" + hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]


def append_waiver(lake: Connection, waiver: Waiver, incident_number: int | None) -> None:
    """Write a waiver down, once. Hold the writer lock, inside a transaction."""
    lake.execute(
        Connection.text(SQL / "append_waiver.sql"),
        {
            "waiver_id": waiver.waiver_id,
            "incident_number": incident_number,
            "source": waiver.source,
            "rules": list(waiver.rules),
            "effect": waiver.effect,
            "batch_name": waiver.batch_name,
            "content_hash": waiver.content_hash,
            "row_numbers": list(waiver.row_numbers),
            "reason": waiver.reason,
            "author": waiver.author,
            "approved_by": waiver.approved_by,
            "granted_at": waiver.granted_at,
            "ends_at": waiver.ends_at,
        },
    )


def _as_waiver(row: Mapping[str, Any]) -> Waiver:
    return Waiver(
        waiver_id=row["waiver_id"],
        source=row["source"],
        rules=tuple(row["rules"] or ()),
        effect=row["effect"],
        reason=row["reason"],
        author=row["author"],
        granted_at=row["granted_at"].astimezone(UTC),
        ends_at=row["ends_at"].astimezone(UTC),
        batch_name=row["batch_name"],
        content_hash=row["content_hash"],
        row_numbers=tuple(int(number) for number in row["row_numbers"] or ()),
        approved_by=row["approved_by"],
    )
