"""The night: take in, learn, decide, score, understand. Any step stops it with one cause."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prefect import flow

from flows.ingest import ingest
from flows.rollout import begin_admitted, step_rollout
from flows.score import score
from flows.train import train
from flows.understand import Understanding, understand
from flows.watching import watched
from tasks.handles import Batch, ScoreTable
from tasks.intake import steps as intake
from tasks.intake.degrees import TrainingHold
from tasks.orchestration import run_flow
from tasks.registry import steps as registry
from tasks.registry.admission import Admission
from tasks.rollout import steps as rollouts
from tasks.rollout.steps import Rollout
from tasks.settings import load_settings
from tasks.warehouse import open_lake


@dataclass(frozen=True, slots=True)
class Night:
    """What a night has done; `admission` is None, and `held` says why, if nothing was learnt.

    `rollout` is the one that is running or was the last, None without any.
    """

    batches: tuple[Batch, ...]
    refused: tuple[Batch, ...]
    admission: Admission | None
    held: str
    scores: ScoreTable
    understanding: Understanding
    rollout: Rollout | None = None


@flow(name="nightly")
@watched("nightly")
def nightly(deployment: str | Path, actor: str = "scheduler") -> Night:
    """Run the whole night for a deployment.

    A refused batch of a source that says 'stop' ends it (65) before anything is learnt. Where
    'degrade' is said the night goes on: the champion scores with the last good data, every output
    is stamped stale, and the night is done (0). A delivery that did not come holds the training
    too; if its source says 'stop', the champion scores all the same and the night then ends with
    75. Without a champion there is nothing to score with, and it ends with 75 at once.
    """
    taken = run_flow(ingest, deployment, actor)
    # By what has matured, before anybody is scored: who is with whom tonight hangs on it.
    stepped = (
        run_flow(step_rollout, deployment, rescore=False) if _has_rollout(deployment) else None
    )
    hold, has_champion = _look_for_gaps(deployment)
    if hold is not None and not has_champion:
        raise hold.error
    admission = run_flow(train, deployment) if hold is None else None
    if admission is not None and admission.decision.outcome == "admit":
        stepped = run_flow(begin_admitted, deployment)
    scores = run_flow(score, deployment)
    understanding = run_flow(understand, deployment)
    if hold is not None and hold.ends_night:
        raise hold.error
    held = hold.error.what if hold is not None else ""
    rollout = stepped.rollout if stepped is not None else None
    return Night(taken.batches, taken.refused, admission, held, scores, understanding, rollout)


def _has_rollout(deployment: str | Path) -> bool:
    with open_lake(load_settings(deployment)) as lake:
        return bool(rollouts.list_rollouts(lake))


def _look_for_gaps(deployment: str | Path) -> tuple[TrainingHold | None, bool]:
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        has_champion = registry.find_champion(lake) is not None
        standing = intake.judge_sources(lake, settings)
        return intake.find_hold(standing, settings, has_champion=has_champion), has_champion
