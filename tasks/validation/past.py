"""The accepted batches as the ledger remembers them, judged again without reading a row.

What the ledger keeps of a batch is enough to make its figures anew, so that the very rules that
judge a batch tonight (`list_checks`) can judge those of the past, under other bounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.contracts import CONTRACTS
from tasks.errors import UsageError, suggest
from tasks.handles import Delivery, KnownBasis, RawBatch, StagedBatch
from tasks.settings import Settings
from tasks.validation.checks import Surroundings, filled_columns
from tasks.validation.history import SQL, CustomersKnown, PastVolume, TrailingBatch, volume_of
from tasks.validation.hours import HOURS
from tasks.validation.rules import table_rules
from tasks.validation.statistics import HOUR_PREFIX, MOMENTS, QUANTILES, SHARE_PREFIX, Figures
from tasks.warehouse import Connection

if TYPE_CHECKING:
    from tasks.warehouse import Lake

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PastBatch:
    """An accepted batch: its figures by (column, statistic), as `batch_statistics` has them.

    `broken` maps a rule about rows to (rows that broke it, rows looked at).
    """

    batch_number: int
    batch_name: str
    source: str
    table: str
    received_rows: int
    quarantined_rows: int
    recorded_at: datetime
    known_basis: KnownBasis = "observed"
    figures: Mapping[tuple[str, str], float] = field(default_factory=dict)
    broken: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def late_at(self) -> datetime | None:
        """The day before which nearly all of its events lie; None of an older version's batch."""
        day = self.figures.get(("", "late_day"))
        return _EPOCH + timedelta(days=day) if day is not None else None


def read_past(lake: Lake, source: str | None = None) -> dict[str, list[PastBatch]]:
    """Accepted batches by source, each in the order in which they were taken in.

    Raises UsageError (64) for a source that has none and that `conf/` does not know.
    """
    known = set(lake.settings.intake.sources)
    if source is not None and source not in known:
        known |= {
            row["source"] for row in lake.rows("select distinct source from lake.ledger.batches")
        }
        if source not in known:
            raise UsageError(
                f"There is no source '{source}'.",
                found=suggest(source, known),
                available=sorted(known),
            )
    asked = {"source": source}
    figures: dict[int, dict[tuple[str, str], float]] = {}
    for row in lake.rows(Connection.text(SQL / "past_figures.sql"), asked):
        batch = figures.setdefault(int(row["batch_number"]), {})
        batch[row["column_name"], row["statistic"]] = float(row["value"])
    broken: dict[int, dict[str, tuple[int, int]]] = {}
    for row in lake.rows(Connection.text(SQL / "past_rules.sql"), asked):
        rules = broken.setdefault(int(row["batch_number"]), {})
        rules[row["rule"]] = int(row["failed_rows"]), int(row["checked_rows"])
    past: dict[str, list[PastBatch]] = {}
    for row in lake.rows(Connection.text(SQL / "past_batches.sql"), asked):
        number = int(row["batch_number"])
        names = {rule.name for rule in table_rules(row["table_name"]).rows}
        past.setdefault(row["source"], []).append(
            PastBatch(
                batch_number=number,
                batch_name=row["batch_name"],
                source=row["source"],
                table=row["table_name"],
                received_rows=int(row["received_rows"]),
                quarantined_rows=int(row["quarantined_rows"]),
                recorded_at=row["recorded_at"].astimezone(UTC),
                known_basis=row["known_basis"],
                figures=figures.get(number, {}),
                broken={k: v for k, v in broken.get(number, {}).items() if k in names},
            )
        )
    return past


def rebuild(batch: PastBatch) -> Figures:
    """The batch's figures, as measured once; its times to the day, categories but the largest."""
    kept = batch.figures
    rows = int(kept.get(("", "rows"), 0))
    contract = CONTRACTS[batch.table]
    quantiles, counts = {}, {}
    null_counts = {
        name: round(kept.get((name, "null_share"), 0.0) * rows) for name in contract.names
    }
    for name in table_rules(batch.table).measured:
        values = [kept.get((name, quantile)) for quantile, _ in QUANTILES]
        if None not in values:
            quantiles[name] = tuple(value for value in values if value is not None)
    for name in table_rules(batch.table).sorted_into:
        present = rows - null_counts[name]
        counts[name] = {
            statistic.removeprefix(SHARE_PREFIX): members
            for (column, statistic), share in kept.items()
            if column == name
            and statistic.startswith(SHARE_PREFIX)
            and (members := round(share * present))
        }
    late, span, middle = batch.late_at, kept.get(("", "span_days")), kept.get(("", "middle_day"))
    times = middle_at = None
    if span is not None:
        end = late or _EPOCH
        begin = end - timedelta(days=span)
        times = begin, begin, end, end
    if middle is not None:
        middle_at = _EPOCH + timedelta(days=middle)
    event = contract.event_time
    total = kept.get((event, MOMENTS))
    moments: tuple[int, ...] = ()
    if total is not None:
        moments = tuple(
            round(kept.get((event, f"{HOUR_PREFIX}{hour:02}"), 0.0) * total)
            for hour in range(HOURS)
        )
    base_rate = kept.get(("churned", "base_rate"))
    found = kept.get(("customer_id", "customers"))
    customers = None
    if found is not None:
        customers = CustomersKnown(int(found), int(kept.get(("customer_id", "known"), 0)))
    return Figures(
        rows=rows,
        active_days=int(kept.get(("", "active_days"), 0)),
        newest_at=late,
        times=times,
        middle_at=middle_at,
        null_counts=null_counts,
        positive_counts={
            name: int(kept.get((name, "positive_values"), 0.0))
            for name in table_rules(batch.table).measured
        },
        quantiles=quantiles,
        counts=counts,
        churned_count=round(base_rate * rows) if base_rate is not None else None,
        customers=customers,
        moments=moments,
        event_time=event,
    )


def surround(
    batch: PastBatch, earlier: Sequence[PastBatch], figures: Figures, settings: Settings
) -> Surroundings:
    """What the batch was compared with: the accepted batches of its source before it.

    `figures` are its own, or what they would be with a fault in them. How old it was is told
    against the batches before it, or against our clock when it was taken in.
    """
    return Surroundings(
        staged=_staged(batch),
        figures=figures,
        trailing=[
            TrailingBatch(other.batch_number, other.figures)
            for other in earlier[-settings.validation.trailing_batches :]
        ],
        reference_at=_reference(batch, earlier, settings),
        customers=figures.customers,
        mapped_columns=filled_columns(settings, batch.source),
        settings=settings.validation,
        volumes=_volumes(earlier),
    )


def _volumes(batches: Sequence[PastBatch]) -> list[PastVolume]:
    found = [volume for batch in batches if (volume := volume_of(batch.figures)) is not None]
    return sorted(found, key=lambda volume: volume.middle_day)


def _staged(batch: PastBatch) -> StagedBatch:
    nowhere = Path()
    delivery = Delivery(batch.batch_name, batch.source, batch.table, "")
    raw = RawBatch(delivery, "", nowhere, 0)
    return StagedBatch(raw, nowhere, batch.received_rows, batch.known_basis, None)


def _reference(
    batch: PastBatch, earlier: Sequence[PastBatch], settings: Settings
) -> datetime | None:
    clock = settings.clock.as_of
    if clock == "data" or batch.known_basis == "declared":
        return max((at for other in earlier if (at := other.late_at) is not None), default=None)
    if clock == "now":
        return batch.recorded_at
    return datetime.combine(clock, time(), UTC)
