"""A queue in a lake, and reports, made up for the tests: good batches, then one that stops."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tasks.errors import UsageError
from tasks.handles import Cause, Delivery, RawBatch, RuleResult
from tasks.incidents.causes import cause_of_stop
from tasks.incidents.queue import join_incident
from tasks.intake.ledger import append_batch, append_rule_results
from tasks.oncall.actions import Asked
from tasks.oncall.commands import Command
from tasks.oncall.page import QueueEntry
from tasks.oncall.report import (
    Entry,
    FailedRule,
    IncidentReport,
    ReportedBatch,
    SampleRow,
    Serving,
    gather,
)
from tasks.oncall.trends import Point, Trend, Usual
from tasks.warehouse import Lake

START = datetime(2026, 11, 1, 2, tzinfo=UTC)
SERVING = {
    "name": "test.churn",
    "version": 3,
    "kind": "model",
    "promoted_at": "2026-10-01T02:00:00+00:00",
}
PREVIEW = {
    "possible": True,
    "accepted_rows": 9811,
    "quarantined_rows": 12,
    "days": [{"table": "orders", "day": "2026-11-13", "rows_before": 0, "rows_after": 9811}],
    "features": {
        "features": 40,
        "features_moved": 17,
        "customers_moved": 2210,
        "customers_both": 4300,
    },
    "scores": {
        "currency": "GBP",
        "threshold": 0.05,
        "scores_moved": 311,
        "customers_both": 4300,
        "largest_change": 0.41,
        "entering": 25,
        "leaving": 31,
        "at_risk_change_amount": "18234.50",
        "list_return_change_amount": "-512.25",
    },
    "notes": [],
}


def shift(figure: float, *, passed: bool, column: str = "net_amount") -> RuleResult:
    """The rule that sees a change of unit."""
    return RuleResult(
        "shift",
        column,
        "stop",
        9811,
        0,
        "at most 5 (stop)",
        f"trailing ratio {figure:.3g}",
        passed,
        figure=figure,
        lower_limit=0.2,
        upper_limit=5.0,
    )


def present(failed: int, *, reason: str = "no customer on the line") -> RuleResult:
    """A rule about single rows."""
    return RuleResult(
        "customer_id_present",
        "customer_id",
        "quarantine",
        9811,
        failed,
        "50% (stop)",
        "",
        failed == 0,
        reason if failed else "",
        figure=failed / 9811,
        upper_limit=0.5,
    )


@contextmanager
def filling(lake: Lake) -> Iterator[None]:
    """One transaction for everything that a test makes up."""
    with lake.writer_lock("test"), lake.publish("tester", "made up"):
        yield


def add_batch(
    lake: Lake,
    number: int,
    results: tuple[RuleResult, ...],
    *,
    state: str = "accepted",
    name: str = "",
    aside: int = 0,
    table: str = "orders",
    source: str = "orders",
    join: Cause | None = None,
    rows: tuple[tuple[int, str, str, str], ...] = (),
) -> None:
    """One batch with its results, into the item of a cause if one is given. Inside `filling`."""
    at = START + timedelta(days=number)
    named = name or f"{source}/{at:%Y-%m-%d}"
    raw = RawBatch(Delivery(named, source, table, ""), f"{number:064x}", Path("/nowhere"), 1)
    append_batch(
        lake,
        raw,
        state,  # type: ignore[arg-type]
        batch_number=number,
        recorded_at=at,
        actor="night",
        received_rows=9811,
        accepted_rows=9811 - aside,
        quarantined_rows=aside,
        published_at=at if state == "accepted" else None,
    )
    append_rule_results(lake, number, results, at)
    for row_number, rule, reason, line in rows:
        lake.execute(
            "insert into lake.ledger.quarantine values ($n, $r, $rule, $why, $line, $at)",
            {
                "n": number,
                "r": row_number,
                "rule": rule,
                "why": reason,
                "line": line,
                "at": at,
            },
        )
    if join is not None:
        join_incident(lake, join, number, table, recorded_at=at, actor="night")


def make_queue(lake: Lake, *, good: int = 12, name: str = "") -> str:
    """Good batches, then one whose amounts came in cents; the name of its item."""
    with filling(lake):
        for number in range(1, good + 1):
            figure = 1.0 + 0.06 * ((number * 7) % 5 - 2)
            add_batch(lake, number, (shift(figure, passed=True), present(number % 4)))
        results = (shift(98.7, passed=False), present(61))
        cause = cause_of_stop("orders", results)
        number = good + 1
        add_batch(lake, number, results, state="quarantined", aside=9811, name=name, join=cause)
    return "item-1"


def sample(number: int, rule: str | None) -> Mapping[str, Any]:
    """What intake would show of a batch: masked lines."""
    return {
        "rows": [
            {
                "row_number": 12 + 6 * n,
                "rule": rule or "customer_id_present",
                "reason": "no customer on the line",
                "line": f"536{n:03d},99999X,2026-11-13 08:2{n}:00,xxxxx xxxx,6,255{n}.00,",
            }
            for n in range(5)
        ],
        "rows_total": 61,
    }


def make_report(lake: Lake, asked: str = "item-1", **more: Any) -> IncidentReport:
    """The report of an item, with rows and a champion made up."""
    options: dict[str, Any] = {
        "sample": sample,
        "serving": SERVING,
        "now": START + timedelta(days=14),
        **more,
    }
    return gather(lake, asked, **options)


def plain_report(**changes: Any) -> IncidentReport:
    """A report without a lake: one rule with its trend, one batch, one row."""
    good = [
        Point(n, f"orders/2026-11-{n:02d}", "accepted", True, False, START, 1.0, 0.2, 5.0)
        for n in range(1, 13)
    ]
    bad = Point(13, "orders/2026-11-13", "quarantined", False, True, START, 98.7, 0.2, 5.0)
    points = (*good, bad)
    rule = FailedRule(
        "shift",
        "net_amount",
        "stop",
        9811,
        0,
        0,
        1,
        "at most 5 (stop)",
        "trailing ratio 98.7",
        "",
        Trend(points, Usual(12, 1.0, 0.9, 1.1)),
    )
    values: dict[str, Any] = {
        "deployment": "shop",
        "called": "shop",
        "incident_number": 7,
        "name": "item-7",
        "code": "UNIT_SHIFT",
        "level": "stop",
        "source": "orders",
        "table": "orders",
        "column": "net_amount",
        "headline": "net_amount shift: 98.7 times the usual median",
        "state": "open",
        "resolution": None,
        "opened_at": START,
        "recorded_at": START,
        "actor": "night",
        "reason": "",
        "likely": "The unit was changed.",
        "found": "",
        "stamp": "stamp-1",
        "asked_at": START + timedelta(hours=3),
        "batches": (ReportedBatch(13, "orders/2026-11-13", "quarantined", 9811, 9811, START),),
        "batches_total": 1,
        "batches_aside": 1,
        "received_rows": 9811,
        "quarantined_rows": 9811,
        "rules": (rule,),
        "rules_total": 1,
        "rows": (SampleRow(12, "customer_id_present", "no customer", "536,xxx,6"),),
        "rows_total": 61,
        "rows_batch_name": "orders/2026-11-13",
        "rows_shown": True,
        "waivers": (),
        "history": (Entry(START, "open", "night", "it broke"),),
        "serving": Serving("shop.churn", 3, "model", "2026-10-01"),
        "commands": (Command("Leave it out", "holdfast -d shop quarantine discard item-7"),),
        "maximum_waiver_days": 90,
    }
    return IncidentReport(**{**values, **changes})


class FakeDesk:
    """Actions without a lake: one item of the deployment `shop`, decided once."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        self.asked: list[Asked] = []
        self.files: list[bytes] = []
        self.stamp = "stamp-1"
        self.resolution: str | None = None
        self.hold = threading.Event()
        self.hold.set()
        self.can_preview = True

    def deployments(self) -> list[str]:
        return ["shop", "foreign"]

    def people(self, deployment: str) -> tuple[str, ...]:
        return ("ann", "bob") if deployment == "shop" else ("cid",)

    def queue(self, deployment: str, *, resolved: bool) -> list[QueueEntry]:
        state = self.resolution or "open"
        headline = str(self.changes.get("headline", "it broke"))
        if self.resolution and not resolved:
            return []
        return [
            QueueEntry(
                "shop", "item-7", "UNIT_SHIFT", "stop", state, "orders", headline, 1, "then", "3 h"
            )
        ]

    def report(
        self, deployment: str, item: str, preview: Mapping[str, Any] | None
    ) -> IncidentReport:
        if item != "item-7":
            raise UsageError(f"There is no item '{item}' in the queue.")
        state = "resolved" if self.resolution else "open"
        told: dict[str, Any] = {"stamp": self.stamp, "state": state, "preview": preview}
        return plain_report(**{**told, "resolution": self.resolution, **self.changes})

    def preview(self, deployment: str, item: str) -> Mapping[str, Any]:
        return PREVIEW

    def decide(self, deployment: str, item: str, asked: Asked) -> list[str]:
        self.hold.wait(20)
        if asked.file is not None:
            self.files.append(asked.file.read_bytes())
        if asked.seen != self.stamp:
            raise UsageError("item-7 has changed since you looked.", next_step="look at it again")
        self.asked.append(asked)
        self.stamp, self.resolution = "stamp-2", f"{asked.choice}ed"
        return [f"item-7 is {self.resolution} by {asked.author}"]
