"""Feature tables in the lake: built from one snapshot, found again by what they were built from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.contracts import CONTRACTS
from tasks.crash import crash_point
from tasks.features import declaration
from tasks.features.computing import Computed, compute_features
from tasks.features.request import Request
from tasks.handles import FeatureTable, Snapshot
from tasks.moments import read_clock
from tasks.visibility import at_version, supersessions
from tasks.warehouse import quote

if TYPE_CHECKING:
    from tasks.sections import FeaturesSettings
    from tasks.warehouse import Lake

# Tables that nothing refers to any more go, oldest first; time travel still reads them.
_KEPT_TABLES = 12


def build_features(
    lake: Lake,
    as_of: Sequence[datetime],
    known_by: Sequence[datetime],
    snapshot: Snapshot | int,
    settings: FeaturesSettings,
    *,
    labels_as_of: datetime | None = None,
    labels_known_by: datetime | None = None,
    tables: Collection[str] | None = None,
) -> FeatureTable:
    """Features of the eligible customers at each cut-off, as a table of the lake.

    Its rows: `customer_id VARCHAR, as_of TIMESTAMPTZ, [churned BOOLEAN,] value_amount DOUBLE` and
    one DOUBLE a feature; one row a customer and cut-off, in no promised order. `churned` is there
    when `labels_as_of` is given: the outcome as known by `labels_known_by` (without it
    `labels_as_of`), NULL where the horizon has not passed by `labels_as_of`. `value_amount` is
    what they spent in the last 365 days, or pay a period. `tables` limits what is read; without
    it, every table that a cut-off sees a row of.

    The same arguments give the same rows and fingerprint at any later time; a table that is there
    already is returned, not built again. Raises DataRejected (65) if no cut-off sees a customer.
    """
    request = make_request(
        lake,
        as_of,
        known_by,
        snapshot,
        settings,
        labels_as_of=labels_as_of,
        labels_known_by=labels_known_by,
        tables=tables,
    )
    version = snapshot if isinstance(snapshot, int) else snapshot.snapshot_id
    table = f"features_{_request_hash(request, version)[:16]}"
    found = find_features(lake, table)
    if found is not None:
        return found
    lake.record_read(f"features {table}", version, request.as_of[-1], request.known_by[-1])
    with lake.writer_lock(f"features {table}"):
        found = find_features(lake, table)
        if found is not None:
            return found
        with lake.publish("holdfast", f"features: {table}", {"snapshot": version}):
            computed = _write(lake, request, table)
            crash_point("features.after_write")
            handle = FeatureTable(
                table=table,
                as_of=request.as_of,
                known_by=request.known_by,
                snapshot_id=version,
                fingerprint=computed.fingerprint,
                rows=computed.rows,
                feature_names=tuple(feature.name for feature in computed.features),
                labelled=request.labelled,
            )
            _record(lake, handle, computed)
            _remove_old(lake, keep=table)
        crash_point("features.after_commit")
    return handle


def make_request(
    lake: Lake,
    as_of: Sequence[datetime],
    known_by: Sequence[datetime],
    snapshot: Snapshot | int,
    settings: FeaturesSettings,
    *,
    labels_as_of: datetime | None = None,
    labels_known_by: datetime | None = None,
    tables: Collection[str] | None = None,
) -> Request:
    """What `build_features` computes, over the relations of one snapshot of the lake."""
    readable = [*declaration.SOURCES, *(["labelled"] if settings.outcome == "given" else [])]
    relations = {
        table: at_version(table, snapshot)
        for table in readable
        if table in CONTRACTS and (tables is None or table in tables)
    }
    every = supersessions(lake, snapshot)
    by_table = (
        {
            row["batch_number"]: row["table_name"]
            for row in lake.rows(
                "select distinct batch_number, table_name from lake.ledger.batches"
                " where state = 'superseded'"
            )
        }
        if every
        else {}
    )
    return Request(
        as_of=tuple(moment.astimezone(UTC) for moment in as_of),
        known_by=tuple(moment.astimezone(UTC) for moment in known_by),
        relations=relations,
        outcome=settings.outcome,
        horizon_days=settings.horizon_days,
        activity_window_days=settings.activity_window_days,
        labels_as_of=labels_as_of,
        labels_known_by=(labels_known_by or labels_as_of) if labels_as_of else None,
        superseded={
            table: tuple(item for item in every if by_table.get(item.batch_number) == table)
            for table in relations
        },
        chunk_lines=settings.chunk_lines,
        category_codes=_read_codes(lake) if settings.outcome == "given" else {},
        drivers=dict(settings.drivers),
        sql=declaration.SQL,
    )


def _read_codes(lake: Lake) -> dict[tuple[str, str], int]:
    rows = lake.rows("select column_name, category, code from lake.ledger.category_codes")
    return {(row["column_name"], row["category"]): int(row["code"]) for row in rows}


def find_features(lake: Lake, table: str) -> FeatureTable | None:
    """The handle of a feature table that is in the lake, or None."""
    rows = lake.rows(
        "select * from lake.ledger.feature_tables where table_name = $table"
        " order by built_at desc limit 1",
        {"table": table},
    )
    if not rows or table not in lake.tables():
        return None
    row = rows[0]
    return FeatureTable(
        table=table,
        as_of=tuple(moment.astimezone(UTC) for moment in row["as_of"]),
        known_by=tuple(moment.astimezone(UTC) for moment in row["known_by"]),
        snapshot_id=int(row["snapshot_id"]),
        fingerprint=row["fingerprint"],
        rows=int(row["rows"]),
        feature_names=tuple(row["feature_names"]),
        labelled=bool(row["labelled"]),
    )


def feature_drivers(lake: Lake, table: FeatureTable, settings: FeaturesSettings) -> dict[str, str]:
    """The driver of each feature of a table, in the table's order."""
    from tasks.features.labelled import column_drivers

    known = {feature.name: str(feature.driver) for feature in declaration.FEATURES}
    configured = column_drivers(settings.drivers)
    return {
        name: known.get(name) or configured.get(name, "profile") for name in table.feature_names
    }


def _write(lake: Lake, request: Request, table: str) -> Computed:
    name = f"lake.main.{quote(table)}"
    made = False

    def write(rows: str) -> None:
        nonlocal made
        lake.execute(f"insert into {name} {rows}" if made else f"create table {name} as {rows}")
        made = True

    return compute_features(lake, request, write)


def _record(lake: Lake, handle: FeatureTable, computed: Computed) -> None:
    now = read_clock()
    lake.execute(
        "insert into lake.ledger.feature_tables values ($table, $as_of, $known_by, $snapshot,"
        " $feature_set, $fingerprint, $rows, $names, $labelled, $now)",
        {
            "table": handle.table,
            "as_of": list(handle.as_of),
            "known_by": list(handle.known_by),
            "snapshot": handle.snapshot_id,
            "feature_set": declaration.feature_set_hash(),
            "fingerprint": handle.fingerprint,
            "rows": handle.rows,
            "names": list(handle.feature_names),
            "labelled": handle.labelled,
            "now": now,
        },
    )
    for (column, category), code in computed.new_category_codes.items():
        lake.execute(
            "insert into lake.ledger.category_codes values ($column, $category, $code, $now)",
            {"column": column, "category": category, "code": code, "now": now},
        )


def _remove_old(lake: Lake, keep: str) -> None:
    listed = [
        row["table_name"]
        for row in lake.rows(
            "select table_name, max(built_at) as built_at from lake.ledger.feature_tables"
            " where table_name <> $keep group by table_name order by built_at desc",
            {"keep": keep},
        )
    ]
    if len(listed) < _KEPT_TABLES:
        return
    present = lake.tables()
    for table in (name for name in listed[_KEPT_TABLES - 1 :] if name in present):
        lake.execute(f"drop table lake.main.{quote(table)}")


def _request_hash(request: Request, version: int) -> str:
    """What a table's rows depend on. Codes kept so far do not change rows, so they are left out."""
    plain = replace(request, category_codes={}, relations={}, superseded={}, chunk_lines=1)
    parts = [
        declaration.feature_set_hash(),
        repr(plain.as_of),
        repr(plain.known_by),
        repr((plain.outcome, plain.horizon_days, plain.activity_window_days)),
        repr((plain.labels_as_of, plain.labels_known_by)),
        json.dumps(sorted(request.relations)),
        json.dumps(dict(request.drivers), sort_keys=True),
        str(version),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
