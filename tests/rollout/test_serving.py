"""A challenger that throws, hangs, dies or talks nonsense costs nobody their score (FAULTS 59-64).

The models are a few lines of Python each, in a directory as a candidate's is.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pyarrow as pa
import pytest

from flows import cli
from tasks.experiments import RolloutSettings
from tasks.incidents.queue import list_incidents
from tasks.rollout.recording import read_rollout
from tasks.rollout.serving import ArmAnswers, predict_arm
from tests.rollout.conftest import Settle, run
from tests.rollout.village import NAME, open_village

pytestmark = pytest.mark.faults

ROWS = 100
_CODE = """
import os, time
class Model:
    def predict(self, table):
        x = table["x"].to_pylist()
        {body}
        return [0.1 + 0.001 * one for one in x]
    def reasons(self, table):
        return [("has been away",)] * table.num_rows
def open_model(directory):
    {opening}
    return Model()
"""


def make_code(body: str = "pass", opening: str = "pass") -> str:
    return _CODE.format(body=body, opening=opening)


def ask(tmp_path: Path, code: str, **settings: float) -> ArmAnswers:
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "model_code.py").write_text(code, encoding="utf-8")
    features = pa.table({"y": [0.0] * ROWS, "x": [float(one) for one in range(ROWS)]})
    limits = RolloutSettings.model_validate({"deadline_seconds": 60.0, **settings})
    return predict_arm(directory, features, limits, tmp_path / "spill", 3)


def test_a_sound_one_answers_for_everybody(tmp_path: Path) -> None:
    found = ask(tmp_path, make_code())
    assert found.failures == ()
    assert sorted(found.scores) == list(range(ROWS))
    assert found.scores[7] == (0.1 + 0.007, "has been away", None, None)
    # Nothing of any customer stays behind.
    assert list((tmp_path / "spill").iterdir()) == []


@pytest.mark.faults(59, 62, 64)
@pytest.mark.parametrize(
    ("body", "lost", "said"),
    [
        ("raise ValueError('secret')", 100, "it threw ValueError"),
        ("if x[0] >= 80: raise KeyError(x)", 20, "it threw KeyError"),
        ("if 50 in x: raise KeyError(x)", 10, "it threw KeyError"),
        ("if 50 in x: return [float('nan')] * len(x)", 10, "no probability"),
        ("if 50 in x: return [0.5] * (len(x) - 1) + [1.5]", 1, "no probability"),
        ("return [0.5] * len(x)", 100, "all its scores are the same"),
        ("return [0.5]", 100, "it threw ValueError"),
        ("table['gone']", 100, "it threw KeyError"),
    ],
)
def test_what_it_cannot_answer_falls_back(tmp_path: Path, body: str, lost: int, said: str) -> None:
    """FAULTS 59, 62, 64: 100, 20 and fewer percent, and no message of its own comes out."""
    found = ask(tmp_path, make_code(body))
    assert ROWS - len(found.scores) == lost
    assert said in "; ".join(found.failures)
    assert "secret" not in "; ".join(found.failures)


@pytest.mark.faults(60)
def test_one_that_hangs_is_ended_by_the_deadline(tmp_path: Path) -> None:
    """FAULTS 60: what it had answered before counts."""
    found = ask(tmp_path, make_code("if 50 in x: time.sleep(600)"), deadline_seconds=6.0)
    assert len(found.scores) in (0, 50)  # 0: this machine had no time for the first half either
    assert "deadline" in found.failures[0]
    assert found.seconds < 30


@pytest.mark.faults(61)
def test_one_that_dies_is_started_again_so_many_times(tmp_path: Path) -> None:
    """FAULTS 61: the chunk on which it died is lost, the others are not."""
    found = ask(tmp_path, make_code("if 50 in x: os.abort()"))
    assert len(found.scores) == 90
    assert found.failures == (f"its process died of {signal.Signals.SIGABRT.name}",)


def test_one_that_dies_at_once_is_not_started_for_ever(tmp_path: Path) -> None:
    found = ask(tmp_path, make_code(opening="os.kill(os.getpid(), 11)"), maximum_restarts=1)
    assert found.scores == {}


@pytest.mark.faults(59)
def test_a_challenger_that_fails_is_taken_back_in_the_same_night(settle: Settle) -> None:
    """The breaker: everybody has the champion's score, on-call an item, and it serves no more."""
    village = settle(lambda _customer, _arm: False, start=False, maximum_restarts=0)
    assert run(village, "plan", "--name", NAME) == 0
    assert run(village, "start") == 0
    with open_village(village) as lake:
        row = lake.one(
            "select evidence ->> 'directory' as place from lake.ledger.decisions"
            " where kind = 'candidate'"
        )
        # Its files are not those let in any more: it is not even loaded.
        place = village.home / "models" / f"{lake.deployment}.churn" / row["place"]
        (place / "rule.json").write_text("{}", encoding="utf-8")
    assert cli.run(["-d", str(village.path), "score"]) == 0
    with open_village(village) as lake:
        ended = read_rollout(lake)
        assert ended.state == "rolled_back"
        assert "left" in ended.reason
        assert [item.cause.code for item in list_incidents(lake)] == ["CHALLENGER_FAILED"]
        served = lake.one(
            "select count(*) as customers, count(distinct scoring_id) as runs from lake.main.scores"
            " where model_version = 1"
        )
        # Both runs of the night are all the champion's: with the failed arm, and after it.
        assert served == {"customers": 2 * village.customers, "runs": 2}
        night = lake.one("select * from lake.ledger.servings where arm = 'challenger'")
        assert night["fell_back"] == night["assigned"] > 0
        enrolled = lake.one(
            "select count(*) filter (fell_back) as fell_back, count(*) as customers"
            " from lake.ledger.enrolments where arm = 'challenger'"
        )
        # By intention to treat they count in the challenger's arm all the same.
        assert enrolled["fell_back"] == enrolled["customers"] == night["assigned"]
        assert json.loads(json.dumps(ended.evidence))["breaker"]["fell_back"] == night["fell_back"]
