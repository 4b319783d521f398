"""The ranking that the champion would make of other features, held against the one it makes now.

Nothing is published or exported: both rankings are temporary tables of the connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.impact import ScoreMoves
from tasks.scoring.scoring import rank_customers

if TYPE_CHECKING:
    from tasks.handles import Champion, FeatureTable, Predictor
    from tasks.settings import Settings
    from tasks.warehouse import Lake

_SQL = Path(__file__).with_name("sql")
SCORE_CHANGE = 0.05


def compare_scores(
    lake: Lake,
    champion: Champion,
    predictor: Predictor,
    before: FeatureTable,
    after: FeatureTable,
    settings: Settings,
    *,
    threshold: float = SCORE_CHANGE,
    value_column: str = "value_amount",
    may_miss: Mapping[str, str] | None = None,
) -> ScoreMoves:
    """Score the newest cut-off of both tables and compare: probabilities, action list, money.

    A score moves if its probability changes by more than `threshold`. `may_miss` are features that
    may be absent, by the optional source that they come from. Raises DataRejected (65)
    where either ranking would be refused as unsound.
    """
    for kept, features in (("ranking_before", before), ("ranking_after", after)):
        rank_customers(
            lake,
            champion,
            predictor,
            features,
            settings,
            value_column,
            explained=False,
            may_miss=may_miss,
        )
        lake.run(
            _SQL / "keep_ranking.sql",
            {"affordable_contacts": settings.economics.affordable_contacts},
            names={"kept": kept},
        )
    found = lake.one(lake.text(_SQL / "compare.sql"), {"threshold": threshold})
    lake.execute("drop table ranking_before; drop table ranking_after")
    return ScoreMoves(
        champion=f"{champion.kind} {champion.candidate} version {champion.version}",
        currency=settings.economics.currency,
        threshold=threshold,
        **found,
    )
