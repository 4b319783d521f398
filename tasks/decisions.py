"""What was decided and by whom: appended to `ledger.decisions` here alone, and who serves by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.contracts import LEDGER

if TYPE_CHECKING:
    from tasks.handles import Decision
    from tasks.warehouse import Connection, Lake

_SQL = Path(__file__).with_name("sql")
_COLUMNS = LEDGER["decisions"]
# Grain: one decision, appended and never changed.
_APPEND = (
    f"insert into lake.ledger.decisions ({', '.join(one.name for one in _COLUMNS)})"
    f" select {', '.join(f'${one.name}::{one.type}' for one in _COLUMNS)}"
)
_ONCE = " where not exists (from lake.ledger.decisions where decision_id = $decision_id)"


def append_decision(
    connection: Connection, decision: Decision, *, actor: str = "holdfast", once: bool = False
) -> None:
    """Write a decision down, in the transaction around this call and under the writer lock.

    `once`: not if one with its id is there, which is for ids made of what was decided.
    """
    connection.execute(
        _APPEND + (_ONCE if once else ""),
        {
            "decision_id": decision.decision_id,
            "decided_at": decision.decided_at,
            "kind": decision.kind,
            "subject": decision.subject,
            "outcome": decision.outcome,
            "reason": decision.reason,
            "evidence": json.dumps(dict(decision.evidence), default=str, sort_keys=True),
            "snapshot_id": decision.snapshot_id,
            "model_name": decision.model_name,
            "model_version": decision.model_version,
            "model_hash": decision.model_hash,
            "run_id": decision.run_id,
            "actor": actor,
        },
    )


def find_head(lake: Lake, subject: str) -> dict[str, Any] | None:
    """The promotion or rollback at the head of a subject's chain; None before the first."""
    rows = lake.rows(lake.text(_SQL / "head.sql"), {"subject": subject})
    return rows[0] if rows else None
