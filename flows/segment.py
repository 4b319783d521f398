"""Put every customer into a named group that keeps its meaning, and say what each is worth."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from tasks.clock import find_time
from tasks.features import steps as features
from tasks.findings import SegmentFindings
from tasks.intake import steps as intake
from tasks.segments import steps as segments
from tasks.settings import load_settings
from tasks.warehouse import open_lake


@flow(name="segment")
def segment(deployment: str | Path) -> SegmentFindings:
    """Find segments where that is due, assign everybody, publish. The same night twice is one run.

    Raises DataRejected (65) where there are too few customers or features to find groups.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
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
        segmented = segments.find_segments(lake, table)
        return segments.assign_segments(lake, table, segmented)
