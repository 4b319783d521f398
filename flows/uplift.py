"""Say what contacts bring that would not have come without, and how well that is known."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from tasks.clock import find_time
from tasks.evidence import UpliftFindings
from tasks.features import steps as features
from tasks.intake import steps as intake
from tasks.registry import steps as registry
from tasks.settings import load_settings
from tasks.uplift import steps as uplifting
from tasks.warehouse import open_lake


@flow(name="uplift")
def uplift(deployment: str | Path) -> UpliftFindings:
    """Climb the evidence ladder by lots whose outcomes have matured; the same night is one run.

    Where nothing went by lot that is said, and every level stays at 0 or 1. Raises DataRejected
    (65) where leaving is not to order no more.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        now = find_time(lake, settings)
        standing = intake.judge_sources(lake, settings)
        champion = registry.champion_status(lake)["champion"]
        plan = uplifting.plan(lake, now.as_of, now.known_by, lake.snapshot(), champion)
        table = None
        if plan.cutoffs and plan.done is None:
            table = features.build(
                lake,
                plan.cutoffs,
                now.known_at(plan.cutoffs),
                plan.snapshot,
                settings.features,
                tables=features.tables_without(standing.left_out),
            )
        return uplifting.find(lake, plan, table)
