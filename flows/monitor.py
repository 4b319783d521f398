"""See how the model is doing: outcomes that matured, what to expect before, and moved inputs."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from flows.watching import watched
from tasks.clock import find_time
from tasks.features import steps as features
from tasks.intake import steps as intake
from tasks.monitoring import steps as monitoring
from tasks.registry import steps as registry
from tasks.settings import load_settings
from tasks.warehouse import open_lake


@flow(name="monitor")
@watched("monitor")
def monitor(deployment: str | Path, actor: str = "holdfast") -> monitoring.Report:
    """Judge, raise and follow alerts, and draw the page. The same night twice is one look.

    An alert that asks for a training sends the event `holdfast.retraining.due`; where Prefect does
    not answer, the next night trains for it. Raises DataRejected (65) before the first training.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        champion, predictor = registry.load_champion(lake)
        now = find_time(lake, settings)
        standing = intake.judge_sources(lake, settings)
        tonight = features.recall(lake, now.as_of, now.known_by)
        if tonight is None:
            tonight = features.build(
                lake,
                (now.as_of,),
                (now.known_by,),
                lake.snapshot(),
                settings.features,
                tables=features.tables_without(standing.left_out),
            )
        reference = monitoring.find_reference(lake, champion)
        if reference is None:
            learnt = features.recall_learnt(lake, champion.features_fingerprint, settings.features)
            if learnt is not None:
                reference = monitoring.keep_training_inputs(lake, champion, learnt)
        covered = monitoring.find_covered(standing, now.as_of)
        has_weeks = covered is not None and monitoring.stage_weeks(lake, covered)
        if has_weeks:
            features.join_labels(
                lake, monitoring.SCORED, now.known_by, lake.snapshot(), settings.features
            )
        return monitoring.watch_model(
            lake,
            champion,
            predictor,
            tonight,
            reference,
            features.describe_sources(settings.features),
            has_weeks,
            actor,
        )
