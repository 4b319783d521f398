"""The catalogue: which rules a table has, and the SQL that says which rows break them.

The numbers are in `conf/` (`ValidationSettings`); the expectations of `expectations/` say the same
rules once more in Great Expectations' words. Neither is derived from the other: that their counts
agree is what makes a count worth believing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tasks.contracts import CONTRACTS, Contract
from tasks.errors import ConfigurationError, InternalError, suggest
from tasks.sections import (
    BatchRuleSettings,
    RowRuleSettings,
    TableRulesSettings,
    ValidationSettings,
)
from tasks.warehouse import quote

# White space, no-break space, zero-width space, as RE2 writes them.
_BLANK = r"[\s\x{00A0}\x{200B}]*"

# What staging adds to the columns of the contract.
STAGED_COLUMNS = {"row_number": "BIGINT", "raw_line": "VARCHAR", "received_at": "TIMESTAMPTZ"}

ROW_REPEATED = "row_repeated"
PUBLISHED_BEFORE = "published_before"
CUSTOMER_REUSED = "customer_reused"
# Rules that compare with the lake, which Great Expectations cannot see: history finds their rows.
LAKE_RULES = frozenset({PUBLISHED_BEFORE, CUSTOMER_REUSED})


@dataclass(frozen=True, slots=True)
class RowRule:
    """A rule about single rows: `broken` is SQL, true for a row that breaks it.

    `distinct` instead of `broken` is for rules that need the other rows: no row repeats an earlier
    one in these columns, rows with a NULL in one of `unless_null` apart. `parameters` are the
    settings that `broken` uses, bound as `$<rule>_<parameter>`.
    """

    name: str
    column: str
    reason: str
    broken: str = ""
    distinct: tuple[str, ...] = ()
    unless_null: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableRules:
    """The catalogue's entry of one table.

    `measured` are numeric columns whose distribution is compared, `sorted_into` those whose
    categories are; `identity` are the columns in which a row equals one published before.
    """

    table: str
    rows: tuple[RowRule, ...]
    batch: tuple[str, ...]
    measured: tuple[str, ...] = ()
    sorted_into: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()


def _present(contract: Contract) -> Iterator[RowRule]:
    for column in contract.columns:
        if column.nullable:
            continue
        name, quoted = f"{column.name}_present", quote(column.name)
        if column.type == "VARCHAR":
            broken = f"({quoted} is null or regexp_full_match({quoted}, ${name}_missing))"
            yield RowRule(
                name, column.name, f"{column.name} is missing", broken, parameters=("refused",)
            )
        else:
            yield RowRule(name, column.name, f"{column.name} is missing", f"{quoted} is null")


def missing_pattern(refused: Iterable[str]) -> str:
    """RE2 for a text that says 'missing': blank, or one of the words in any case.

    One match a row: trimming by a set of characters costs ten times as much.
    """
    words = "|".join(re.escape(word) for word in refused)
    return f"(?i){_BLANK}(?:{words})?{_BLANK}" if words else _BLANK


def _plausible(*columns: str) -> Iterator[RowRule]:
    for column in columns:
        name = f"{column}_plausible"
        yield RowRule(
            name,
            column,
            f"{column} lies before the earliest day or in the future",
            f"({quote(column)} < ${name}_earliest or {quote(column)} > ${name}_latest)",
            parameters=("earliest", "latest"),
        )


def _in_range(*columns: str) -> Iterator[RowRule]:
    for column in columns:
        name = f"{column}_in_range"
        yield RowRule(
            name,
            column,
            f"{column} is out of its range",
            f"({quote(column)} < ${name}_minimum or {quote(column)} > ${name}_maximum)",
            parameters=("minimum", "maximum"),
        )


def _in_order(earlier: str, *later: str) -> Iterator[RowRule]:
    for column in later:
        yield RowRule(
            f"{column}_after_{earlier}",
            column,
            f"{column} is before {earlier}",
            f"{quote(column)} < {quote(earlier)}",
        )


def _finite(column: str) -> RowRule:
    return RowRule(
        f"{column}_finite",
        column,
        f"{column} is not a finite number",
        f"(isnan({quote(column)}) or isinf({quote(column)}))",
    )


def _currency() -> RowRule:
    return RowRule(
        "currency_allowed",
        "currency",
        "the currency is not one of this source",
        "case when $currency_allowed_allowed::varchar[] is null"
        " then not regexp_full_match(currency, '[A-Z][A-Z][A-Z]')"
        " else not list_contains($currency_allowed_allowed::varchar[], currency) end",
        parameters=("allowed",),
    )


def _key_repeated(column: str, *with_columns: str) -> RowRule:
    return RowRule(
        f"{column}_repeated",
        column,
        f"{column} stands in an earlier row of the batch",
        distinct=(column, *with_columns),
        unless_null=(column,),
    )


def _duplicates(contract: Contract) -> Iterator[RowRule]:
    yield RowRule(
        ROW_REPEATED,
        "",
        "the row equals an earlier row of the batch",
        distinct=contract.names,
    )
    yield RowRule(
        PUBLISHED_BEFORE,
        "",
        "the same row was published with another batch",
    )


_EVERYWHERE = (
    "rows",
    "columns",
    "quarantined_share",
    "volume",
    "freshness",
    "null_share",
    "null_jump",
)


def _orders() -> TableRules:
    contract = CONTRACTS["orders"]
    return TableRules(
        "orders",
        (
            *_present(contract),
            *_plausible("ordered_at"),
            *_in_range("quantity", "net_amount", "discount_amount"),
            _currency(),
            RowRule(
                "return_sign",
                "is_return",
                "the sign of quantity or amount does not fit a sale or a return",
                "((is_return and (quantity > 0 or net_amount > 0))"
                " or (not is_return and quantity < 0))",
            ),
            RowRule(
                "price_not_negative",
                "net_amount",
                "a sale has a negative amount",
                "(not is_return and net_amount < 0)",
            ),
            RowRule(
                "price_not_zero",
                "net_amount",
                "a sale has an amount of zero",
                "(not is_return and net_amount = 0)",
            ),
            RowRule(
                "product_code",
                "product_id",
                "the product code is none of a product",
                "regexp_full_match(product_id, $product_code_pattern)",
                parameters=("pattern",),
            ),
            *_duplicates(contract),
        ),
        (
            *_EVERYWHERE,
            "time_span",
            "time_shift",
            "shift",
            "median",
            "new_category",
            "category_mix",
            "one_currency",
        ),
        measured=("quantity", "net_amount", "discount_amount"),
        sorted_into=("category", "channel", "currency"),
        identity=(
            "customer_id",
            "order_id",
            "line_id",
            "product_id",
            "ordered_at",
            "quantity",
            "net_amount",
        ),
    )


def _events() -> TableRules:
    contract = CONTRACTS["events"]
    return TableRules(
        "events",
        (
            *_present(contract),
            *_plausible("occurred_at"),
            _finite("value"),
            *_in_range("value"),
            _key_repeated("event_id"),
            *_duplicates(contract),
        ),
        (
            *_EVERYWHERE,
            "time_span",
            "time_shift",
            "shift",
            "median",
            "new_category",
            "category_mix",
            "customers_known",
        ),
        measured=("value",),
        sorted_into=("kind", "channel"),
        identity=contract.names,
    )


def _tickets() -> TableRules:
    contract = CONTRACTS["tickets"]
    return TableRules(
        "tickets",
        (
            *_present(contract),
            *_plausible("opened_at", "closed_at"),
            *_in_order("opened_at", "closed_at"),
            _finite("satisfaction_score"),
            *_in_range("satisfaction_score"),
            _key_repeated("ticket_id"),
            *_duplicates(contract),
        ),
        (
            *_EVERYWHERE,
            "time_span",
            "time_shift",
            "shift",
            "median",
            "new_category",
            "category_mix",
            "customers_known",
        ),
        measured=("satisfaction_score",),
        sorted_into=("topic",),
        identity=contract.names,
    )


def _contacts() -> TableRules:
    contract = CONTRACTS["contacts"]
    return TableRules(
        "contacts",
        (
            *_present(contract),
            *_plausible("contacted_at", *contract.later_times),
            *_in_order("contacted_at", *contract.later_times),
            _key_repeated("contact_id"),
            *_duplicates(contract),
        ),
        (*_EVERYWHERE, "time_span", "new_category", "category_mix", "customers_known"),
        sorted_into=("channel",),
        identity=contract.names,
    )


def _subscriptions() -> TableRules:
    contract = CONTRACTS["subscriptions"]
    return TableRules(
        "subscriptions",
        (
            *_present(contract),
            # An end may be agreed for the future, a beginning that counts may not.
            *_plausible("started_at"),
            *_in_order("started_at", "ended_at"),
            *_in_range("period_amount"),
            _currency(),
            _key_repeated("subscription_id"),
            *_duplicates(contract),
        ),
        (
            *_EVERYWHERE,
            "time_span",
            "shift",
            "median",
            "new_category",
            "category_mix",
            "one_currency",
            "customers_known",
        ),
        measured=("period_amount",),
        sorted_into=("plan", "currency"),
        identity=contract.names,
    )


def _customers() -> TableRules:
    contract = CONTRACTS["customers"]
    return TableRules(
        "customers",
        (
            *_present(contract),
            *_plausible("recorded_at", "registered_at"),
            *_in_order("registered_at", "recorded_at"),
            _key_repeated("customer_id", "recorded_at"),
            *_duplicates(contract),
            # `minimum` are the days for which the id must not have been heard of.
            RowRule(
                CUSTOMER_REUSED,
                "customer_id",
                "the id had been another's: they begin long after it was last heard of",
                parameters=("minimum",),
            ),
        ),
        _EVERYWHERE,
        identity=contract.names,
    )


def _labelled() -> TableRules:
    contract = CONTRACTS["labelled"]
    return TableRules(
        "labelled",
        (
            *_present(contract),
            *_plausible("observed_at"),
            RowRule(
                "numbers_finite",
                "numbers",
                "one of the numbers is not finite",
                "len(list_filter(map_values(numbers), lambda x: isnan(x) or isinf(x))) > 0",
            ),
            *_in_range("period_amount"),
            _currency(),
            _key_repeated("customer_id"),
            *_duplicates(contract),
        ),
        (*_EVERYWHERE, "shift", "median", "one_currency", "base_rate"),
        measured=("period_amount",),
        sorted_into=("currency",),
        identity=contract.names,
    )


CATALOGUE: Mapping[str, TableRules] = {
    rules.table: rules
    for rules in (
        _orders(),
        _events(),
        _tickets(),
        _contacts(),
        _subscriptions(),
        _customers(),
        _labelled(),
    )
}


def table_rules(table: str) -> TableRules:
    """The catalogue's entry of a canonical table."""
    if table not in CATALOGUE:
        raise InternalError(f"No rules are known for the table '{table}'.", available=CATALOGUE)
    return CATALOGUE[table]


def check_settings(settings: ValidationSettings) -> None:
    """Every rule of the catalogue has its line in `conf/`, and every line its rule.

    Raises ConfigurationError (78) naming the first that has not.
    """
    _check_names("validation.tables", settings.tables, CATALOGUE)
    for table, entry in CATALOGUE.items():
        place = f"validation.tables.{table}"
        found = settings.tables[table]
        _check_names(f"{place}.rows", found.rows, [rule.name for rule in entry.rows])
        _check_names(f"{place}.batch", found.batch, entry.batch)
        names = CONTRACTS[table].names
        for rule, limits in found.batch.items():
            for column in limits.columns:
                if column not in names:
                    raise ConfigurationError(
                        f"`{place}.batch.{rule}.columns`: {table} has no column '{column}'.",
                        found=suggest(column, names),
                        available=names,
                    )


def _check_names(place: str, found: object, known: object) -> None:
    names, wanted = list(found), list(known)  # type: ignore[call-overload]
    for name in names:
        if name not in wanted:
            raise ConfigurationError(
                f"'{name}' is not a setting of `{place}`.",
                found=suggest(name, wanted),
                available=sorted(wanted),
            )
    for name in wanted:
        if name not in names:
            raise ConfigurationError(
                f"`{place}` lacks '{name}'.",
                next_step="write it in conf/base/validation.yaml",
            )


def active_rows(table: str, settings: TableRulesSettings) -> list[tuple[RowRule, RowRuleSettings]]:
    """The row rules that are looked at, in the catalogue's order."""
    return [
        (rule, settings.rows[rule.name])
        for rule in table_rules(table).rows
        if settings.rows[rule.name].severity != "off" and _is_bounded(rule, settings)
    ]


def _is_bounded(rule: RowRule, settings: TableRulesSettings) -> bool:
    # A range without ends and a pattern that is not given have nothing to look at.
    chosen = settings.rows[rule.name]
    if "pattern" in rule.parameters:
        return chosen.pattern is not None
    if "minimum" in rule.parameters:
        return chosen.minimum is not None or chosen.maximum is not None
    return True


def active_batch(table: str, settings: TableRulesSettings) -> dict[str, BatchRuleSettings]:
    """The batch rules that are looked at."""
    return {
        name: settings.batch[name]
        for name in table_rules(table).batch
        if settings.batch[name].enabled
    }
