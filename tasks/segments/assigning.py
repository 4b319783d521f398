"""Every customer of the night in a segment: assigned in batches, counted in SQL, published once.

The run is named by what its rows depend on, so the same night again finds itself done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.archive import find_findings, hash_parts, insert_findings
from tasks.crash import crash_point
from tasks.errors import DataRejected
from tasks.exports import find_scoring
from tasks.findings import Movement, SegmentFindings
from tasks.segments.champion import Segmented
from tasks.segments.data import VALUE_COLUMN, taught_at
from tasks.segments.model_files import Assigner
from tasks.warehouse import quote

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.handles import FeatureTable
    from tasks.warehouse import Lake

_SQL = Path(__file__).with_name("sql")
_BATCH_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Sources:
    """What other families have published for this cut-off; None: nothing."""

    scoring_id: str | None
    value_run_id: str | None


@dataclass(frozen=True, slots=True)
class Profile:
    """One segment's counts and sums tonight."""

    segment_id: str
    customers: int
    risk_share: float | None
    churn_share: float | None
    spent_amount: Decimal
    value_amount: Decimal
    at_risk_amount: Decimal


def find_sources(lake: Lake, as_of: datetime) -> Sources:
    """The newest scoring and the newest lifetime values of a cut-off."""
    rows = lake.rows(
        "select finding_id from lake.ledger.findings where kind = 'value' and as_of = $as_of"
        " order by recorded_at desc limit 1",
        {"as_of": as_of},
    )
    return Sources(find_scoring(lake, as_of), str(rows[0]["finding_id"]) if rows else None)


def find_previous(lake: Lake, as_of: datetime) -> tuple[str, datetime] | None:
    """The run of the newest earlier cut-off, and that cut-off."""
    rows = lake.rows(
        "select finding_id, as_of from lake.ledger.findings"
        " where kind = 'segments' and as_of < $as_of order by as_of desc, recorded_at desc limit 1",
        {"as_of": as_of},
    )
    return (str(rows[0]["finding_id"]), rows[0]["as_of"]) if rows else None


def name_run(
    lake: Lake,
    table: FeatureTable,
    segmented: Segmented,
    sources: Sources,
    previous: tuple[str, datetime] | None,
    beside: Sequence[str] = (),
) -> str:
    """The run's id: sha256, shortened, over everything that its rows and findings depend on.

    `beside` names what else there is tonight: a candidate just found, a rollout's share.
    """
    settings = lake.settings
    parts = {
        "deployment": settings.deployment,
        "features": table.fingerprint,
        "as_of": table.as_of[-1].isoformat(),
        "known_by": table.known_by[-1].isoformat(),
        "segmentation": [segmented.decision_id, segmented.model_hash],
        "sources": [sources.scoring_id, sources.value_run_id],
        "previous": previous[0] if previous else None,
        "margin": settings.economics.margin_share,
        "currency": settings.economics.currency,
        "segments": settings.segments.model_dump(mode="json"),
    }
    if beside:
        parts["beside"] = list(beside)
    return hash_parts(parts)


def assign_customers(lake: Lake, table: FeatureTable, assigner: Assigner) -> int:
    """Everybody of the newest and of the taught cut-off into `assigned_customers`; how many now.

    The temporary table holds customer_id, as_of, segment_id, value_amount, churned; who is still
    a customer at the newest cut-off stands in `current_customers` too (a labelled set tells at once
    who has left). `arm_segments` is made empty, for whom a rollout's challenger groups. Raises
    DataRejected (65) where the features that the segments need are not there.
    """
    lake.execute(
        "create or replace temporary table assigned_customers (customer_id varchar,"
        " as_of timestamptz, segment_id varchar, value_amount double, churned double)"
    )
    for batch in read_batches(lake, table, assigner):
        lake.load_arrow("segment_batch", assign_batch(batch, assigner))
        try:
            lake.execute("insert into assigned_customers by name select * from segment_batch")
        finally:
            lake.drop_arrow("segment_batch")
    lake.execute(
        "create or replace temporary table current_customers as select customer_id, as_of,"
        " segment_id, value_amount from assigned_customers"
        " where as_of = $as_of and coalesce(churned, 0) = 0",
        {"as_of": table.as_of[-1]},
    )
    lake.execute(
        "create or replace temporary table arm_segments (customer_id varchar, segment_id varchar)"
    )
    return int(lake.scalar("select count(*) from current_customers"))


def profile_segments(
    lake: Lake, table: FeatureTable, sources: Sources, margin_share: float
) -> list[Profile]:
    """The segments that have customers tonight, the most valuable first.

    Without lifetime values a customer is worth the margin of what they spent in the last year.
    The money at risk is that of the scores, as the list and the reasons have it: a lifetime value
    counts already that they may leave.
    """
    risk = (
        "select customer_id, probability, money_at_risk_amount as at_risk_amount"
        " from lake.main.scores where scoring_id = $scoring_id"
        if sources.scoring_id
        else "select customer_id, null::double as probability, 0 as at_risk_amount from member"
    )
    worth = (
        "select customer_id, value_amount::double as amount from lake.main.customer_values"
        " where run_id = $value_run_id"
        if sources.value_run_id
        else "select customer_id, greatest(spent_amount, 0) * $margin_share as amount from member"
    )
    rows = lake.rows(
        lake.text(_SQL / "profile.sql", names={"risk": risk, "worth": worth}),
        {
            "taught": taught_at(table),
            "scoring_id": sources.scoring_id,
            "value_run_id": sources.value_run_id,
            "margin_share": margin_share,
        },
    )
    return [Profile(**row) for row in rows]


def count_movements(lake: Lake, previous: tuple[str, datetime] | None) -> tuple[Movement, ...]:
    """Who went from where to where since the run before; nobody if there was none."""
    if previous is None:
        return ()
    rows = lake.rows(lake.text(_SQL / "movements.sql"), {"previous": previous[0]})
    return tuple(Movement(**row) for row in rows)


def read_history(lake: Lake, as_of: datetime) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Of each segment its shares on earlier nights, oldest first, and its last English name."""
    shares: dict[str, list[float]] = {}
    names: dict[str, str] = {}
    for row in lake.rows(lake.text(_SQL / "history.sql"), {"as_of": as_of}):
        shares.setdefault(row["segment_id"], []).append(float(row["customers_share"]))
        names[row["segment_id"]] = str(row["name"])
    return shares, names


def publish(
    lake: Lake,
    run_id: str,
    found: SegmentFindings,
    names: Mapping[str, str],
    record: Callable[[], None] | None = None,
) -> SegmentFindings:
    """Rows and findings in one transaction; once, whoever races us.

    `record` writes in it what a rollout must know.
    """
    with lake.writer_lock("publish segments"):
        done = find_findings(lake, SegmentFindings, finding_id=run_id)
        if done is not None:
            return done
        crash_point("segments.before_publish")
        message = f"segments of {found.as_of:%Y-%m-%d}"
        with lake.publish("holdfast", message, {"run_id": run_id}):
            lake.run(
                _SQL / "publish.sql",
                {
                    "known_by": found.known_by,
                    "run_id": run_id,
                    "segmentation_id": found.segmentation_id,
                    "challenger_id": found.arms[-1].segmentation_id if found.arms else None,
                    "segment_ids": list(names),
                    "segment_names": list(names.values()),
                },
            )
            insert_findings(lake, run_id, found)
            if record is not None:
                record()
    crash_point("segments.published")
    return found


def read_batches(lake: Lake, table: FeatureTable, assigner: Assigner) -> Iterator[pa.Table]:
    """The newest and the taught cut-off with what a segmentation needs.

    Raises DataRejected (65) where the table lacks a feature.
    """
    import pyarrow as pa

    reader = lake.cursor()
    described = reader.rows(f"describe lake.main.{quote(table.table)}")
    present = {str(row["column_name"]) for row in described}
    missing = [name for name in assigner.feature_names if name not in present]
    if missing:
        raise DataRejected(
            f"The feature table has no column '{missing[0]}', which the segments need.",
            available=sorted(present),
            next_step="bring the source back, or let the segments be found anew",
        )
    names = dict.fromkeys([*assigner.feature_names, VALUE_COLUMN])
    listed = ", ".join(f"{quote(name)}::double as {quote(name)}" for name in names)
    churned = "churned::double" if "churned" in present else "null::double"
    for batch in reader.batches(
        f"select customer_id, as_of, {churned} as churned, {listed}"
        f" from lake.main.{quote(table.table)} where as_of = $as_of or as_of = $taught",
        {"as_of": table.as_of[-1], "taught": taught_at(table)},
        rows=_BATCH_ROWS,
    ):
        yield pa.Table.from_batches([batch])


def assign_batch(batch: pa.Table, assigner: Assigner) -> pa.Table:
    """Rows of `read_batches` with their segment_id."""
    import pyarrow as pa

    found: Any = assigner.predict(batch)
    return pa.table(
        {
            "customer_id": batch["customer_id"],
            "as_of": batch["as_of"],
            "segment_id": pa.array(found, pa.string()),
            "value_amount": batch[VALUE_COLUMN],
            "churned": batch["churned"],
        }
    )
