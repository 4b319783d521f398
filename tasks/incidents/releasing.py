"""Waivers as a person asks for them: what exactly they cover, and whether one person suffices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

from tasks.channels import OncallSettings
from tasks.errors import UsageError, suggest
from tasks.handles import Batch, Incident, RuleResult, Waiver, WaiverEffect
from tasks.incidents.waivers import name_waiver
from tasks.moments import read_clock
from tasks.warehouse import Connection

# The rule that a waiver of a missing delivery names; see the dead-man's switch.
GAP_RULE = "gap"


def failed_rules(lake: Connection, batch_number: int) -> list[RuleResult]:
    """The rules that a batch broke, as the ledger says."""
    rows = lake.rows(
        "select rule, column_name, severity, checked_rows, failed_rows, limit_text, observed_text,"
        " reason, figure, lower_limit, upper_limit from lake.ledger.rule_results"
        " where batch_number = $number and not passed order by rule, column_name",
        {"number": batch_number},
    )
    return [
        RuleResult(
            row["rule"],
            row["column_name"],
            row["severity"],
            int(row["checked_rows"] or 0),
            int(row["failed_rows"] or 0),
            row["limit_text"],
            row["observed_text"],
            False,
            row["reason"],
            row["figure"],
            row["lower_limit"],
            row["upper_limit"],
        )
        for row in rows
    ]


def end_of(until: date | None, settings: OncallSettings, now: datetime) -> datetime:
    """Midnight UTC at the beginning of the day that a waiver ends on.

    Raises UsageError (64) for none, one that has passed, or one too far away.
    """
    last = now + timedelta(days=settings.maximum_waiver_days)
    if until is None:
        raise UsageError(
            "A waiver needs a day on which it ends.",
            next_step=f"add --until YYYY-MM-DD, {last:%Y-%m-%d} at the latest",
        )
    ends_at = datetime.combine(until, time(), UTC)
    if not now < ends_at <= last:
        raise UsageError(
            f"A waiver cannot end on {until}.",
            found=(
                f"it is {now:%Y-%m-%d} (UTC), and `oncall.maximum_waiver_days` is"
                f" {settings.maximum_waiver_days}"
            ),
            next_step=f"choose a day up to {last:%Y-%m-%d}",
        )
    return ends_at


def choose_rules(
    incident: Incident,
    results: Sequence[RuleResult],
    asked: Sequence[str],
    waivable: Mapping[str, bool],
    *,
    let_in: bool,
) -> tuple[str, ...]:
    """The rules that a waiver of the item shall name: those asked for, or those that stop it.

    `waivable` are the table's rules that can be waived, and whether their rows can be let in.
    Raises UsageError (64) where nothing can be waived, or a rule cannot.
    """
    chosen = list(asked)
    if not chosen:
        level = "quarantine" if incident.cause.level == "held" else "stop"
        named = incident.cause.key.rpartition("|")[2] if incident.cause.level == "held" else ""
        # With its column: the same rule in another one is not what somebody has looked at.
        chosen = sorted(
            {r.key for r in results if r.severity == level and (not named or r.rule == named)}
        )
    known = {name for r in results for name in (r.rule, r.key)}
    for rule in chosen:
        name = rule.partition(":")[0]
        if name not in waivable or rule not in known:
            raise UsageError(
                f"The rule '{rule}' of {incident.name} cannot be waived:"
                " without it nothing else can be judged."
                if rule in known
                else f"No rule '{rule}' was broken by {incident.name}.",
                found=suggest(rule, known),
                available=sorted(known & {*waivable} or known),
                next_step="correct it and replay it, or discard it",
            )
        if let_in and not waivable[name]:
            raise UsageError(
                f"Rows that break '{rule}' lack what their table requires: they cannot be let in.",
                next_step=(
                    "leave them out (waive without --let-in), or correct them:"
                    " quarantine export, then replay --corrected"
                ),
            )
    if not chosen:
        raise UsageError(
            f"No rule of {incident.name} can be waived: {incident.cause.code} means that it could"
            " not be read or judged.",
            next_step="correct it and replay it with --file, or discard it",
        )
    return tuple(chosen)


def check_rows(
    row_numbers: Sequence[int],
    rules: Sequence[str],
    row_rules: Mapping[str, bool],
    *,
    let_in: bool,
) -> None:
    """Refuse (64) a waiver of rows that would change nothing: it would look as if it did."""
    if not row_numbers:
        return
    if not let_in:
        raise UsageError(
            "Rows that break a rule stay aside as they are.",
            next_step="add --let-in to publish these, or leave --row out",
        )
    for rule in rules:
        if rule.partition(":")[0] not in row_rules:
            raise UsageError(
                f"The rule '{rule}' is about the whole batch: no single row can be let in.",
                available=sorted(row_rules),
                next_step="name a rule about rows with --rule, or leave --row out",
            )


def plan_waivers(
    incident: Incident,
    batches: Sequence[Batch],
    rules: Sequence[str],
    effect: WaiverEffect,
    row_numbers: Sequence[int],
    ends_at: datetime,
    author: str,
    reason: str,
    *,
    for_source: bool,
) -> list[Waiver]:
    """One waiver for the whole source, or one a batch, for its content alone."""
    if row_numbers and (for_source or len(batches) != 1):
        raise UsageError(
            "Row numbers are of one batch.",
            found=f"{incident.name} has {len(batches)} batches that stand aside",
            next_step="name the batch instead of the item",
        )
    scopes: list[tuple[str | None, str | None]] = (
        [(None, None)]
        if for_source
        else [(batch.batch_name, batch.content_hash) for batch in batches]
    )
    source = incident.cause.source
    return [
        Waiver(
            waiver_id=name_waiver(
                incident.incident_number,
                source,
                rules,
                effect,
                batch_name,
                content_hash,
                row_numbers,
                ends_at,
            ),
            source=source,
            rules=tuple(rules),
            effect=effect,
            reason=reason,
            author=author,
            granted_at=read_clock(),
            ends_at=ends_at,
            batch_name=batch_name,
            content_hash=content_hash,
            row_numbers=tuple(sorted(row_numbers)),
        )
        for batch_name, content_hash in scopes
    ]


def releases_rows(waivers: Sequence[Waiver], row_rules: Mapping[str, bool]) -> bool:
    """Whether rows that a rule refused would be published: these may need a second person.

    Lifting a stop while the rows that broke the rule stay aside releases none of them; a rule
    about the whole batch has no rows of its own, so waiving it releases the batch. `row_rules` are
    the rules about single rows.
    """
    return any(
        waiver.effect == "let_in" or any(r.partition(":")[0] not in row_rules for r in waiver.rules)
        for waiver in waivers
    )
