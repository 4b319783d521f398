"""Whole nights from the command, with the real Prefect, MLflow and PostgreSQL."""

from __future__ import annotations

import csv
import html
from pathlib import Path
from typing import Any

import pytest

from tasks.findings import FINDINGS
from tasks.services.prefect_server import PrefectApi
from tasks.settings import load_settings
from tasks.visibility import table_fingerprint
from tasks.warehouse import open_lake

from .nights import Shop, write_broken

pytestmark = [pytest.mark.flow, pytest.mark.timeout(600)]


def flow_runs(api: PrefectApi, shop: Shop) -> list[dict[str, Any]]:
    """All runs of the shop, oldest first, with `flow_name` beside them."""
    names = {flow["id"]: flow["name"] for flow in api.post("/flows/filter", {})}
    runs = api.post("/flow_runs/filter", {"sort": "START_TIME_ASC"})
    ours = [run for run in runs if run["parameters"].get("deployment") == str(shop.path)]
    return [{**run, "flow_name": names[run["flow_id"]]} for run in ours]


def task_names(api: PrefectApi, run: dict[str, Any]) -> set[str]:
    body = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    return {task["name"].rsplit("-", 1)[0] for task in api.post("/task_runs/filter", body)}


def artifacts(api: PrefectApi, runs: list[dict[str, Any]]) -> dict[str, str]:
    body = {"flow_runs": {"id": {"any_": [run["id"] for run in runs]}}}
    # Without a key are the bars of progress.
    found = [one for one in api.post("/artifacts/filter", body) if one["key"]]
    # What a preview tries on its branch must not stand under the key of what was judged.
    assert len({one["key"] for one in found}) == len(found)
    return {one["key"]: one["data"] for one in found}


def facts(shop: Shop) -> dict[str, Any]:
    """What the lake holds of orders, and who serves, by the ledger."""
    with open_lake(load_settings(shop.path, home=shop.home)) as lake:
        return {
            "orders": table_fingerprint(lake, "orders", lake.snapshot()),
            "lines": lake.scalar("select count(*) from lake.main.orders"),
            "decisions": lake.scalar("select count(*) from lake.ledger.decisions"),
            "findings": lake.scalar("select count(*) from lake.ledger.findings"),
        }


def read_lists(shop: Shop) -> dict[str, bytes]:
    """The lists of the newest night, whom to contact and who is held out."""
    names = ("actions.csv", "winback.csv", "held_out.csv")
    return {name: shop.scores().with_name(name).read_bytes() for name in names}


def read_scores(shop: Shop) -> list[dict[str, Any]]:
    with shop.scores().open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def alias_of(shop: Shop) -> int | None:
    from tasks.tracking.tracker import CHAMPION, open_tracker

    with open_tracker(load_settings(shop.path, home=shop.home)) as tracker:
        return tracker.alias_version(CHAMPION)


def test_a_night_is_completed_and_nothing_of_it_is_lost(
    shop: Shop, prefect_api: PrefectApi
) -> None:
    runs = flow_runs(prefect_api, shop)
    assert [run["flow_name"] for run in runs[:5]] == [
        "nightly", "ingest", "train", "score", "understand",
    ]  # fmt: skip
    parts = ["value", "segment", "explain", "forecast", "uplift", "act", "portray"]
    assert [run["flow_name"] for run in runs[5:13]] == [*parts, "monitor"]
    assert {run["state_type"] for run in runs} == {"COMPLETED"}
    # The parts are subflows of the night, with the steps as their tasks.
    night, ingest, train, score = runs[:4]
    assert {run["parent_task_run_id"] is None for run in (ingest, train, score)} == {False}
    assert night["parent_task_run_id"] is None
    assert {"stage delivery", "validate batch", "publish batch"} <= task_names(prefect_api, ingest)
    assert "gate" in task_names(prefect_api, train)
    assert any(key.startswith("gate-") for key in artifacts(prefect_api, [train]))

    standing = shop.ask("status")
    assert standing["batches"]["states"] == {"accepted": 6}
    for table in ("orders", "events"):
        entry = standing["batches"]["tables"][table]
        assert entry["batches"] == 3
        assert entry["accepted"] + entry["quarantined"] == entry["received"] > 0
    champion = standing["champion"]
    assert champion["version"] == alias_of(shop)
    assert champion["kind"] == "model"
    assert champion["model_hash"]
    for figures in champion["metrics"].values():
        assert figures["low"] <= figures["estimate"] <= figures["high"]
    assert {"auc", "profit_amount"} <= champion["metrics"].keys()
    assert standing["last_decision"]["kind"] == "gate"
    assert standing["last_decision"]["model_version"] == champion["version"]
    ages = (standing["newest_batch_age_days"], champion["age_days"])
    assert all(0 <= age < 1 for age in (*ages, standing["last_scores"]["age_days"]))

    rows = read_scores(shop)
    assert len(rows) > 100
    assert {row["model_version"] for row in rows} == {str(champion["version"])}
    # Everybody who is scored has a value and a group, and the page tells of all of it.
    with open_lake(load_settings(shop.path, home=shop.home)) as lake:
        for table in ("customer_values", "customer_segments", "customer_reasons"):
            known = lake.rows(f"select customer_id from lake.main.{table}")
            assert len(known) == len(rows)
            assert {row["customer_id"] for row in known} == {row["customer_id"] for row in rows}
        kinds = lake.rows("select kind, count(*) as runs from lake.ledger.findings group by kind")
    assert {row["kind"]: row["runs"] for row in kinds} == dict.fromkeys(
        set(FINDINGS) - {"decay"}, 1
    )
    told = shop.ask("report", "--lang", "ko")
    assert told["missing"] == []
    assert 'lang="ko"' in Path(told["path"]).read_text(encoding="utf-8")


def test_the_same_night_again_changes_nothing_and_needs_no_prefect(
    unrecorded_shop: Shop, shop: Shop, prefect_api: PrefectApi
) -> None:
    before, scores = facts(shop), shop.scores().read_bytes()
    lists = read_lists(shop)
    recorded = len(flow_runs(prefect_api, shop))
    champion = shop.ask("status")["champion"]
    done = unrecorded_shop.run("nightly")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Traceback") == 0
    assert "0 new batches, 6 known already" in done.stdout
    assert len(flow_runs(prefect_api, shop)) == recorded
    after = facts(shop)
    assert (after["orders"], after["lines"]) == (before["orders"], before["lines"])
    assert shop.scores().read_bytes() == scores
    assert read_lists(shop) == lists
    assert after["findings"] == before["findings"]
    kept = shop.ask("status")["champion"]
    assert (kept["version"], kept["model_hash"]) == (champion["version"], champion["model_hash"])
    assert alias_of(shop) == champion["version"]


def test_a_stopped_batch_ends_the_night(shop: Shop, prefect_api: PrefectApi) -> None:
    before, known = facts(shop), {run["id"] for run in flow_runs(prefect_api, shop)}
    delivery, delivered, missing = write_broken(shop.folder / "orders")
    try:
        done = shop.run("nightly")
    finally:
        delivery.unlink()
    assert done.returncode == 65
    assert "orders/part-00003 quarantined" in done.stderr
    assert "quarantine show orders/part-00003" in done.stderr
    assert "Traceback" not in done.stderr

    runs = [run for run in flow_runs(prefect_api, shop) if run["id"] not in known]
    # Nothing later has started, and the night is Failed where whoever is on call looks.
    assert [(run["flow_name"], run["state_type"]) for run in runs] == [
        ("nightly", "FAILED"),
        ("ingest", "FAILED"),
    ]
    report = html.unescape(artifacts(prefect_api, runs)["validation-orders-part-00003"])
    lines = {line.split(" | ")[0].removeprefix("| "): line for line in report.splitlines()}
    assert "| net_amount | stop |" in lines["shift"]
    assert f"{missing:,} of {delivered:,} ({missing / delivered:.1%}) rows" in report
    assert "| found | limit |" in report
    assert f"holdfast -d {shop.path.resolve()} quarantine show orders/part-00003" in report

    assert facts(shop) == before
    (item,) = [one for one in shop.ask("quarantine", "list") if one["level"] == "stop"]
    assert item["code"] == "UNIT_SHIFT"
    assert [batch["batch_name"] for batch in item["batches"]] == ["orders/part-00003"]
    shown = shop.ask("quarantine", "show", "orders/part-00003")
    failed = {rule["rule"] for rule in shown["rules"] if not rule["passed"]}
    assert {"shift", "customer_id_present"} <= failed
    assert shown["received_rows"] == shown["quarantined_rows"] == delivered
    assert shop.ask("status")["batches"]["quarantined"] == ["orders/part-00003"]

    # The champion goes on serving the same list, which now says that orders stand aside.
    before_scores = read_scores(shop)
    again = shop.run("score")
    assert again.returncode == 0, again.stderr
    assert "STALE: orders behind" in again.stdout
    after_scores = read_scores(shop)
    told = ("stale_sources", "stale_days", "scoring_id", "known_by")
    for row in (*before_scores, *after_scores):
        row["stamp"] = tuple(row.pop(name) for name in told)
    assert {row.pop("stamp")[0] for row in before_scores} == {""}
    assert {row.pop("stamp")[0] for row in after_scores} == {"orders"}
    assert after_scores == before_scores

    # Other tests of this shop come to one that waits for nothing.
    gone = shop.run("quarantine", "discard", item["item"], "--reason", "a broken copy")
    assert gone.returncode == 0, gone.stderr
    assert shop.run("nightly").returncode == 0
