"""Segmentations made by hand: bands of one feature, which need no search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tasks.findings import Contest, SegmentEvent, Words
from tasks.keeping import combine_hashes
from tasks.segments.challengers import admit
from tasks.segments.champion import Promotion, Segmented, models_directory, promote
from tasks.segments.model_files import NamedLabel, hash_texts, render_model, write_model
from tasks.warehouse import Lake

Groups = Mapping[str, str]
# Ids, lowest band first, with their English names.
TWO: Groups = {"s01": "Recent", "s02": "Away"}
THREE: Groups = {"s01": "Fresh", "s03": "Waiting", "s02": "Away"}


def bands(
    lake: Lake,
    groups: Groups,
    edges: Sequence[float],
    fitted_as_of: datetime,
    feature: str = "recency_days",
    version: int | None = None,
    left_out: Sequence[str] = (),
) -> Promotion:
    """A segmentation by bands of a feature, its files written; `edges` lie between the groups.

    A group that is `left_out` has customers and no id, as of a file that lacks a line.
    """
    how: dict[str, Any] = {"log": False, "kind": "linear", "centre": 0.0, "scale": 1.0}
    segmentation = {
        "format": 1,
        "feature_names": [feature],
        "method": f"{len(groups)} bands of {feature}",
        "prepare": [{**how, "fill": 0.0, "limit": 1e9}],
        "project": None,
        "assign": {"kind": "bands", "edges": list(edges)},
    }
    labels = [
        NamedLabel(place, key, Words(en=name, ko=f"{name}의"))
        for place, (key, name) in enumerate(groups.items())
        if key not in left_out
    ]
    files = render_model(segmentation, labels)
    home = models_directory(lake.settings.home, lake.deployment)
    directory = write_model(home / combine_hashes(hash_texts(files))[:12], files)
    return Promotion(
        files=hash_texts(files),
        directory=directory,
        kind="rule",
        method=str(segmentation["method"]),
        reason="made by hand",
        fitted_as_of=fitted_as_of,
        taught_as_of=fitted_as_of,
        contest=Contest(
            served="bands",
            served_kind="rule",
            rival="rfm",
            measure="usefulness",
            higher_is_better=True,
            served_figure=1.0,
            rival_figure=0.5,
            difference=0.5,
            low=0.4,
            high=0.6,
            reason="made by hand",
        ),
        measures={},
        events=tuple(
            SegmentEvent(
                event="kept" if key in TWO else "born",
                segment_id=key,
                related_ids=(),
                overlap_share=0.9 if key in TWO else None,
            )
            for key in groups
        ),
        used_ids=tuple(groups),
        snapshot_id=1,
        version=version,
        run_id=None,
    )


def crown_two(lake: Lake, as_of: datetime, edge: float = 10.0) -> Segmented:
    """The first segmentation of a deployment: two groups."""
    return promote(lake, bands(lake, TWO, (edge,), as_of, version=1), None)


def admit_three(
    lake: Lake, champion: Segmented, as_of: datetime, version: int | None = 2, **changed: Any
) -> Segmented:
    """A candidate with three groups: one is called otherwise, one is new."""
    return admit(lake, bands(lake, THREE, (3.0, 8.0), as_of, version=version, **changed), champion)
