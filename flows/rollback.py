"""Let an earlier champion serve again, and score anew with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prefect import flow

from flows.score import score
from tasks.errors import DataRejected
from tasks.handles import Champion, ScoreTable
from tasks.orchestration import run_flow
from tasks.registry import steps as registry
from tasks.settings import load_settings
from tasks.warehouse import open_lake


@dataclass(frozen=True, slots=True)
class RolledBack:
    """Who serves now; `mirror` is what MLflow's alias says of it, `unscored` why no list is new."""

    champion: Champion
    mirror: str
    scores: ScoreTable | None
    unscored: str = ""


@flow(name="rollback")
def rollback(
    deployment: str | Path, version: int | None = None, actor: str = "", reason: str = ""
) -> RolledBack:
    """Switch in the ledger first, which is what counts; then MLflow's alias, then the list.

    The rollback stands although the data do not allow a new list now (65): that is said. Raises
    UsageError (64), Refused (77), StoredDataCorrupt (74), LockHeld (75) where nothing was switched.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        champion = registry.switch_back(lake, version, actor, reason)
        mirror = registry.mirror_registry(lake)
    try:
        return RolledBack(champion, mirror, run_flow(score, deployment))
    except DataRejected as error:
        return RolledBack(champion, mirror, None, error.what)
