"""Decisions and kept models for tests of promotion; light, for a test's child processes."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from tasks.handles import Candidate, Decision
from tasks.registry.champion import KeptModel, keep_model
from tasks.tracking.tracker import Registered
from tasks.warehouse import Lake


def say(outcome: str, subject: str = "lightgbm") -> Decision:
    return Decision(
        decision_id=uuid4().hex,
        decided_at=datetime.now(UTC),
        kind="gate",
        subject=subject,
        outcome=outcome,
        reason=f"the test says {outcome}",
        evidence={"criteria": []},
    )


def keep_unregistered(lake: Lake, candidate: Candidate, version: int) -> KeptModel:
    """A kept model whose version no MLflow knows; the ledger does not need it."""
    name = f"{lake.deployment}.churn"
    return keep_model(lake.settings, candidate, Registered(name, version, "run"))
