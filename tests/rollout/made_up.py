"""A plan for tests, changed by keyword."""

from __future__ import annotations

from typing import Any

from tasks.rollout.plan import Contender, Guardrail, Plan


def make_plan(**changes: Any) -> Plan:
    values: dict[str, Any] = {
        "rollout_id": "churn-2026-01",
        "subject": "churn",
        "champion": Contender(name="churn", version="1", content_hash="a" * 64),
        "challenger": Contender(name="churn", version="2", content_hash="b" * 64),
        "minimum_effect": 0.015,
        "horizon_days": 28,
        "stages": (0.05, 0.2, 0.5),
        "guardrails": (Guardrail(name="complaints"), Guardrail(name="errors", tolerance_ratio=1.5)),
        "maximum_days": 90,
    }
    return Plan(**{**values, **changes})
