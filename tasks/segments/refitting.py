"""A new segmentation: searched, held against the rules, matched with the old one, and named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.findings import SegmentEvent, Words
from tasks.segments.baselines import FIFTHS as FIFTH_GROUPS
from tasks.segments.baselines import RFM_GROUPS, rfm_features
from tasks.segments.candidates import Matrix, assign_rows
from tasks.segments.champion import Segmented
from tasks.segments.contest import RFM, Outcome, hold_contest
from tasks.segments.data import (
    VALUE_COLUMN,
    choose_features,
    read_evidence,
    read_present,
    taught_at,
)
from tasks.segments.model_files import NamedLabel, render_model
from tasks.segments.search import Progress

if TYPE_CHECKING:
    from tasks.groups import SegmentsSettings
    from tasks.handles import FeatureTable
    from tasks.warehouse import Lake


@dataclass(frozen=True, slots=True)
class Refitted:
    """A segmentation with its files, and how it came to be; not yet serving.

    `profile` holds each segment's mean of every feature in the common space, for the heat map.
    """

    outcome: Outcome
    files: Mapping[str, str]
    labels: tuple[NamedLabel, ...]
    events: tuple[SegmentEvent, ...]
    used_ids: tuple[str, ...]
    feature_names: tuple[str, ...]
    fitted_as_of: datetime
    taught_as_of: datetime
    customers: int
    snapshot_id: int
    fingerprint: str


def is_due(segmented: Segmented | None, as_of: datetime, settings: SegmentsSettings) -> bool:
    """Whether the groups are to be found anew; a night of the past never replaces later ones."""
    if segmented is None:
        return True
    return as_of >= segmented.fitted_as_of + timedelta(days=settings.refit_after_days)


def refit(
    lake: Lake, table: FeatureTable, old: Segmented | None, progress: Progress | None = None
) -> Refitted:
    """Find groups on the newest cut-off with an outcome; nothing is published.

    Raises DataRejected (65) for too few customers or features.
    """
    settings = lake.settings.segments
    features = choose_features(lake, table, settings)
    names = tuple(
        dict.fromkeys(
            [
                *features,
                *(name for name in rfm_features(settings) if name in table.feature_names),
                VALUE_COLUMN,
            ]
        )
    )
    evidence = read_evidence(lake, table, names, settings)
    outcome = hold_contest(evidence, features, settings, progress)
    customers, matrix = read_present(lake, table, names, settings.described_rows)
    labels = assign_rows(matrix, names, outcome.segmentation)
    if set(_all_labels(outcome)) - set(labels.tolist()):
        # A group that is empty tonight is known by those it was learnt from.
        customers = np.concatenate([customers, evidence.customer_ids])
        matrix = np.concatenate([matrix, evidence.matrix])
        customers, kept = np.unique(customers.astype(str), return_index=True)
        matrix = matrix[kept]
        labels = assign_rows(matrix, names, outcome.segmentation)
    named, events, used = _name(lake, outcome, names, customers, matrix, labels, old)
    return Refitted(
        outcome=outcome,
        files=render_model(outcome.segmentation, named),
        labels=named,
        events=events,
        used_ids=used,
        feature_names=tuple(outcome.segmentation["feature_names"]),
        fitted_as_of=table.as_of[-1],
        taught_as_of=taught_at(table),
        customers=len(evidence),
        snapshot_id=table.snapshot_id,
        fingerprint=table.fingerprint,
    )


def _all_labels(outcome: Outcome) -> Sequence[int]:
    how: Mapping[str, Any] = outcome.segmentation["assign"]
    if how["kind"] == "nearest":
        return sorted(set(how["groups"]))
    if how["kind"] == "mixture":
        return range(len(how["weights"]))
    return range(len(_rule_groups(outcome)))


def _rule_groups(outcome: Outcome) -> tuple[tuple[str, Words], ...]:
    return RFM_GROUPS if outcome.rule == RFM else FIFTH_GROUPS


def _name(
    lake: Lake,
    outcome: Outcome,
    names: tuple[str, ...],
    customers: NDArray[Any],
    matrix: Matrix,
    labels: NDArray[np.int64],
    old: Segmented | None,
) -> tuple[tuple[NamedLabel, ...], tuple[SegmentEvent, ...], tuple[str, ...]]:
    used = set(old.used_ids) if old is not None else set()
    if outcome.kind == "rule":
        named = tuple(
            NamedLabel(label, segment_id, words)
            for label, (segment_id, words) in enumerate(_rule_groups(outcome))
        )
        return named, (), tuple(sorted(used | {one.segment_id for one in named}))
    named = tuple(
        NamedLabel(label, f"s{place + 1:02d}", Words(en=f"Group {place + 1}", ko=f"{place + 1}군"))
        for place, label in enumerate(_all_labels(outcome))
    )
    return named, (), tuple(sorted(used | {one.segment_id for one in named}))
