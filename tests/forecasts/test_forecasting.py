"""The night's forecasts: one run a night, a note where history is short, mended when killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.archive import find_findings
from tasks.findings import ForecastFindings
from tasks.forecasts.forecasting import forecast_all
from tasks.forecasts.steps import describe_forecasts
from tasks.settings import PROJECT, Settings
from tasks.warehouse import Lake
from tests.conftest import MakeSettings
from tests.features.shop import at, order, put, put_random_shop

WINDOW, HORIZON = 40, 20


@pytest.fixture
def quick(lake: Lake, make_settings: MakeSettings) -> Settings:
    return make_settings(
        lake.deployment,
        features={"activity_window_days": WINDOW, "horizon_days": HORIZON},
        forecasts={"origins": 2, "ahead_weeks": 3, "maximum_segments": 1},
    )


def test_a_night_is_one_run_and_reads_back(lake: Lake, quick: Settings) -> None:
    put_random_shop(lake, 80, 300)
    found, is_new = forecast_all(lake, at(280), at(281), quick)
    assert is_new
    assert [one.measure for one in found.series] == ["churn_rate", "active_customers", "revenue"]
    assert find_findings(lake, ForecastFindings, as_of=at(280)) == found
    assert forecast_all(lake, at(280), at(281), quick) == (found, False)
    assert lake.scalar("select count(*) from lake.ledger.findings") == 1
    for one in found.series:
        moments = [moment for moment, *_ in (*one.history, *one.forecast)]
        assert moments == sorted(set(moments))
        assert all(low <= mean <= high for _, mean, low, high in one.forecast)
        assert one.contest.served_figure == one.errors[one.contest.served]
        if one.measure == "churn_rate":
            assert all(low >= 0 and high <= 1 for *_, low, high in one.forecast)
    assert "No segments" in found.notes[0].en
    assert "Intervals are meant to hold 90%" in found.notes[-1].en
    assert "churn_rate" in describe_forecasts(found)


@pytest.mark.parametrize("days", [1, 30, 100])
def test_a_short_history_is_a_note(lake: Lake, quick: Settings, days: int) -> None:
    put(lake, "orders", [order("ann", 0), order("ann", days - 1)])
    found, _ = forecast_all(lake, at(days), at(days), quick)
    assert found.series == ()
    notes = [note.en for note in found.notes]
    assert sum("No forecast of the" in note for note in notes) == 3
    assert all("16 are needed" in note for note in notes[1:])


@pytest.mark.parametrize(("least", "may_be_negative"), [(10, False), (-40, True)])
def test_revenue_is_told_negative_only_where_it_was(
    lake: Lake, quick: Settings, least: int, may_be_negative: bool
) -> None:
    # Everybody orders every fourth week: an interval about that is wider than what is told.
    put(lake, "orders", [order("ann", day, 10 if day % 56 else least) for day in range(0, 300, 28)])
    found, _ = forecast_all(lake, at(295), at(295), quick)
    revenue = next(one for one in found.series if one.measure == "revenue")
    assert any(low < 0 for *_, low, _ in revenue.forecast) == may_be_negative


def test_one_customer_with_a_long_history(lake: Lake, quick: Settings) -> None:
    put(lake, "orders", [order("ann", day, 10) for day in range(0, 300, 10)])
    found, _ = forecast_all(lake, at(295), at(295), quick)
    base = next(one for one in found.series if one.measure == "active_customers")
    assert base.contest.served == "naive"
    assert {mean for _, mean, *_ in base.forecast} == {1.0}


def test_a_static_set_has_no_forecasts_and_says_so(lake: Lake, make_settings: MakeSettings) -> None:
    settings = make_settings(lake.deployment, features={"outcome": "given"})
    found, _ = forecast_all(lake, at(10), at(10), settings)
    assert found.series == ()
    assert "not to order any more" in found.notes[0].en


TELLER = """
import sys
from datetime import timedelta
from pathlib import Path
from tasks.forecasts.forecasting import forecast_all
from tasks.settings import load_settings
from tasks.warehouse import open_lake
from tests.features.shop import at

overlay, home = sys.argv[1:]
settings = load_settings(overlay, home=Path(home))
with open_lake(settings) as lake:
    forecast_all(lake, at(30), at(30), settings)
"""


@pytest.mark.faults
@pytest.mark.parametrize("point", ["forecasts.before_publish", "forecasts.published"])
def test_a_killed_night_is_mended_by_the_next(
    lake: Lake, settings: Settings, tmp_path: Path, point: str
) -> None:
    put(lake, "orders", [order("ann", 0), order("bob", 20)])
    overlay = tmp_path / f"{settings.deployment}.yaml"
    overlay.write_text(f"deployment: {settings.deployment}\n")
    done = subprocess.run(
        [sys.executable, "-c", TELLER, str(overlay), str(settings.home)],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "HOLDFAST_CRASH_AT": point},
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    found, is_new = forecast_all(lake, at(30), at(30), settings)
    assert is_new is (point == "forecasts.before_publish")
    assert found.series == ()
    assert lake.scalar("select count(*) from lake.ledger.findings") == 1
