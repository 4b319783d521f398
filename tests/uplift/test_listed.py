"""From lots to the list: unlocked it finds whom a contact keeps, and a list by risk does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.acting import show_actions
from flows.lifting import show_uplift
from tasks.actions.listing import list_actions
from tasks.archive import find_findings
from tasks.evidence import UpliftFindings, UpliftStudy
from tasks.findings import ActionFindings
from tasks.settings import PROJECT
from tasks.uplift.finding import find_uplift
from tasks.uplift.publishing import publish_uplift
from tasks.uplift.report import render
from tasks.uplift.serving import find_directory, learners_directory
from tasks.uplift.steps import find
from tests.actions.made_up import put_scores
from tests.conftest import MakeSettings
from tests.uplift.simulated import Shop, open_shop

pytestmark = pytest.mark.statistics

POLICY: dict[str, Any] = {
    "offers": {
        "mailing": {
            "words": {"en": "Mailing", "ko": "메일"},
            "channel": "email",
            "contact_cost_amount": 1,
            "offer_cost_amount": 0,
            "accept_share": 0.3,
        }
    },
    "rules": [{"action": "mailing"}],
    "winback": {"enabled": False},
    "maximum_contacts": 1000,
}
FINDER = """
import sys
from datetime import datetime
from pathlib import Path
from tasks.settings import load_settings
from tasks.uplift.finding import find_uplift
from tasks.warehouse import open_lake
from tests.uplift.simulated import Shop

overlay, home, directory, as_of = sys.argv[1:]
settings = load_settings(overlay, home=Path(home))
with open_lake(settings) as lake:
    shop = Shop(lake, Path(directory), datetime.fromisoformat(as_of))
    plan = shop.plan()
    find_uplift(lake, plan, shop.build(plan))
"""


@pytest.fixture(scope="module")
def shop(make_settings: MakeSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The night before a mailing: what the one before it did is over."""
    directory = tmp_path_factory.mktemp("uplift") / "shop"
    quick = {"resamples": 200, "folds": 3, "learner": {"trees": 40}}
    with open_shop(make_settings, directory, 3500, actions=POLICY, **quick) as opened:
        shop = replace(opened, as_of=datetime(2022, 12, 7, tzinfo=UTC))
        # The best that a list by risk can be: by everybody's true probability of lapsing.
        put_scores(
            shop.lake,
            [
                {"customer_id": who, "probability": one.lapse_probability, "value_amount": 1000}
                for who, one in shop.reveal_tonight().items()
            ],
            as_of=shop.as_of,
        )
        yield shop


def look(shop: Shop, **uplift: Any) -> UpliftFindings:
    """A night's evidence, by settings of `uplift` changed by keyword."""
    before = shop.lake.settings
    changed = before.uplift.model_copy(update=uplift)
    shop.lake.settings = before.model_copy(update={"uplift": changed})
    try:
        plan = shop.plan()
        if plan.done is not None:
            return plan.done
        made = find_uplift(shop.lake, plan, shop.build(plan))
        publish_uplift(shop.lake, plan.run_id, made.findings, made.own)
        found = find_findings(shop.lake, UpliftFindings, finding_id=plan.run_id)
        assert found is not None
        return found
    finally:
        shop.lake.settings = before


def make_list(shop: Shop, customers: int) -> tuple[ActionFindings, dict[str, dict[str, Any]]]:
    """The list of so many contacts, and its rows by customer."""
    # A connection of its own, as a command has: the temporary tables of two families meet.
    lake = shop.lake.cursor()
    budget = Decimal(customers)
    found = list_actions(lake, shop.as_of, shop.known_by, lake.settings, budget_amount=budget)[0]
    rows = lake.rows(
        "from lake.main.customer_actions where not held_out and run_id ="
        " (select arg_max(finding_id, recorded_at) from lake.ledger.findings"
        " where kind = 'actions')"
    )
    return found, {row["customer_id"]: row for row in rows}


def directory_of(shop: Shop, study: UpliftStudy) -> Path:
    assert study.kept is not None
    settings = shop.lake.settings
    return find_directory(settings.home, settings.deployment, study.kept.model_hash)


@pytest.mark.faults
def test_killed_once_the_learner_is_kept_nothing_is_published(shop: Shop) -> None:
    settings = shop.lake.settings
    arguments = [str(settings.called), str(settings.home), str(shop.directory)]
    done = subprocess.run(
        [sys.executable, "-c", FINDER, *arguments, shop.as_of.isoformat()],
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "HOLDFAST_CRASH_AT": "uplift.learner_kept",
        },
        timeout=180,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert find_findings(shop.lake, UpliftFindings) is None
    assert not shop.lake.scalar("select count(*) from lake.main.customer_uplifts")
    assert len(list(learners_directory(settings.home, settings.deployment).iterdir())) == 1


def test_an_unlocked_list_finds_whom_a_contact_keeps(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = shop.reveal_tonight()
    size = round(0.3 * len(truth))
    _, by_risk = make_list(shop, size)
    # Told to MLflow as well, with the learner's files.
    plan = shop.plan()
    found = find(shop.lake, plan, shop.build(plan))
    (study,) = found.studies
    assert study.unlocked
    assert study.kept is not None
    listed, by_uplift = make_list(shop, size)

    def share(chosen: Mapping[str, Any], kind: str) -> float:
        return float(np.mean([truth[who].kind == kind for who in chosen]))

    def save(chosen: Mapping[str, Any]) -> float:
        return -sum(truth[who].effect_on_lapse for who in chosen)

    assert len(by_risk) == len(by_uplift) == size
    # Contacted by risk, more leave than if nobody were; by uplift fewer do.
    assert save(by_risk) < 0 < save(by_uplift)
    assert share(by_uplift, "persuadable") > 0.8 > 0.6 > share(by_risk, "persuadable")
    assert share(by_uplift, "do_not_disturb") < 0.1 < 0.3 < share(by_risk, "do_not_disturb")
    # Every number says what it rests on, and none promises more than the lots have shown.
    assert {row["evidence_basis"] for row in by_uplift.values()} == {"own_uplift"}
    assert {row["evidence_level"] for row in by_uplift.values()} == {3}
    assert {row["evidence_basis"] for row in by_risk.values()} == {"guess"}
    assert sum(line.own_uplift_customers for line in listed.lines) == size
    told = {
        row["customer_id"]: float(row["incremental_share"])
        for row in shop.lake.rows("from lake.main.customer_uplifts")
    }
    assert len(told) == study.own_customers > 800
    assert study.kept.low <= min(told.values()) <= max(told.values()) <= study.kept.high
    promised = sum(told[who] for who in by_uplift)
    assert 0.3 * promised < save(by_uplift) < 2 * promised
    # Who vouches for the lot stands beside it, in the run's report as on the screen.
    capsys.readouterr()
    show_uplift(found)
    for shown in (render(found), capsys.readouterr().out):
        assert "says the process of the simulation" in shown
        assert "have an own uplift by" in shown
    show_actions(listed, shop.lake.settings.home)
    screen = capsys.readouterr().out
    assert f"own uplift of {size}" in " ".join(screen.split())
    assert "were chosen by their own predicted uplift" in " ".join(screen.split())


@pytest.mark.faults
def test_a_damaged_learner_is_made_anew_and_what_is_published_stands(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    found = look(shop)
    (study,) = found.studies
    before = shop.lake.rows("from lake.main.customer_uplifts order by customer_id")
    directory = directory_of(shop, study)
    whole = {path.name: path.read_bytes() for path in directory.iterdir()}
    path = directory / "contacted.lgb.txt"
    path.write_bytes(path.read_bytes()[:-200])
    caplog.clear()
    assert look(shop) == found
    assert "INTEGRITY" in caplog.text
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == whole
    assert shop.lake.rows("from lake.main.customer_uplifts order by customer_id") == before
    caplog.clear()
    assert look(shop) == found
    assert "INTEGRITY" not in caplog.text


def test_evidence_that_is_too_old_locks_it_again(shop: Shop) -> None:
    size = 300
    found = look(shop, maximum_age_days=30)
    (study,) = found.studies
    assert not study.unlocked
    assert study.kept is None
    assert "more than 30 days ago" in study.reason.en
    listed, rows = make_list(shop, size)
    assert {row["evidence_basis"] for row in rows.values()} == {"guess"}
    assert any("not used. Locked: the newest lot" in note.en for note in listed.notes)
    # With the evidence of before it is used again.
    assert look(shop).studies[0].unlocked
    _, rows = make_list(shop, size)
    assert {row["evidence_basis"] for row in rows.values()} == {"own_uplift"}


def test_what_was_observed_and_not_drawn_unlocks_nothing(shop: Shop) -> None:
    found = look(shop, campaigns={})
    assert found.studies == ()
    assert found.vouchers == ()
    assert "nobody declares" in found.undeclared[0].reason.en
    _, rows = make_list(shop, 300)
    assert {row["evidence_basis"] for row in rows.values()} == {"guess"}


def test_features_renamed_since_lock_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked of a learner whose features are not there."""
    from tasks.uplift import studying

    open_kept = studying.open_learner

    def rename(directory: Path, kept: Any) -> Any:
        learner = open_kept(directory, kept)
        return replace(learner, feature_names=("days_of_old", *learner.feature_names[1:]))

    monkeypatch.setattr(studying, "open_learner", rename)
    plan = replace(shop.plan(), done=None)
    found = find_uplift(shop.lake, plan, shop.build(plan))
    (study,) = found.findings.studies
    assert not study.unlocked
    assert "features that are not there" in study.reason.en
    assert found.own == ()
