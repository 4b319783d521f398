"""From the ledger to files: what is newest, what is mirrored, what a kill leaves behind."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from flows.picturing import report
from flows.portray import portray
from tasks.archive import insert_findings
from tasks.errors import DataRejected, DiskFailure, StoredDataCorrupt, UsageError
from tasks.findings import Night, Words
from tasks.portrait.gathering import gather
from tasks.portrait.publishing import page_path, publish_page, render_summary
from tasks.settings import PROJECT, Settings
from tasks.warehouse import Lake, open_lake

from .found import AS_OF, BEFORE, action_findings, reason_findings, segment_findings, value_findings
from .made_up import EVIL, evil_portrait, portrait

NO_STATUS: dict[str, Any] = {"champion": None}
# Nothing listens there: what MLflow does not answer must not stop a night.
DEAD_STORE = {"uri": "http://127.0.0.1:9", "timeout_seconds": 1}


def put(lake: Lake, finding_id: str, found: Night) -> None:
    with lake.writer_lock("test"), lake.publish("test", "findings", {}):
        insert_findings(lake, finding_id, found)


def test_the_newest_cut_off_counts_not_the_newest_record(lake: Lake) -> None:
    put(lake, "new", value_findings(customers=10))
    put(lake, "old", value_findings(customers=20, as_of=BEFORE))
    put(lake, "reasons", reason_findings(as_of=BEFORE))
    found = gather(lake, NO_STATUS, datetime(2012, 1, 1, tzinfo=UTC))
    assert found.value is not None
    assert found.value.customers == 10
    assert found.finding_ids == {"value": "new", "reasons": "reasons"}
    assert found.as_of == AS_OF
    assert found.segments is None


def test_drawn_again_the_newer_record_of_a_cut_off_counts(lake: Lake) -> None:
    put(lake, "first", value_findings(customers=10))
    put(lake, "second", value_findings(customers=20))
    found = gather(lake, NO_STATUS, AS_OF)
    assert found.value is not None
    assert found.value.customers == 20


def test_names_of_the_month_before_are_found(lake: Lake) -> None:
    old = segment_findings(as_of=BEFORE, moved_from=None)
    gone = old.segments[0].model_copy(
        update={"segment_id": "s0", "name": Words(en="Old faithfuls", ko="오랜 단골")}
    )
    put(lake, "old", old.model_copy(update={"segments": (gone,)}))
    put(lake, "new", segment_findings())
    found = gather(lake, NO_STATUS, AS_OF)
    assert found.former is not None
    assert found.former["s0"].en == "Old faithfuls"


def test_nothing_known_is_a_page_of_its_own(lake: Lake) -> None:
    found = gather(lake, NO_STATUS, AS_OF)
    assert (found.as_of, found.champion, found.finding_ids) == (AS_OF, None, {})


def test_findings_of_another_form_stop_it(lake: Lake) -> None:
    put(lake, "odd", action_findings())
    lake.execute('update lake.ledger.findings set content = \'{"kind": "actions"}\'')
    with pytest.raises(StoredDataCorrupt, match="actions findings"):
        gather(lake, NO_STATUS, AS_OF)


def test_the_champion_is_told_of_by_the_decision_that_let_it_in(lake: Lake) -> None:
    evidence = (
        '{"rule": "gap_ratio", "against_rule": {"profit_amount": 12, "other_profit_amount": 10,'
        ' "difference_amount": 2, "low_amount": 1, "high_amount": 3}}'
    )
    for outcome, version in (("promote", 1), ("keep", 2)):
        lake.execute(
            "insert into lake.ledger.decisions by name select $outcome as decision_id,"
            " now() as decided_at, 'gate' as kind, 'shop.churn' as subject, $outcome as outcome,"
            " '' as reason, $evidence as evidence, 'shop.churn' as model_name,"
            " $version as model_version, 3 as snapshot_id, 'test' as actor",
            {"outcome": outcome, "evidence": evidence, "version": version},
        )
    status = {
        "candidate": "lightgbm", "name": "shop.churn", "version": 1, "kind": "model",
        "run_id": None, "snapshot_id": 3, "promoted_at": "2011-12-02T02:11:00+00:00",
    }  # fmt: skip
    found = gather(lake, {"champion": status}, AS_OF).champion
    assert found is not None
    assert found.contest is not None
    assert (found.contest.rival, found.contest.difference) == ("gap_ratio", 2.0)
    later = gather(lake, {"champion": status | {"version": 2}}, AS_OF).champion
    assert later is not None
    assert later.contest is None


# --- files and mirrors ----------------------------------------------------------------------


@pytest.fixture
def down(make_settings: Any) -> Settings:
    """A deployment whose MLflow does not answer."""
    settings: Settings = make_settings(tracking=DEAD_STORE, clock={"as_of": "2011-12-09"})
    return settings


def test_a_store_that_is_down_is_a_warning(
    down: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "holdfast.portrait"):
        page = publish_page(down, portrait(deployment=down.deployment))
    assert page.run_id is None
    assert "The customer page is not in MLflow" in caplog.text
    folder = down.home / "exports" / down.deployment / "2011-12-09"
    assert sorted(one.name for one in folder.iterdir()) == ["customers.html", "customers.ko.html"]
    assert page.paths == {
        "en": folder / "customers.html",
        "ko": folder / "customers.ko.html",
    }
    before = {path: path.read_bytes() for path in page.paths.values()}
    publish_page(down, portrait(deployment=down.deployment))
    assert {path: path.read_bytes() for path in page.paths.values()} == before


def test_a_cut_off_within_a_day_has_a_folder_of_its_own(down: Settings) -> None:
    assert page_path(down, AS_OF + timedelta(hours=5), "en").parent.name == "2011-12-09T050000Z"


def test_a_disk_that_does_not_take_it(down: Settings) -> None:
    folder = page_path(down, AS_OF, "en").parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(DiskFailure, match=r"customers\.html cannot be written"):
        publish_page(down, portrait())


def test_the_artifact_escapes_what_strangers_wrote(down: Settings) -> None:
    found = evil_portrait()
    page = publish_page(down, portrait(deployment=down.deployment))
    summary = render_summary(found, page)
    assert EVIL not in summary
    assert "<script" not in summary
    assert "customers.ko.html" in summary


# --- the flow and the command ---------------------------------------------------------------


@pytest.fixture
def shop(down: Settings) -> Settings:
    """Findings of a night in a lake."""
    with open_lake(down) as lake:
        found = portrait()
        for kind, one in found.parts.items():
            assert one is not None
            put(lake, f"{kind}-1", one.model_copy(update={"deployment": down.deployment}))
    return down


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", str(home))


def test_the_flow_draws_what_the_lake_holds(shop: Settings) -> None:
    page = portray.fn(shop.called)
    assert page.missing == ("churn",)
    text = page.paths["en"].read_text(encoding="utf-8")
    assert "Loyal big spenders" in text
    assert "segments-1" in text
    assert portray.fn(shop.called) == page


def test_a_lake_without_rows_and_findings_is_refused(make_settings: Any) -> None:
    settings = make_settings(tracking=DEAD_STORE)
    with pytest.raises(DataRejected):
        portray.fn(settings.called)


def ask(settings: Settings, *options: str) -> Any:
    app = typer.Typer()

    @app.callback()
    def choose(context: typer.Context) -> None:
        context.obj = settings.called

    app.command("report")(report)
    return CliRunner().invoke(app, ["report", *options])


def test_the_command_prints_where_the_page_is(shop: Settings) -> None:
    import json

    done = ask(shop, "--lang", "ko")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(page_path(shop, AS_OF, "ko"))
    assert f"churn: not known yet. Next: holdfast -d {shop.called} train" in done.stderr
    described = json.loads(ask(shop, "--json").stdout)
    assert described["path"] == str(page_path(shop, AS_OF, "en"))
    assert described["missing"] == ["churn"]


def test_a_language_that_is_none_is_refused(shop: Settings) -> None:
    done = ask(shop, "--lang", "kr")
    assert isinstance(done.exception, UsageError)
    assert "Did you mean 'ko'?" in str(done.exception) or "en, ko" in str(done.exception)


@pytest.mark.parametrize("point", ["portrait.before_write", "portrait.written"])
def test_a_kill_leaves_whole_pages(shop: Settings, point: str) -> None:
    """Killed before or after, run again: the same two files, no scraps."""
    before = {path: path.read_bytes() for path in portray.fn(shop.called).paths.values()}
    # What the flow does, without Prefect, whose import takes longer than all else.
    code = (
        "from tasks.portrait.gathering import gather\n"
        "from tasks.portrait.publishing import publish_page\n"
        "from tasks.settings import load_settings\n"
        "from tasks.warehouse import open_lake\n"
        f"settings = load_settings({shop.called!r})\n"
        "with open_lake(settings) as lake:\n"
        "    found = gather(lake, {}, None)\n"
        "publish_page(settings, found)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "HOLDFAST_CRASH_AT": point}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env=environment, check=False, timeout=120
    )
    assert done.returncode == -9
    assert {path: path.read_bytes() for path in before} == before
    portray.fn(shop.called)
    folder = next(iter(before)).parent
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
