"""Published at once or not at all, once a night's evidence, and mended after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.uplift import uplift
from tasks.archive import find_findings
from tasks.errors import DataRejected
from tasks.evidence import UpliftFindings
from tasks.settings import HOME_VARIABLE, PROJECT, Settings
from tasks.uplift.finding import plan_uplift
from tasks.uplift.report import render
from tasks.uplift.steps import find
from tasks.warehouse import Lake
from tests.actions.made_up import AS_OF, KNOWN_BY, put_scores
from tests.conftest import MakeSettings
from tests.features.shop import put
from tests.uplift.made_up import put_group, put_list
from tests.uplift.test_subjects import NIGHT, is_held_out, ordered

FINDER = """
import sys
from pathlib import Path
from tasks.settings import load_settings
from tasks.uplift.finding import plan_uplift
from tasks.uplift.steps import find
from tasks.warehouse import open_lake
from tests.actions.made_up import AS_OF, KNOWN_BY

overlay, home = sys.argv[1:]
settings = load_settings(overlay, home=Path(home))
with open_lake(settings) as lake:
    find(lake, plan_uplift(lake, AS_OF, KNOWN_BY, lake.snapshot(), None), None)
"""


def put_night(lake: Lake) -> None:
    """600 listed a while ago; of those contacted most stay, of those held out few."""
    people = [f"c{number:04d}" for number in range(600)]
    put_list(lake, NIGHT, people, is_held_out, segment_id="g1")
    staying = [w for n, w in enumerate(people) if is_held_out(w) is (n % 5 == 0)]
    put(lake, "orders", [ordered(who, 3) for who in staying])


@pytest.mark.faults
@pytest.mark.parametrize(
    "point", ["uplift.before_publish", "uplift.rows_inserted", "uplift.published"]
)
def test_a_killed_run_is_mended_by_the_next(
    lake: Lake, settings: Settings, tmp_path: Path, point: str
) -> None:
    put_list(lake, NIGHT, [f"c{number:04d}" for number in range(40)], is_held_out)
    overlay = tmp_path / f"{settings.deployment}.yaml"
    overlay.write_text(f"deployment: {settings.deployment}\n")
    done = subprocess.run(
        [sys.executable, "-c", FINDER, str(overlay), str(settings.home)],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "HOLDFAST_CRASH_AT": point},
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    published = point == "uplift.published"
    assert (find_findings(lake, UpliftFindings) is not None) is published
    plan = plan_uplift(lake, AS_OF, KNOWN_BY, lake.snapshot(), None)
    assert (plan.done is not None) is published
    found = find(lake, plan, None)
    assert found == find_findings(lake, UpliftFindings)
    rows = lake.rows("from lake.main.action_effects")
    assert len(rows) == len(found.cells)
    assert len({row["run_id"] for row in rows}) == 1


@pytest.mark.sql
def test_the_same_evidence_is_one_run(lake: Lake, make_settings: MakeSettings) -> None:
    lake.settings = make_settings(
        lake.deployment, uplift={"minimum_customers": 40, "minimum_events": 10}
    )
    put_night(lake)
    plan = plan_uplift(lake, AS_OF, KNOWN_BY, lake.snapshot(), None)
    found = find(lake, plan, None)
    cells = {cell.segment_id or cell.action: cell for cell in found.cells}
    assert (cells["voucher"].level, cells["g1"].level) == (2, 3)
    assert cells["g1"].verdict == "works"
    effects = {
        row["segment_id"] or row["action"]: row
        for row in lake.rows("from lake.main.action_effects")
    }
    assert effects["g1"]["is_measured"]
    assert not effects["voucher"]["is_measured"]
    lapse = cells["g1"].lapse
    assert lapse is not None
    assert effects["g1"]["incremental_share"] == pytest.approx(-lapse.expected)
    assert effects["g1"]["low_share"] == pytest.approx(-lapse.high)
    assert effects["g1"]["low_share"] > 0
    again = plan_uplift(lake, AS_OF, KNOWN_BY, lake.snapshot(), None)
    assert again.run_id == plan.run_id
    assert find(lake, again, None) == found
    assert lake.scalar("select count(distinct run_id) from lake.main.action_effects") == 1
    shown = render(found)
    assert "segment g1" in shown
    assert "customers in each arm" in shown
    # What a group was called later changes nothing; another outcome does.
    put_group(lake, AS_OF, {"c0001": "g9"}, "later")
    assert plan_uplift(lake, AS_OF, KNOWN_BY, lake.snapshot(), None).run_id == plan.run_id
    put(lake, "orders", [ordered("c0001", 4)])
    assert plan_uplift(lake, AS_OF, KNOWN_BY, lake.snapshot(), None).run_id != plan.run_id


@pytest.mark.sql
def test_a_night_without_any_lot_goes_on(
    lake: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(lake, "orders", [ordered("c1", 1), ordered("c2", 100)])
    monkeypatch.setenv(HOME_VARIABLE, str(settings.home))
    found = uplift.fn(settings.called)
    assert {cell.level for cell in found.cells} == {0}
    assert "went by lot" in found.notes[0].en
    assert "AUC" not in found.ranking.words.en
    assert find_findings(lake, UpliftFindings) == found


@pytest.mark.sql
def test_a_ranking_that_held_is_level_one(lake: Lake) -> None:
    champion = {"metrics": {"auc": {"estimate": 0.8, "low": 0.75, "high": 0.85}}}
    plan = plan_uplift(lake, AS_OF, KNOWN_BY, lake.snapshot(), champion)
    assert (plan.ranking.source, plan.ranking.confirmed) == ("final_test", True)
    weak = {"metrics": {"auc": {"estimate": 0.52, "low": 0.49, "high": None}}}
    assert not plan_uplift(lake, AS_OF, KNOWN_BY, lake.snapshot(), weak).ranking.confirmed


@pytest.mark.sql
def test_served_scores_are_judged_when_they_have_matured(lake: Lake) -> None:
    people = [f"c{number:03d}" for number in range(200)]
    scores = [
        {"customer_id": who, "probability": number / 200, "value_amount": 1}
        for number, who in enumerate(people)
    ]
    put_scores(lake, scores, "old", NIGHT)
    put_scores(lake, scores[::-1], "new", AS_OF)
    put(lake, "orders", [ordered(who, 5) for n, who in enumerate(people) if n % 3 or n < 100])
    ranking = plan_uplift(lake, AS_OF, KNOWN_BY, lake.snapshot(), None).ranking
    assert (ranking.source, ranking.customers, ranking.as_of) == ("scores", 200, NIGHT)
    assert ranking.confirmed
    assert ranking.auc is not None
    assert 0.7 < ranking.auc < 0.9


@pytest.mark.sql
def test_where_a_list_went_out_those_held_out_judge_the_scores(lake: Lake) -> None:
    """Who was contacted for being at risk stayed for it: the ranking was right all the same."""
    people = [f"c{number:04d}" for number in range(1500)]
    put_scores(
        lake,
        [
            {"customer_id": who, "probability": number / 1500, "value_amount": 1}
            for number, who in enumerate(people)
        ],
        "old",
        NIGHT,
    )
    leaving = {who for number, who in enumerate(people) if number % 3 and number > 750}
    staying = [who for who in people if who not in leaving or not is_held_out(who)]
    put(lake, "orders", [ordered(who, 5) for who in staying if who not in people[:40]])
    ranking = plan_uplift(lake, AS_OF, KNOWN_BY, lake.snapshot(), None).ranking
    assert ranking.customers == 1500
    assert not ranking.words.en.count("held out")
    put_list(lake, NIGHT, people[700:], is_held_out)
    ranking = plan_uplift(lake, AS_OF, KNOWN_BY, lake.snapshot(), None).ranking
    assert ranking.customers == sum(is_held_out(who) for who in people)
    assert ranking.confirmed
    assert "customers held out whose outcome" in ranking.words.en


@pytest.mark.sql
def test_contracts_are_not_told_by_orders(make_settings: MakeSettings, lake: Lake) -> None:
    lake.settings = make_settings(lake.deployment, features={"outcome": "cancellation"})
    with pytest.raises(DataRejected, match="orders after it"):
        plan_uplift(lake, AS_OF, KNOWN_BY, lake.snapshot(), None)
