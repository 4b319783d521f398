"""The night: take in, learn, decide, score, understand, watch. Any step stops it with one cause."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prefect import flow

from flows.ingest import ingest
from flows.monitor import monitor
from flows.rollout import Stepped, begin_admitted, step_rollout
from flows.score import score
from flows.train import train
from flows.understand import Understanding, understand
from flows.watching import watched
from tasks.handles import Batch, ScoreTable
from tasks.intake import steps as intake
from tasks.intake.degrees import TrainingHold
from tasks.monitoring import steps as monitoring
from tasks.orchestration import run_flow
from tasks.registry import steps as registry
from tasks.registry.admission import Admission
from tasks.rollout import steps as rollouts
from tasks.rollout.plan import Subject
from tasks.rollout.steps import Rollout
from tasks.settings import load_settings
from tasks.warehouse import open_lake


@dataclass(frozen=True, slots=True)
class Night:
    """What a night has done; `admission` is None if nothing was learnt.

    `held` says why where something is missing; where it was only not due, it is empty.
    `understanding` is None on a night that was asked for the list alone. `rollouts` are those that
    are running or were the last, of models, of segmentations and of policies, where there is one.
    """

    batches: tuple[Batch, ...]
    refused: tuple[Batch, ...]
    admission: Admission | None
    held: str
    scores: ScoreTable
    understanding: Understanding | None
    report: monitoring.Report
    rollouts: tuple[Rollout, ...] = ()


@flow(name="nightly")
@watched("nightly")
def nightly(
    deployment: str | Path,
    actor: str = "scheduler",
    learn: bool | None = None,
    understanding: bool = True,
) -> Night:
    """Run the whole night for a deployment.

    `learn` False leaves the training out, True asks for it; None is the night's own judgement.
    Without `understanding` it ends with the list.

    A refused batch of a source that says 'stop' ends it (65) before anything is learnt. Where
    'degrade' is said the night goes on: the champion scores with the last good data, every output
    is stamped stale, and the night is done (0). A delivery that did not come holds the training
    too; if its source says 'stop', the champion scores all the same and the night then ends with
    75. Without a champion there is nothing to score with, and it ends with 75 at once.
    """
    taken = run_flow(ingest, deployment, actor)
    # By what has matured, before anybody is scored: who is with whom tonight hangs on it.
    stepped = {"churn": _step(deployment, "churn"), "actions": _step(deployment, "actions")}
    hold, has_champion, is_due = _look_ahead(deployment)
    if hold is not None and not has_champion:
        raise hold.error
    learning = hold is None and (is_due if learn is None else learn)
    admission = run_flow(train, deployment) if learning else None
    if admission is not None and admission.decision.outcome == "admit":
        stepped["churn"] = run_flow(begin_admitted, deployment)
    scores = run_flow(score, deployment)
    # Nobody's score hangs on it, so the list is there whatever becomes of it.
    stepped["segments"] = _step_segments(deployment, begins=understanding)
    understood = run_flow(understand, deployment) if understanding else None
    # Last: whatever happens in it, everybody has their lists and pages.
    report = run_flow(monitor, deployment, actor)
    if hold is not None and hold.ends_night:
        raise hold.error
    held = hold.error.what if hold is not None else ""
    return Night(
        taken.batches,
        taken.refused,
        admission,
        held,
        scores,
        understood,
        report,
        tuple(one.rollout for one in stepped.values() if one is not None and one.rollout),
    )


def _step(deployment: str | Path, subject: Subject) -> Stepped | None:
    """Judge the rollout of a subject; the night makes the list. None if there never was one."""
    with open_lake(load_settings(deployment)) as lake:
        if not rollouts.list_rollouts(lake, subject):
            return None
    stepped: Stepped = run_flow(step_rollout, deployment, rescore=False, subject=subject)
    return stepped


def _step_segments(deployment: str | Path, *, begins: bool) -> Stepped | None:
    """Judge the rollout of segments; without one, begin that of a candidate of an earlier night."""
    stepped = _step(deployment, "segments")
    is_live = stepped is not None and stepped.rollout is not None and stepped.rollout.is_live
    if is_live or not begins or load_settings(deployment).registry.promotion != "rollout":
        return stepped
    begun: Stepped = run_flow(begin_admitted, deployment, subject="segments")
    return begun if begun.rollout is not None else stepped


def _look_ahead(deployment: str | Path) -> tuple[TrainingHold | None, bool, bool]:
    """What keeps it from learning, whether somebody serves, and whether learning is due."""
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        has_champion = registry.find_champion(lake) is not None
        standing = intake.judge_sources(lake, settings)
        hold = intake.find_hold(standing, settings, has_champion=has_champion)
        return hold, has_champion, not has_champion or monitoring.find_due(lake).is_due
