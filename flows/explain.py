"""Say why customers leave: associations that hold when the model is fitted again."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from tasks.clock import find_time
from tasks.features import steps as features
from tasks.findings import ReasonFindings
from tasks.intake import steps as intake
from tasks.reasons import steps as reasons
from tasks.registry import steps as registry
from tasks.settings import load_settings
from tasks.warehouse import open_lake


@flow(name="explain")
def explain(deployment: str | Path) -> ReasonFindings:
    """Explain every eligible customer, and publish what holds. The same night twice is one run.

    Raises DataRejected (65) before the first training and where there is too little to learn
    from. The tables of optional sources that are behind are left out, as in scoring.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        champion, predictor = registry.load_champion(lake)
        now = find_time(lake, settings)
        standing = intake.judge_sources(lake, settings)
        tables = features.tables_without(standing.left_out)
        snapshot = lake.snapshot()
        enough = features.check_enough(lake, now.as_of, now.known_by, snapshot, settings.features)
        newest = features.build(
            lake, (now.as_of,), (now.known_by,), snapshot, settings.features, tables=tables
        )
        past = reasons.plan_past(enough.cutoffs, now.as_of, settings.features)
        labelled = features.build(
            lake,
            past,
            now.known_at(past),
            snapshot,
            settings.features,
            labels_as_of=now.as_of,
            labels_known_by=now.known_by,
            tables=tables,
        )
        drivers, _ = features.describe_drivers(lake, labelled, settings.features)
        return reasons.explain_customers(lake, champion, predictor, newest, labelled, drivers)
