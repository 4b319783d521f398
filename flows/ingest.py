"""Take in what every source offers: keep, read, validate, publish; then say what was refused."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from flows.telling import announce
from flows.watching import watched
from tasks.errors import DataRejected
from tasks.handles import Batch, Delivery, Intake
from tasks.intake import steps as intake
from tasks.moments import read_clock
from tasks.progress import track
from tasks.settings import Settings, load_settings
from tasks.validation import steps as validation
from tasks.warehouse import Lake, open_lake


@flow(name="ingest")
@watched("ingest")
def ingest(deployment: str | Path, actor: str = "scheduler", supersede: bool = False) -> Intake:
    """Publish every delivery that the lake does not know; known ones cost a hash.

    A refused batch keeps no other out. Later batches of its source are judged without it, by the
    accepted ones before: they are as good or bad as they are whatever became of it, and a month
    that waits for last month's correction would only grow the hole.

    When all were taken, what should have come and did not becomes an item, and people are told of
    what is new. Then raises
    DataRejected (65) if a source that stops the night had a batch refused: the first of them
    with its causes, and how many more. Other errors stop at once.
    """
    settings = load_settings(deployment)
    started_at = read_clock()
    batches, refusals = [], []
    with open_lake(settings) as lake:
        intake.recover_intake(lake, settings)
        deliveries = intake.discover_deliveries(lake, settings, actor)
        for delivery in track(deliveries, "ingest", lambda one: one.batch_name):
            try:
                batch = _take_in(lake, delivery, settings, actor, supersede)
            except DataRejected as refused:
                refusals.append(intake.note_refusal(lake, delivery, refused))
                continue
            batches.append(batch)
            if batch.state == "quarantined":
                refusals.append(intake.note_refusal(lake, delivery, batch))
        intake.watch_deliveries(lake, settings, actor=actor)
        ending = intake.sum_up_refusals(lake, refusals)
        aside = tuple(one.batch for one in refusals if one.batch is not None)
        announce(lake, aside, started_at)
    if ending is not None:
        raise ending
    return Intake(tuple(batches), aside)


def _take_in(
    lake: Lake, delivery: Delivery, settings: Settings, actor: str, supersede: bool
) -> Batch:
    staged = intake.stage_delivery(lake, delivery, settings, actor, supersede)
    if isinstance(staged, Batch):
        return staged
    verdict = validation.validate_batch(lake, staged, settings)
    return intake.publish_batch(lake, staged, verdict, actor, supersede)
