"""What waivers change of a judgement: levels and which rows stay aside, never a count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tasks.contracts import CONTRACTS
from tasks.handles import RuleResult, StagedBatch, Waiver
from tasks.incidents.causes import STRUCTURAL_RULES
from tasks.sections import RowRuleSettings
from tasks.validation.binding import RowRules
from tasks.validation.rules import RowRule, table_rules

# Of a rule that a waiver lets every row pass: no row numbers.
EVERY_ROW: frozenset[int] = frozenset()


def waived_rows(
    rules: RowRules, waivers: Iterable[Waiver], staged: StagedBatch
) -> dict[str, frozenset[int]]:
    """By rule, the row numbers that a waiver lets in although they break it; empty: every row.

    Rules that guard what a table requires are never among them: such rows cannot be published.
    """
    found: dict[str, frozenset[int]] = {}
    for waiver in _applicable(waivers, staged):
        if waiver.effect != "let_in":
            continue
        for rule, _ in rules:
            if not waiver.covers(rule.name, rule.column) or is_structural(staged.table, rule.name):
                continue
            numbers = frozenset(waiver.row_numbers)
            known = found.get(rule.name)
            if known == EVERY_ROW or not numbers:
                found[rule.name] = EVERY_ROW
            else:
                found[rule.name] = (known or frozenset()) | numbers
    return found


def soften_rules(
    rules: RowRules, waivers: Iterable[Waiver], staged: StagedBatch
) -> list[tuple[RowRule, RowRuleSettings]]:
    """The rules with those that stop at the first row made to set rows aside, where waived."""
    applicable = [w for w in _applicable(waivers, staged) if not w.row_numbers]
    return [
        (rule, own.model_copy(update={"severity": "quarantine"}))
        if own.severity == "stop" and any(w.covers(rule.name, rule.column) for w in applicable)
        else (rule, own)
        for rule, own in rules
    ]


def apply_waivers(
    results: Sequence[RuleResult], waivers: Iterable[Waiver], staged: StagedBatch
) -> tuple[RuleResult, ...]:
    """The results with what is waived brought down to a warning that says who, until when and why.

    A rule whose rows stay aside keeps its severity 'quarantine'; only its stop is lifted.
    """
    applicable = _applicable(waivers, staged)
    rows = {rule.name for rule in table_rules(staged.table).rows}
    changed = []
    for result in results:
        covering = [w for w in applicable if w.covers(result.rule, result.column)]
        if not covering or result.passed or result.rule in STRUCTURAL_RULES:
            changed.append(result)
            continue
        # The widest counts, whenever it was granted: one for a few rows takes nothing from it.
        waiver = max(covering, key=lambda w: (not w.row_numbers, w.effect == "let_in"))
        said = "; ".join(part for part in (result.reason, waiver.describe()) if part)
        partly = bool(waiver.row_numbers) or waiver.effect == "leave_out"
        aside = result.rule in rows and (partly or is_structural(staged.table, result.rule))
        lifted = not waiver.row_numbers or result.severity != "stop"
        level = ("quarantine" if aside else "warn") if lifted else result.severity
        changed.append(replace(result, severity=level, reason=said))
    return tuple(changed)


def list_waivable(table: str) -> Mapping[str, bool]:
    """The rules that can be waived, by name: whether a waiver can let the rows in too."""
    batch = {rule: True for rule in table_rules(table).batch if rule not in STRUCTURAL_RULES}
    return {**list_row_rules(table), **batch}


def list_row_rules(table: str) -> Mapping[str, bool]:
    """The table's rules about single rows, by name: whether a waiver can let the rows in."""
    return {rule.name: not is_structural(table, rule.name) for rule in table_rules(table).rows}


def is_structural(table: str, rule: str) -> bool:
    """Whether rows that break the rule lack what their table requires."""
    required = {f"{c.name}_present" for c in CONTRACTS[table].columns if not c.nullable}
    return rule in required


def _applicable(waivers: Iterable[Waiver], staged: StagedBatch) -> list[Waiver]:
    return [
        waiver
        for waiver in waivers
        if waiver.batch_name in (None, staged.batch_name)
        and waiver.content_hash in (None, staged.raw.content_hash)
    ]
