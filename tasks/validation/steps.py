"""The steps of validation, as a flow calls them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.handles import FeatureTable, StagedBatch, Verdict
from tasks.incidents.waivers import active_waivers
from tasks.moments import read_clock
from tasks.orchestration import publish_markdown, step
from tasks.settings import Settings
from tasks.validation.history import LakeHistory
from tasks.validation.judging import validate
from tasks.validation.outputs import check_features, check_scores, demand_kept
from tasks.validation.report import render_report, render_results
from tasks.validation.waiving import list_row_rules, list_waivable
from tasks.warehouse import Lake, quote

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "list_row_rules",
    "list_waivable",
    "validate_batch",
    "validate_features",
    "validate_scores",
]


def _validate_batch(lake: Lake, staged: StagedBatch, settings: Settings) -> Verdict:
    """Judge a staged batch against its rules and its past; the report is the run's artifact.

    A stopped batch comes back as a verdict: publishing sets it aside and ends the run (65).
    """
    now = read_clock()
    # All of the source's: those for another delivery change nothing here, but are named.
    waivers = active_waivers(lake, staged.raw.delivery.source, now)
    verdict = validate(staged, LakeHistory(lake), settings, now=now, waivers=waivers)
    if any(not result.passed for result in verdict.results):
        publish_markdown(
            f"validation {staged.batch_name}",
            render_report(verdict, staged, deployment=settings.called),
            f"Validation of {staged.batch_name}: {verdict.outcome}",
        )
    return verdict


def _validate_features(lake: Lake, features: FeatureTable, settings: Settings) -> None:
    """Judge a stored feature table. Raises DataRejected (65) naming the rules it breaks."""
    listed = ", ".join(quote(name) for name in ("customer_id", "as_of", *features.feature_names))
    rows = lake.arrow(f"select {listed} from lake.main.{quote(features.table)}")
    results = check_features(rows, features.feature_names, settings)
    publish_markdown(
        f"validation features {settings.deployment}",
        render_results("Feature table", results),
        "Validation of the feature table",
    )
    demand_kept(f"The feature table '{features.table}' is", results)


def _validate_scores(scores: pa.Table | Path, settings: Settings) -> None:
    """Judge scores before they are published. Raises DataRejected (65) for a broken rule."""
    results = check_scores(scores, settings)
    publish_markdown(
        f"validation scores {settings.deployment}",
        render_results("Scores", results),
        "Validation of the scores",
    )
    demand_kept("The scores are", results)


validate_batch = step(_validate_batch, name="validate batch")
validate_features = step(_validate_features, name="validate features")
validate_scores = step(_validate_scores, name="validate scores")
