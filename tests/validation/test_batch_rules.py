"""Rules about a batch as a whole, beside absolute limits and the batches before it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.incidents.causes import cause_of_stop, causes_of_held
from tasks.settings import Settings
from tasks.validation.history import CustomersKnown, NoHistory
from tasks.validation.judging import validate
from tests.validation.drawing import DrawnHistory, draw, failed, fill, measured, rejected, result

pytestmark = pytest.mark.sql

NOW = datetime(2024, 4, 1, tzinfo=UTC)
WithRules = Callable[..., Settings]


def usual(directory: Path, rows: int = 200, **columns: str) -> DrawnHistory:
    """Three months like each other."""
    return DrawnHistory(
        *(
            measured(fill(directory, "orders", rows + 3 * month, name=f"orders/{month}", **columns))
            for month in range(3)
        )
    )


def test_the_first_batches_say_that_there_is_not_enough_history(
    tmp_path: Path, settings: Settings
) -> None:
    first = fill(tmp_path, "orders", 100, name="orders/1")
    verdict = validate(first, NoHistory(), settings, now=NOW)
    assert verdict.outcome == "accepted"
    volume = result(verdict, "volume")
    assert volume.passed
    assert volume.reason == "not enough history: 0 of 3 batches"
    assert "volume: not enough history: 0 of 3 batches" in verdict.notes
    assert "shift net_amount: not enough history: 0 of 3 batches" in verdict.notes
    second = validate(
        fill(tmp_path, "orders", 1000, name="orders/2"),
        DrawnHistory(verdict.statistics),
        settings,
        now=NOW,
    )
    assert result(second, "volume").reason == "not enough history: 1 of 3 batches"


@pytest.mark.parametrize(
    ("rows", "severity", "passed"),
    [
        (200, "stop", True),
        (90, "warn", False),
        (450, "warn", False),
        (19, "stop", False),
        (2100, "stop", False),
    ],
)
def test_volume(tmp_path: Path, settings: Settings, rows: int, severity: str, passed: bool) -> None:
    history = usual(tmp_path)
    staged = fill(
        tmp_path,
        "orders",
        rows,
        name="orders/4",
        ordered_at=f"timestamptz '2024-03-15 12:00:00+00' + n * 200 / {rows} * interval 1 minute",
    )
    verdict = validate(staged, history, settings, now=NOW)
    volume = result(verdict, "volume")
    assert (volume.severity, volume.passed) == (severity, passed), volume
    assert verdict.outcome == ("stopped" if severity == "stop" and not passed else "accepted")


def test_a_day_after_months_is_compared_by_rows_a_day(tmp_path: Path, settings: Settings) -> None:
    monthly = "timestamptz '2024-02-01 00:00:00+00' + n % 29 * interval 1 day"
    history = usual(tmp_path, rows=290, ordered_at=monthly)
    daily = fill(tmp_path, "orders", 10, name="orders/4")
    verdict = validate(daily, history, settings, now=NOW)
    assert result(verdict, "volume").passed
    assert "rows a day" in result(verdict, "volume").observed
    # That it covers less time than usual is said, and stops nothing.
    assert verdict.outcome == "accepted"


def test_dates_read_the_wrong_way_round_cover_too_much_time(
    tmp_path: Path, settings: Settings
) -> None:
    days = "timestamptz '2023-05-01 00:00:00+00' + n % 12 * interval 1 day"
    history = usual(tmp_path, ordered_at=days)
    # 01/05 .. 12/05 read as 5 January .. 5 December.
    months = "timestamptz '2023-01-05 00:00:00+00' + n % 12 * interval 30 day"
    staged = fill(tmp_path, "orders", 200, name="orders/4", ordered_at=months)
    verdict = validate(staged, history, settings, now=NOW)
    assert verdict.outcome == "stopped"
    assert failed(verdict, "stop") == {"time_span"}


def test_missing_values_above_their_ceiling(tmp_path: Path, with_rules: WithRules) -> None:
    settings = with_rules(batch={"null_share": {"columns": {"category": {"stop_above": 0.5}}}})
    for share, outcome in ((2, "accepted"), (4, "stopped")):
        category = f"case when n % 10 < {share * 2} then null else 'x' end"
        staged = fill(tmp_path, "orders", 100, category=category)
        verdict = validate(staged, NoHistory(), settings, now=NOW)
        assert verdict.outcome == outcome
        found = result(verdict, "null_share", "category")
        assert (found.failed_rows, found.checked_rows) == (share * 20, 100)


def test_missing_values_that_jump(tmp_path: Path, settings: Settings) -> None:
    history = usual(tmp_path, category="'x'")
    for share, level in ((1, "warn"), (4, "stop")):
        category = f"case when n % 10 < {share} then null else 'x' end"
        staged = fill(tmp_path, "orders", 200, name="orders/4", category=category)
        verdict = validate(staged, history, settings, now=NOW)
        found = result(verdict, "null_jump", "category")
        assert (found.severity, found.passed) == (level, False)
        assert found.observed == f"{share}0.0% missing, usually 0.0%"
        assert verdict.outcome == ("stopped" if level == "stop" else "accepted")


@pytest.mark.parametrize(
    ("column", "factor"),
    [
        ("net_amount", "100"),
        ("net_amount", "1000"),
        ("net_amount", "0.01"),
        ("net_amount", "0.001"),
        ("quantity", "100"),
    ],
)
def test_another_unit_stops_the_batch(
    tmp_path: Path, with_rules: WithRules, column: str, factor: str
) -> None:
    settings = with_rules(
        {rule: {"severity": "off"} for rule in ("net_amount_in_range", "quantity_in_range")}
    )
    spread = "(exp((n * 37 % 101) / 30.0) * 10)::decimal(18, 4)"
    history = usual(tmp_path, **{column: spread})
    staged = fill(tmp_path, "orders", 200, name="orders/4", **{column: f"{spread} * {factor}"})
    verdict = validate(staged, history, settings, now=NOW)
    assert verdict.outcome == "stopped"
    assert failed(verdict, "stop") == {"shift"}
    assert "looks like" in result(verdict, "shift", column).observed
    assert float(result(verdict, "shift", column).observed.split()[2].rstrip(":")) == pytest.approx(
        float(factor), rel=0.1
    )


def test_a_rise_of_a_fifth_passes(tmp_path: Path, settings: Settings) -> None:
    spread = "(exp((n * 37 % 101) / 30.0) * 10)::decimal(18, 4)"
    history = usual(tmp_path, net_amount=spread)
    staged = fill(tmp_path, "orders", 200, name="orders/4", net_amount=f"{spread} * 1.2")
    verdict = validate(staged, history, settings, now=NOW)
    assert failed(verdict) == set()
    assert "shift" in {r.rule for r in verdict.results if r.passed and r.observed}


def test_a_third_of_the_rows_in_cents_is_seen_in_the_upper_end(
    tmp_path: Path, settings: Settings
) -> None:
    history = usual(tmp_path)
    mixed = "(10 + n % 7) * case when n % 3 = 0 then 100 else 1 end"
    staged = fill(tmp_path, "orders", 200, name="orders/4", net_amount=mixed)
    verdict = validate(staged, history, settings, now=NOW)
    assert failed(verdict, "stop") == {"shift"}


def test_an_absolute_range_of_the_median_holds_from_the_first_batch(
    tmp_path: Path, with_rules: WithRules
) -> None:
    limits = {"columns": {"net_amount": {"stop_below": 1, "stop_above": 100}}}
    settings = with_rules(batch={"median": limits})
    for factor, outcome in ((1, "accepted"), (100, "stopped")):
        staged = fill(tmp_path, "orders", 100, net_amount=f"(10 + n % 7) * {factor}")
        verdict = validate(staged, NoHistory(), settings, now=NOW)
        assert verdict.outcome == outcome
        assert result(verdict, "shift", "net_amount").reason.startswith("not enough history")


def test_new_categories(tmp_path: Path, settings: Settings) -> None:
    history = usual(tmp_path, channel="case when n % 2 = 0 then 'web' else 'shop' end")
    warned = fill(
        tmp_path,
        "orders",
        200,
        name="orders/4",
        channel="case when n < 10 then 'app' else 'web' end",
    )
    verdict = validate(warned, history, settings, now=NOW)
    found = result(verdict, "new_category", "channel")
    assert (found.severity, found.failed_rows, found.passed) == ("warn", 10, False)
    assert verdict.outcome == "accepted"
    replaced = fill(tmp_path, "orders", 200, name="orders/4", channel="'WEB'")
    verdict = validate(replaced, history, settings, now=NOW)
    assert failed(verdict, "stop") == {"new_category", "category_mix"}


def test_categories_that_change_places(tmp_path: Path, settings: Settings) -> None:
    history = usual(tmp_path, channel="case when n % 20 = 0 then 'web' else 'shop' end")
    staged = fill(
        tmp_path,
        "orders",
        200,
        name="orders/4",
        channel="case when n % 20 = 0 then 'shop' else 'web' end",
    )
    verdict = validate(staged, history, settings, now=NOW)
    moved = result(verdict, "category_mix", "channel")
    assert (moved.severity, moved.passed) == ("stop", False)
    assert moved.observed.startswith("89.7%")


def test_a_mix_of_currencies_stops(tmp_path: Path, settings: Settings) -> None:
    staged = fill(tmp_path, "orders", 100, currency="case when n = 0 then 'EUR' else 'GBP' end")
    verdict = validate(staged, NoHistory(), settings, now=NOW)
    assert failed(verdict, "stop") == {"one_currency"}
    assert result(verdict, "one_currency").observed == "2 currencies: EUR, GBP"


def test_another_currency_than_before_stops(tmp_path: Path, settings: Settings) -> None:
    history = usual(tmp_path)
    staged = fill(tmp_path, "orders", 200, name="orders/4", currency="'JPY'")
    verdict = validate(staged, history, settings, now=NOW)
    assert ("new_category", "currency") in {
        (r.rule, r.column) for r in verdict.results if not r.passed and r.severity == "stop"
    }


def test_freshness_by_the_clock_of_the_deployment(tmp_path: Path, with_rules: WithRules) -> None:
    staged = fill(tmp_path, "orders", 50)  # of 15 March 2024
    for clock, history, outcome in (
        ("now", NoHistory(), "accepted"),
        ("data", DrawnHistory(newest_event_at=datetime(2024, 3, 14, tzinfo=UTC)), "accepted"),
        ("data", DrawnHistory(newest_event_at=datetime(2026, 3, 14, tzinfo=UTC)), "stopped"),
        ("2025-12-31", NoHistory(), "stopped"),
    ):
        settings = with_rules(clock={"as_of": clock})
        verdict = validate(staged, history, settings, now=NOW)
        assert verdict.outcome == outcome, clock
        if outcome == "stopped":
            assert failed(verdict, "stop") == {"freshness"}
    late = validate(
        staged, NoHistory(), with_rules(clock={"as_of": "now"}), now=NOW + timedelta(90)
    )
    assert result(late, "freshness").severity == "warn"
    assert late.outcome == "accepted"


def test_history_that_is_filled_in_is_as_old_as_it_is(
    tmp_path: Path, with_rules: WithRules
) -> None:
    staged = fill(tmp_path, "orders", 50, known_basis="declared")
    settings = with_rules(clock={"as_of": "now"})
    verdict = validate(staged, NoHistory(), settings, now=NOW + timedelta(days=4000))
    assert result(verdict, "freshness").passed


def test_rows_published_before(tmp_path: Path, settings: Settings) -> None:
    staged = fill(tmp_path, "orders", 100)
    few = DrawnHistory(published=pa.table({"row_number": pa.array([2, 3], pa.int64())}))
    verdict = validate(staged, few, settings, now=NOW)
    assert verdict.outcome == "accepted"
    assert rejected(verdict) == {2: ["published_before"], 3: ["published_before"]}
    many = DrawnHistory(published=pa.table({"row_number": pa.array(range(2, 60), pa.int64())}))
    verdict = validate(staged, many, settings, now=NOW)
    assert failed(verdict, "stop") == {"published_before", "quarantined_share"}


def test_records_of_ids_that_were_anothers_are_set_aside(
    tmp_path: Path, settings: Settings
) -> None:
    staged = fill(tmp_path, "customers", 100)
    few = DrawnHistory(reused=pa.table({"row_number": pa.array([2, 3], pa.int64())}))
    verdict = validate(staged, few, settings, now=NOW)
    assert (verdict.outcome, verdict.accepted_rows) == ("accepted", 98)
    assert rejected(verdict) == {2: ["customer_reused"], 3: ["customer_reused"]}
    found = result(verdict, "customer_reused")
    assert found.reason == "the id had been another's: they begin long after it was last heard of"
    [cause] = causes_of_held("customers", verdict.results)
    assert (cause.code, cause.key) == ("ID_REUSE", "customers|held|customer_reused")
    assert cause.headline == "customer_id customer_reused: 2 of 100 rows (2.0%)"
    many = DrawnHistory(reused=pa.table({"row_number": pa.array(range(2, 10), pa.int64())}))
    verdict = validate(staged, many, settings, now=NOW)
    assert failed(verdict, "stop") == {"customer_reused"}
    assert cause_of_stop("customers", verdict.results).code == "ID_REUSE"
    nothing = validate(staged, NoHistory(), settings, now=NOW)
    assert result(nothing, "customer_reused").reason == "nothing published to compare with"


def test_customers_that_nobody_knows(tmp_path: Path, settings: Settings) -> None:
    staged = fill(tmp_path, "tickets", 100)
    for known, level in ((90, ""), (30, "warn"), (1, "stop")):
        history = DrawnHistory(customers=CustomersKnown(100, known))
        verdict = validate(staged, history, settings, now=NOW)
        found = result(verdict, "customers_known")
        assert found.passed == (level == "")
        assert level in ("", found.severity)
        assert found.observed == f"{known} of 100 customers known ({known}.0%)"
    verdict = validate(staged, NoHistory(), settings, now=NOW)
    assert result(verdict, "customers_known").reason == "nobody is known yet"


@pytest.mark.parametrize(
    ("churned", "outcome"),
    [("n % 4 = 0", "accepted"), ("n % 4 <> 0", "stopped"), ("false", "stopped")],
)
def test_the_base_rate_of_a_label(
    tmp_path: Path, settings: Settings, churned: str, outcome: str
) -> None:
    staged = fill(tmp_path, "labelled", 400, churned=churned)
    verdict = validate(staged, NoHistory(), settings, now=NOW)
    assert verdict.outcome == outcome
    assert failed(verdict, "stop") == (set() if outcome == "accepted" else {"base_rate"})


def test_too_many_rows_set_aside_stop_the_batch(tmp_path: Path, settings: Settings) -> None:
    # Three rules, each below its own ceiling; together a ninth of the batch.
    staged = fill(
        tmp_path,
        "orders",
        100,
        customer_id="case when n < 4 then null else 'c' || n end",
        order_id="case when n between 4 and 7 then null else 'o' || n end",
        net_amount="case when n between 8 and 11 then -1 else 10 + n % 7 end",
    )
    verdict = validate(staged, NoHistory(), settings, now=NOW)
    assert failed(verdict, "stop") == {"quarantined_share"}
    assert result(verdict, "quarantined_share").observed == "12.0% set aside"


def test_mapped_columns_that_are_empty(tmp_path: Path, with_rules: WithRules) -> None:
    """A column that the source fills is expected to be filled; one that it lacks is not."""
    source = {
        "kind": "files",
        "table": "orders",
        "folder": str(tmp_path),
        "pattern": "*.csv",
        "time_zone": "UTC",
        "columns": {"a": "text", "t": "timestamp", "n": "number"},
        "map": {
            "customer_id": "a",
            "order_id": "a",
            "ordered_at": "t",
            "quantity": "n",
            "net_amount": "n",
            "currency": "a",
            "is_return": "false",
            "category": "a",
            "line_id": "NULL",
        },
    }
    settings = with_rules(intake={"sources": {"orders": source}})
    verdict = validate(fill(tmp_path, "orders", 100), NoHistory(), settings, now=NOW)
    assert failed(verdict, "stop") == {"null_share"}
    assert not result(verdict, "null_share", "category").passed


def test_an_empty_batch_breaks_no_rule_and_is_refused(tmp_path: Path, settings: Settings) -> None:
    staged = draw(tmp_path, "orders", "customer_id | net_amount")
    verdict = validate(staged, NoHistory(), settings, now=NOW)
    assert verdict.outcome == "stopped"
    assert failed(verdict) == {"rows"}


def test_the_statistics_of_an_accepted_batch(tmp_path: Path, settings: Settings) -> None:
    staged = fill(
        tmp_path,
        "orders",
        100,
        channel="case when n % 4 = 0 then null when n % 4 = 1 then 'shop' else 'web' end",
        category="repeat('a', 101)",
        net_amount="case when n < 50 then -1 else n end",
        is_return="n < 50",
        quantity="case when n < 50 then -1 else 1 end",
    )
    verdict = validate(staged, NoHistory(), settings, now=NOW)
    found = {(s.column, s.statistic): s.value for s in verdict.statistics}
    assert found["", "rows"] == 100
    assert found["", "active_days"] == 1
    assert found["channel", "null_share"] == 0.25
    assert found["channel", "share:web"] == pytest.approx(2 / 3)
    assert found["net_amount", "positive_values"] == 50
    assert found["net_amount", "q50"] == 74
    # Free text is no category and may say something of a person.
    assert not [key for key in found if key[0] == "category" and key[1].startswith("share:")]
