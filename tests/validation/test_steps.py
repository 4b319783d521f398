"""The steps as a flow calls them: what is attached to the run, and what stops it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.errors import DataRejected
from tasks.handles import FeatureTable
from tasks.settings import Settings
from tasks.validation.report import escape_markdown
from tasks.validation.steps import validate_batch, validate_features, validate_scores
from tasks.warehouse import open_lake
from tests.validation.drawing import fill

pytestmark = pytest.mark.sql

Attached = list[tuple[str, str]]


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> Attached:
    found: Attached = []
    monkeypatch.setattr(
        "tasks.validation.steps.publish_markdown",
        lambda key, markdown, description="": found.append((key, markdown)),
    )
    return found


def test_a_stopped_batch_leaves_its_report_with_the_run(
    tmp_path: Path, make_settings: Callable[..., Settings], attached: Attached
) -> None:
    settings = make_settings()
    with open_lake(settings) as lake:
        clean = validate_batch(lake, fill(tmp_path, "orders", 60), settings)
        assert (clean.outcome, attached) == ("accepted", [])
        mixed = "case when n % 2 = 0 then 'EUR' else 'GBP' end"
        staged = fill(tmp_path, "orders", 60, name="orders/2024-03", currency=mixed)
        stopped = validate_batch(lake, staged, settings)
    assert stopped.outcome == "stopped"
    [(key, markdown)] = attached
    assert key == "validation orders/2024-03"
    for part in (
        "one&#95;currency",
        "at most 1 &#40;stop&#41;",
        "Received 60 rows",
        escape_markdown(f"holdfast -d {settings.called} quarantine show"),
        "The champion still serves.",
    ):
        assert part in markdown


def test_features_that_break_a_rule_stop_the_run(
    make_settings: Callable[..., Settings], attached: Attached
) -> None:
    settings = make_settings()
    moment = datetime(2024, 3, 1, tzinfo=UTC)
    names = ("recency_days", "gap_median_days")
    table = FeatureTable("drawn", (moment,), (moment,), 1, "0" * 64, 20, names, False)
    with open_lake(settings) as lake:
        for least, kept in ((1, True), (-3, False)):
            lake.execute(
                "create or replace table lake.main.drawn as"
                " select 'c' || n as customer_id, timestamptz '2024-03-01 00:00:00+00' as as_of,"
                f" n + {least} as recency_days, null::double as gap_median_days"
                " from range(20) as numbers(n)"
            )
            if kept:
                validate_features(lake, table, settings)
                continue
            with pytest.raises(DataRejected, match="1 of") as caught:
                validate_features(lake, table, settings)
    assert caught.value.exit_code == 65
    assert "range recency_days: 3 of 20 rows (15.0%)" in str(caught.value)
    assert "range" in attached[-1][1]


def test_scores_that_break_a_rule_stop_the_run(settings: Settings, attached: Attached) -> None:
    scores = pa.table(
        {
            "customer_id": ["a", "b"],
            "probability": [0.5, 0.5],
            "percentile": [100.0, 50.0],
            "rank": [1, 2],
            "reason_1": ["x", "y"],
        }
    )
    with pytest.raises(DataRejected, match="The scores are refused"):
        validate_scores(scores, settings)
    assert "distinct&#95;values" in attached[-1][1]
