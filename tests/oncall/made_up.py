"""A queue in a lake, and reports, made up for the tests: good batches, then one that stops."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tasks.handles import Cause, Delivery, RawBatch, RuleResult
from tasks.incidents.causes import cause_of_stop
from tasks.incidents.queue import join_incident
from tasks.intake.ledger import append_batch, append_rule_results
from tasks.oncall.report import IncidentReport, gather
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
        f"{figure:.3g} times the usual median",
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
    """One batch with its results, and into the item of a cause if one is given."""
    at = START + timedelta(days=number)
    named = name or f"{source}/{at:%Y-%m-%d}"
    raw = RawBatch(Delivery(named, source, table, ""), f"{number:064x}", Path("/nowhere"), 1)
    with lake.writer_lock("test"), lake.publish("tester", "made up"):
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
    for number in range(1, good + 1):
        figure = 1.0 + 0.06 * ((number * 7) % 5 - 2)
        add_batch(lake, number, (shift(figure, passed=True), present(number % 4)))
    results = (shift(98.7, passed=False), present(61))
    cause = cause_of_stop("orders", results)
    add_batch(lake, good + 1, results, state="quarantined", aside=9811, name=name, join=cause)
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
