"""How a deployment stands: batches, champion, last decision, ages; from the ledger alone."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from tasks.clock import find_as_of
from tasks.errors import DataRejected
from tasks.intake import steps as intake
from tasks.moments import read_clock
from tasks.registry import steps as registry
from tasks.settings import Settings
from tasks.warehouse import open_lake


def describe_standing(settings: Settings) -> dict[str, Any]:
    """Plain values, ready for JSON; a part that does not exist yet is None, never left out."""
    now = read_clock()
    with open_lake(settings) as lake:
        batches = intake.count_batches(lake)
        try:
            as_of = find_as_of(lake, settings)
        except DataRejected:
            as_of = None  # an empty lake has no time; that is a state to report, not a failure
        newest = batches["newest_published_at"]
        sources = intake.judge_sources(lake, settings, now).sources
        return {
            "deployment": settings.deployment,
            "asked_at": now.isoformat(),
            "as_of": as_of.isoformat() if as_of else None,
            "snapshot_id": lake.snapshot().snapshot_id,
            "batches": batches,
            "newest_batch_age_days": (
                (now - datetime.fromisoformat(newest)).total_seconds() / 86_400 if newest else None
            ),
            "sources": [{**asdict(one), "text": intake.describe_behind(one)} for one in sources],
            **registry.champion_status(lake),
        }
