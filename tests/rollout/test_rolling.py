"""A rollout from plan to end by the commands, as a person and a night type them."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flows import cli
from tasks.incidents.queue import list_incidents
from tasks.oncall.report import gather
from tasks.oncall.text import render_text
from tasks.registry.champion import find_champion
from tasks.rollout.recording import read_history, read_rollout
from tasks.warehouse import Lake
from tests.rollout.conftest import Settle, run
from tests.rollout.village import BEGIN, NAME, admit, open_village

pytestmark = pytest.mark.flow


def leaves_by(challenger: float, champion: float) -> Any:
    """Of each arm that share leaves, and whoever would leave with less leaves with more."""

    def leaves(customer: str, arm: str) -> bool:
        place = (int(customer[1:]) * 37) % 100
        return place < 100 * (challenger if arm == "challenger" else champion)

    return leaves


def scored_by(lake: Lake) -> Counter[int]:
    """How many customers have the score of which version in the newest list."""
    rows = lake.rows(
        "select model_version, count(*) as customers from lake.main.scores"
        " where scoring_id = (select arg_max(export_id, exported_at) from lake.ledger.exports"
        " where kind = 'scores.parquet') group by 1"
    )
    return Counter({row["model_version"]: row["customers"] for row in rows})


def items(lake: Lake) -> list[str]:
    return [item.cause.code for item in list_incidents(lake)]


def test_a_better_challenger_is_promoted(
    settle: Settle, capsys: pytest.CaptureFixture[str]
) -> None:
    village = settle(leaves_by(0.1, 0.6))
    with open_village(village) as lake:
        enrolled = lake.rows("select * from lake.ledger.enrolments order by customer_id")
        served = scored_by(lake)
        # Who is held out is outside: no arm, and the champion's score.
        arms = village.arms()
        assert {row["customer_id"]: row["arm"] for row in enrolled}.items() <= arms.items()
        assert 30 < village.customers - len(enrolled) < 100
        assert served[2] == sum(row["arm"] == "challenger" for row in enrolled)
        assert served.total() == village.customers
        assert not any(row["fell_back"] for row in enrolled)
    village.go_to(7)
    assert run(village, "step") == 0
    # Nobody counts twice, whoever is scored again.
    assert cli.run(["-d", str(village.path), "score"]) == 0
    with open_village(village) as lake:
        assert lake.rows("select * from lake.ledger.enrolments order by customer_id") == enrolled
    village.go_to(14)
    assert run(village, "step") == 0
    capsys.readouterr()
    assert run(village, "step") == 0
    assert "Nothing to do; it stands as it was." in capsys.readouterr().out
    with open_village(village) as lake:
        champion = find_champion(lake)
        assert champion is not None
        assert champion.version == 2
        kinds = [row.row_kind for row in read_history(lake, NAME)]
        assert kinds == ["plan", "start", "continue", "promote"]
        # The list of that night is by who serves now, for everybody.
        assert scored_by(lake) == {2: village.customers}
        decision = lake.one(
            "select evidence from lake.ledger.decisions where kind = 'promotion'"
            " and model_version = 2"
        )
        promotion = json.loads(decision["evidence"])
        assert promotion["rollout_decision_id"] == f"rollout-{NAME}-4"
        assert items(lake) == []
    assert run(village, "report", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    both = told["offline_and_online"]
    assert (both["compared"], both["agreeing"]) == (1, 1)
    assert both["pairs"][0]["offline"]["difference_amount"] == 12.5
    assert both["pairs"][0]["online"]["effect"] > 0.3
    page = Path(told["page"]).read_text(encoding="utf-8")
    assert "agree on the sign in 1 of 1" in page
    assert run(village, "report") == 0
    assert run(village, "stop", "--reason", "late") == 64
    assert "holdfast rollback" in capsys.readouterr().err


def test_harm_rolls_back_by_itself(settle: Settle, capsys: pytest.CaptureFixture[str]) -> None:
    village = settle(leaves_by(0.7, 0.1))
    village.go_to(11)
    assert run(village, "step") == 0
    assert "rolled back" in capsys.readouterr().out
    with open_village(village) as lake:
        ended = read_rollout(lake)
        # Long before any outcome has matured, by the early signs.
        assert "early_signs" in json.dumps(ended.evidence["verdict"]["harms"])
        assert ended.evidence["arms"]["challenger"]["matured"] == 0
        assert items(lake) == ["ROLLOUT_HARM"]
        assert scored_by(lake) == {1: village.customers}
        champion = find_champion(lake)
        assert champion is not None
        assert champion.version == 1
    village.go_to(12)
    assert run(village, "step") == 0
    assert "rolled back" in capsys.readouterr().out


@pytest.mark.faults(71)
def test_a_ramp_moves_nobody_back_and_counts_each_once(settle: Settle) -> None:
    """FAULTS 71."""
    village = settle(leaves_by(0.1, 0.1), start=False, stages=[0.05, 0.2, 0.5])
    assert run(village, "plan", "--name", NAME) == 0
    assert run(village, "start") == 0
    served: set[str] = set()
    for day, stage in ((0, 0), (7, 1), (14, 2)):
        village.go_to(day)
        assert run(village, "step") == 0
        assert cli.run(["-d", str(village.path), "score"]) == 0
        with open_village(village) as lake:
            assert read_rollout(lake).stage == stage
            rows = lake.rows(
                "select customer_id from lake.main.scores where model_version = 2"
                " and as_of = $as_of",
                {"as_of": BEGIN + timedelta(days=day)},
            )
        now = {row["customer_id"] for row in rows}
        assert served < now
        served = now
    with open_village(village) as lake:
        entered = lake.rows(
            "select stage, arm, count(*) as customers, count(distinct entered_at) as nights"
            " from lake.ledger.enrolments group by all order by all"
        )
        assert {row["nights"] for row in entered} == {1}
        total = lake.one(
            "select count(*) as rows, count(distinct customer_id) as customers"
            " from lake.ledger.enrolments"
        )
        assert total["rows"] == total["customers"]
        # In each stage both arms are half of those who came in.
        for stage in range(3):
            sizes = [row["customers"] for row in entered if row["stage"] == stage]
            assert len(sizes) == 2
            assert 0.5 < sizes[0] / sizes[1] < 2


@pytest.mark.faults
def test_what_cannot_be_is_refused_in_words(
    settle: Settle, capsys: pytest.CaptureFixture[str]
) -> None:
    """FAULTS 70 (a salt twice), and the planner's refusals."""
    village = settle(leaves_by(0.1, 0.1), start=False)
    assert run(village, "status") == 0
    out = capsys.readouterr().out
    assert out.startswith("There is no rollout yet.\nNext: holdfast -d ")
    assert out.endswith(" rollout plan --help\n")
    assert run(village, "step") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert run(village, "start") == 64
    assert run(village, "plan", "--effect", "0.005") == 64
    said = capsys.readouterr().err
    assert "0.5 points need about" in said
    assert run(village, "plan", "--challenger", "7") == 64
    assert "Available: 2" in capsys.readouterr().err
    assert run(village, "plan", "--subject", "churns") == 64
    assert run(village, "plan", "--metric", "clicks") == 64
    assert run(village, "plan", "--stages", "half") == 64
    assert run(village, "plan", "--stages", "0.5,0.2") == 78
    assert run(village, "plan", "--name", NAME) == 0
    assert run(village, "plan", "--name", NAME) == 78
    assert "was used before" in capsys.readouterr().err
    # A second one of the same subject waits for the first.
    assert run(village, "plan", "--json") == 0
    second = json.loads(capsys.readouterr().out)["rollout_id"]
    assert second == "churn-v2"
    assert run(village, "start", NAME) == 0
    assert run(village, "start", second) == 75
    assert run(village, "start", NAME) == 0
    assert run(village, "stop", NAME, "--reason", " ") == 64
    assert run(village, "stop", NAME, "--reason", "by hand", "--author", "ann") == 0
    assert run(village, "stop", NAME, "--reason", "by hand", "--author", "ann") == 0
    with open_village(village) as lake:
        stopped = read_rollout(lake, NAME)
        assert (stopped.state, stopped.reason, stopped.actor) == ("rolled_back", "by hand", "ann")
        assert len(read_history(lake, NAME)) == 3
    assert run(village, "start", NAME) == 64


def test_another_champion_voids_it(settle: Settle, tmp_path: Path) -> None:
    from tasks.registry.candidates import promote_candidate

    village = settle(leaves_by(0.1, 0.1))
    with open_village(village) as lake:
        present = find_champion(lake)
        assert present is not None
        third = admit(lake, tmp_path / "third", 3, centre_days=30.0)
        promote_candidate(
            lake,
            third,
            expected=present.decision_id,
            decision_id="elsewhere",
            reason="by another way",
            alongside=lambda: None,
        )
    village.go_to(1)
    # At once in the scores, and by the next step in the ledger.
    assert cli.run(["-d", str(village.path), "score"]) == 0
    with open_village(village) as lake:
        assert scored_by(lake) == {3: village.customers}
    assert run(village, "step") == 0
    with open_village(village) as lake:
        assert read_rollout(lake).state == "rolled_back"


def test_the_night_starts_what_the_gate_admitted(
    settle: Settle, capsys: pytest.CaptureFixture[str]
) -> None:
    from flows.rollout import begin_admitted

    village = settle(leaves_by(0.1, 0.1), start=False, minimum_effect=0.001)
    # A question that so few cannot answer waits, and on-call hears of it.
    assert begin_admitted.fn(village.path).rollout is None
    with open_village(village) as lake:
        assert items(lake) == ["ROLLOUT_PLAN"]
        shown = render_text(gather(lake, "item-1", sample=lambda *_: [], serving=None))
    assert re.search(r"Found: \d+ customers at .* churn detect .*; 0.1 points need about", shown)
    village.sections["rollout"]["minimum_effect"] = 0.08
    village.go_to(0)
    begun = begin_admitted.fn(village.path)
    assert begun.rollout is not None
    assert (begun.rollout.rollout_id, begun.rollout.state) == ("churn-v2", "running")
    planned_days = begun.rollout.terms.planned_days
    assert planned_days is not None
    assert planned_days <= begun.rollout.plan.maximum_days <= 60
    with open_village(village) as lake:
        assert items(lake) == []
    assert begin_admitted.fn(village.path).rollout is None
    assert run(village, "stop", "--reason", "no") == 0
    # What was tried once is not tried again by itself.
    assert begin_admitted.fn(village.path).rollout is None
