"""The night: take in, learn, decide, score. Any step stops it with one cause; run it again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prefect import flow

from flows.ingest import ingest
from flows.score import score
from flows.train import train
from tasks.handles import Batch, ScoreTable
from tasks.orchestration import run_flow
from tasks.registry.admission import Admission


@dataclass(frozen=True, slots=True)
class Night:
    """What a night has done."""

    batches: tuple[Batch, ...]
    admission: Admission
    scores: ScoreTable


@flow(name="nightly")
def nightly(deployment: str | Path, actor: str = "scheduler") -> Night:
    """Run the whole night for a deployment; a refused batch ends it before anything is learnt."""
    batches = run_flow(ingest, deployment, actor)
    admission = run_flow(train, deployment)
    scores = run_flow(score, deployment)
    return Night(tuple(batches), admission, scores)
