"""A new segmentation: searched, held against the rules, matched with the old one, and named."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import Refused, StoredDataCorrupt
from tasks.findings import SegmentEvent, Words
from tasks.segments.baselines import FIFTHS as FIFTH_GROUPS
from tasks.segments.baselines import RFM_GROUPS, rfm_features
from tasks.segments.candidates import Matrix, assign_rows
from tasks.segments.champion import Segmented, due_on
from tasks.segments.contest import RFM, Outcome, hold_contest
from tasks.segments.data import (
    VALUE_COLUMN,
    choose_features,
    read_evidence,
    read_present,
    taught_at,
)
from tasks.segments.memory import match_segments
from tasks.segments.model_files import Assigner, NamedLabel, render_model
from tasks.segments.naming import name_segments
from tasks.segments.search import Progress

if TYPE_CHECKING:
    from tasks.groups import SegmentsSettings
    from tasks.handles import FeatureTable
    from tasks.warehouse import Lake

_SQL = Path(__file__).with_name("sql")
_LOG = logging.getLogger("holdfast.segments")


@dataclass(frozen=True, slots=True)
class Refitted:
    """A segmentation with its files, and how it came to be; not yet serving."""

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


def is_due(
    segmented: Segmented | None,
    as_of: datetime,
    settings: SegmentsSettings,
    newest_as_of: datetime | None = None,
) -> bool:
    """Whether the groups are to be found anew; a night of the past never replaces later ones.

    `newest_as_of` is the night that found the newest ones that do not serve.
    """
    if segmented is None:
        return True
    return as_of >= due_on(segmented, settings, newest_as_of)


def refit(
    lake: Lake,
    table: FeatureTable,
    old: Segmented | None,
    progress: Progress | None = None,
    *,
    beside: bool = False,
) -> Refitted:
    """Find groups on the newest cut-off with an outcome; nothing is published.

    Those that are to serve `beside` the old ones get no name that an old one has, unless they are
    the same segment. Raises DataRejected (65) for too few customers or features.
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
    assigner = _open_old(old, table)
    columns = tuple(dict.fromkeys([*names, *(assigner.feature_names if assigner else ())]))
    customers, matrix = read_present(lake, table, columns, settings.described_rows)
    labels = assign_rows(matrix, columns, outcome.segmentation)
    missing = set(_all_labels(outcome)) - set(labels.tolist())
    group = _Group(columns, customers, matrix, labels)
    before = _find_before(lake, group, assigner, old)
    named, events = _name(outcome, group, missing, before, old, assigner, beside=beside)
    used = {*(old.used_ids if old else ()), *(one.segment_id for one in named)}
    return Refitted(
        outcome=outcome,
        files=render_model(outcome.segmentation, named),
        labels=named,
        events=events,
        used_ids=tuple(sorted(used)),
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


@dataclass(frozen=True, slots=True)
class _Group:
    """The described sample of tonight's customers with their new labels."""

    columns: tuple[str, ...]
    customers: NDArray[Any]
    matrix: Matrix
    labels: NDArray[np.int64]


def _open_old(old: Segmented | None, table: FeatureTable) -> Assigner | None:
    """The old segmentation, if its files are whole and the table has its features."""
    if old is None:
        return None
    try:
        assigner = old.open()
    except (Refused, StoredDataCorrupt) as error:
        _LOG.warning(
            "The old segments cannot be asked: %s They are matched by their last assignment.",
            " ".join(str(error).split()),
        )
        return None
    there = {*table.feature_names, VALUE_COLUMN}
    return assigner if set(assigner.feature_names) <= there else None


def _find_before(
    lake: Lake, group: _Group, assigner: Assigner | None, old: Segmented | None
) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Customers and their old segment_ids; None where there was no segmentation.

    What the old model says of tonight's customers, so that who moved does not blur which group is
    which; without it, what was published last.
    """
    if old is None:
        return None
    if assigner is not None:
        places = [group.columns.index(name) for name in assigner.feature_names]
        return group.customers, assigner.predict_matrix(group.matrix[:, places])
    rows = lake.arrow(lake.text(_SQL / "last_assignment.sql"))
    return tuple(  # type: ignore[return-value]
        np.array(rows[name].to_pylist(), dtype=object) for name in ("customer_id", "segment_id")
    )


def _name(
    outcome: Outcome,
    group: _Group,
    missing: set[int],
    before: tuple[NDArray[Any], NDArray[Any]] | None,
    old: Segmented | None,
    assigner: Assigner | None,
    *,
    beside: bool,
) -> tuple[tuple[NamedLabel, ...], tuple[SegmentEvent, ...]]:
    """Id and name of each label, and what became of the old segments."""
    nobody = np.empty(0, dtype=object)
    old_customers, old_ids = before if before is not None else (nobody, nobody)
    if outcome.kind == "rule":
        groups = _rule_groups(outcome)
        named = tuple(NamedLabel(place, *one) for place, one in enumerate(groups))
        now = np.array([one[0] for one in groups], dtype=object)[group.labels]
        return named, tell_rule_events(old_customers, old_ids, group.customers, now)
    matching = match_segments(
        old_customers,
        old_ids,
        group.customers,
        group.labels,
        used_ids=old.used_ids if old is not None else (),
    )
    ids = dict(matching.ids)
    taken = {*ids.values(), *(old.used_ids if old is not None else ())}
    for label in sorted(missing):
        # Nobody is in it tonight, so it has no old self and nothing to be called by.
        ids[label] = _next_id(taken)
        taken.add(ids[label])
    former = {key: Words(**name) for key, name in assigner.names.items()} if assigner else {}
    names = name_segments(
        group.matrix,
        group.columns,
        matching.segment_ids,
        kept={one: former[one] for one in matching.kept if one in former},
        reserved=former if beside else None,
    ).names
    return (
        tuple(
            NamedLabel(label, one, names.get(one, Words(en=f"Segment {one}", ko=f"세그먼트 {one}")))
            for label, one in sorted(ids.items())
        ),
        matching.events,
    )


def tell_rule_events(
    old_customers: NDArray[Any],
    old_ids: NDArray[Any],
    customers: NDArray[Any],
    ids: NDArray[Any],
) -> tuple[SegmentEvent, ...]:
    """A rule's groups are named by the rule: kept where the old ones had them, else born."""
    overlaps = overlap_by_id(old_customers, old_ids, customers, ids)
    before, now = set(old_ids.tolist()), set(ids.tolist())
    return tuple(
        SegmentEvent(
            event="kept" if one in before and one in now else "born" if one in now else "died",
            segment_id=one,
            related_ids=(),
            overlap_share=overlaps.get(one),
        )
        for one in sorted(before | now)
    )


def overlap_by_id(
    old_customers: NDArray[Any],
    old_ids: NDArray[Any],
    customers: NDArray[Any],
    ids: NDArray[Any],
) -> dict[str, float]:
    """Of each id that both have, the customers in common over those in either."""
    before = dict(zip(old_customers.tolist(), old_ids.tolist(), strict=True))
    pairs = [
        (before[one], after)
        for one, after in zip(customers.tolist(), ids.tolist(), strict=True)
        if one in before
    ]
    either: dict[str, list[int]] = {}
    for then, after in pairs:
        for one in {then, after}:
            counts = either.setdefault(one, [0, 0])
            counts[0] += then == after
            counts[1] += 1
    shared = set(old_ids.tolist()) & set(ids.tolist())
    return {one: both / union for one, (both, union) in either.items() if one in shared}


def _next_id(taken: set[str]) -> str:
    number = 1
    while f"s{number:02d}" in taken:
        number += 1
    return f"s{number:02d}"
