"""The steps of scoring, as a flow calls them."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.exports import read_head
from tasks.handles import ArmScoring, Champion, FeatureTable, Predictor, ScoreTable
from tasks.orchestration import publish_markdown, step
from tasks.scoring.scoring import Check, describe_staleness, score
from tasks.standings import Staleness
from tasks.warehouse import Lake

__all__ = ["describe_staleness", "read_head", "score_customers"]


def _score_customers(
    lake: Lake,
    champion: Champion,
    predictor: Predictor,
    features: FeatureTable,
    check: Check | None = None,
    staleness: Staleness | None = None,
    may_miss: Mapping[str, str] | None = None,
    arm: ArmScoring | None = None,
) -> ScoreTable:
    """Score the newest cut-off and export the list; `check` judges it before it is published."""
    table = score(
        lake,
        champion,
        predictor,
        features,
        lake.settings,
        check=check,
        staleness=staleness,
        may_miss=may_miss,
        arm=arm,
    )
    stale = describe_staleness(table.staleness)
    publish_markdown(
        f"scores {lake.deployment}",
        f"{table.rows:,} customers as of {table.as_of:%Y-%m-%d}, scored by {champion.kind}"
        f" `{champion.candidate}` version {table.model_version}.\n\n"
        f"{f'**{stale}**' if stale else 'Scored with all data that were due.'}\n\n"
        f"- CSV: `{table.csv_path}`\n- Parquet: `{table.parquet_path}`",
        "The scored customers and where the list is",
    )
    return table


score_customers = step(_score_customers, name="score", retries=1)
