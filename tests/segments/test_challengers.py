"""Candidates beside the segmentation that serves, and a night in two arms."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from tasks.errors import DataRejected, LockHeld, Refused, StoredDataCorrupt, UsageError
from tasks.findings import SegmentFindings, Words
from tasks.segments.arms import Trial, join_names
from tasks.segments.challengers import (
    admit,
    find_all,
    find_challenger,
    promote_challenger,
    require_segmented,
    take_back,
)
from tasks.segments.champion import find_segmented, promote
from tasks.segments.steps import assign_segments, find_segments
from tasks.settings import PROJECT, Settings
from tasks.warehouse import Lake
from tests.segments.made_up import TWO, admit_three, bands, crown_two
from tests.segments.shops import AS_OF, make_features
from tests.segments.test_steps import lake, settings, without_mlflow

pytestmark = pytest.mark.sql
DAY = timedelta(days=1)
__all__ = ["lake", "settings", "without_mlflow"]


@dataclass
class HalfArm:
    """Stands for a rollout: every second customer is the challenger's, every tenth held out."""

    served: Callable[[int], bool] = lambda number: number % 2 == 1
    rollout_id: str = "half"
    parts: tuple[str, ...] = ("half",)
    recorded: list[tuple[str, Sequence[str]]] = field(default_factory=list)

    def divide(self, lake: Lake, customers: str) -> None:
        rows = lake.rows(f"select customer_id from {customers} order by customer_id")
        lake.execute(
            "create or replace temporary table turn (customer_id varchar, is_served boolean)"
        )
        for number, row in enumerate(rows):
            if number % 10 != 9:
                lake.execute(
                    "insert into turn values ($id, $served)",
                    {"id": row["customer_id"], "served": self.served(number)},
                )

    def record(
        self, lake: Lake, run_id: str, answered: str, failures: Sequence[str], seconds: float
    ) -> None:
        self.recorded.append((run_id, failures))
        assert lake.scalar(f"select count(*) from {answered}") >= 0


def win(lake: Lake, one: Any, expected: str, **changed: Any) -> Any:
    values: dict[str, Any] = {
        "expected": expected,
        "decision_id": "rollout-one-3",
        "reason": "better",
        "as_of": AS_OF + 30 * DAY,
        "alongside": lambda: None,
    }
    return promote_challenger(lake, one, **{**values, **changed})


def test_a_candidate_waits_is_promoted_and_taken_back(lake: Lake) -> None:
    with pytest.raises(DataRejected, match="no segments yet"):
        require_segmented(lake)
    with pytest.raises(UsageError, match="no candidate"):
        find_challenger(lake)
    first = crown_two(lake, AS_OF)
    second = admit_three(lake, first, AS_OF + DAY)
    assert find_segmented(lake) == first
    assert find_challenger(lake) == find_challenger(lake, 2) == second
    with pytest.raises(UsageError, match="Version 7 is no candidate"):
        find_challenger(lake, 7)
    written = []
    promoted = win(
        lake, second, first.decision_id, alongside=lambda: written.append("in the transaction")
    )
    assert (promoted.model_hash, promoted.version) == (second.model_hash, 2)
    assert (promoted.fitted_as_of, promoted.serves_as_of) == (AS_OF + DAY, AS_OF + 30 * DAY)
    assert written == ["in the transaction"]
    told = lake.rows(
        "select outcome from lake.ledger.decisions where kind = 'segment' order by outcome"
    )
    # Told once it serves: two of the first fit, and what the second has made of them.
    assert [row["outcome"] for row in told] == ["born", "kept", "kept", "kept", "kept"]
    # Who was matched with the former one challenges nobody any more.
    assert find_all(lake).admitted == ()
    with pytest.raises(UsageError, match="nothing to take back"):
        take_back(lake, "other", reason="no", as_of=AS_OF, actor="ann", alongside=lambda: None)
    back = take_back(
        lake,
        "rollout-one-3",
        reason="no",
        as_of=AS_OF + 40 * DAY,
        actor="ann",
        alongside=lambda: None,
    )
    assert (back.model_hash, back.events) == (first.model_hash, ())
    assert back.serves_as_of == AS_OF + 40 * DAY
    # No id is given again, whoever serves.
    assert set(back.used_ids) == {"s01", "s02", "s03"}
    assert find_segmented(lake) == back


def test_only_against_the_one_that_it_was_matched_with(lake: Lake) -> None:
    first = crown_two(lake, AS_OF)
    second = admit_three(lake, first, AS_OF + DAY)
    other = promote(lake, bands(lake, TWO, (12.0,), AS_OF + 2 * DAY), first.decision_id)
    with pytest.raises(LockHeld, match="came first"):
        win(lake, second, first.decision_id)
    with pytest.raises(LockHeld, match="came first"):
        admit_three(lake, first, AS_OF + DAY)
    assert find_segmented(lake) == other
    assert lake.scalar("select count(*) from lake.ledger.decisions where kind = 'candidate'") == 1


def test_the_same_groups_again_are_no_candidate_but_were_looked_for(lake: Lake) -> None:
    first = crown_two(lake, AS_OF)
    admit(lake, bands(lake, TWO, (10.0,), AS_OF + 28 * DAY, version=2), first)
    found = find_all(lake)
    assert found.admitted == ()
    assert found.newest_as_of == AS_OF + 28 * DAY
    row = lake.one("select outcome from lake.ledger.decisions where kind = 'candidate'")
    assert row["outcome"] == "keep"


@pytest.mark.faults(56)
@pytest.mark.parametrize(("damage", "error"), [("change", Refused), ("remove", StoredDataCorrupt)])
def test_files_that_are_not_those_found_are_not_promoted(
    lake: Lake, damage: str, error: type[Exception]
) -> None:
    first = crown_two(lake, AS_OF)
    second = admit_three(lake, first, AS_OF + DAY)
    if damage == "change":
        (second.directory / "segments.json").write_text("{}")
    else:
        second.directory.rename(second.directory.with_name("gone"))
    with pytest.raises(error):
        win(lake, second, first.decision_id)
    assert find_segmented(lake) == first


def test_what_is_found_beside_waits_and_is_looked_for_once(lake: Lake) -> None:
    first = find_segments(lake, make_features(lake), "wait")
    assert first.fitted_as_of == AS_OF  # the first one serves at once
    later = make_features(lake, as_of=AS_OF + 28 * DAY, seed=5)
    assert find_segments(lake, later, "none") == first
    assert find_segments(lake, later, "wait") == first
    (candidate,) = find_all(lake).admitted
    assert candidate.fitted_as_of == AS_OF + 28 * DAY
    assert candidate.label == f"s{candidate.model_hash[:8]}"  # MLflow was down
    # Names tell the groups of both apart.
    names, others = first.open().names, candidate.open().names
    for key in others.keys() - names.keys():
        assert others[key]["en"] not in {one["en"] for one in names.values()}
    found = assign_segments(lake, later, first)
    assert found.segmentation_id == first.segmentation_id
    assert "wait for a rollout" in found.notes[0].en
    assert find_segments(lake, later, "wait") == first
    assert len(find_all(lake).admitted) == 1
    # Not before another month, and at once where the champion's files are lost.
    soon = make_features(lake, as_of=AS_OF + 40 * DAY, seed=6)
    assert find_segments(lake, soon, "wait") == first
    (first.directory / "segments.json").write_text("{}")
    mended = find_segments(lake, soon, "none")
    assert mended.fitted_as_of == AS_OF + 40 * DAY
    born = {one.segment_id for one in mended.events if one.event == "born"}
    assert born.isdisjoint(candidate.used_ids)


def night(lake: Lake, arm: HalfArm, **changed: Any) -> tuple[SegmentFindings, list[dict[str, Any]]]:
    table = make_features(lake, 200)
    first = crown_two(lake, AS_OF - DAY, edge=40.0)
    second = admit_three(lake, first, AS_OF, **changed)
    found = assign_segments(lake, table, first, Trial(arm, second))
    rows = lake.rows(
        "select customer_id, segment_id, segment_name, segmentation_id, recency_days"
        " from lake.main.customer_segments join lake.main.segment_features"
        " using (customer_id, as_of) order by customer_id"
    )
    return found, rows


def test_a_night_in_two_arms_has_one_group_a_customer(lake: Lake) -> None:
    arm = HalfArm()
    found, rows = night(lake, arm)
    champion, challenger = found.arms
    assert (champion.customers, challenger.customers) == (100, 80)
    assert (champion.version, challenger.version) == ("1", "2")
    assert len(rows) == 200
    for number, row in enumerate(rows):
        recency = row["recency_days"]
        if number % 2 == 1 and number % 10 != 9:
            assert row["segmentation_id"] == challenger.segmentation_id
            wanted = "s01" if recency <= 3 else "s03" if recency <= 8 else "s02"
        else:
            assert row["segmentation_id"] == champion.segmentation_id
            wanted = "s01" if recency <= 40 else "s02"
        assert row["segment_id"] == wanted
    names = {row["segment_id"]: row["segment_name"] for row in rows}
    # A group that both know is called as the champion calls it.
    assert names == {"s01": "Recent", "s02": "Away", "s03": "Waiting"}
    assert {one.segment_id: one.name.en for one in found.segments} == names
    for one in found.segments:
        assert one.customers == sum(row["segment_id"] == one.segment_id for row in rows)
        assert one.churn_share is not None
    assert "The rollout half is running: 80 customers are grouped by version 2" in found.notes[0].en
    assert "롤아웃 half 진행 중: 고객 80명은" in found.notes[0].ko
    assert [failures for _, failures in arm.recorded] == [()]
    # The page can draw all of it.
    assert set(found.heat) == set(names)
    assert len(found.tree) == len(found.heat) - 1
    # Sizes of such a night are none that later ones are compared with.
    from tasks.segments.assigning import read_history

    assert read_history(lake, AS_OF + DAY) == ({}, {})


@pytest.mark.faults(59, 64)
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("files", "not those that were let in"),
        ("feature", "has no column 'never_there'"),
        ("label", "some of its answers are no group"),
        ("labels", "it threw IndexError"),
    ],
)
def test_a_challenger_that_fails_costs_nobody_their_group(
    lake: Lake, damage: str, said: str
) -> None:
    table = make_features(lake, 100)
    first = crown_two(lake, AS_OF - DAY, edge=40.0)
    changed: dict[str, Any] = {
        "feature": {"feature": "never_there"},
        "label": {"left_out": ("s03",)},
        "labels": {"left_out": ("s03", "s02")},
    }.get(damage, {})
    second = admit_three(lake, first, AS_OF, **changed)
    if damage == "files":
        (second.directory / "segments.json").write_text("{}")
    arm = HalfArm()
    found = assign_segments(lake, table, first, Trial(arm, second))
    rows = lake.rows("select * from lake.main.customer_segments")
    assert len(rows) == 100
    fell_back = found.arms[1].fell_back_customers
    if damage == "label":
        # Only who would be in that group.
        assert 0 < fell_back < 40
    else:
        assert fell_back == found.arms[1].customers == 40
        assert {row["segmentation_id"] for row in rows} == {first.segmentation_id}
        assert "which failed" in found.notes[0].en
    ((_, failures),) = arm.recorded
    assert said in failures[0]


def test_an_arm_without_customers_changes_nothing(lake: Lake) -> None:
    found, rows = night(lake, HalfArm(served=lambda _number: False))
    assert found.arms[1].customers == 0
    assert {row["segmentation_id"] for row in rows} == {found.segmentation_id}
    assert {one.segment_id for one in found.segments} <= set(TWO)


def test_names_of_both_are_one_each() -> None:
    def words(**names: str) -> dict[str, Words]:
        return {key: Words(en=name, ko=f"{name}의") for key, name in names.items()}

    ours = words(s01="Loyal", s02="Away")
    theirs = words(s01="Fond", s04="Loyal", s05="loyal", s06="New")
    joined = {key: name.en for key, name in join_names(ours, theirs).items()}
    assert joined == {
        "s01": "Loyal",
        "s02": "Away",
        "s04": "Loyal 2",
        "s05": "loyal 3",
        "s06": "New",
    }
    assert join_names(ours, {}) == ours


def test_the_night_is_another_run_with_a_rollout_and_without(lake: Lake) -> None:
    table = make_features(lake, 100)
    first = crown_two(lake, AS_OF - DAY, edge=40.0)
    alone = assign_segments(lake, table, first)
    second = admit_three(lake, first, AS_OF - DAY)
    arm = HalfArm()
    both = assign_segments(lake, table, first, Trial(arm, second))
    assert assign_segments(lake, table, first, Trial(arm, second)) == both
    assert len(arm.recorded) == 1
    # What was before is the newest again.
    assert assign_segments(lake, table, first) == alone
    assert lake.scalar("select count(distinct run_id) from lake.main.customer_segments") == 2
    newest = lake.scalar("select arg_max(finding_id, recorded_at) from lake.ledger.findings")
    (run_id, _), *_ = arm.recorded
    assert newest != run_id


SEGMENTER = """
import sys
from pathlib import Path
from tasks.segments import steps
from tasks.settings import load_settings
from tasks.warehouse import open_lake
from tests.segments.shops import make_features, refuse

overlay, home = sys.argv[1:]
steps.open_tracker = refuse
with open_lake(load_settings(overlay, home=Path(home))) as lake:
    steps.find_segments(lake, make_features(lake), "wait")
"""


@pytest.mark.faults(36, 67)
@pytest.mark.parametrize("point", ["segments.before_admit", "segments.after_admit"])
def test_killed_while_it_is_let_in_as_a_candidate(
    lake: Lake, settings: Settings, point: str
) -> None:
    first = crown_two(lake, AS_OF - 28 * DAY)
    done = subprocess.run(
        [sys.executable, "-c", SEGMENTER, settings.called, str(settings.home)],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "HOLDFAST_CRASH_AT": point},
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert find_segments(lake, make_features(lake), "wait") == first
    assert lake.scalar("select count(*) from lake.ledger.decisions where kind = 'candidate'") == 1
    find_challenger(lake).open()
