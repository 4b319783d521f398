"""Take in what every source offers: keep, read, validate, publish; stop at the first refusal."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from tasks.handles import Batch
from tasks.intake import steps as intake
from tasks.progress import track
from tasks.settings import load_settings
from tasks.validation import steps as validation
from tasks.warehouse import open_lake


@flow(name="ingest")
def ingest(
    deployment: str | Path, actor: str = "scheduler", supersede: bool = False
) -> list[Batch]:
    """Publish every delivery that the lake does not know; known ones cost a hash.

    Raises DataRejected (65) at the first batch that is stopped; those before it stay published,
    those after it wait for the next run, since later batches are judged by earlier ones.
    """
    settings = load_settings(deployment)
    batches = []
    with open_lake(settings) as lake:
        intake.recover_intake(lake, settings)
        deliveries = intake.discover_deliveries(settings)
        for delivery in track(deliveries, "ingest", lambda one: one.batch_name):
            staged = intake.stage_delivery(lake, delivery, settings, actor, supersede)
            if isinstance(staged, Batch):
                batches.append(staged)
                continue
            verdict = validation.validate_batch(lake, staged, settings)
            batch = intake.publish_batch(lake, staged, verdict, actor, supersede)
            batches.append(batch)
            if batch.state == "quarantined":
                raise intake.describe_stop(batch, settings.called)
    return batches
