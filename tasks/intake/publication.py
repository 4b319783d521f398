"""Publishes a judged batch: all of it in one transaction, or nothing.

Rows, quarantine, rule results, statistics and the ledger's row become visible together, under
the lake's writer lock, and only if what was inserted adds up: accepted + quarantined = received,
counted in the tables inside the transaction itself. A process may be killed anywhere here; the
next run asks the ledger how far it came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tasks.contracts import CONTRACTS
from tasks.crash import crash_point
from tasks.errors import InternalError
from tasks.handles import Batch, BatchState, RawBatch, RuleResult, StagedBatch, Verdict
from tasks.incidents.causes import cause_of_stop, causes_of_held
from tasks.incidents.decisions import append_decision
from tasks.incidents.queue import join_incident, settle_incidents
from tasks.intake.compaction import compact_tables
from tasks.intake.ledger import (
    SQL,
    append_batch,
    append_rule_results,
    describe_result,
    find_batch,
    ledger_time,
    next_batch_number,
    read_batch,
    record_state,
)
from tasks.intake.raw import hash_file, verify_raw
from tasks.intake.refusals import record_change, record_conflict
from tasks.intake.supersession import (
    Standing,
    close_retried,
    describe_commit,
    digest_of,
    judge_delivery,
    known_batch,
    open_entry,
    retire_predecessors,
)
from tasks.warehouse import Connection, Lake, quote

_NO_REJECTS = "(select null::bigint as row_number where false)"


def register_delivery(lake: Lake, raw: RawBatch, actor: str, *, supersede: bool = False) -> Batch:
    """Give a delivery its number and the state `received`, or say that it is known.

    Returns a batch with `already_known` where its content needs nothing more; an unfinished or
    quarantined one of the same content as it stands. Raises DataRejected (65), after recording
    it, for another content under an accepted name without `supersede`.
    """
    standing = judge_delivery(lake, raw, supersede=supersede)
    if standing.kind == "open" and standing.batch is not None:
        return standing.batch
    if standing.kind == "known":
        return known_batch(standing)
    crash_point("register.before_lock")
    with lake.writer_lock(f"receive {raw.delivery.batch_name}"):
        standing = judge_delivery(lake, raw, supersede=supersede)
        if standing.kind == "known":
            return known_batch(standing)
        if standing.kind == "conflict":
            raise record_conflict(lake, raw, standing, actor)
        if standing.batch is not None:
            return standing.batch
        number = next_batch_number(lake)
        recorded_at, _ = ledger_time(lake)
        crash_point("register.before_commit")
        with lake.publish(
            actor, f"receive {raw.delivery.batch_name}", describe_commit(number, raw)
        ):
            append_batch(
                lake, raw, "received", batch_number=number, recorded_at=recorded_at, actor=actor
            )
        crash_point("register.after_commit")
        return read_batch(lake, number)


def mark_staged(lake: Lake, staged: StagedBatch, actor: str) -> None:
    """Append the state `staged` to the delivery's batch, once."""
    with lake.writer_lock(f"stage {staged.batch_name}"):
        batch = find_batch(
            lake, content_hash=staged.raw.content_hash, source=staged.raw.delivery.source
        )
        if batch is None or batch.state != "received":
            return
        crash_point("stage.before_commit")
        extra = describe_commit(batch.batch_number, staged.raw)
        with lake.publish(actor, f"stage {staged.batch_name}", extra):
            record_state(lake, batch, "staged", actor=actor)
        crash_point("stage.after_commit")


@dataclass(frozen=True, slots=True)
class Replay:
    """What a person has asked for: which batch is replayed, how the try that it ends is closed.

    `decision` is written beside the published rows, once: the arguments of `append_decision`.
    """

    batch_number: int
    closing: BatchState = "replayed"
    decision: Mapping[str, Any] | None = None


def publish(
    lake: Lake,
    staged: StagedBatch,
    verdict: Verdict,
    actor: str,
    *,
    supersede: bool = False,
    replay: Replay | None = None,
) -> Batch:
    """Publish a judged batch, or set a stopped one aside; the ledger's row of it comes back.

    A batch whose content is known comes back with `already_known` and nothing is written, also
    when another process has published it a moment ago. A stopped batch comes back `quarantined`
    (raise `describe_stop` for it); one that is stopped again for the same causes adds nothing.
    Raises DataRejected (65) for a name conflict or a file changed since it was judged, and
    InternalError (70) where the counts of validation and publishing differ.
    """
    _check_counts(staged, verdict)
    crash_point("publish.before_lock")
    with lake.writer_lock(f"publish {staged.batch_name}"):
        replays = replay.batch_number if replay is not None else None
        standing = judge_delivery(lake, staged.raw, supersede=supersede, replays=replays)
        if standing.kind == "known":
            return known_batch(standing)
        if standing.kind == "conflict":
            raise record_conflict(lake, staged.raw, standing, actor, staged)
        # What is published must be what was kept, staged and judged.
        verify_raw(staged.raw)
        if _has_changed(staged):
            raise record_change(lake, staged, standing, actor)
        if standing.repeats and (
            verdict.outcome == "stopped" or _has_same_rows(lake, staged, verdict, standing)
        ):
            # What is published stays; a batch that is refused today was accepted when it came.
            return replace(standing.replaces or read_batch(lake, 0), already_known=True)
        crash_point("publish.before_begin")
        if verdict.outcome == "accepted":
            batch = _accept(lake, staged, verdict, standing, actor, replay)
        else:
            batch = _stop(lake, staged, verdict, standing, actor)
        crash_point("publish.after_commit")
    compact_tables(lake)
    crash_point("publish.after_compaction")
    return batch


def _accept(
    lake: Lake,
    staged: StagedBatch,
    verdict: Verdict,
    standing: Standing,
    actor: str,
    replay: Replay | None = None,
) -> Batch:
    raw = staged.raw
    number, published_at, report = open_entry(lake, standing, verdict.notes + staged.notes)
    # A correction is known from its publishing on, whatever its source declares: before that
    # moment the rows that it replaces were what one could know.
    declared = staged.known_basis == "declared" and standing.replaces is None
    report |= {
        "rules": len(verdict.results),
        "causes": _causes(verdict.results),
        "declared_basis": staged.known_basis == "declared",
    }
    closing: BatchState = "waived" if verdict.waived else "replayed"
    if replay is not None:
        report["replays"] = replay.batch_number
        closing = replay.closing
    values = _values(staged, verdict, number, published_at)
    names = _names(staged, verdict, declared=declared)
    with lake.publish(actor, f"publish {staged.batch_name}", describe_commit(number, raw)):
        crash_point("publish.after_begin")
        lake.run(SQL / "publish_rows.sql", values, names=names)
        crash_point("publish.after_rows")
        _append_rejects(lake, verdict, values)
        counts = _balance(lake, staged, verdict, values, names)
        append_rule_results(lake, number, verdict.results, published_at)
        _append_statistics(lake, staged, verdict, number)
        append_batch(
            lake,
            raw,
            "accepted",
            batch_number=number,
            recorded_at=published_at,
            published_at=published_at,
            actor=actor,
            received_rows=counts["received_rows"],
            accepted_rows=counts["accepted_rows"],
            quarantined_rows=counts["quarantined_rows"],
            known_basis="declared" if declared else "observed",
            declared_lag_days=staged.declared_lag_days if declared else None,
            supersedes_batch_number=(
                standing.replaces.batch_number if standing.replaces is not None else None
            ),
            report=report,
        )
        retire_predecessors(
            lake,
            raw,
            number,
            replaces=standing.replaces,
            recorded_at=published_at,
            actor=actor,
            replays=standing.replays,
            closing=closing,
        )
        for cause in causes_of_held(raw.delivery.source, verdict.results):
            join_incident(lake, cause, number, staged.table, recorded_at=published_at, actor=actor)
        settle_incidents(
            lake,
            recorded_at=published_at,
            actor=actor,
            closing=closing,
            reason=str((replay.decision or {}).get("reason", "")) if replay is not None else "",
        )
        if replay is not None and replay.decision is not None:
            append_decision(lake, **replay.decision, decided_at=published_at, batch_number=number)
        crash_point("publish.before_commit")
    return read_batch(lake, number)


def _has_same_rows(lake: Lake, staged: StagedBatch, verdict: Verdict, standing: Standing) -> bool:
    """Whether publishing would give the very rows that the batch has published already."""
    if standing.replaces is None:
        return False
    names = _names(staged, verdict, declared=False)
    values = _values(staged, verdict, standing.replaces.batch_number, standing.replaces.recorded_at)
    columns = ", ".join(quote(name) for name in (*CONTRACTS[staged.table].names, "row_number"))
    row = lake.one(
        Connection.text(SQL / "compare_rows.sql", names={**names, "hashed": columns}), values
    )
    return bool(row["same"])


def _stop(
    lake: Lake, staged: StagedBatch, verdict: Verdict, standing: Standing, actor: str
) -> Batch:
    digest = digest_of(
        [
            [r.rule, r.column, r.severity, r.failed_rows, r.checked_rows, r.limit, r.observed]
            for r in verdict.results
            if not r.passed
        ]
    )
    if standing.retried is not None and standing.retried.report.get("digest") == digest:
        return replace(standing.retried, already_known=True)
    number, recorded_at, report = open_entry(lake, standing, verdict.notes + staged.notes)
    causes = _causes(verdict.results)
    report |= {"rules": len(verdict.results), "causes": causes, "digest": digest}
    values = _values(staged, verdict, number, recorded_at)
    names = _names(staged, verdict, declared=False)
    stopping = [r for r in verdict.results if not r.passed and r.severity == "stop"]
    values |= {
        "rule": stopping[0].rule if stopping else "batch",
        "reason": "the whole batch was stopped",
    }
    with lake.publish(actor, f"set aside {staged.batch_name}", describe_commit(number, staged.raw)):
        crash_point("publish.after_begin")
        _append_rejects(lake, verdict, values)
        lake.run(SQL / "quarantine_rest.sql", values, names=names)
        crash_point("publish.after_rows")
        counts = _balance(lake, staged, verdict, values, names)
        append_rule_results(lake, number, verdict.results, recorded_at)
        append_batch(
            lake,
            staged.raw,
            "quarantined",
            batch_number=number,
            recorded_at=recorded_at,
            actor=actor,
            received_rows=counts["received_rows"],
            quarantined_rows=counts["quarantined_rows"],
            known_basis=staged.known_basis,
            declared_lag_days=staged.declared_lag_days,
            report=report,
        )
        close_retried(lake, standing, number, recorded_at, actor)
        cause = cause_of_stop(staged.raw.delivery.source, verdict.results)
        join_incident(lake, cause, number, staged.table, recorded_at=recorded_at, actor=actor)
        settle_incidents(lake, recorded_at=recorded_at, actor=actor)
        crash_point("publish.before_commit")
    return read_batch(lake, number)


def _check_counts(staged: StagedBatch, verdict: Verdict) -> None:
    seen = (verdict.received_rows, verdict.accepted_rows + verdict.quarantined_rows)
    if seen != (staged.received_rows, staged.received_rows):
        raise InternalError(
            f"Validation did not account for every row of {staged.batch_name}.",
            found=(
                f"staged {staged.received_rows:,}, judged {verdict.received_rows:,}:"
                f" {verdict.accepted_rows:,} accepted + {verdict.quarantined_rows:,} quarantined"
            ),
        )
    if verdict.outcome == "stopped" and verdict.accepted_rows:
        raise InternalError(f"Validation stopped {staged.batch_name} and accepted rows of it.")
    if verdict.quarantined_rows and verdict.outcome == "accepted" and not verdict.rejects_path:
        raise InternalError(f"Validation names no file of the refused rows: {staged.batch_name}.")


def _has_changed(staged: StagedBatch) -> bool:
    path = staged.staged_path
    if not staged.staged_hash:
        return False
    return not path.is_file() or hash_file(path)[0] != staged.staged_hash


def _values(staged: StagedBatch, verdict: Verdict, number: int, moment: datetime) -> dict[str, Any]:
    return {
        "staged": str(staged.staged_path),
        "rejects": str(verdict.rejects_path) if verdict.rejects_path else None,
        "batch_number": number,
        "published_at": moment,
        "recorded_at": moment,
    }


def _names(staged: StagedBatch, verdict: Verdict, *, declared: bool) -> dict[str, str]:
    contract = CONTRACTS[staged.table]
    required = [column.name for column in contract.columns if not column.nullable]
    return {
        "target": f"lake.main.{quote(contract.table)}",
        "columns": ",\n    ".join(f"staged.{quote(name)}" for name in contract.names),
        "event_time": quote(contract.event_time),
        "incomplete": " or ".join(f"{quote(name)} is null" for name in required),
        "rejects": "read_parquet($rejects)" if verdict.rejects_path else _NO_REJECTS,
        "received_at": (
            "least(coalesce(staged.received_at, $published_at::timestamptz),"
            " $published_at::timestamptz)"
            if declared
            else "$published_at::timestamptz"
        ),
    }


def _append_rejects(lake: Lake, verdict: Verdict, values: Mapping[str, Any]) -> None:
    if verdict.rejects_path:
        lake.run(SQL / "quarantine_rejects.sql", values)


def _append_statistics(lake: Lake, staged: StagedBatch, verdict: Verdict, number: int) -> None:
    if not verdict.statistics:
        return
    import pyarrow as pa

    count = len(verdict.statistics)
    table = pa.table(
        {
            "batch_number": pa.array([number] * count, pa.int32()),
            "table_name": pa.array([staged.table] * count, pa.string()),
            "column_name": pa.array([s.column for s in verdict.statistics], pa.string()),
            "statistic": pa.array([s.statistic for s in verdict.statistics], pa.string()),
            "value": pa.array([s.value for s in verdict.statistics], pa.float64()),
        }
    )
    lake.load_arrow("new_statistics", table)
    lake.execute("insert into lake.ledger.batch_statistics by name from new_statistics")
    lake.drop_arrow("new_statistics")


def _balance(
    lake: Lake,
    staged: StagedBatch,
    verdict: Verdict,
    values: Mapping[str, Any],
    names: Mapping[str, str],
) -> dict[str, int]:
    """Count what the open transaction has inserted; raise InternalError (70) if it is not all.

    Raising rolls the transaction back: no reader ever sees a table that does not add up.
    """
    counts = {
        key: int(value)
        for key, value in lake.one(
            Connection.text(SQL / "balance.sql", names=names), values
        ).items()
    }
    expected = (verdict.received_rows, verdict.accepted_rows, verdict.quarantined_rows)
    found = (counts["received_rows"], counts["accepted_rows"], counts["quarantined_rows"])
    wrong = counts["known_too_late_rows"] + counts["incomplete_rows"]
    if found != expected or found[0] != found[1] + found[2] or wrong:
        raise InternalError(
            f"Publishing {staged.batch_name} does not add up; nothing of it was kept.",
            found=(
                f"received {found[0]:,}, accepted {found[1]:,}, quarantined {found[2]:,};"
                f" validation said {expected[0]:,}, {expected[1]:,}, {expected[2]:,};"
                f" {counts['incomplete_rows']:,} rows lack a required value,"
                f" {counts['known_too_late_rows']:,} a time they were known from"
            ),
        )
    return counts


def _causes(results: Sequence[RuleResult]) -> list[str]:
    """A line for each failed rule that held something back; no data values, only figures."""
    return [
        describe_result(result)
        for result in results
        if not result.passed and result.severity != "warn"
    ]
