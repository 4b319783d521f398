"""See how a model ages on past cut-offs, and so when it pays to train again."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from tasks.churn import steps as churn
from tasks.clock import find_time
from tasks.features import steps as features
from tasks.intake import steps as intake
from tasks.monitoring import steps as monitoring
from tasks.quality import DecayFindings
from tasks.settings import load_settings
from tasks.warehouse import open_lake


@flow(name="decay")
def decay(deployment: str | Path) -> DecayFindings:
    """Fit at past cut-offs, judge at later ones, and recommend an interval.

    Raises DataRejected (65) where the history is too short to see a model age.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        now = find_time(lake, settings)
        standing = intake.judge_sources(lake, settings)
        table = features.build_to_learn(lake, now, standing.left_out)
        drivers, _ = features.describe_drivers(lake, table, settings.features)
        aged = churn.age_churn(
            lake,
            table,
            drivers,
            settings.monitoring.decay_origins,
            settings.monitoring.confidence,
        )
        return monitoring.conclude_decay(lake, table, aged, now.as_of, now.known_by)
