"""Does a feature know the outcome? Two searches, and either stops the run.

**It separates too well.** Each feature alone orders the customers of the last cut-off by the
leaving rates that its values had at earlier cut-offs (a static set is halved by customer). Rates
are taken over quantile bins with a bin for NULL, so a copy of the outcome is found whether it is
noisy, inverted, missing for one side, or a code without an order.

**It comes from later.** Features of some customers are computed a second time from tables out of
which every row at or after the cut-off, or not yet known by it, has really been taken away. A
feature that then differs has looked at what it should not see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.audits import LeakAudit
from tasks.contracts import CONTRACTS
from tasks.errors import DataRejected
from tasks.features.building import make_request
from tasks.features.computing import compute_features
from tasks.features.request import Request
from tasks.visibility import visible_condition
from tasks.warehouse import quote

if TYPE_CHECKING:
    from tasks.handles import FeatureTable
    from tasks.sections import FeaturesSettings
    from tasks.warehouse import Connection, Lake

_BINS = 32
# Enough that an AUC is certain to about 0.01 at a churn rate of a tenth.
_MOST_ROWS = 200_000


@dataclass(frozen=True, slots=True)
class Separation:
    """How well one feature alone orders the last cut-off's customers."""

    feature: str
    auc: float


def audit_features(
    lake: Lake, table: FeatureTable, settings: FeaturesSettings
) -> tuple[Separation, ...]:
    """Both searches over a labelled table; the separations, best first, if nothing was found.

    Raises DataRejected (65) that names each feature with its figure.
    """
    later = find_later_sources(lake, table, settings)
    if later:
        raise DataRejected(
            f"LEAK: {', '.join(later)} {'uses' if len(later) == 1 else 'use'} rows that are not"
            " before the cut-off.",
            found="the values change when the rows at or after the cut-off are taken away",
            next_step="compare the event time with `as_of` in the feature's SQL file",
        )
    separations = measure_separation(lake, table)
    refuse_separations(separations, settings)
    return separations


def describe_audit(
    lake: Lake,
    table: FeatureTable,
    settings: FeaturesSettings,
    separations: Sequence[Separation],
) -> LeakAudit:
    """The figures of an audit that `audit_features` has just let through.

    Where nothing was computed again (`leak_sample_customers` is 0), the sample counts none.
    """
    judged = [item for item in separations if item.feature not in settings.allowed_leaks]
    best = max(judged, key=lambda item: item.auc, default=Separation("", float("nan")))
    sampled = 0
    if settings.leak_sample_customers and table.rows:
        sampled = int(lake.scalar("select count(*) from temp.main.leak_sample"))
    return LeakAudit(
        feature=best.feature,
        highest_auc=best.auc,
        features=len(separations),
        allowed=tuple(settings.allowed_leaks),
        later=(),
        sampled_customers=sampled,
    )


def check_outcomes(lake: Lake, table: FeatureTable, settings: FeaturesSettings) -> None:
    """Refuse outcomes that cannot be: nearly all or nearly nobody has left at a cut-off.

    An inverted label, or a window whose end is not delivered yet, shows so. Cut-offs with fewer
    customers than a training asks for say nothing. Raises DataRejected (65).
    """
    low, high = settings.churn_share_limits
    rows = lake.rows(
        "select as_of, count(*) as customers, avg(churned::integer) as share"
        f" from lake.main.{quote(table.table)} where churned is not null"
        " group by as_of having count(*) >= $customers order by as_of",
        {"customers": settings.minimum_customers},
    )
    wrong = [row for row in rows if not low <= row["share"] <= high]
    if not wrong:
        return
    listed = [
        f"{row['as_of']:%Y-%m-%d}: {row['share']:.1%} of {row['customers']:,} have left"
        for row in wrong[:5]
    ]
    raise DataRejected(
        f"LABEL: the share of leavers at {len(wrong)} of {len(rows)} cut-offs is outside"
        f" {low:.1%} to {high:.1%}, {wrong[-1]['share']:.1%} at {wrong[-1]['as_of']:%Y-%m-%d}.",
        found="; ".join(listed),
        next_step=(
            "look whether the outcome is inverted or the newest deliveries are not in yet; if it is"
            " right, widen `features.churn_share_limits`"
        ),
    )


def refuse_separations(separations: Sequence[Separation], settings: FeaturesSettings) -> None:
    """Raise DataRejected (65) if a feature alone separates better than `leak_auc_limit`."""
    leaks = [
        item
        for item in separations
        if item.auc > settings.leak_auc_limit and item.feature not in settings.allowed_leaks
    ]
    if not leaks:
        return
    listed = ", ".join(f"{item.feature} (AUC {item.auc:.3f})" for item in leaks)
    raise DataRejected(
        f"LEAK: {listed} alone tells who leaves, limit {settings.leak_auc_limit:.2f}.",
        found="a column that is written after the outcome, or from it, is no feature",
        next_step=(
            "take it out of the source's mapping; if it is honest, name it in"
            " `features.allowed_leaks`"
        ),
    )


def measure_separation(
    connection: Connection, table: FeatureTable, *, relation: str | None = None
) -> tuple[Separation, ...]:
    """The AUC of each feature alone, forward in time; best first. 0.5 where nothing can be said."""
    relation = relation or f"lake.main.{quote(table.table)}"
    listed = ", ".join(quote(name) for name in table.feature_names)
    # The hash draws the same customers at every cut-off, and the same ones every time.
    share = max(1, -(-table.rows // _MOST_ROWS))
    found = connection.arrow(
        f"select epoch_us(as_of) as moment, churned, hash(customer_id) % 2 = 0 as is_even, {listed}"
        f" from {relation} where churned is not null and hash(customer_id, 7) % {share} = 0"
    )
    moment = found["moment"].to_numpy()
    churned = found["churned"].to_numpy(zero_copy_only=False).astype(bool)
    if len(moment) == 0:
        return ()
    latest = moment == moment.max()
    if latest.all():
        even = found["is_even"].to_numpy(zero_copy_only=False).astype(bool)
        early, late = even, ~even
    else:
        early, late = ~latest, latest
    separations = []
    for name in table.feature_names:
        values = found[name].cast("float64").to_numpy(zero_copy_only=False)
        auc = _separation(values[early], churned[early], values[late], churned[late])
        separations.append(Separation(name, auc))
    return tuple(sorted(separations, key=lambda item: (-item.auc, item.feature)))


def _separation(
    early: NDArray[np.float64],
    early_churned: NDArray[np.bool_],
    late: NDArray[np.float64],
    late_churned: NDArray[np.bool_],
) -> float:
    """AUC on the late rows of the leaving rates that bins had in the early rows."""
    positives, negatives = int(late_churned.sum()), int((~late_churned).sum())
    known = early[~np.isnan(early)]
    if not positives or not negatives or not len(early):
        return 0.5
    distinct = np.unique(known)
    if len(distinct) > _BINS:
        edges = np.unique(np.quantile(known, np.arange(1, _BINS) / _BINS))
    else:
        edges = distinct[1:]

    def place(values: NDArray[np.float64]) -> NDArray[np.int64]:
        bins = np.searchsorted(edges, values, side="right")
        return np.where(np.isnan(values), len(edges) + 1, bins).astype(np.int64)

    bins, size = place(early), len(edges) + 2
    count = np.bincount(bins, minlength=size)
    left = np.bincount(bins, weights=early_churned, minlength=size)
    prior = early_churned.mean()
    # One pseudo-row of the average keeps an empty or tiny bin from deciding.
    rates = (left + prior) / (count + 1)
    scores = rates[place(late)]
    order, place_of = np.unique(scores, return_inverse=True)
    positive = np.bincount(place_of, weights=late_churned, minlength=len(order))
    negative = np.bincount(place_of, weights=~late_churned, minlength=len(order))
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / (positives * negatives))


def find_later_sources(
    lake: Lake, table: FeatureTable, settings: FeaturesSettings
) -> tuple[str, ...]:
    """Features that change for a sample of customers when later rows are taken away; names."""
    if not settings.leak_sample_customers or not table.rows:
        return ()
    number = len(table.as_of) // 2
    as_of, known_by = table.as_of[number], table.known_by[number]
    request = make_request(lake, [as_of], [known_by], table.snapshot_id, settings)
    lake.execute(
        "create or replace temporary table leak_sample as select distinct customer_id"
        f" from lake.main.{quote(table.table)} where as_of = $as_of"
        f" order by hash(customer_id), customer_id limit {settings.leak_sample_customers}",
        {"as_of": as_of},
    )
    whole = _sampled(request)
    cut = replace(
        whole,
        relations={
            name: _cut(name, relation, request, as_of, known_by)
            for name, relation in whole.relations.items()
        },
    )
    names: list[tuple[str, ...]] = []
    for made, part in (("leak_whole", whole), ("leak_cut", cut)):
        lake.execute(f"drop table if exists temp.main.{made}")

        def write(rows: str, made: str = made) -> None:
            lake.execute(f"create temporary table {made} as {rows}")

        computed = compute_features(lake, replace(part, chunk_lines=1_000_000_000), write)
        names.append(tuple(feature.name for feature in computed.features))
    # A source that only the later rows fill shows as features that the cut does not have at all.
    later = [name for name in names[0] if name not in names[1]]
    shared = [name for name in names[0] if name in names[1]]
    if shared:
        differing = ", ".join(
            f"bool_or(whole.{quote(name)} is distinct from cut.{quote(name)}) as {quote(name)}"
            for name in shared
        )
        row = lake.one(
            f"select {differing} from leak_whole whole"
            " full join leak_cut cut using (customer_id, as_of)"
        )
        later += [name for name in shared if row[name]]
    return tuple(later)


def _sampled(request: Request) -> Request:
    """The request over the sampled customers' rows alone."""
    return replace(
        request,
        relations={
            name: f"(select * from {relation}"
            " where customer_id in (select customer_id from leak_sample))"
            for name, relation in request.relations.items()
        },
    )


def _cut(table: str, relation: str, request: Request, as_of: datetime, known_by: datetime) -> str:
    """The rows of a relation that happened and were known in time, their later times blanked."""
    contract = CONTRACTS[table]
    moment = f"timestamptz '{as_of.astimezone(UTC).isoformat(sep=' ')}'"
    known = f"timestamptz '{known_by.astimezone(UTC).isoformat(sep=' ')}'"
    blanked = ", ".join(
        f"case when {quote(name)} < {moment} then {quote(name)} end as {quote(name)}"
        for name in contract.later_times
    )
    columns = f"* replace ({blanked})" if blanked else "*"
    seen = visible_condition(request.superseded.get(table, ()), known_by=known)
    return f"(select {columns} from {relation} where {contract.event_time} < {moment} and {seen})"
