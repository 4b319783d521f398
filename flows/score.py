"""Say of every eligible customer who is about to leave, why, and what is at stake."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from prefect import flow

from flows.watching import watched
from tasks.clock import find_time
from tasks.errors import Refused, StoredDataCorrupt
from tasks.features import steps as features
from tasks.handles import ArmScoring, Champion, ScoreTable
from tasks.intake import steps as intake
from tasks.registry import steps as registry
from tasks.rollout import steps as rollouts
from tasks.scoring import steps as scoring
from tasks.settings import Settings, load_settings
from tasks.validation import steps as validation
from tasks.warehouse import Lake, open_lake


@flow(name="score")
@watched("score")
def score(deployment: str | Path) -> ScoreTable:
    """Score with the champion, check, publish and export. The same night twice is one run.

    While a source is behind, every row says so and how old the data are; an optional one's table
    is left out, and what the champion asks of it is unknown. While a rollout is running, its
    challenger scores its share, and is taken back at once if it fails too often. Raises
    DataRejected (65) for unsound scores, of which nothing is then published.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        scores = _score(lake, settings)
        if rollouts.take_back_failed(lake, "churn"):
            # Who still had the challenger's score is back with the champion, tonight.
            scores = _score(lake, settings)
        return scores


def _score(lake: Lake, settings: Settings) -> ScoreTable:
    champion, predictor = registry.load_champion(lake)
    now = find_time(lake, settings)
    standing = intake.judge_sources(lake, settings)
    table = features.build(
        lake,
        (now.as_of,),
        (now.known_by,),
        lake.snapshot(),
        settings.features,
        tables=features.tables_without(standing.left_out),
    )
    validation.validate_features(lake, table, settings)
    optional = {
        name: one.source
        for one in standing.sources
        if one.optional
        for name in features.features_of(one.table)
    }
    check = partial(validation.validate_scores, settings=settings)
    return scoring.score_customers(
        lake,
        champion,
        predictor,
        table,
        check,
        standing.staleness,
        optional,
        _find_arm(lake, champion),
    )


def _find_arm(lake: Lake, champion: Champion) -> ArmScoring | None:
    """The challenger of a running rollout, if it is still this champion that it stands against."""
    live = rollouts.find_live(lake, "churn")
    if live is None or live.terms.champion_decision_id != champion.decision_id:
        return None
    challenger = registry.find_candidate(lake, model_hash=live.plan.challenger.content_hash)
    try:
        return rollouts.open_arm(live, challenger, registry.verify_copy(lake, challenger), "")
    except (Refused, StoredDataCorrupt) as error:
        return rollouts.open_arm(live, challenger, None, error.what)
