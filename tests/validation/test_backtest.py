"""Replaying accepted days: which alarm, under which bounds, and which planted faults are caught."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from flows import cli
from tasks.settings import Settings
from tasks.validation.backtest import as_plain, backtest, plant
from tasks.validation.past import PastBatch, rebuild
from tasks.validation.suggestion import learn_bounds, put_in_force
from tasks.warehouse import open_lake
from tests.validation.past_days import draw_past, make_day, remember

START = date(2024, 1, 1)


@pytest.fixture(scope="module")
def chosen(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings()


def steady(days: int, guests: float = 0.0) -> list[PastBatch]:
    """Days like each other: a weekday's worth of difference, a few rows of noise."""
    return [
        make_day(
            number + 1,
            START + timedelta(days=number),
            (100, 96, 104, 99, 130, 160, 60)[number % 7] + number * 7 % 5,
            guests=guests,
        )
        for number in range(days)
    ]


def test_alarms_are_told_rule_by_rule_with_the_batches_that_raised_them(chosen: Settings) -> None:
    past = steady(40) + draw_past(
        """
        day        | rows | amount | missing | guests | currency
        2024-02-10 | 160  | 20     | 0.02    | 0.00   | GBP
        2024-02-11 | 60   | 20     | 0.02    | 0.00   | GBP       # a Sunday: usual
        2024-02-12 | 9    | 20     | 0.02    | 0.00   | GBP       # a tenth of a Monday
        2024-02-13 | 98   | 60     | 0.02    | 0.00   | GBP       # threefold prices: a warning
        2024-02-14 | 104  | 20     | 0.40    | 0.00   | GBP       # categories are missing
        2024-02-15 | 99   | 20     | 0.02    | 0.07   | GBP       # guests, above 5 %
        """
    )
    force, _ = backtest(past, chosen, batches=6)
    assert force.batches == 6
    found = [(a.batch_name, a.rule, a.column, a.level) for a in force.alarms]
    assert found == [
        ("orders/2024-02-12", "volume", "", "stop"),
        ("orders/2024-02-13", "shift", "net_amount", "warn"),
        ("orders/2024-02-14", "null_jump", "category", "stop"),
        ("orders/2024-02-15", "customer_id_present", "customer_id", "stop"),
        ("orders/2024-02-15", "quarantined_share", "", "warn"),
    ]
    assert force.stopped == ["orders/2024-02-12", "orders/2024-02-14", "orders/2024-02-15"]
    assert force.warned == ["orders/2024-02-13"]


def test_proposed_bounds_are_learnt_from_the_batches_before_alone(chosen: Settings) -> None:
    # The last day has guests as no day before: bounds that had seen it would let it pass.
    guests = replace(make_day(61, START + timedelta(days=60), 98, guests=0.3))
    past = [*steady(60, guests=0.1), guests]
    force, proposed = backtest(past, chosen, batches=20)
    assert len(force.stopped) == 20  # a tenth of guests is twice what the defaults allow
    assert proposed.stopped == [guests.batch_name]
    seen = put_in_force(chosen, learn_bounds({"orders": past}, chosen))
    _, cheated = backtest(past, chosen, batches=20, given=seen)
    assert cheated.stopped == []


def test_on_steady_days_nothing_alarms_and_every_planted_fault_is_caught(chosen: Settings) -> None:
    _, proposed = backtest(steady(60), chosen, batches=30)
    assert proposed.alarms == ()
    assert [(c.fault, c.planted, c.stopped) for c in proposed.catches] == [
        ("unit a hundredfold", 30, 30),
        ("a tenth of the rows", 30, 30),
        ("30 points more missing", 30, 30),
        ("another currency", 30, 30),
    ]
    plain = as_plain(proposed)
    assert (plain["batches"], plain["stopped_share"]) == (30, 0.0)
    assert json.loads(json.dumps(plain)) == plain


def test_faults_are_planted_in_the_figures(chosen: Settings) -> None:
    figures = rebuild(make_day(1, START, 100))
    planted = dict(plant(figures, "orders", 0, chosen))
    assert planted["unit a hundredfold"].quantiles["net_amount"][1] == 2000.0
    assert planted["unit a hundredfold"].quantiles["quantity"] == figures.quantiles["quantity"]
    assert planted["a tenth of the rows"].rows == 10
    assert planted["30 points more missing"].null_share("customer_id") == pytest.approx(0.3)
    assert set(planted["another currency"].counts["currency"]) == {"JPY"}
    # Too few rows to show anything.
    assert dict(plant(rebuild(make_day(1, START, 20)), "orders", 0, chosen)) == {}


def test_an_empty_history_has_nothing_to_replay(chosen: Settings) -> None:
    force, proposed = backtest([], chosen)
    assert (force.batches, proposed.batches) == (0, 0)
    assert as_plain(force)["stopped_share"] is None


@pytest.mark.sql
def test_the_commands(
    make_settings: Callable[..., Settings],
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", str(home))
    settings = make_settings()
    with open_lake(settings) as lake:
        remember(lake, steady(40, guests=0.1))

    def holdfast(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(["-d", settings.called, "rules", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    code, out, _ = holdfast("suggest")
    assert code == 0
    assert "validation:\n  tables:\n    orders:\n      rows:\n" in out
    learnt = tmp_path / "learnt.yaml"
    code, out, _ = holdfast("suggest", "--out", str(learnt))
    assert code == 0
    assert "bounds proposed, 0 rules without enough history" in out
    assert f"Next: holdfast -d {settings.called} rules backtest --bounds {learnt}" in out

    code, out, _ = holdfast("backtest", "--batches", "10")
    assert code == 0
    assert "orders: 10 batches replayed" in out
    assert "in force: 10 stopped (100.00 in 100), 0 warned (0.00 in 100)" in out
    assert "proposed: 0 stopped (0.00 in 100), 0 warned (0.00 in 100)" in out
    assert "customer_id_present" in out
    assert "(+5 more)" in out
    assert "Proposed bounds were learnt from the batches before each, anew every 10" in out
    code, out, _ = holdfast("backtest", "--bounds", str(learnt), "--json")
    assert code == 0
    force, proposed = json.loads(out)
    assert (force["bounds"], force["batches"]) == ("in force", 40)
    assert (proposed["bounds"], proposed["stopped"]) == ("proposed", [])

    code, _, err = holdfast("suggest", "--source", "order")
    assert code == 64
    assert "There is no source 'order'." in err
    assert "Did you mean 'orders'?" in err
    code, _, err = holdfast("backtest", "--bounds", str(tmp_path / "none.yaml"))
    assert code == 64
    assert "There is no file" in err
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("validation: {tables: {orders: {batch: {volumes: {stop_above: 2}}}}}")
    code, _, err = holdfast("backtest", "--bounds", str(wrong))
    assert code == 78
    assert "Did you mean 'volume'?" in err
    wrong.write_text("validation: {tables: {orders: {batch: {volume: {stop_abov: 2}}}}}")
    code, _, err = holdfast("backtest", "--bounds", str(wrong))
    assert code == 78
    assert "wrong.yaml" in err
    code, _, err = holdfast("suggest", "--out", str(tmp_path / "no" / "such.yaml"))
    assert code == 73
    assert "cannot be written" in err


@pytest.mark.sql
def test_the_commands_without_a_batch(
    make_settings: Callable[..., Settings],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", str(home))
    called = make_settings().called
    assert cli.run(["-d", called, "rules", "suggest"]) == 0
    assert "# Nothing to propose: no batch has been accepted." in capsys.readouterr().out
    assert cli.run(["-d", called, "rules", "backtest"]) == 0
    assert "No batch has been accepted" in capsys.readouterr().out
