"""Say of every eligible customer what they will bring, in agreement with who is about to leave."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from prefect import flow

from tasks.clock import PointInTime, find_time
from tasks.features import steps as features
from tasks.findings import ValueFindings
from tasks.handles import FeatureTable, Snapshot
from tasks.intake import steps as intake
from tasks.settings import Settings, load_settings
from tasks.value import steps as valuing
from tasks.warehouse import Lake, open_lake


@flow(name="value")
def value(deployment: str | Path) -> ValueFindings:
    """Value by the best of rules and models, judged on the past; the same night twice is one run.

    Raises DataRejected (65) where the history is too short or too thin to judge by.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        now = find_time(lake, settings)
        left_out = intake.judge_sources(lake, settings).left_out
        snapshot = lake.snapshot()
        tables = features.tables_without(left_out)
        serving = features.build(
            lake, (now.as_of,), (now.known_by,), snapshot, settings.features, tables=tables
        )
        if settings.features.outcome != "lapse":
            return _value_contracts(lake, settings, now, snapshot, serving)
        horizons = valuing.plan(lake, now.as_of, now.known_by, snapshot)
        past = features.build(
            lake,
            horizons.cutoffs,
            now.known_at(horizons.cutoffs),
            snapshot,
            settings.features,
            tables=tables,
        )
        return valuing.value_customers(lake, serving, past, horizons)


def _value_contracts(
    lake: Lake, settings: Settings, now: PointInTime, snapshot: Snapshot, serving: FeatureTable
) -> ValueFindings:
    """Where leaving is the end of a contract: judged a horizon ago, or within a labelled set."""
    if settings.features.outcome == "given":
        everybody = features.build(
            lake,
            (now.as_of,),
            (now.known_by,),
            snapshot,
            settings.features,
            labels_as_of=now.as_of,
            labels_known_by=now.known_by,
        )
        return valuing.value_subscribers(lake, serving, everybody, None)
    judged = now.as_of - timedelta(days=valuing.find_horizon_days(settings))
    past = features.build(lake, (judged,), now.known_at((judged,)), snapshot, settings.features)
    return valuing.value_subscribers(lake, serving, past, judged)
