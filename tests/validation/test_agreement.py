"""Great Expectations and our split must count the same rows, or neither is believed (exit 70)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import ConfigurationError, InternalError
from tasks.settings import Settings
from tasks.validation import judging, rules
from tasks.validation.engine import build_suite, judge
from tasks.validation.history import NoHistory
from tasks.validation.judging import validate
from tests.validation.drawing import draw, fill

pytestmark = pytest.mark.sql

NOW = datetime(2024, 4, 1, tzinfo=UTC)
WithRules = Callable[..., Settings]
Bounds = Mapping[str, Mapping[str, Any]]


@pytest.mark.parametrize("table", sorted(rules.CATALOGUE))
def test_each_rule_has_its_expectation_and_each_bound_its_line(
    tmp_path: Path, settings: Settings, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    # `judge` refuses a rule without a result, `suite` a bound without an expectation.
    verdict = validate(fill(tmp_path, table, 60), NoHistory(), settings, now=NOW)
    assert {rule.name for rule in rules.CATALOGUE[table].rows} - {"product_code"} <= {
        result.rule for result in verdict.results
    }
    assert verdict.outcome == "accepted"
    # Nor does Great Expectations tell of its temporary folders, a line a batch.
    assert [one.message for one in caplog.records if one.name.startswith("great_exp")] == []


def test_a_count_that_differs_on_the_side_of_great_expectations(
    tmp_path: Path, settings: Settings
) -> None:
    def sabotaged(table: str, bounds: Bounds) -> Any:
        wrong = {**bounds, "net_amount_in_range": {"minimum": 12, "maximum": 1_000_000}}
        return build_suite(table, wrong)

    staged = fill(tmp_path, "orders", 70)
    with pytest.raises(InternalError) as caught:
        validate(staged, NoHistory(), settings, now=NOW, suite_of=sabotaged)
    assert caught.value.exit_code == 70
    assert "rule 'net_amount_in_range'" in str(caught.value)
    assert "Great Expectations says 20, our split says 0" in str(caught.value)
    assert list(tmp_path.glob("*.rejects*")) == []


def test_a_count_that_differs_on_our_side(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = rules.CATALOGUE["orders"]
    forgetful = tuple(
        replace(rule, broken="false") if rule.name == "price_not_negative" else rule
        for rule in entry.rows
    )
    monkeypatch.setitem(rules.CATALOGUE, "orders", replace(entry, rows=forgetful))
    staged = draw(tmp_path, "orders", "net_amount\n10\n-5\n10")
    with pytest.raises(InternalError, match="Great Expectations says 1, our split says 0"):
        validate(staged, NoHistory(), settings, now=NOW)


def test_a_verdict_on_the_whole_batch_that_differs(tmp_path: Path, settings: Settings) -> None:
    def sabotaged(table: str, bounds: Bounds) -> Any:
        return build_suite(table, {**bounds, "rows": {"minimum": 1000}})

    with pytest.raises(InternalError, match="rule 'rows'"):
        validate(fill(tmp_path, "orders", 60), NoHistory(), settings, now=NOW, suite_of=sabotaged)


def test_a_quantile_that_is_hardly_out_of_its_range(tmp_path: Path, with_rules: WithRules) -> None:
    # Great Expectations' own comparison lets a ten-thousandth pass, and would contradict us.
    settings = with_rules(batch={"median": {"columns": {"net_amount": {"stop_above": 9.9995}}}})
    verdict = validate(
        fill(tmp_path, "orders", 60, net_amount="10"), NoHistory(), settings, now=NOW
    )
    assert verdict.outcome == "stopped"
    assert [r.rule for r in verdict.results if not r.passed] == ["median"]


def test_rows_that_are_not_those_delivered(tmp_path: Path, settings: Settings) -> None:
    staged = replace(fill(tmp_path, "orders", 60), received_rows=61)
    with pytest.raises(InternalError, match="holds 60 rows, its delivery 61"):
        validate(staged, NoHistory(), settings, now=NOW)


def test_an_expectation_of_unknown_type_is_noticed(tmp_path: Path) -> None:
    from great_expectations import ExpectationSuite

    staged = fill(tmp_path, "orders", 60)
    known = {
        "type": "expect_table_row_count_to_be_between",
        "kwargs": {"min_value": 1},
        "meta": {"rule": "rows"},
    }
    unknown = {
        "type": "expect_column_values_to_be_nice",
        "kwargs": {"column": "net_amount"},
        "meta": {"rule": "nice"},
    }
    # Great Expectations drops it with no more than a line in its log.
    suite = ExpectationSuite(name="drawn", expectations=[known, unknown])
    assert len(suite.expectations) == 1
    with pytest.raises(InternalError, match="without a result: nice"):
        judge(suite, staged.staged_path, ["rows", "nice"])


def test_an_expectation_that_cannot_be_computed_is_a_broken_check_not_bad_data(
    tmp_path: Path,
) -> None:
    import great_expectations.expectations as gxe
    from great_expectations import ExpectationSuite

    staged = fill(tmp_path, "orders", 60)
    lost = gxe.ExpectColumnValuesToNotBeNull(column="no_such_column", meta={"rule": "lost"})
    suite = ExpectationSuite(name="drawn", expectations=[lost])
    with pytest.raises(InternalError, match="the check is broken, not the data") as caught:
        judge(suite, staged.staged_path, ["lost"])
    assert caught.value.exit_code == 70


def test_a_file_that_is_not_there_is_a_broken_check(tmp_path: Path) -> None:
    suite = build_suite("orders", {"rows": {"minimum": 1}})
    with pytest.raises(InternalError, match="check is broken"):
        judge(suite, tmp_path / "absent.parquet", ["rows"])


def test_a_bound_without_an_expectation_is_noticed() -> None:
    with pytest.raises(InternalError, match="no expectation for net_amount_pretty"):
        build_suite("orders", {"net_amount_pretty": {}})


def test_the_database_of_great_expectations_reads_nothing_else(tmp_path: Path) -> None:
    import great_expectations.expectations as gxe
    from great_expectations import ExpectationSuite

    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    staged = fill(inside, "orders", 60)
    other = fill(outside, "orders", 60)
    query = f"select 1 from {{batch}} where exists (from read_parquet('{other.staged_path}'))"
    peek = gxe.UnexpectedRowsExpectation(unexpected_rows_query=query, meta={"rule": "peek"})
    suite = ExpectationSuite(name="drawn", expectations=[peek])
    with pytest.raises(InternalError, match="Permission Error"):
        judge(suite, staged.staged_path, ["peek"])


def test_threads_do_not_mix_counts(tmp_path: Path, settings: Settings) -> None:
    """A context shared by threads gives wrong counts; each validation has its own."""
    from concurrent.futures import ThreadPoolExecutor

    directories = [tmp_path / str(number) for number in range(6)]
    for directory in directories:
        directory.mkdir()
    batches = [
        fill(
            directory,
            "orders",
            100 + number,
            net_amount=f"case when n < {number} then -1 else 10 end",
        )
        for number, directory in enumerate(directories)
    ]

    def count(number: int) -> int:
        verdict = validate(batches[number], NoHistory(), settings, now=NOW)
        found = [r for r in verdict.results if r.rule == "price_not_negative"]
        return found[0].failed_rows

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(count, range(6))) == list(range(6))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"rows": {"customer_id_presnt": {}}}, "Did you mean 'customer_id_present'"),
        ({"batch": {"volumes": {}}}, "Did you mean 'volume'"),
        ({"batch": {"shift": {"columns": {"net": {}}}}}, "has no column 'net'"),
    ],
)
def test_a_line_without_its_rule(
    with_rules: WithRules, section: dict[str, Any], message: str
) -> None:
    settings = with_rules(section.get("rows"), section.get("batch"))
    with pytest.raises(ConfigurationError, match=message):
        rules.check_settings(settings.validation)


def test_a_table_without_its_rules(with_rules: WithRules) -> None:
    with pytest.raises(ConfigurationError, match="'refunds' is not a setting"):
        rules.check_settings(with_rules(table="refunds").validation)


def test_every_deployment_names_rules_that_exist() -> None:
    from tasks.settings import list_deployments, load_settings

    for deployment in list_deployments():
        rules.check_settings(load_settings(deployment).validation)


def test_rejects_are_whole_or_absent(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(
        "tasks.validation.splitting.crash_point",
        lambda name: seen.append((name, judging.rejects_path(staged.staged_path).exists())),
    )
    staged = draw(tmp_path, "orders", "net_amount\n" + "10\n" * 30 + "-5")
    validate(staged, NoHistory(), settings, now=NOW)
    assert seen == [
        ("validation.before_rejects", False),
        ("validation.after_rejects", False),
        ("validation.after_rename", True),
    ]
    assert not list(tmp_path.glob("*.partial"))
