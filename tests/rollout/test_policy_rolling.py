"""A rollout of policies from plan to end and back, by the commands that a person types."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import cli
from tasks.rollout.recording import read_history, read_rollout
from tasks.warehouse import Lake
from tests.rollout.conftest import run
from tests.rollout.policies import NOTE, NOTES, score_night, write_policy
from tests.rollout.test_rolling import items
from tests.rollout.village import NAME, Village, open_village

pytestmark = pytest.mark.flow


@pytest.fixture
def village(hamlet: Callable[[], Village]) -> Village:
    return hamlet()


def act(village: Village) -> int:
    return cli.run(["-d", str(village.path), "act", "--json"])


def listed(lake: Lake) -> Counter[str]:
    """How many are contacted by which action in the newest list."""
    rows = lake.rows(
        "select action, count(*) as customers from lake.main.customer_actions"
        " where not held_out and run_id = (select arg_max(finding_id, recorded_at)"
        " from lake.ledger.findings where kind = 'actions') group by action"
    )
    return Counter({row["action"]: row["customers"] for row in rows})


def test_a_better_policy_is_promoted_makes_the_lists_and_is_taken_back(
    village: Village, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score_night(village, 0)
    path = write_policy(tmp_path / "notes.yaml", NOTES)
    assert run(village, "plan", "--subject", "actions", "--policy", str(path), "--name", NAME) == 0
    # It is in the ledger, so the file may go.
    path.unlink()
    assert run(village, "start") == 0
    capsys.readouterr()
    assert act(village) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["policy"]["rollout_id"] is None
    sizes = {one["arm"]: one["customers"] for one in told["arms"]}
    with open_village(village) as lake:
        enrolled = lake.rows("select * from lake.ledger.enrolments order by customer_id")
        arms = village.arms()
        assert {row["customer_id"]: row["arm"] for row in enrolled}.items() <= arms.items()
        assert Counter(row["arm"] for row in enrolled) == sizes
        notes = lake.rows("select customer_id from lake.main.customer_actions where action='note'")
        assert len(notes) > 50
        assert {arms[row["customer_id"]] for row in notes} == {"challenger"}
    score_night(village, 7)
    assert run(village, "step") == 0
    assert act(village) == 0
    with open_village(village) as lake:
        # Nobody counts twice.
        assert lake.rows("select * from lake.ledger.enrolments order by customer_id") == enrolled
        assert set(listed(lake)) > {"note"}
    score_night(village, 14)
    assert run(village, "step") == 0
    with open_village(village) as lake:
        assert [row.row_kind for row in read_history(lake, NAME)] == [
            "plan",
            "start",
            "continue",
            "promote",
        ]
        # The list is made anew at once, by one policy for all.
        assert set(listed(lake)) == {"note"}
        assert items(lake) == []
    capsys.readouterr()
    assert cli.run(["-d", str(village.path), "act"]) == 0
    assert f"promoted by the rollout {NAME}, in force since" in capsys.readouterr().out
    assert run(village, "step") == 0
    assert run(village, "report") == 0
    assert run(village, "stop", "--reason", "too many notes") == 0
    with open_village(village) as lake:
        assert read_rollout(lake).state == "rolled_back"
        assert "note" not in listed(lake)
    capsys.readouterr()
    assert cli.run(["-d", str(village.path), "act"]) == 0
    assert "of the settings file, in force since" in capsys.readouterr().out


def test_another_section_in_the_file_ends_what_was_compared_with_it(
    village: Village, tmp_path: Path
) -> None:
    score_night(village, 0)
    path = write_policy(tmp_path / "notes.yaml", NOTES)
    assert run(village, "plan", "--subject", "actions", "--policy", str(path), "--name", NAME) == 0
    assert run(village, "start") == 0
    village.sections["actions"] = {"maximum_contacts": 3}
    score_night(village, 1)
    assert act(village) == 0
    with open_village(village) as lake:
        assert "note" not in listed(lake)
        assert lake.scalar("select count(*) from lake.ledger.enrolments") == 0
    assert run(village, "step") == 0
    with open_village(village) as lake:
        assert read_rollout(lake).state == "rolled_back"


@pytest.mark.faults
def test_what_cannot_be_compared_is_refused_in_words(
    village: Village, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def plan(*words: str) -> int:
        return run(village, "plan", "--subject", "actions", *words)

    path = str(write_policy(tmp_path / "notes.yaml", NOTES))
    assert plan() == 64
    assert "--policy FILE" in capsys.readouterr().err
    assert run(village, "plan", "--policy", path) == 64
    assert plan("--policy", path, "--challenger", "2") == 64
    assert plan("--policy", str(tmp_path / "none.yaml")) == 64
    same = str(write_policy(tmp_path / "same.yaml", {"maximum_contacts": 2}))
    assert plan("--policy", same) == 64
    assert "nothing to find out" in capsys.readouterr().err
    wrong = str(write_policy(tmp_path / "wrong.yaml", {"offers": {"note": {**NOTE, "cost": 1}}}))
    assert plan("--policy", wrong) == 78
    assert plan("--policy", path, "--effect", "0.005") == 64
    assert plan("--policy", path, "--name", NAME) == 0
    assert plan("--policy", path, "--name", NAME) == 78
    assert "was used before" in capsys.readouterr().err
    village.sections["rollout"]["exposure"] = "contacted"
    village.go_to(0)
    assert plan("--policy", path) == 78
    assert "no random split" in capsys.readouterr().err


@pytest.mark.faults
def test_a_policy_changed_before_the_start_is_not_started(
    village: Village, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write_policy(tmp_path / "notes.yaml", NOTES))
    assert run(village, "plan", "--subject", "actions", "--policy", path, "--name", NAME) == 0
    sections: dict[str, Any] = village.sections
    sections["actions"] = {"worth_days": 100}
    village.go_to(0)
    assert run(village, "start") == 75
    assert "policy in force has changed" in capsys.readouterr().err
    del sections["actions"]
    village.go_to(0)
    assert run(village, "start") == 0
