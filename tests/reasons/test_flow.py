"""The flow `explain` on a small shop, from its orders to its findings, and the command's errors."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import yaml

from flows.explain import explain
from flows.explaining import show_reasons
from tasks.archive import find_findings
from tasks.errors import DataRejected
from tasks.findings import ReasonFindings
from tasks.reasons.steps import plan_past
from tasks.registry.champion import promote
from tasks.settings import Settings, load_settings
from tasks.warehouse import open_lake
from tests.conftest import MakeSettings
from tests.features.shop import at, put_random_shop
from tests.registry.models import make_model
from tests.registry.promotions import keep_unregistered, say

NAMES = ("recency_days", "order_days_90", "amount_90", "gap_now_to_median")
CONF = {
    "features": {
        "horizon_days": 30,
        "activity_window_days": 90,
        "cutoffs": 6,
        "minimum_history_days": 60,
        "minimum_customers": 20,
        "minimum_churners": 5,
        "minimum_stayers": 5,
        "leak_sample_customers": 50,
    },
    "reasons": {"refits": 3, "resamples": 100, "survival_customers": 20},
    # Nobody listens there: the findings must be published all the same.
    "tracking": {"uri": "http://127.0.0.1:9"},
}


def open_shop(tmp_path: Path, home: Path, name: str, customers: int) -> tuple[Path, Settings]:
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"deployment": name, **CONF}), encoding="utf-8")
    settings = load_settings(path, home=home)
    with open_lake(settings) as lake:
        put_random_shop(lake, customers, 420, gap_days=12)
        champion = make_model(tmp_path / "champion", names=NAMES)
        promote(lake, keep_unregistered(lake, champion, 1), say("promote"), None)
    return path, settings


def test_the_flow_explains_a_shop(
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", str(home))
    path, settings = open_shop(tmp_path, home, "explained_shop", 250)
    with caplog.at_level(logging.WARNING, "holdfast.reasons"):
        found = explain.fn(path)
    assert any("could not be shown in MLflow" in one.message for one in caplog.records)
    total = found.explained_customers + found.unstable_customers
    assert total > 100
    assert found.refits == 3
    assert {one.driver for one in found.drivers} == {"cadence", "spend"}
    assert found.survival[0].segment_id is None
    assert found.survival[0].points[-1][1] < 1
    assert found.lead_time is not None
    assert found.lead_time.lapsed_customers > 20
    assert found.journey
    with open_lake(settings) as lake:
        assert find_findings(lake, ReasonFindings) == found
        assert lake.scalar("select count(*) from lake.main.customer_reasons") == total
    show_reasons(found)
    shown = capsys.readouterr().out
    assert "association" in shown
    assert "Lead time" in shown
    # The same night again finds itself done.
    assert explain.fn(path) == found


def test_before_the_first_training_there_is_nothing_to_explain(
    make_settings: MakeSettings, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", str(home))
    settings = make_settings()
    with pytest.raises(DataRejected, match="no champion"):
        explain.fn(Path(settings.called))


def test_ten_customers_are_a_clear_stop(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", str(home))
    path, _ = open_shop(tmp_path, home, "tiny_shop", 10)
    with pytest.raises(DataRejected, match="not enough to learn from") as stop:
        explain.fn(path)
    assert stop.value.exit_code == 65
    assert stop.value.next_step


def test_cutoffs_since_the_last_outcome_are_watched_too(settings: Settings) -> None:
    features = settings.features.model_copy(update={"horizon_days": 90, "cutoff_step_days": 30})
    matured = (at(0), at(30))
    assert plan_past(matured, at(120), features) == (at(0), at(30), at(60), at(90))
    given = features.model_copy(update={"outcome": "given"})
    assert plan_past((at(120),), at(120), given) == (at(120),)
    assert plan_past((), at(120), features) == ()
