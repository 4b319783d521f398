"""A process that ingests, is killed, and is started again; and what it must leave behind.

The child goes through everything intake does: a batch with refused rows, an unreadable one, a
stopped one, a conflict, a correction, and enough files to be merged. It may be killed anywhere,
by name (HOLDFAST_CRASH_AT) or by time; started again until it ends by itself, it must have left
the same lake as a run that nobody disturbed.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import DataRejected
from tasks.handles import Batch, StagedBatch, Verdict
from tasks.incidents.decisions import make_decision
from tasks.intake import steps
from tasks.intake.deliveries import REPLAYED
from tasks.intake.rejection import BatchRejected
from tasks.settings import PROJECT, Settings
from tasks.visibility import table_fingerprint
from tasks.warehouse import Lake, close_lakes, open_lake, scratch
from tests.intake.builders import judge
from tests.processes import warm_context

HEADER = "id,customer,time,quantity,amount"
MAXIMUM_STARTS = 50


def source_of(folder: Path, scenario: str = "") -> dict[str, Any]:
    """The `intake` section of the deployment under test."""
    # One source delivers files; the other cuts one file into months, which it writes itself.
    offered: dict[str, Any] = {"pattern": "*.csv"}
    if scenario == "cut":
        offered = {
            "files": {"lines": "lines.parquet"},
            "query": "select * from lines",
            "split": {"by": "month", "time": "cast(time as timestamp)"},
            "time_zone": "UTC",
        }
    return {
        "sources": {
            "shop": {
                "kind": "files",
                "table": "orders",
                "folder": str(folder),
                **offered,
                "columns": {
                    "id": "text",
                    "customer": "text",
                    "time": "timestamp",
                    "quantity": "number",
                    "amount": "number",
                },
                "map": {
                    "customer_id": "customer",
                    "order_id": "id",
                    "ordered_at": "time",
                    "quantity": "quantity",
                    "net_amount": "amount",
                    "currency": "'GBP'",
                    "is_return": "quantity < 0",
                },
            }
        }
    }


def crash_points() -> list[str]:
    """Every named point of intake, read from its source, so that none is forgotten."""
    names: set[str] = set()
    for path in sorted((PROJECT / "tasks" / "intake").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        names.update(re.findall(r'crash_point\("([a-z_.]+)"\)', text))
        for prefix in re.findall(r'settle\([^)]*"([a-z_.]+)"\)', text):
            names.update(
                f"{prefix}.{moment}"
                for moment in ("after_write", "after_fsync", "after_rename", "after_sync")
            )
    return sorted(names)


def _lines(number: int, part: int, rows: int) -> str:
    return "".join(
        f"{number}-{part}-{n},customer {n % 17},2011-10-{part:02}T{n % 24:02}:00:00Z,"
        f"{n % 5},{n}.50\n"
        for n in range(rows)
    )


# Which files a round of the scenario delivers, and whether 05 then comes with other content:
# first without leave, then as a correction.
SCENARIOS: dict[str, tuple[tuple[str, ...], bool]] = {
    "accept": (("04",), False),
    "reject": (("02-ragged",), False),
    "stop": (("03-stopped",), False),
    "correct": (("05",), True),
    "merge": (("01", "05", "06"), False),
    "cut": (("cut",), False),
    "decide": (("02-ragged", "03-stopped"), False),
    "everything": (("01", "02-ragged", "03-stopped", "04", "05", "06"), True),
}


def points_of(scenario: str) -> list[str]:
    """The points that a scenario must reach; each is reached by one scenario or more."""
    return [point for point in crash_points() if scenario in _scenarios(point)]


def _scenarios(point: str) -> tuple[str, ...]:
    if point == "publish.after_compaction":
        return ("correct",)
    stages = {
        "reject": ("reject",),
        "conflict": ("correct",),
        "compact": ("merge",),
        "publish": ("correct", "stop"),
        "discard": ("decide",),
    }
    if point in ("publish.before_commit", "publish.after_commit"):
        return ("correct", "stop", "decide")
    if point.startswith("intake.replacement."):
        return ("decide",)
    if point.startswith("intake.part."):
        return ("cut",)
    return stages.get(point.split(".")[0], ("accept",))


def _deliver(folder: Path, number: int, parts: tuple[str, ...], second: bool) -> None:
    for old in folder.glob("*.csv"):
        old.unlink()
    late = f"{number}-late,late,2011-10-05T01:00:00Z,1,1\n"
    texts = {
        "01": _lines(number, 1, 70),
        "02-ragged": _lines(number, 2, 5) + "2-6,customer 6\n",
        "03-stopped": _lines(number, 3, 20),
        "04": _lines(number, 4, 12),
        "05": _lines(number, 5, 81) + (late if second else ""),
        "06": _lines(number, 6, 75),
    }
    if parts == ("cut",):
        _write_month(folder / "lines.parquet", number)
        return
    for part in parts:
        path = folder / f"{number:02}-{part}.csv"
        path.write_text(f"{HEADER}\n{texts[part]}", encoding="utf-8")


def _write_month(path: Path, number: int) -> None:
    """A Parquet file whose only month is the round's own, so that rounds are other batches."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 12
    table = pa.table(
        {
            "id": [f"{number}-{row}" for row in range(rows)],
            "customer": [f"customer {row % 5}" for row in range(rows)],
            "time": [f"2011-{number + 1:02}-{row + 1:02} 10:00:00" for row in range(rows)],
            "quantity": [1.0] * rows,
            "amount": [float(row) for row in range(rows)],
        }
    )
    pq.write_table(table, path)


def _judge(staged: StagedBatch) -> Verdict:
    with scratch() as db:
        refused = db.rows(
            "select row_number from read_parquet($path) where quantity = 0",
            {"path": str(staged.staged_path)},
        )
    # The file that takes its place is in order.
    replayed = staged.raw.delivery.location == REPLAYED
    stop = staged.batch_name.endswith("stopped") and not replayed
    return judge(staged, [row["row_number"] for row in refused], stop=stop)


def ingest(settings: Settings, folder: Path, scenario: str, rounds: Sequence[int]) -> None:
    """Rounds of deliveries, each with a conflict and its correction; safe to begin again."""
    parts, corrected = SCENARIOS[scenario]
    turns = [(False, False), (True, False), (True, True)] if corrected else [(False, False)]
    with open_lake(settings) as lake:
        steps.recover_intake(lake, settings)
        for number, (second, supersede) in itertools.product(rounds, turns):
            _deliver(folder, number, parts, second)
            for delivery in steps.discover_deliveries(lake, settings, "test"):
                try:
                    staged = steps.stage_delivery(lake, delivery, settings, "test", supersede)
                except (BatchRejected, DataRejected):
                    continue  # in the ledger, and for a person to decide
                if not isinstance(staged, Batch):
                    steps.publish_batch(lake, staged, _judge(staged), "test", supersede)
            if scenario == "decide":
                _decide(lake, settings, folder, number)
    close_lakes()


def _decide(lake: Lake, settings: Settings, folder: Path, number: int) -> None:
    """What a person decides: the stopped one comes with another file, the ragged one stays out."""
    for name in (f"shop/{number:02}-03-stopped", f"shop/{number:02}-02-ragged"):
        case = steps.find_case(lake, name)
        if not case.batches or case.incident.state == "resolved":
            continue
        [batch] = [one for one in case.batches if one.batch_name == name]
        if name.endswith("ragged"):
            decision = make_decision(case.incident, "discarded", "ann", "cut off", {"name": name})
            steps.discard_batches(
                lake,
                [batch.batch_number],
                incident_number=case.incident.incident_number,
                actor="ann",
                reason="cut off",
                decision=decision,
            )
            continue
        path = folder / f"{number:02}-03-corrected.txt"
        path.write_text(f"{HEADER}\n{_lines(number, 4, 15)}", encoding="utf-8")
        raw = steps.find_bytes(lake, batch, path)
        decision = make_decision(case.incident, "replayed", "ann", "corrected", {"name": name})
        replay = steps.Replay(batch.batch_number, "replayed", decision)
        staged = steps.restage_batch(lake, raw, settings, "ann", replay, False)
        steps.publish_batch(lake, staged, _judge(staged), "ann", False, replay)


def _child(
    settings: Settings,
    folder: Path,
    scenario: str,
    rounds: Sequence[int],
    crash_at: str,
    database_url: str,
) -> None:
    os.environ["HOLDFAST_DATABASE_URL"] = database_url
    os.environ["HOLDFAST_CRASH_AT"] = crash_at
    ingest(settings, folder, scenario, rounds)


@dataclass(frozen=True, slots=True)
class Run:
    """How a disturbed run went: the exit codes of its processes, the last being 0."""

    exit_codes: tuple[int, ...]


def run_until_done(
    settings: Settings,
    folder: Path,
    database_url: str,
    scenario: str,
    rounds: Sequence[int] = (0,),
    *,
    crash_at: str = "",
    kill_after_seconds: list[float] | None = None,
) -> Run:
    """Start the child; kill it at the named point, or after each of the given times in turn;
    start it again, undisturbed, until it ends with 0."""
    context = warm_context()
    codes: list[int] = []
    delays = list(kill_after_seconds or [])
    for _ in range(MAXIMUM_STARTS + len(delays)):
        first = "" if codes else crash_at
        arguments = (settings, folder, scenario, rounds, first, database_url)
        process = context.Process(target=_child, args=arguments)
        process.start()
        if delays:
            process.join(delays.pop(0))
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, signal.SIGKILL)
        process.join(120)
        if process.exitcode is None:
            process.kill()
            raise AssertionError(f"the run at {crash_at or 'random times'} hangs")
        codes.append(process.exitcode)
        if process.exitcode == 0 and not delays:
            return Run(tuple(codes))
        if process.exitcode not in (0, -signal.SIGKILL):
            raise AssertionError(f"the run at {crash_at or 'random times'} ended with {codes}")
    raise AssertionError(f"the run at {crash_at} never ended: {codes}")


def random_delays(seed: int, kills: int, longest_seconds: float) -> list[float]:
    """Times at which to kill, most of them early, where a run has its short steps."""
    draw = random.Random(seed)
    return [draw.random() * longest_seconds for _ in range(kills)]


def describe_lake(settings: Settings) -> dict[str, Any]:
    """Everything that a run has published, without what a clock says; equal for equal runs."""
    with open_lake(settings) as lake:
        version = lake.snapshot()
        batches = lake.rows("select * from lake.ledger.batches order by recorded_at, batch_number")
        described: dict[str, Any] = {
            "facts": table_fingerprint(lake, "orders", version),
            "ledger": sorted(
                json.dumps(
                    {
                        **{
                            name: value
                            for name, value in row.items()
                            if name not in ("recorded_at", "published_at", "report")
                        },
                        "report": _without_times(row["report"]),
                        "published": row["published_at"] is not None,
                    },
                    sort_keys=True,
                    default=str,
                )
                for row in batches
            ),
        }
        for table in (
            "quarantine",
            "rule_results",
            "batch_statistics",
            "incidents",
            "incident_batches",
            "decisions",
        ):
            rows = lake.rows(f"select * from lake.ledger.{table}")
            described[table] = sorted(
                _without_times(
                    json.dumps(
                        {n: v for n, v in row.items() if n not in ("recorded_at", "decided_at")},
                        default=str,
                    )
                )
                for row in rows
            )
        described["visible"] = lake.scalar("select count(*) from lake.main.orders")
        described["doubled"] = lake.scalar(
            "select count(*) - count(distinct (batch_number, row_number)) from lake.main.orders"
        )
    # Not the memory of cut parts beside them: that goes by the time of the file it was cut from.
    described["raw"] = sorted(path.name for path in (settings.home / "raw").glob("??/*"))
    return described


def _without_times(report: str) -> str:
    # The reason of a conflict says when the accepted batch came, to the minute.
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", report or "{}")
