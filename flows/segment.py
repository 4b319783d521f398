"""Put every customer into a named group that keeps its meaning, and say what each is worth."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from prefect import flow

from tasks.clock import find_time
from tasks.features import steps as features
from tasks.findings import SegmentFindings
from tasks.intake import steps as intake
from tasks.rollout import steps as rollouts
from tasks.segments import steps as segments
from tasks.segments.steps import Segmented, Trial
from tasks.settings import Settings, load_settings
from tasks.warehouse import Lake, open_lake


@flow(name="segment")
def segment(deployment: str | Path) -> SegmentFindings:
    """Find segments where that is due, assign everybody, publish. The same night twice is one run.

    With `registry.promotion: rollout` those found beside the ones that serve wait as a candidate.
    While a rollout is running none are looked for, the challenger groups its share, and is taken
    back at once if it fails too often. Raises DataRejected (65) where there are too few customers
    or features to find groups.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        found = _segment(lake, settings)
        if rollouts.take_back_failed(lake, "segments"):
            # Who was to be in the challenger's groups is the champion's, tonight.
            found = _segment(lake, settings)
        return found


def _segment(lake: Lake, settings: Settings) -> SegmentFindings:
    now = find_time(lake, settings)
    standing = intake.judge_sources(lake, settings)
    cutoffs = segments.plan_cutoffs(now.as_of, settings.features)
    table = features.build(
        lake,
        cutoffs,
        now.known_at(cutoffs),
        lake.snapshot(),
        settings.features,
        labels_as_of=now.as_of,
        labels_known_by=now.known_by,
        tables=features.tables_without(standing.left_out),
    )
    segmented = segments.find_segments(lake, table, _place_newer(lake, settings))
    return segments.assign_segments(lake, table, segmented, _find_trial(lake, segmented, now.as_of))


def _place_newer(lake: Lake, settings: Settings) -> segments.Newer:
    """What becomes of groups found beside those that serve; a rollout's champion stays under it."""
    if rollouts.find_live(lake, "segments") is not None:
        return "none"
    return "wait" if settings.registry.promotion == "rollout" else "serve"


def _find_trial(lake: Lake, segmented: Segmented, as_of: datetime) -> Trial | None:
    """The share of a running rollout, if it is still this segmentation that it stands against."""
    live = rollouts.find_turn(lake, "segments", segmented.decision_id, as_of)
    if live is None:
        return None
    challenger = segments.find_challenger(lake, model_hash=live.plan.challenger.content_hash)
    return Trial(rollouts.GroupArm(live, as_of), challenger)
