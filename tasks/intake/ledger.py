"""The ledger of batches: what came, what became of it, and what stands aside.

Append-only: a state is a row, the latest row is the state, and a number is given once. Its times
never run backwards, whatever the host's clock does, so `recorded_at` orders what happened.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tasks.errors import InternalError, UsageError, suggest
from tasks.handles import Batch, BatchState, RawBatch, RuleResult
from tasks.intake.gaps import find_gaps
from tasks.intake.masking import mask_line, read_header
from tasks.intake.raw import raw_path
from tasks.moments import read_clock
from tasks.warehouse import Connection, Lake

SQL = Path(__file__).parent / "sql"
UNFINISHED: tuple[BatchState, ...] = ("received", "staged")
# A clock that stands this far behind the ledger is reported with the batch.
SKEW_ALLOWANCE = timedelta(seconds=60)
_TICK = timedelta(microseconds=1)
SHOWN_ROWS = 20


def read_batches(lake: Connection, *, states: Sequence[BatchState] = ()) -> list[Batch]:
    """Every batch at its latest state, in the order of their numbers; `states` keeps some."""
    rows = lake.rows(
        f"select * from ({Connection.text(SQL / 'latest_batches.sql')})"
        " where len($states::varchar[]) = 0 or list_contains($states::varchar[], state)"
        " order by batch_number",
        {"states": list(states)},
    )
    return [_as_batch(row) for row in rows]


def find_batch(
    lake: Connection,
    *,
    batch_name: str | None = None,
    content_hash: str | None = None,
    source: str | None = None,
    states: Sequence[BatchState] = (),
) -> Batch | None:
    """The newest batch (by number) that fits all that is asked, or None."""
    rows = lake.rows(
        f"select * from ({Connection.text(SQL / 'latest_batches.sql')})"
        " where ($batch_name is null or batch_name = $batch_name)"
        " and ($content_hash is null or content_hash = $content_hash)"
        " and ($source is null or source = $source)"
        " and (len($states::varchar[]) = 0 or list_contains($states::varchar[], state))"
        " order by batch_number desc limit 1",
        {
            "batch_name": batch_name,
            "content_hash": content_hash,
            "source": source,
            "states": list(states),
        },
    )
    return _as_batch(rows[0]) if rows else None


def next_batch_number(lake: Connection) -> int:
    """The number after the highest given so far. Hold the writer lock."""
    return int(lake.scalar("select coalesce(max(batch_number), 0) + 1 from lake.ledger.batches"))


def ledger_time(lake: Connection, now: datetime | None = None) -> tuple[datetime, timedelta]:
    """The time to record with, later than every time recorded, and how far the clock lags.

    A host whose clock was set back must not publish into the past: what was known then would
    change. The lag is zero while the clock is right. Hold the writer lock.
    """
    current = now or read_clock()
    last = lake.scalar("select max(recorded_at) from lake.ledger.batches")
    if last is None or last.astimezone(UTC) < current:
        return current, timedelta(0)
    last = last.astimezone(UTC)
    return last + _TICK, last - current


def append_batch(
    lake: Connection,
    raw: RawBatch,
    state: BatchState,
    *,
    batch_number: int,
    recorded_at: datetime,
    actor: str,
    received_rows: int = 0,
    accepted_rows: int = 0,
    quarantined_rows: int = 0,
    known_basis: str = "observed",
    declared_lag_days: float | None = None,
    published_at: datetime | None = None,
    supersedes_batch_number: int | None = None,
    report: Mapping[str, Any] | None = None,
) -> None:
    """Append one state of one batch, all columns given. Hold the writer lock."""
    lake.execute(
        "insert into lake.ledger.batches by name select"
        " $batch_number::integer as batch_number, $batch_name::varchar as batch_name,"
        " $source::varchar as source, $table_name::varchar as table_name,"
        " $content_hash::varchar as content_hash, $state::varchar as state,"
        " $received_rows::bigint as received_rows, $accepted_rows::bigint as accepted_rows,"
        " $quarantined_rows::bigint as quarantined_rows, $known_basis::varchar as known_basis,"
        " $declared_lag_days::double as declared_lag_days,"
        " $published_at::timestamptz as published_at, $recorded_at::timestamptz as recorded_at,"
        " $actor::varchar as actor,"
        " $supersedes::integer as supersedes_batch_number, $report::json as report",
        {
            "batch_number": batch_number,
            "batch_name": raw.delivery.batch_name,
            "source": raw.delivery.source,
            "table_name": raw.delivery.table,
            "content_hash": raw.content_hash,
            "state": state,
            "received_rows": received_rows,
            "accepted_rows": accepted_rows,
            "quarantined_rows": quarantined_rows,
            "known_basis": known_basis,
            "declared_lag_days": declared_lag_days,
            "published_at": published_at,
            "recorded_at": recorded_at,
            "actor": actor,
            "supersedes": supersedes_batch_number,
            "report": json.dumps(dict(report or {}), default=str, sort_keys=True),
        },
    )


def record_state(
    lake: Connection,
    batch: Batch,
    state: BatchState,
    *,
    actor: str,
    recorded_at: datetime | None = None,
    report: Mapping[str, Any] | None = None,
) -> Batch:
    """Append a new state of a known batch; `report` is merged into what its report says.

    The same state twice is recorded once, so a rerun adds nothing. Hold the writer lock.
    """
    if batch.state == state and not report:
        return batch
    moment = recorded_at or ledger_time(lake)[0]
    record_states(lake, [batch.batch_number], state, actor=actor, recorded_at=moment, report=report)
    return read_batch(lake, batch.batch_number)


def record_states(
    lake: Connection,
    batch_numbers: Sequence[int],
    state: BatchState,
    *,
    actor: str,
    recorded_at: datetime,
    report: Mapping[str, Any] | None = None,
) -> None:
    """Append a new state of many known batches in one statement. Hold the writer lock."""
    lake.execute(
        Connection.text(SQL / "append_state.sql"),
        {
            "batch_numbers": list(batch_numbers),
            "state": state,
            "recorded_at": recorded_at,
            "actor": actor,
            "report": json.dumps(dict(report or {}), default=str, sort_keys=True),
        },
    )


def append_rule_results(
    lake: Connection, batch_number: int, results: Sequence[RuleResult], recorded_at: datetime
) -> None:
    """Append what each rule said of the batch."""
    if not results:
        return
    import pyarrow as pa

    # One Arrow table and one insert: a statement a rule would cost a catalog round trip each.
    table = pa.table(
        {
            "batch_number": pa.array([batch_number] * len(results), pa.int32()),
            "rule": pa.array([result.rule for result in results], pa.string()),
            "column_name": pa.array([result.column for result in results], pa.string()),
            "severity": pa.array([result.severity for result in results], pa.string()),
            "checked_rows": pa.array([result.checked_rows for result in results], pa.int64()),
            "failed_rows": pa.array([result.failed_rows for result in results], pa.int64()),
            "limit_text": pa.array([result.limit for result in results], pa.string()),
            "observed_text": pa.array([result.observed for result in results], pa.string()),
            "passed": pa.array([result.passed for result in results], pa.bool_()),
            "reason": pa.array([result.reason for result in results], pa.string()),
            "recorded_at": pa.array([recorded_at] * len(results), pa.timestamp("us", "UTC")),
            "figure": pa.array([result.figure for result in results], pa.float64()),
            "lower_limit": pa.array([result.lower_limit for result in results], pa.float64()),
            "upper_limit": pa.array([result.upper_limit for result in results], pa.float64()),
        }
    )
    lake.load_arrow("new_rule_results", table)
    lake.execute("insert into lake.ledger.rule_results by name from new_rule_results")
    lake.drop_arrow("new_rule_results")


def read_batch(lake: Connection, batch_number: int) -> Batch:
    """The batch of that number at its latest state."""
    rows = lake.rows(
        f"select * from ({Connection.text(SQL / 'latest_batches.sql')})"
        " where batch_number = $batch_number",
        {"batch_number": batch_number},
    )
    if not rows:
        raise InternalError(f"The ledger knows no batch number {batch_number}.")
    return _as_batch(rows[0])


def count_batches(lake: Connection) -> dict[str, Any]:
    """Counts for `status --json`: batches a state, rows a table, and the age of the newest.

    Keys: `states` {state: batches}, `tables` {table: {batches, received, accepted, quarantined,
    newest_published_at}} over accepted batches, `unfinished` and `quarantined` (batch names),
    `gaps` {source: missing parts}, `newest_published_at` (ISO 8601 UTC or None).
    """
    batches = read_batches(lake)
    states: dict[str, int] = {}
    tables: dict[str, dict[str, Any]] = {}
    for batch in batches:
        states[batch.state] = states.get(batch.state, 0) + 1
        if batch.state != "accepted":
            continue
        entry = tables.setdefault(
            batch.table,
            {
                "batches": 0,
                "received": 0,
                "accepted": 0,
                "quarantined": 0,
                "newest_published_at": None,
            },
        )
        entry["batches"] += 1
        entry["received"] += batch.received_rows
        entry["accepted"] += batch.accepted_rows
        entry["quarantined"] += batch.quarantined_rows
        entry["newest_published_at"] = max(
            filter(None, (entry["newest_published_at"], _iso(batch.published_at)))
        )
    newest = [entry["newest_published_at"] for entry in tables.values()]
    return {
        "states": states,
        "tables": tables,
        "unfinished": [b.batch_name for b in batches if b.state in UNFINISHED],
        "quarantined": [b.batch_name for b in batches if b.state == "quarantined"],
        "gaps": {gap.source: list(gap.missing) for gap in find_gaps(batches)},
        "newest_published_at": max(newest, default=None),
    }


def show_quarantine(
    lake: Lake, asked: str, *, rows: int = SHOWN_ROWS, rule: str | None = None
) -> dict[str, Any]:
    """One batch in quarantine: rules with counts, shares and limits, and masked sample rows.

    `asked` is a batch name or number. Rows come as `row_number`, `rule`, `reason` and `line`, the
    raw line with personal fields masked by the table's contract; at most `rows` of them, of
    `rows_total`. Raises UsageError (64) for a batch that the ledger does not know.
    """
    batch = find_asked(lake, asked)
    results = lake.rows(
        "select rule, column_name, severity, checked_rows, failed_rows, limit_text,"
        " observed_text, passed, reason from lake.ledger.rule_results"
        " where batch_number = $number order by passed, severity, rule, column_name",
        {"number": batch.batch_number},
    )
    values = {"number": batch.batch_number, "rule": rule, "count": rows}
    held = (
        "from lake.ledger.quarantine where batch_number = $number"
        " and raw_line is not null and ($rule is null or rule = $rule)"
    )
    total = int(lake.scalar(f"select count(*) {held}", values))
    sample = lake.rows(
        f"select row_number, rule, reason, raw_line {held} order by row_number, rule limit $count",
        values,
    )
    causes = _causes(lake, [batch.batch_number]).get(batch.batch_number, [])
    source = lake.settings.intake.sources.get(batch.source)
    header = None
    if sample and source is not None:
        header = read_header(raw_path(batch.content_hash, lake.settings), source)
    return {
        **_summary(batch, lake, causes),
        "content_hash": batch.content_hash,
        "report": dict(batch.report),
        "rules": [_rule_dictionary(row) for row in results],
        "rows": [
            {
                "row_number": row["row_number"],
                "rule": row["rule"],
                "reason": row["reason"],
                "line": mask_line(row["raw_line"], source, header),
            }
            for row in sample
        ],
        "rows_total": total,
    }


def find_asked(lake: Lake, asked: str) -> Batch:
    """A batch by number or name; of several of a name the newest, first that in quarantine.

    Raises UsageError (64) naming the nearest.
    """
    if asked.isascii() and asked.isdigit():
        numbered = [batch for batch in read_batches(lake) if batch.batch_number == int(asked)]
        found = numbered[0] if numbered else None
    else:
        found = find_batch(lake, batch_name=asked, states=("quarantined",)) or find_batch(
            lake, batch_name=asked
        )
    if found is None:
        names = sorted({batch.batch_name for batch in read_batches(lake)}, reverse=True)
        raise UsageError(
            f"The ledger knows no batch '{asked}'.",
            found=suggest(asked, names),
            available=names[:10],
            next_step=f"holdfast -d {shlex.quote(lake.settings.called)} quarantine list",
        )
    return found


def _summary(batch: Batch, lake: Lake, causes: list[str]) -> dict[str, Any]:
    called = shlex.quote(lake.settings.called)
    return {
        "batch_name": batch.batch_name,
        "batch_number": batch.batch_number,
        "source": batch.source,
        "table": batch.table,
        "state": batch.state,
        "received_rows": batch.received_rows,
        "accepted_rows": batch.accepted_rows,
        "quarantined_rows": batch.quarantined_rows,
        "quarantined_share": _share(batch.quarantined_rows, batch.received_rows),
        "since": _iso(batch.recorded_at),
        "causes": causes or _rejection_causes(batch),
        "review": f"holdfast -d {called} quarantine show {batch.batch_name}",
    }


def _causes(lake: Connection, numbers: Sequence[int]) -> dict[int, list[str]]:
    rows = lake.rows(
        "select batch_number, rule, column_name, severity, failed_rows, checked_rows,"
        " limit_text, observed_text, reason from lake.ledger.rule_results"
        " where not passed and severity <> 'warn'"
        " and list_contains($numbers::integer[], batch_number)"
        " order by batch_number, severity desc, failed_rows desc, rule, column_name",
        {"numbers": list(numbers)},
    )
    causes: dict[int, list[str]] = {}
    for row in rows:
        causes.setdefault(int(row["batch_number"]), []).append(describe_failure(row))
    return causes


def describe_failure(row: Mapping[str, Any]) -> str:
    """`customer_id not_null: 1,204 of 9,811 rows (12.3%, limit 5%)`, from a rule result's row."""
    rule, column = str(row["rule"]), str(row["column_name"])
    # A rule that is named after its column says it already.
    name = rule if rule.startswith(column) else f"{column} {rule}"
    failed, checked = int(row["failed_rows"] or 0), int(row["checked_rows"] or 0)
    share = f" ({failed / checked:.1%})" if checked and failed else ""
    counts = f"{failed:,} of {checked:,} rows{share}" if failed else ""
    observed = f"found {row['observed_text']}" if row["observed_text"] else ""
    limit = f"limit {row['limit_text']}" if row["limit_text"] else ""
    parts = [part for part in (counts, observed, limit, row["reason"]) if part]
    return f"{name}: {', '.join(parts)}" if parts else name


def describe_result(result: RuleResult) -> str:
    """The same of a result that is not in the ledger yet."""
    return describe_failure(
        {
            "rule": result.rule,
            "column_name": result.column,
            "failed_rows": result.failed_rows,
            "checked_rows": result.checked_rows,
            "limit_text": result.limit,
            "observed_text": result.observed,
            "reason": result.reason,
        }
    )


def _rejection_causes(batch: Batch) -> list[str]:
    rejection = batch.report.get("rejection")
    if not isinstance(rejection, Mapping):
        return []
    return [f"{rejection.get('code', 'REJECTED')}: {rejection.get('reason', '')}"]


def _rule_dictionary(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "rule": row["rule"],
        "column": row["column_name"],
        "severity": row["severity"],
        "checked_rows": row["checked_rows"],
        "failed_rows": row["failed_rows"],
        "failed_share": _share(row["failed_rows"], row["checked_rows"]),
        "limit": row["limit_text"],
        "observed": row["observed_text"],
        "passed": row["passed"],
        "reason": row["reason"],
    }


def _share(part: int | None, whole: int | None) -> float | None:
    return part / whole if part is not None and whole else None


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment is not None else None


def _as_batch(row: Mapping[str, Any]) -> Batch:
    published_at = row["published_at"]
    report = json.loads(row["report"]) if row["report"] else {}
    return Batch(
        batch_number=int(row["batch_number"]),
        batch_name=row["batch_name"],
        source=row["source"],
        table=row["table_name"],
        content_hash=row["content_hash"],
        state=row["state"],
        received_rows=int(row["received_rows"] or 0),
        accepted_rows=int(row["accepted_rows"] or 0),
        quarantined_rows=int(row["quarantined_rows"] or 0),
        recorded_at=row["recorded_at"].astimezone(UTC),
        published_at=published_at.astimezone(UTC) if published_at is not None else None,
        report=report,
    )
