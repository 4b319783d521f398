"""All that a person needs for deciding about an item, as plain values: for a page, text or JSON.

A row appears masked, or by its number alone where the contract of its table says so; names that
come from deliveries are the only text of strangers in it, and whoever shows them escapes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from tasks.contracts import CONTRACTS
from tasks.handles import Incident
from tasks.incidents.causes import explain_likely
from tasks.incidents.decisions import stamp_of
from tasks.incidents.queue import read_history, read_incident
from tasks.incidents.waivers import active_waivers
from tasks.oncall.commands import Command, suggest_commands
from tasks.oncall.trends import SQL, Trend, read_trends
from tasks.warehouse import Connection, Lake

SHOWN_BATCHES = 12
SHOWN_RULES = 12
SHOWN_ROWS = 20
SHOWN_HISTORY = 40
# Rows of a batch as `show_quarantine` of intake gives them: (batch number, rule or None) to a
# mapping with `rows` (row_number, rule, reason, line: masked) and `rows_total`.
Sampler = Callable[[int, str | None], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ReportedBatch:
    """A batch of the item at its latest state."""

    batch_number: int
    batch_name: str
    state: str
    received_rows: int
    quarantined_rows: int
    recorded_at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FailedRule:
    """A rule that batches of the item break, as the newest of them says."""

    rule: str
    column: str
    severity: str
    checked_rows: int
    failed_rows: int
    all_failed_rows: int
    batches: int
    limit: str
    observed: str
    reason: str
    trend: Trend = field(default_factory=Trend)

    @property
    def key(self) -> str:
        """`shift:net_amount`, as a waiver names it."""
        return f"{self.rule}:{self.column}" if self.column and not self.is_about_rows else self.rule

    @property
    def is_about_rows(self) -> bool:
        """Whether single rows break it: those have counts and no figure in words."""
        return not self.observed

    @property
    def is_share(self) -> bool:
        """Whether its figure is a share of rows, to be shown in percent."""
        return self.is_about_rows or "%" in self.observed + self.limit

    @property
    def failed_share(self) -> float | None:
        return self.failed_rows / self.checked_rows if self.checked_rows else None

    @property
    def found(self) -> str:
        """`1,204 of 9,811 rows (12.3%)`, or the figure in words."""
        if self.observed:
            return self.observed
        share = f" ({self.failed_share:.1%})" if self.failed_share is not None else ""
        return f"{self.failed_rows:,} of {self.checked_rows:,} rows{share}"


@dataclass(frozen=True, slots=True)
class SampleRow:
    """A row that stands aside. `line` is masked; None where only its number may be shown."""

    row_number: int
    rule: str
    reason: str
    line: str | None


@dataclass(frozen=True, slots=True)
class ReportedWaiver:
    """A waiver in force for the source."""

    waiver_id: str
    rules: tuple[str, ...]
    effect: str
    says: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the item's history."""

    recorded_at: datetime
    what: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Serving:
    """Who serves meanwhile."""

    name: str
    version: int
    kind: str
    promoted_at: str


@dataclass(frozen=True, slots=True)
class IncidentReport:
    """Everything about one item. Times are UTC; `stamp` changes whenever the item does."""

    deployment: str
    called: str
    incident_number: int
    name: str
    code: str
    level: str
    source: str
    table: str
    column: str
    headline: str
    state: str
    resolution: str | None
    opened_at: datetime
    recorded_at: datetime
    actor: str
    reason: str
    likely: str
    found: str
    stamp: str
    asked_at: datetime
    batches: tuple[ReportedBatch, ...]
    batches_total: int
    batches_aside: int
    received_rows: int
    quarantined_rows: int
    rules: tuple[FailedRule, ...]
    rules_total: int
    rows: tuple[SampleRow, ...]
    rows_total: int
    rows_batch_name: str
    rows_shown: bool
    waivers: tuple[ReportedWaiver, ...]
    history: tuple[Entry, ...]
    serving: Serving | None
    commands: tuple[Command, ...]
    maximum_waiver_days: int
    requested_by: str | None = None
    preview: Mapping[str, Any] | None = None

    def as_dictionary(self) -> dict[str, Any]:
        """Ready for JSON: times in ISO 8601, tuples as lists."""
        plain: dict[str, Any] = _plain(asdict(self))
        for told, rule in zip(plain["rules"], self.rules, strict=True):
            told |= {"key": rule.key, "failed_share": rule.failed_share, "found": rule.found}
        return plain


def gather(
    lake: Lake,
    asked: str,
    *,
    sample: Sampler,
    serving: Mapping[str, Any] | None,
    preview: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> IncidentReport:
    """The report of `item-7`. Only reads. Raises UsageError (64) where there is no such item.

    `serving` is the champion as `status --json` shows it; `preview` what a decision would change,
    as plain values.
    """
    moment = now or datetime.now(UTC)
    incident = read_incident(lake, asked)
    batches, totals = _read_batches(lake, incident)
    rules, rules_total = _read_rules(lake, incident)
    rows, rows_total, rows_batch_name = _read_rows(incident, batches, sample)
    request = incident.report.get("request") if incident.state == "waiting" else None
    return IncidentReport(
        deployment=lake.deployment,
        called=lake.settings.called,
        incident_number=incident.incident_number,
        name=incident.name,
        code=incident.cause.code,
        level=incident.cause.level,
        source=incident.cause.source,
        table=incident.table,
        column=incident.cause.column,
        headline=incident.cause.headline,
        state=incident.state,
        resolution=incident.resolution,
        opened_at=incident.opened_at,
        recorded_at=incident.recorded_at,
        actor=incident.actor,
        reason=incident.reason,
        likely=explain_likely(incident.cause.code, [rule.observed for rule in rules]),
        found=incident.found,
        stamp=stamp_of(incident),
        asked_at=moment,
        batches=batches,
        batches_total=int(totals["batches"]),
        batches_aside=int(totals["batches_aside"]),
        received_rows=int(totals["received_rows"]),
        quarantined_rows=int(totals["quarantined_rows"]),
        rules=rules,
        rules_total=rules_total,
        rows=rows,
        rows_total=rows_total,
        rows_batch_name=rows_batch_name,
        rows_shown=_may_show_rows(incident.table),
        waivers=tuple(
            ReportedWaiver(w.waiver_id, w.rules, w.effect, w.describe(), w.ends_at)
            for w in active_waivers(lake, incident.cause.source, moment)
        ),
        history=tuple(
            Entry(row["recorded_at"].astimezone(UTC), row["what"], row["actor"], row["reason"])
            for row in read_history(lake, incident.incident_number)[-SHOWN_HISTORY:]
        ),
        serving=_as_serving(serving),
        commands=suggest_commands(
            incident,
            [rule.key for rule in rules if rule.severity == _broken_level(incident)],
            lake.settings,
            moment,
        ),
        maximum_waiver_days=lake.settings.oncall.maximum_waiver_days,
        requested_by=str(request["author"]) if isinstance(request, Mapping) else None,
        preview=_plain(preview) if preview is not None else None,
    )


def _read_batches(
    lake: Lake, incident: Incident
) -> tuple[tuple[ReportedBatch, ...], dict[str, Any]]:
    number = {"incident_number": incident.incident_number}
    totals = lake.one(Connection.text(SQL / "totals_of_item.sql"), number)
    rows = lake.rows(
        Connection.text(SQL / "batches_of_item.sql"), {**number, "shown": SHOWN_BATCHES}
    )
    return tuple(_as_batch(row) for row in rows), totals


def _as_batch(row: Mapping[str, Any]) -> ReportedBatch:
    import json

    said = json.loads(row["report"]) if row["report"] else {}
    rejection = said.get("rejection") if isinstance(said, dict) else None
    reason = ""
    if isinstance(rejection, dict):
        reason = f"{rejection.get('code', 'REJECTED')}: {rejection.get('reason', '')}"
    return ReportedBatch(
        batch_number=int(row["batch_number"]),
        batch_name=row["batch_name"],
        state=row["state"],
        received_rows=int(row["received_rows"] or 0),
        quarantined_rows=int(row["quarantined_rows"] or 0),
        recorded_at=row["recorded_at"].astimezone(UTC),
        reason=reason,
    )


def _read_rules(lake: Lake, incident: Incident) -> tuple[tuple[FailedRule, ...], int]:
    found = lake.rows(
        Connection.text(SQL / "failed_rules.sql"),
        {"incident_number": incident.incident_number, "only_rule": _only_rule(incident)},
    )
    shown = found[:SHOWN_RULES]
    keys = [(row["rule"], row["column_name"]) for row in shown]
    trends = read_trends(lake, incident.cause.source, keys, incident.batches)
    rules = tuple(
        FailedRule(
            rule=row["rule"],
            column=row["column_name"],
            severity=row["severity"],
            checked_rows=int(row["checked_rows"] or 0),
            failed_rows=int(row["failed_rows"] or 0),
            all_failed_rows=int(row["all_failed_rows"] or 0),
            batches=int(row["batches"]),
            limit=row["limit_text"] or "",
            observed=row["observed_text"] or "",
            reason=row["reason"] or "",
            trend=trends.get((row["rule"], row["column_name"]), Trend()),
        )
        for row in shown
    )
    return rules, len(found)


def _broken_level(incident: Incident) -> str:
    """The severity of what makes the item: that is what a waiver of it names."""
    return "quarantine" if incident.cause.level == "held" else "stop"


def _only_rule(incident: Incident) -> str | None:
    """Rows held back are an item a rule, which is the last part of the cause's key."""
    if incident.cause.level != "held":
        return None
    return incident.cause.key.rpartition("|")[2]


def _read_rows(
    incident: Incident, batches: Sequence[ReportedBatch], sample: Sampler
) -> tuple[tuple[SampleRow, ...], int, str]:
    """Rows of the newest batch that has any aside; where none has, nothing."""
    may_show = _may_show_rows(incident.table)
    for batch in batches:
        if not batch.quarantined_rows:
            continue
        found = sample(batch.batch_number, _only_rule(incident))
        rows = tuple(
            SampleRow(
                row_number=int(row["row_number"]),
                rule=str(row["rule"]),
                reason=str(row["reason"] or ""),
                line=str(row["line"]) if may_show and row.get("line") is not None else None,
            )
            for row in found["rows"][:SHOWN_ROWS]
        )
        return rows, int(found["rows_total"]), batch.batch_name
    return (), 0, ""


def _may_show_rows(table: str) -> bool:
    contract = CONTRACTS.get(table)
    return contract is not None and contract.rows_shown


def _as_serving(status: Mapping[str, Any] | None) -> Serving | None:
    if not status:
        return None
    return Serving(
        name=str(status["name"]),
        version=int(status["version"]),
        kind=str(status.get("kind", "")),
        promoted_at=str(status.get("promoted_at", "")),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value
