"""A rollout of segments from plan to end and back, by the commands that a person types."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from flows import cli
from tasks.rollout.recording import read_history, read_rollout
from tasks.segments.challengers import find_challenger
from tasks.segments.champion import find_segmented
from tasks.warehouse import Lake
from tests.rollout.conftest import Hamlet, Settle, run
from tests.rollout.policies import score_night
from tests.rollout.test_rolling import items, leaves_by
from tests.rollout.village import BEGIN, NAME, Village, open_village
from tests.segments.made_up import TWO, admit_three, bands, crown_two
from tests.segments.shops import refuse

pytestmark = pytest.mark.flow


@pytest.fixture
def village(hamlet: Hamlet, monkeypatch: pytest.MonkeyPatch) -> Village:
    """One with two groups that serve, and three that challenge them; MLflow is down."""
    monkeypatch.setattr(import_module("tasks.segments.steps"), "open_tracker", refuse)
    return settle_groups(hamlet())


def settle_groups(village: Village) -> Village:
    village.sections["segments"] = {"described_rows": 100, "refit_after_days": 3650}
    village.go_to(0)
    with open_village(village) as lake:
        before = BEGIN - timedelta(days=1)
        admit_three(lake, crown_two(lake, before), before)
    return village


def plan(village: Village, *words: str) -> int:
    return run(village, "plan", "--subject", "segments", *words)


def group(village: Village) -> int:
    return cli.run(["-d", str(village.path), "segments", "--json"])


def grouped(lake: Lake) -> list[dict[str, Any]]:
    """The newest night's groups."""
    return lake.rows(
        "select customer_id, segment_id, segment_name, segmentation_id"
        " from lake.main.customer_segments"
        " where run_id = (select arg_max(finding_id, recorded_at) from lake.ledger.findings"
        " where kind = 'segments') order by customer_id"
    )


def served_by(lake: Lake) -> Counter[str]:
    """How many customers are grouped by whom in the newest night."""
    hashes = {
        row["model_hash"][:16]: f"version {row['model_version']}"
        for row in lake.rows("select model_hash, model_version from lake.ledger.decisions")
        if row["model_hash"]
    }
    return Counter(hashes[row["segmentation_id"]] for row in grouped(lake))


def test_better_groups_are_promoted_serve_everybody_and_are_taken_back(
    village: Village, capsys: pytest.CaptureFixture[str]
) -> None:
    # Only who waits gets a voucher, and only the challenger knows of them.
    village.sections["actions"] = {"rules": [{"action": "voucher", "segments": ["Waiting"]}]}
    score_night(village, 0)
    assert plan(village, "--name", NAME) == 0
    assert "segments version 2 against version 1 on lapse_share" in capsys.readouterr().out
    assert run(village, "start") == 0
    capsys.readouterr()
    assert group(village) == 0
    told = json.loads(capsys.readouterr().out)
    assert f"The rollout {NAME} is running" in told["notes"][0]["en"]
    assert cli.run(["-d", str(village.path), "act"]) == 0
    arms = village.arms()
    with open_village(village) as lake:
        enrolled = lake.rows("select * from lake.ledger.enrolments order by customer_id")
        assert {row["customer_id"]: row["arm"] for row in enrolled}.items() <= arms.items()
        assert not any(row["fell_back"] for row in enrolled)
        sizes = Counter(row["arm"] for row in enrolled)
        assert sizes == {one["arm"]: one["customers"] for one in told["arms"]}
        rows = grouped(lake)
        assert served_by(lake)["version 2"] == sizes["challenger"]
        waiting = {row["customer_id"] for row in rows if row["segment_id"] == "s03"}
        assert {arms[one] for one in waiting} == {"challenger"}
        listed = lake.rows("select customer_id, action, segment_id from lake.main.customer_actions")
        vouchers = {row["customer_id"] for row in listed if row["action"] == "voucher"}
        assert vouchers
        assert vouchers <= waiting
    village.go_to(7)
    assert run(village, "step") == 0
    assert group(village) == 0
    with open_village(village) as lake:
        # Nobody counts twice.
        assert lake.rows("select * from lake.ledger.enrolments order by customer_id") == enrolled
    village.go_to(14)
    capsys.readouterr()
    assert run(village, "step") == 0
    assert "promoted" in capsys.readouterr().out
    with open_village(village) as lake:
        kinds = [row.row_kind for row in read_history(lake, NAME)]
        assert kinds == ["plan", "start", "continue", "promote"]
        # Everybody is in its groups at once, and on the page they have its names.
        assert served_by(lake) == {"version 2": len(rows)}
        assert "Fresh" in {row["segment_name"] for row in grouped(lake)}
        champion = find_segmented(lake)
        assert champion is not None
        assert (champion.version, champion.serves_as_of) == (2, BEGIN + timedelta(days=14))
        promotion = lake.one(
            "select evidence ->> 'rollout_decision_id' as by from lake.ledger.decisions"
            " where kind = 'promotion' and model_version = 2"
        )
        assert promotion["by"] == f"rollout-{NAME}-4"
        assert items(lake) == []
    capsys.readouterr()
    assert group(village) == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["event"] for one in told["events"]} >= {"born"}
    assert told["arms"] == []
    assert run(village, "report", "--json") == 0
    page = json.loads(capsys.readouterr().out)["page"]
    assert "<dd>segments</dd>" in Path(page).read_text(encoding="utf-8")
    assert run(village, "stop", "--reason", "too many vouchers") == 0
    assert run(village, "stop", "--reason", "too many vouchers") == 0
    with open_village(village) as lake:
        assert read_rollout(lake).state == "rolled_back"
        assert served_by(lake) == {"version 1": len(rows)}


def test_harm_brings_everybody_back(hamlet: Hamlet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same village the other way round: those with the challenger stay away."""
    monkeypatch.setattr(import_module("tasks.segments.steps"), "open_tracker", refuse)
    village = settle_groups(hamlet(0.7, 0.1))
    assert plan(village, "--name", NAME) == 0
    assert run(village, "start") == 0
    assert group(village) == 0
    village.go_to(11)
    assert run(village, "step") == 0
    with open_village(village) as lake:
        ended = read_rollout(lake)
        assert ended.state == "rolled_back"
        assert "early_signs" in json.dumps(ended.evidence["verdict"]["harms"])
        assert items(lake) == ["ROLLOUT_HARM"]
        assert set(served_by(lake)) == {"version 1"}


@pytest.mark.faults(56, 59)
def test_a_challenger_whose_files_are_damaged_is_taken_back_in_the_same_night(
    village: Village, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(village, "--name", NAME) == 0
    assert run(village, "start") == 0
    with open_village(village) as lake:
        challenger = find_challenger(lake)
    (challenger.directory / "segments.json").write_text("{}", encoding="utf-8")
    assert group(village) == 0
    with open_village(village) as lake:
        assert read_rollout(lake).state == "rolled_back"
        assert items(lake) == ["CHALLENGER_FAILED"]
        served = lake.one("select * from lake.ledger.servings where arm = 'challenger'")
        assert served["fell_back"] == served["assigned"] > 0
        rows = lake.rows("select arm, fell_back from lake.ledger.enrolments")
        # By intention to treat they count in the challenger's arm all the same.
        assert {row["fell_back"] for row in rows if row["arm"] == "challenger"} == {True}
        assert set(served_by(lake)) == {"version 1"}
    capsys.readouterr()
    # Damaged or gone, it is not planned again.
    assert plan(village) == 77
    assert "not those that were let in" in capsys.readouterr().err
    for path in challenger.directory.iterdir():
        path.unlink()
    challenger.directory.rmdir()
    assert plan(village) == 74


@pytest.mark.faults
def test_what_cannot_be_compared_is_refused_in_words(
    hamlet: Hamlet,
    village: Village,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bare = hamlet()
    assert plan(bare) == 65
    assert "has no segments yet" in capsys.readouterr().err
    with open_village(bare) as lake:
        crown_two(lake, BEGIN)
    assert plan(bare) == 64
    assert "There is no candidate" in capsys.readouterr().err
    assert plan(village, "--challenger", "1") == 64
    assert "serves already" in capsys.readouterr().err
    assert plan(village, "--challenger", "7") == 64
    assert "Available: 2" in capsys.readouterr().err
    assert plan(village, "--effect", "0.005") == 64
    assert plan(village, "--policy", "x.yaml") == 64
    assert plan(village, "--name", NAME) == 0
    assert plan(village, "--name", NAME) == 78
    capsys.readouterr()
    assert plan(village, "--json") == 0
    second = json.loads(capsys.readouterr().out)["rollout_id"]
    assert second == "segments-v2"
    assert run(village, "start", NAME) == 0
    assert run(village, "start", second) == 75
    assert "one at a time" in capsys.readouterr().err
    assert run(village, "stop", NAME, "--reason", "by hand") == 0
    # What serves has changed since the second was planned.
    with open_village(village) as lake:
        from tasks.segments.champion import promote

        present = find_segmented(lake)
        assert present is not None
        promote(lake, bands(lake, TWO, (12.0,), BEGIN, version=3), present.decision_id)
    assert run(village, "start", second) == 75
    assert "champion has changed" in capsys.readouterr().err
    village.sections["rollout"]["exposure"] = "contacted"
    village.go_to(0)
    with open_village(village) as lake:
        present = find_segmented(lake)
        assert present is not None
        admit_three(lake, present, BEGIN, version=4)
    assert plan(village) == 78
    assert "no random split" in capsys.readouterr().err


def test_the_night_begins_what_an_earlier_one_left_waiting(village: Village) -> None:
    from flows.nightly import _step_segments

    with open_village(village) as lake:
        challenger = find_challenger(lake)
    kept = challenger.directory.rename(challenger.directory.with_name("kept"))
    # What cannot be planned waits, and no night ends of it.
    begun = _step_segments(village.path, begins=True)
    assert begun is None
    with open_village(village) as lake:
        assert items(lake) == ["ROLLOUT_PLAN"]
    kept.rename(challenger.directory)
    assert _step_segments(village.path, begins=False) is None
    begun = _step_segments(village.path, begins=True)
    assert begun is not None
    assert begun.rollout is not None
    assert (begun.rollout.rollout_id, begun.rollout.state) == ("segments-v2", "running")
    with open_village(village) as lake:
        assert items(lake) == []
    assert run(village, "stop", "--reason", "no") == 0
    # What was tried once is not tried again by itself.
    ended = _step_segments(village.path, begins=True)
    assert ended is not None
    assert ended.rollout is not None
    assert ended.rollout.state == "rolled_back"


def test_models_and_segments_are_rolled_out_together(
    settle: Settle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(import_module("tasks.segments.steps"), "open_tracker", refuse)
    village = settle_groups(settle(leaves_by(0.1, 0.1)))
    assert plan(village, "--name", "groups") == 0
    assert run(village, "start", "groups") == 0
    assert group(village) == 0
    with open_village(village) as lake:
        crossed = lake.rows(
            "select model.arm as model, groups.arm as groups, count(*) as customers"
            " from lake.ledger.enrolments as model"
            " inner join lake.ledger.enrolments as groups using (customer_id)"
            " where model.rollout_id = $name and groups.rollout_id = 'groups' group by all",
            {"name": NAME},
        )
        # Each splits the arms of the other.
        assert len(crossed) == 4
        assert all(90 < row["customers"] < 180 for row in crossed)
        assert lake.scalar("select count(*) from lake.ledger.enrolments where fell_back") == 0
    village.go_to(7)
    capsys.readouterr()
    assert run(village, "step") == 64
    assert "More than one is running" in capsys.readouterr().err
    for name in (NAME, "groups"):
        assert run(village, "step", name) == 0
    with open_village(village) as lake:
        states = {name: read_rollout(lake, name).row_kind for name in (NAME, "groups")}
        assert states == {NAME: "continue", "groups": "continue"}
