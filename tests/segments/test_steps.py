"""Segments in the lake: found, assigned, published once, found anew, and refused with a reason."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.archive import find_findings
from tasks.errors import DataRejected, LockHeld
from tasks.findings import SegmentFindings
from tasks.segments import steps
from tasks.segments.champion import find_segmented, promote
from tasks.segments.steps import assign_segments, find_segments
from tasks.settings import PROJECT, Settings
from tasks.warehouse import Lake, open_lake
from tests.conftest import MakeSettings
from tests.segments.shops import AS_OF, FEATURES, QUICK, make_features, refuse

pytestmark = pytest.mark.sql


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings(segments=QUICK)


@pytest.fixture
def lake(settings: Settings) -> Iterator[Lake]:
    with open_lake(settings) as opened:
        yield opened


@pytest.fixture(autouse=True)
def without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is down: the ledger must do without it."""
    monkeypatch.setattr(steps, "open_tracker", refuse)


def segment(lake: Lake, **changed: Any) -> SegmentFindings:
    table = make_features(lake, **changed)
    return assign_segments(lake, table, find_segments(lake, table))


def rows(lake: Lake) -> list[dict[str, Any]]:
    return lake.rows("select * from lake.main.customer_segments order by as_of, customer_id")


def test_a_night_puts_everybody_into_a_named_group_and_twice_is_once(lake: Lake) -> None:
    found = segment(lake)
    assert sum(one.customers for one in found.segments) == 600
    assert 5 <= len(found.segments) <= 8
    assert len({one.name.en for one in found.segments}) == len(found.segments)
    assert len({one.name.ko for one in found.segments}) == len(found.segments)
    assert found.contest.served_kind in ("model", "rule")
    assert set(found.measures) >= {"rfm", "value_fifths", "clustering"}
    assert found.moved_from is None
    assert found.movements == ()
    assert all(one.risk_share is None and one.churn_share is not None for one in found.segments)
    assert len(found.notes) == 2  # no scores, no lifetime values
    written = rows(lake)
    assert len(written) == 600
    assert {row["segment_id"] for row in written} == {one.segment_id for one in found.segments}
    names = {one.segment_id: one.name.en for one in found.segments}
    assert all(row["segment_name"] == names[row["segment_id"]] for row in written)
    decisions = lake.rows("select kind, outcome, subject from lake.ledger.decisions")
    promotions = [row for row in decisions if row["kind"] == "promotion"]
    assert [row["subject"] for row in promotions] == [f"{lake.deployment}.segments"]
    version = lake.snapshot()
    table = replace(
        make_features_handle(lake), fingerprint=f"{600:032d}{3:016d}20111209000000000000"[:64]
    )
    again = assign_segments(lake, table, find_segments(lake, table))
    assert again == found
    assert lake.snapshot() == version
    assert rows(lake) == written


def make_features_handle(lake: Lake) -> Any:
    """The handle of the table that `make_features` has made; nothing is written."""
    from tasks.handles import FeatureTable

    cutoffs = tuple(AS_OF - timedelta(days=days) for days in (120, 90, 0))
    return FeatureTable("segment_features", cutoffs, cutoffs, 1, "", 1800, FEATURES, True)


def test_rules_select_in_the_lake_whom_they_say(make_settings: MakeSettings) -> None:
    with open_lake(make_settings(segments={**QUICK, "described_rows": 1000})) as lake:
        _check_rules(lake)


def _check_rules(lake: Lake) -> None:
    found = segment(lake)
    for one in found.segments:
        assert len(one.conditions) <= 5
        counted = lake.one(
            "select count(*) filter (where member) as members,"
            " count(*) filter (where member and chosen) as hits,"
            " count(*) filter (where chosen) as chosen from (select"
            f" coalesce({one.sql}, false) as chosen, segment_id = $id as member"
            " from lake.main.segment_features join lake.main.customer_segments"
            " using (customer_id, as_of))",
            {"id": one.segment_id},
        )
        assert counted["members"] == one.customers
        if counted["chosen"]:
            assert counted["hits"] / counted["chosen"] == pytest.approx(one.precision_share)
            assert counted["hits"] / counted["members"] == pytest.approx(one.recall_share)


def test_risk_and_worth_come_from_what_others_have_published(lake: Lake) -> None:
    table = make_features(lake)
    with lake.writer_lock("test"), lake.publish("test", "scores and values"):
        lake.execute(
            "create table lake.main.scores as select customer_id, as_of, 0.25 as probability,"
            " 2::decimal(18, 4) as money_at_risk_amount, 'old' as scoring_id"
            " from lake.main.segment_features union all select customer_id,"
            " as_of, 0.5, 7, 'new' from lake.main.segment_features;"
            "insert into lake.ledger.exports by name select 'old' as export_id, 'scores.parquet' as"
            " kind, 'x' as path, 'x' as sha256, 1 as rows, timestamptz '2011-12-09' as exported_at"
            " union all select 'new', 'scores.parquet', 'x', 'x', 1, timestamptz '2011-12-10';"
            "insert into lake.main.customer_values by name select customer_id, as_of, as_of as"
            " known_by, 'v' as run_id, 'rule' as method, 90 as horizon_days, 10 as value_amount"
            " from lake.main.segment_features where as_of = timestamptz '2011-12-09';"
            "insert into lake.ledger.findings by name select 'v' as finding_id, 'value' as kind,"
            " timestamptz '2011-12-09' as as_of, now() as recorded_at, '{}'::json as content"
        )
    found = assign_segments(lake, table, find_segments(lake, table))
    assert found.notes == ()
    for one in found.segments:
        assert one.risk_share == 0.5
        assert one.value_amount == Decimal(10 * one.customers)
        assert one.at_risk_amount == Decimal(7 * one.customers)


def test_who_has_left_by_the_newest_cut_off_is_in_no_group(lake: Lake) -> None:
    # A labelled set tells the outcome of the very customers whom it lists.
    table = make_features(lake)
    with lake.writer_lock("test"), lake.publish("test", "outcomes"):
        lake.execute(
            "update lake.main.segment_features set churned = customer_id < 'c000100'"
            " where as_of = timestamptz '2011-12-09 00:00:00+00'"
        )
    found = assign_segments(lake, table, find_segments(lake, table))
    assert sum(one.customers for one in found.segments) == 500
    assert sum(one.customers_share for one in found.segments) == pytest.approx(1)
    assert {row["customer_id"] < "c000100" for row in rows(lake)} == {False}


@pytest.fixture
def clustered(make_settings: MakeSettings) -> Iterator[Lake]:
    """A lake whose deployment serves a clustering even where a rule is a little better."""
    margins = {"stability_margin": -0.5, "usefulness_margin": -0.5}
    with open_lake(make_settings(segments={**QUICK, **margins})) as opened:
        yield opened


@pytest.mark.faults(54)
def test_groups_stay_until_the_refit_and_keep_their_names_then(clustered: Lake) -> None:
    lake = clustered
    first = segment(lake)
    assert first.contest.served_kind == "model"
    second = segment(lake, as_of=AS_OF + timedelta(days=7), seed=4)
    assert second.segmentation_id == first.segmentation_id
    assert second.events == ()
    assert second.moved_from == first.as_of
    assert sum(one.customers for one in second.movements) == 600
    assert "2012-01-06" in second.notes[0].en
    third = segment(lake, as_of=AS_OF + timedelta(days=28), seed=5)
    assert third.segmentation_id != first.segmentation_id
    kept = {one.segment_id for one in third.events if one.event == "kept"}
    names = {one.segment_id: one.name for one in first.segments}
    assert len(kept) >= 4
    assert all(
        one.name == names[one.segment_id] for one in third.segments if one.segment_id in kept
    )
    told = lake.rows("select outcome from lake.ledger.decisions where kind = 'segment'")
    assert len(told) >= len(third.events)
    # A night of the past is assigned by the segments of today, and replaces none.
    segment(lake, as_of=AS_OF - timedelta(days=60), seed=6)
    assert find_segmented(lake).fitted_as_of == third.as_of  # type: ignore[union-attr]


def test_a_person_names_a_segment(lake: Lake, settings: Settings) -> None:
    found = segment(lake)
    one = found.segments[0].segment_id
    named = {one: {"en": "Gold", "ko": "골드"}, "gold": {"en": "Goldd", "ko": "골드드"}}
    changed = settings.model_copy(
        update={
            "segments": type(settings.segments).model_validate(
                {**settings.segments.model_dump(), "names": named}
            )
        }
    )
    with open_lake(changed) as again:
        later = segment(again, as_of=AS_OF + timedelta(days=1), seed=4)
    names = {segment.segment_id: segment.name for segment in later.segments}
    assert (names[one].en, names[one].ko) == ("Gold", "골드")
    assert [event.segment_id for event in later.events if event.event == "renamed"] == [one]
    assert "`segments.names` names what is no segment's id: gold." in [n.en for n in later.notes]


def test_files_that_were_changed_are_not_asked_and_the_groups_are_found_anew(
    clustered: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    lake = clustered
    first = segment(lake)
    before = find_segmented(lake)
    assert before is not None
    (before.directory / "segments.json").write_text("{}")
    second = segment(lake, as_of=AS_OF + timedelta(days=1), seed=4)
    assert "INTEGRITY" in caplog.text
    after = find_segmented(lake)
    assert after is not None
    assert after.decision_id != before.decision_id
    # Matched by what was published last, so the names are the same.
    assert {one.segment_id for one in second.segments} == {one.segment_id for one in first.segments}


def test_of_two_fits_the_second_finds_that_it_came_late(lake: Lake) -> None:
    table = make_features(lake)
    segmented = find_segments(lake, table)
    promotion = steps.Promotion(
        files=segmented.files,
        directory=segmented.directory,
        kind=segmented.kind,
        method="late",
        reason="late",
        fitted_as_of=segmented.fitted_as_of,
        taught_as_of=segmented.taught_as_of,
        contest=segmented.contest,
        measures=segmented.measures,
        events=(),
        used_ids=(),
        snapshot_id=1,
        version=None,
        run_id=None,
    )
    with pytest.raises(LockHeld, match="came first"):
        promote(lake, promotion, None)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"customers": 1}, "1 customers at 2011-09-10"),
        ({"customers": 10}, "10 customers at 2011-09-10"),
        ({"drop": FEATURES[1:]}, "1 of them in the feature table"),
        ({"constant": FEATURES}, "0 not constant"),
        ({"missing": FEATURES}, "0 not constant"),
        ({"constant": FEATURES[1:]}, "1 not constant (recency_days)"),
    ],
)
def test_bad_input_is_refused_with_a_reason(lake: Lake, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(DataRejected) as refused:
        segment(lake, **changed)
    text = " ".join(str(refused.value).split())
    assert said in text or "two features are needed" in text
    assert "Next:" in text
    assert rows(lake) == []
    assert find_segmented(lake) is None


def test_without_rfm_the_fifths_by_value_are_the_rival(lake: Lake) -> None:
    found = segment(lake, drop=("order_days_365", "gap_median_days"))
    assert "rfm" not in found.measures
    assert "value_fifths" in (found.contest.served, found.contest.rival)


def test_the_same_data_give_the_same_bytes(make_settings: MakeSettings) -> None:
    hashes = []
    for _ in range(2):
        with open_lake(make_settings(segments=QUICK)) as lake:
            segment(lake)
            segmented = find_segmented(lake)
            assert segmented is not None
            hashes.append(segmented.model_hash)
    assert hashes[0] == hashes[1]


SEGMENTER = """
import sys
from pathlib import Path
from tasks.segments import steps
from tasks.settings import load_settings
from tasks.warehouse import open_lake
from tests.segments.shops import make_features, refuse

overlay, home = sys.argv[1:]
settings = load_settings(overlay, home=Path(home))
steps.open_tracker = refuse
with open_lake(settings) as lake:
    table = make_features(lake)
    steps.assign_segments(lake, table, steps.find_segments(lake, table))
"""


@pytest.mark.faults
@pytest.mark.parametrize(
    "point",
    [
        "segments.before_promotion",
        "segments.promoted",
        "segments.before_publish",
    ],
)
def test_a_killed_night_is_mended_by_the_next(lake: Lake, settings: Settings, point: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SEGMENTER, settings.called, str(settings.home)],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "HOLDFAST_CRASH_AT": point},
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert rows(lake) == []
    found = segment(lake)
    assert len(rows(lake)) == 600
    assert find_findings(lake, SegmentFindings, as_of=AS_OF) == found
    promotions = lake.rows("select * from lake.ledger.decisions where kind = 'promotion'")
    assert len(promotions) == 1
    segmented = find_segmented(lake)
    assert segmented is not None
    segmented.open()


@pytest.mark.faults(54)
def test_noise_is_served_by_the_rule(lake: Lake) -> None:
    """Without groups and without an outcome that they could explain, RFM is what is served."""
    table = make_features(lake)
    random = np.random.default_rng(1)
    listed = ", ".join(f"random() * {random.integers(2, 9)} as {name}" for name in FEATURES)
    with lake.writer_lock("test"), lake.publish("test", "noise"):
        lake.execute(
            "select setseed(0.3);"
            f"create or replace table lake.main.segment_features as select * replace ({listed})"
            " from lake.main.segment_features"
        )
    found = assign_segments(lake, table, find_segments(lake, table))
    assert found.contest.served == "rfm"
    assert "not more" in found.contest.reason or "no clustering" in found.contest.reason
    assert {one.segment_id for one in found.segments} >= {"champions", "hibernating"}
    assert Path(find_segmented(lake).directory).is_dir()  # type: ignore[union-attr]
