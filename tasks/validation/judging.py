"""Judges a staged batch: our split, Great Expectations over the same file, and their agreement."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from tasks.contracts import CONTRACTS
from tasks.errors import InternalError
from tasks.handles import RuleResult, Severity, StagedBatch, Verdict, Waiver
from tasks.moments import read_clock
from tasks.sections import BatchRuleSettings
from tasks.settings import Settings
from tasks.validation.batch_checks import list_checks
from tasks.validation.binding import RowRules, bind_values, expectation_bounds
from tasks.validation.checks import (
    Check,
    Surroundings,
    decide,
    describe_limits,
    filled_columns,
    limits_of,
    percent,
    row_rule_stops,
)
from tasks.validation.datadocs import try_data_docs
from tasks.validation.engine import Judgement, build_suite, judge
from tasks.validation.history import History
from tasks.validation.rules import (
    CUSTOMER_REUSED,
    LAKE_RULES,
    PUBLISHED_BEFORE,
    STAGED_COLUMNS,
    TableRules,
    active_batch,
    active_rows,
    check_settings,
    table_rules,
)
from tasks.validation.splitting import Split, split_rows, write_rejects
from tasks.validation.statistics import Figures, measure
from tasks.validation.waiving import apply_waivers, soften_rules, waived_rows
from tasks.warehouse import Connection, scratch

SuiteBuilder = Callable[[str, Mapping[str, Mapping[str, Any]]], Any]

# Rules whose figure is a share of rows; the others are numbers in the unit that `conf/` names.
_SHARES = frozenset(
    ["null_share", "null_jump", "new_category", "category_mix", "customers_known", "base_rate"]
)


@dataclass(frozen=True, slots=True)
class _Findings:
    """What was found on either side, before any of it is believed."""

    figures: Figures
    split: Split
    checks: tuple[Check, ...]
    judgements: Mapping[str, Judgement]


def validate(
    staged: StagedBatch,
    history: History,
    settings: Settings,
    *,
    now: datetime | None = None,
    suite_of: SuiteBuilder = build_suite,
    waivers: Sequence[Waiver] = (),
) -> Verdict:
    """Judge a staged batch, and write the rows that are set aside beside it.

    `waivers` are those in force for the source; what they cover is still counted and reported, but
    does not stop the batch, and where they let rows in, does not set them aside.

    `now` is the time of the judgement, by default our clock's; `suite_of(table, bounds)` builds
    the Great Expectations suite. A batch that breaks a rule is no error here: its verdict says
    'stopped'. Raises InternalError (70) where a check is broken or the two sides differ, and
    ConfigurationError (78) where `conf/` and the catalogue of rules differ.
    """
    check_settings(settings.validation)
    entry = table_rules(staged.table)
    chosen = settings.validation.tables[staged.table]
    rows = soften_rules(active_rows(staged.table, chosen), waivers, staged)
    batch = active_batch(staged.table, chosen)
    path = staged.staged_path
    memory_limit_mb, threads = settings.warehouse.memory_limit_mb, settings.warehouse.threads
    spill = settings.home / "spill" / "validation"
    spill.mkdir(parents=True, exist_ok=True)

    outcomes: list[Any] = []

    def ask(bounds: Mapping[str, Mapping[str, Any]]) -> dict[str, Judgement]:
        suite = suite_of(staged.table, bounds)
        return judge(
            suite,
            path,
            bounds,
            memory_limit_mb=memory_limit_mb,
            threads=threads,
            spill=spill,
            keep=outcomes.append,
        )

    with scratch(
        memory_limit_mb=memory_limit_mb,
        threads=threads,
        temporary=spill,
        allowed_directories=[path.parent],
    ) as connection:
        wrong = _wrong_columns(connection, path, entry)
        if wrong or connection.scalar(
            "select count(*) = 0 from read_parquet($staged)", {"staged": str(path)}
        ):
            # Nothing else can be asked of rows that are not there.
            return _judge_shape(staged, wrong, batch, ask)
        moment = (now or read_clock()).astimezone(UTC)
        figures = measure(connection, str(path), entry)
        around = _look_around(staged, figures, history, settings, moment, batch)
        checks = tuple(list_checks(entry, batch, around))
        values = bind_values(entry, rows, figures, settings, moment)
        from_lake = _ask_lake(staged, history, entry, rows)
        waived = waived_rows(rows, waivers, staged)
        split = split_rows(connection, str(path), rows, values, from_lake=from_lake, let_in=waived)
        judgements = ask(expectation_bounds(rows, checks, values, batch))
        findings = _Findings(figures, split, checks, judgements)
        _demand_agreement(staged, findings)
        results = (
            *_row_results(rows, findings, looked_back=from_lake),
            *_columns_result(batch, (), figures.rows),
            *(_as_result(check) for check in checks),
            *_quarantine_result(batch, findings),
        )
        rejects = None
        if split.quarantined_rows:
            rejects = write_rejects(connection, str(path), rows, rejects_path(path))
        judged, results = results, apply_waivers(results, waivers, staged)
        let_through = is_stopped(judged) and not is_stopped(results)
    if settings.validation.data_docs and not all(result.passed for result in results):
        docs = settings.home / "datadocs" / settings.deployment
        try_data_docs(outcomes[-1], docs, staged.batch_name, staged.raw.content_hash)
    kept = replace(figures, customers=around.customers)
    verdict = _verdict(staged, results, kept, split.quarantined_rows, rejects, settings, waivers)
    return replace(verdict, waived=let_through)


def _ask_lake(
    staged: StagedBatch, history: History, entry: TableRules, rules: RowRules
) -> dict[str, Any]:
    """Row numbers that break the rules which compare with the lake; none where it has nothing."""
    found: dict[str, Any] = {PUBLISHED_BEFORE: history.published_before(staged, entry.identity)}
    for rule, own in rules:
        if rule.name == CUSTOMER_REUSED and own.minimum is not None:
            found[rule.name] = history.customers_reused(staged, own.minimum)
    return {name: table for name, table in found.items() if table is not None}


def is_stopped(results: Sequence[RuleResult]) -> bool:
    """Whether a rule that was broken stops the batch."""
    return any(not result.passed and result.severity == "stop" for result in results)


def rejects_path(staged_path: Path) -> Path:
    """Where the rows of a staged file that are set aside are written."""
    return staged_path.with_suffix(".rejects.parquet")


def _wrong_columns(connection: Connection, path: Path, entry: TableRules) -> tuple[str, ...]:
    """What differs from the contract: `missing x`, `unknown y`, `z is DOUBLE, not VARCHAR`."""
    wanted = {column.name: column.type for column in CONTRACTS[entry.table].columns}
    wanted.update(STAGED_COLUMNS)
    found = {
        row["column_name"]: _plain_type(row["column_type"])
        for row in connection.rows(
            "describe select * from read_parquet($staged)", {"staged": str(path)}
        )
    }
    return (
        *(f"missing {name}" for name in wanted if name not in found),
        *(f"unknown {name}" for name in found if name not in wanted),
        *(
            f"{name} is {found[name]}, not {_plain_type(kind)}"
            for name, kind in wanted.items()
            if name in found and found[name] != _plain_type(kind)
        ),
    )


def _plain_type(kind: str) -> str:
    return kind.upper().replace(" ", "").replace("TIMESTAMPWITHTIMEZONE", "TIMESTAMPTZ")


def _judge_shape(
    staged: StagedBatch,
    wrong: tuple[str, ...],
    batch: Mapping[str, BatchRuleSettings],
    ask: Callable[[Mapping[str, Mapping[str, Any]]], dict[str, Judgement]],
) -> Verdict:
    """The verdict on a batch without rows, or with other columns than its contract's."""
    if wrong:
        judgements = ask({"columns": {}})
        # A wrong type is ours to see: Great Expectations compares names.
        if all(text.partition(" ")[0] in ("missing", "unknown") for text in wrong):
            _demand(staged, "columns", "fails", judgements["columns"].success is False, True)
        results = list(_columns_result(batch, wrong, staged.received_rows, always=True))
    else:
        judgements = ask({"rows": {"minimum": 1}})
        _demand(staged, "rows", "fails", judgements["rows"].success is False, True)
        # An empty batch keeps every other rule; that must not let it through.
        results = [
            RuleResult(
                "rows", "", "stop", 0, 0, "at least 1 (stop)", "0 rows", False, "it is empty"
            )
        ]
    return Verdict("stopped", staged.received_rows, 0, staged.received_rows, None, tuple(results))


def _look_around(
    staged: StagedBatch,
    figures: Figures,
    history: History,
    settings: Settings,
    now: datetime,
    batch: Mapping[str, BatchRuleSettings],
) -> Surroundings:
    clock = settings.clock.as_of
    if clock == "data" or staged.known_basis == "declared":
        # History that is filled in is as old as it is; it is only late against what is there.
        reference = history.newest_event_at(staged)
    elif clock == "now":
        reference = now
    else:
        reference = datetime.combine(clock, time(), UTC)
    return Surroundings(
        staged=staged,
        figures=figures,
        trailing=history.trailing_batches(staged, settings.validation.trailing_batches),
        reference_at=reference,
        customers=history.customers_known(staged) if "customers_known" in batch else None,
        mapped_columns=filled_columns(settings, staged.raw.delivery.source),
        settings=settings.validation,
        volumes=history.past_volumes(staged),
    )


def _demand_agreement(staged: StagedBatch, findings: _Findings) -> None:
    """Great Expectations and our SQL count the same rows, rule by rule."""
    for name, count in findings.split.broken_rows.items():
        if name not in LAKE_RULES:
            counted = findings.judgements[name].unexpected_rows
            _demand(staged, name, "rows breaking the rule", counted, count)
    for check in findings.checks:
        if check.bound is None:
            continue
        judged = findings.judgements[check.key]
        if check.failed_rows is None:
            _demand(staged, check.key, "fails", not judged.success, check.fails)
        else:
            what = "rows breaking the rule"
            _demand(staged, check.key, what, judged.unexpected_rows, check.failed_rows)


def _demand(staged: StagedBatch, rule: str, what: str, theirs: Any, ours: Any) -> None:
    if theirs == ours:
        return
    raise InternalError(
        f"Two counts of batch {staged.batch_name} differ, so neither is believed:"
        f" rule '{rule}', {what}.",
        found=f"Great Expectations says {theirs}, our split says {ours}.",
        next_step="this is a bug of the rule, not of the data; the batch stays where it is",
    )


def _row_results(
    rules: RowRules, findings: _Findings, *, looked_back: Collection[str]
) -> Iterable[RuleResult]:
    checked = findings.figures.rows
    for rule, settings in rules:
        failed = findings.split.broken_rows[rule.name]
        ceiling = settings.stop_above_share
        stops = row_rule_stops(settings, failed, checked)
        severity: Severity = "stop" if stops else settings.severity  # type: ignore[assignment]
        limit = "none (stop)" if settings.severity == "stop" else ""
        if settings.severity != "stop" and ceiling < 1:
            limit = f"{ceiling * 100:.4g}% (stop)"
        reason = rule.reason if failed else ""
        if rule.name in LAKE_RULES and rule.name not in looked_back:
            reason = "nothing published to compare with"
        yield RuleResult(
            rule.name,
            rule.column,
            severity,
            checked,
            failed,
            limit,
            "",
            failed == 0,
            reason,
            figure=failed / checked,
            upper_limit=ceiling if ceiling < 1 else None,
        )


def _columns_result(
    batch: Mapping[str, BatchRuleSettings],
    wrong: tuple[str, ...],
    rows: int,
    *,
    always: bool = False,
) -> Iterable[RuleResult]:
    if "columns" not in batch and not always:
        return
    # Without its columns no other rule can be looked at: this one has no weaker level.
    yield RuleResult(
        "columns",
        "",
        "stop",
        rows,
        rows if wrong else 0,
        "those of the contract (stop)",
        "; ".join(wrong),
        not wrong,
        "the columns are not those of the contract" if wrong else "",
    )


def _as_result(check: Check) -> RuleResult:
    severity: Severity = "stop" if check.level == "stop" else "warn"
    if not check.level and (
        check.limits.stop_above is not None or check.limits.stop_below is not None
    ):
        severity = "stop"
    form = percent if check.rule in _SHARES else _number
    return RuleResult(
        rule=check.rule,
        column=check.column,
        severity=severity,
        checked_rows=check.checked_rows,
        failed_rows=check.failed_rows or 0,
        limit=describe_limits(check.limits, form),
        observed=check.observed,
        passed=not check.level,
        reason=check.note,
        figure=check.figure,
        lower_limit=check.limits.stop_below,
        upper_limit=check.limits.stop_above,
    )


def _number(value: float) -> str:
    return f"{value:,.10g}"


def _quarantine_result(
    batch: Mapping[str, BatchRuleSettings], findings: _Findings
) -> Iterable[RuleResult]:
    settings = batch.get("quarantined_share")
    if settings is None:
        return
    rows, aside = findings.figures.rows, findings.split.quarantined_rows
    share = aside / rows
    check = decide(
        "quarantined_share",
        "",
        share,
        limits_of(settings, ""),
        observed=f"{percent(share)} set aside",
        checked_rows=rows,
        failed_rows=aside,
    )
    result = _as_result(check)
    yield replace(result, limit=describe_limits(check.limits, percent))


def _verdict(
    staged: StagedBatch,
    results: Sequence[RuleResult],
    figures: Figures,
    quarantined: int,
    rejects: Path | None,
    settings: Settings,
    waivers: Sequence[Waiver] = (),
) -> Verdict:
    if figures.rows != staged.received_rows:
        raise InternalError(
            f"The staged file of {staged.batch_name} holds {figures.rows:,} rows,"
            f" its delivery {staged.received_rows:,}."
        )
    stopped = is_stopped(results)
    notes = tuple(
        dict.fromkeys(
            f"{result.rule}{' ' + result.column if result.column else ''}: {result.reason}"
            for result in results
            if result.passed and result.reason
        )
    ) + tuple(
        f"waiver {waiver.waiver_id} on {', '.join(waiver.rules)}: {waiver.describe()}"
        for waiver in waivers
    )
    aside = staged.received_rows if stopped else quarantined
    return Verdict(
        outcome="stopped" if stopped else "accepted",
        received_rows=staged.received_rows,
        accepted_rows=staged.received_rows - aside,
        quarantined_rows=aside,
        rejects_path=rejects,
        results=tuple(results),
        statistics=figures.statistics(settings.validation.maximum_categories),
        notes=notes,
    )
