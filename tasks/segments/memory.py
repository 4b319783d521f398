"""What became of each segment: the same group keeps its id, and what changed has a name.

Two segmentations are compared by the customers whom both know. A new group is an old one if the
two overlap enough (Jaccard: common over either) and the assignment of all groups at once, the best
in sum (Hungarian), pairs them. An id that died is never given again.

Where the old model can still assign today's customers, pass that as the old segmentation: then
people who moved do not blur which group is which. Who moved is `count_movements` of what was
published then and now.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.errors import DataRejected
from tasks.findings import Movement, SegmentEvent, ShareAlarm

Indices = NDArray[np.int64]
Texts = NDArray[np.object_]

NEW, GONE = "new", "gone"
# Below this overlap two groups are different groups, however well they are paired.
MINIMUM_OVERLAP_SHARE = 0.3
# What makes a part of a group worth telling of, what makes it the main part, and from what share
# of a merged group on a source of it is named.
_PART, _MAIN, _NOTABLE = 0.25, 0.5, 0.1
_ID = re.compile(r"s(\d+)")


@dataclass(frozen=True, slots=True)
class Matching:
    """Which new label is which segment, and what happened to every segment, old and new.

    `ids` maps a label to its id; `segment_ids` (n,) are the customers' own. `kept` maps the ids
    that went on to their overlap. `common_customers` counts whom both segmentations know: with
    none, nothing could be matched, and every segment is born or died with no overlap given.
    """

    ids: dict[int, str]
    segment_ids: Texts
    kept: dict[str, float]
    events: tuple[SegmentEvent, ...]
    movements: tuple[Movement, ...]
    common_customers: int


def match_segments(
    old_customers: ArrayLike,
    old_ids: ArrayLike,
    new_customers: ArrayLike,
    new_labels: ArrayLike,
    *,
    used_ids: Collection[str] = (),
    minimum_overlap_share: float = MINIMUM_OVERLAP_SHARE,
) -> Matching:
    """Give each new label the id of the old segment that it is, or an id never used before.

    `old_customers` and `old_ids` (m,), `new_customers` and `new_labels` (n,); customers are unique
    in each. `used_ids` are all ids that any earlier segmentation had. The labels' numbers do not
    matter: the same groups numbered otherwise get the same ids. Raises DataRejected (65) where a
    customer stands twice.
    """
    old_customers, new_customers = _objects(old_customers), _objects(new_customers)
    old_ids = _objects(old_ids)
    labels, codes = _order_labels(new_customers, np.asarray(new_labels))
    olds, old_codes = _codes(old_ids)
    old_places, new_places = _find_common(old_customers, new_customers)
    shared = count_pairs(old_codes[old_places], codes[new_places], (len(olds), len(labels)))
    overlap = overlap_shares(shared)
    pairs = _pair(overlap, minimum_overlap_share)
    ids = _name_labels(olds, len(labels), pairs, used_ids)
    segment_ids = np.array(ids, dtype=object)[codes] if ids else np.empty(0, dtype=object)
    return Matching(
        ids={int(label): ids[place] for place, label in enumerate(labels)},
        segment_ids=segment_ids,
        kept={olds[old]: float(overlap[old, new]) for new, old in sorted(pairs.items())},
        events=_tell_events(olds, ids, pairs, shared, overlap),
        movements=count_movements(old_customers, old_ids, new_customers, segment_ids),
        common_customers=len(old_places),
    )


def count_movements(
    old_customers: ArrayLike, old_ids: ArrayLike, new_customers: ArrayLike, new_ids: ArrayLike
) -> tuple[Movement, ...]:
    """How many went from which segment to which, who stayed included; by `from_id`, `to_id`.

    Every customer of either side is counted once: who was not there comes from 'new', who is not
    there any more goes to 'gone'.
    """
    old_customers, new_customers = _objects(old_customers), _objects(new_customers)
    olds, old_codes = _codes(_objects(old_ids))
    news, new_codes = _codes(_objects(new_ids))
    old_places, new_places = _find_common(old_customers, new_customers)
    table = np.zeros((len(olds) + 1, len(news) + 1), dtype=np.int64)
    table[:-1, :-1] = count_pairs(
        old_codes[old_places], new_codes[new_places], (len(olds), len(news))
    )
    table[:-1, -1] = np.bincount(old_codes, minlength=len(olds)) - table[:-1, :-1].sum(axis=1)
    table[-1, :-1] = np.bincount(new_codes, minlength=len(news)) - table[:-1, :-1].sum(axis=0)
    rows, columns = [*olds, NEW], [*news, GONE]
    found = [
        Movement(from_id=rows[i], to_id=columns[j], customers=int(table[i, j]))
        for i, j in zip(*np.nonzero(table), strict=True)
    ]
    return tuple(sorted(found, key=lambda m: (m.from_id, m.to_id)))


def count_pairs(left: Indices, right: Indices, shape: tuple[int, int]) -> Indices:
    """Contingency table of two codings of the same customers, shape `shape`."""
    flat = np.bincount(left * shape[1] + right, minlength=shape[0] * shape[1])
    table: Indices = flat.astype(np.int64).reshape(shape)
    return table


def overlap_shares(shared: Indices) -> NDArray[np.float64]:
    """Jaccard of every old with every new group, from how many customers they have in common."""
    either = shared.sum(axis=1)[:, None] + shared.sum(axis=0)[None, :] - shared
    return _shares(shared, either)


def usual_share_range(
    history: Sequence[float],
    *,
    confidence: float = 0.99,
    floor_share: float = 0.02,
    minimum_history: int = 4,
) -> tuple[float, float] | None:
    """Where the next share of a segment is expected, from its shares so far, oldest first.

    A share wanders, so the range lies around the last one: plus or minus t times the root mean
    square of the changes so far, t of Student's distribution with as many degrees of freedom as
    there are changes. The half-width is at least `floor_share`, since a share that never moved
    would else ring at one customer. None with fewer than `minimum_history` shares.
    """
    from scipy.stats import t as student

    shares = np.asarray(history, dtype=np.float64)
    shares = shares[np.isfinite(shares)]
    if len(shares) < max(2, minimum_history):
        return None
    changes = np.diff(shares)
    spread = math.sqrt(float(np.mean(changes**2)))
    half = max(floor_share, float(student.ppf((1 + confidence) / 2, len(changes))) * spread)
    last = float(shares[-1])
    return max(0.0, last - half), min(1.0, last + half)


def find_share_alarms(
    shares: Mapping[str, float],
    history: Mapping[str, Sequence[float]],
    *,
    confidence: float = 0.99,
    floor_share: float = 0.02,
    minimum_history: int = 4,
) -> tuple[ShareAlarm, ...]:
    """Segments whose share of today is outside its usual range; `history` is without today.

    A segment with too short a history, and one that died, ring nothing.
    """
    alarms = []
    for segment_id in sorted(shares):
        usual = usual_share_range(
            history.get(segment_id, ()),
            confidence=confidence,
            floor_share=floor_share,
            minimum_history=minimum_history,
        )
        if usual is not None and not usual[0] <= shares[segment_id] <= usual[1]:
            alarms.append(
                ShareAlarm(
                    segment_id=segment_id,
                    share=shares[segment_id],
                    low_share=usual[0],
                    high_share=usual[1],
                )
            )
    return tuple(alarms)


def _objects(values: ArrayLike) -> Texts:
    return np.asarray(values, dtype=object).reshape(-1)


def _codes(ids: Texts) -> tuple[list[str], Indices]:
    """The distinct ids in order and each row's place among them."""
    import pandas as pd

    codes, names = pd.factorize(ids, sort=True)
    return [str(name) for name in names], codes.astype(np.int64)


def _order_labels(customers: Texts, labels: NDArray[np.generic]) -> tuple[list[int], Indices]:
    """Labels by size, largest first; equal ones by their first customer, whatever their number."""
    distinct, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    firsts: dict[int, str] = {}
    if len(set(sizes.tolist())) < len(sizes):
        for code in range(len(distinct)):
            firsts[code] = min(str(customer) for customer in customers[codes == code])
    order = sorted(range(len(distinct)), key=lambda code: (-int(sizes[code]), firsts.get(code, "")))
    places = np.empty(len(distinct), dtype=np.int64)
    places[order] = np.arange(len(distinct))
    return [int(distinct[code]) for code in order], places[codes.reshape(-1)]


def _find_common(old: Texts, new: Texts) -> tuple[Indices, Indices]:
    """Places of the customers that both have, in `old` and in `new`."""
    import pandas as pd

    index = pd.Index(old, dtype=object)
    others = pd.Index(new, dtype=object)
    if not index.is_unique or not others.is_unique:
        raise DataRejected(
            "A customer stands twice in a segmentation.",
            next_step="compare one row a customer: one cut-off, one run",
        )
    places = index.get_indexer(others).astype(np.int64)
    found = np.flatnonzero(places >= 0).astype(np.int64)
    return places[found], found


def _pair(overlap: NDArray[np.float64], minimum: float) -> dict[int, int]:
    """The old place of every new place that goes on."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(-overlap)
    return {
        int(new): int(old)
        for old, new in zip(rows, columns, strict=True)
        if overlap[old, new] >= minimum and overlap[old, new] > 0
    }


def _name_labels(
    olds: Sequence[str], labels: int, pairs: Mapping[int, int], used_ids: Collection[str]
) -> list[str]:
    taken = {*olds, *used_ids}
    last = max((int(m[1]) for name in taken if (m := _ID.fullmatch(name))), default=0)
    ids = []
    for new in range(labels):
        if new in pairs:
            ids.append(olds[pairs[new]])
        else:
            last += 1
            ids.append(f"s{last:02d}")
    return ids


def _tell_events(
    olds: Sequence[str],
    ids: Sequence[str],
    pairs: Mapping[int, int],
    shared: Indices,
    overlap: NDArray[np.float64],
) -> tuple[SegmentEvent, ...]:
    """Kept, born and died tell every segment's life; split and merged tell how it came."""
    known = shared.sum() > 0
    given = _shares(shared, shared.sum(axis=1)[:, None])
    taken = _shares(shared, shared.sum(axis=0)[None, :])
    events = []
    for new, segment_id in enumerate(ids):
        best = float(overlap[:, new].max()) if known else None
        if new in pairs:
            events.append(_event("kept", segment_id, (), float(overlap[pairs[new], new])))
        else:
            events.append(_event("born", segment_id, _pick(olds, taken[:, new] >= _PART), best))
    for old, segment_id in enumerate(olds):
        parts = (given[old] >= _PART) & (taken[old] > _MAIN)
        if np.count_nonzero(parts) > 1:
            share = float(given[old, parts].sum())
            events.append(_event("split", segment_id, _pick(ids, parts), share))
    for new, segment_id in enumerate(ids):
        sources = (given[:, new] > _MAIN) & (taken[:, new] >= _NOTABLE)
        if np.count_nonzero(sources) > 1:
            share = float(taken[sources, new].sum())
            events.append(_event("merged", segment_id, _pick(olds, sources), share))
    for old in sorted(set(range(len(olds))) - set(pairs.values())):
        best = float(overlap[old].max()) if known and ids else None
        events.append(_event("died", olds[old], _pick(ids, given[old] >= _PART), best))
    return tuple(events)


def _shares(parts: Indices, whole: Indices) -> NDArray[np.float64]:
    """`parts` over `whole`, 0 where there is nothing to divide by."""
    shares: NDArray[np.float64] = np.divide(
        parts, whole, out=np.zeros(parts.shape), where=whole > 0
    )
    return shares


def _pick(names: Sequence[str], chosen: NDArray[np.bool_]) -> list[str]:
    return [name for name, is_chosen in zip(names, chosen, strict=True) if is_chosen]


def _event(
    event: str, segment_id: str, related: Sequence[str], overlap_share: float | None
) -> SegmentEvent:
    return SegmentEvent.model_validate(
        {
            "event": event,
            "segment_id": segment_id,
            "related_ids": tuple(related),
            "overlap_share": overlap_share,
        }
    )
