"""A real, small training from the labelled rows to the list, and what may be read of it after.

One training, one promotion and one scoring serve all tests of this file: they look at what is
left behind.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tasks.audits import LeakAudit
from tasks.churn.data import read_training_data
from tasks.churn.record import describe_training, gather_final
from tasks.churn.training import train
from tasks.contracts import NO_REASON
from tasks.handles import FeatureTable, FinalCustomers, ScoreTable, TrainingRecord
from tasks.registry.admission import Admission, admit
from tasks.registry.champion import champion_status, find_champion, open_champion
from tasks.registry.steps import load_champion
from tasks.scoring.scoring import score
from tasks.settings import Settings
from tasks.tracking.tracker import CHAMPION, Tracker, open_tracker
from tasks.warehouse import Lake, open_lake
from tests.churn.made_up import DRIVERS, WORDS, churn_settings, labelled_table

AUDIT = LeakAudit("recency_days", 0.7, 7, (), (), 50)
MakeSettings = Callable[..., Settings]
# Ids that stand nowhere else, so that finding one in a file means that it leaked.
PREFIX = "holdfast-canary-"


def make_table() -> pa.Table:
    table = labelled_table(customers=300)
    ids = [PREFIX + text for text in table["customer_id"].to_pylist()]
    return table.set_column(
        table.column_names.index("customer_id"), "customer_id", pa.array(ids, pa.string())
    )


@dataclass
class Night:
    """What the fixture leaves."""

    lake: Lake
    tracker: Tracker
    settings: Settings
    record: TrainingRecord
    final: FinalCustomers
    admission: Admission
    scores: ScoreTable


@pytest.fixture(scope="module")
def night(make_settings: MakeSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    settings = make_settings(
        economics={"contact_cost_amount": "0.10", "offer_cost_amount": "1.00"},
        registry={"minimum_final_customers": 100, "rule_confidence": 0.51},
    )
    table = make_table()
    data = read_training_data(
        table, drivers=DRIVERS, words=WORDS, horizon_days=60.0, value_column="value_amount"
    )
    directory = tmp_path_factory.mktemp("trained")
    result = train(
        data,
        churn_settings(),
        settings.economics,
        directory=directory / "out",
        study_directory=directory / "study",
    )
    newest = max(table["as_of"].to_pylist())
    labelled = FeatureTable(
        table="night_features",
        as_of=(newest,),
        known_by=(newest,),
        snapshot_id=1,
        fingerprint=data.fingerprint,
        rows=table.num_rows,
        feature_names=data.feature_names,
        labelled=True,
    )
    record = describe_training(
        result, settings, labelled, newest + timedelta(days=61), at_cutoff=300
    )
    final = gather_final(result, data, settings)
    with open_lake(settings) as lake, open_tracker(settings) as tracker:
        admission = admit(lake, tracker, record, final, AUDIT)
        champion, predictor = load_champion(lake)
        lake.load_arrow("made", table)
        with lake.writer_lock("test"), lake.publish("test", "features", {}):
            lake.execute("create table lake.main.night_features as select * from made")
        features = replace(labelled, rows=300, labelled=False)
        scores = score(lake, champion, predictor, features, settings)
        yield Night(lake, tracker, settings, record, final, admission, scores)


def test_the_decision_is_everywhere(night: Night) -> None:
    decision, champion = night.admission.decision, night.admission.champion
    assert decision.outcome in ("promote", "serve_rule")
    assert champion is not None
    assert champion.kind == {"promote": "model", "serve_rule": "rule"}[decision.outcome]
    assert night.tracker.alias_version(CHAMPION) == champion.version
    run = night.tracker._client.get_run(night.admission.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["holdfast.decision"] == decision.outcome
    assert run.data.tags["holdfast.served"] == champion.kind
    status = champion_status(night.lake)
    assert status["champion"]["version"] == champion.version
    assert status["last_decision"]["reason"] == decision.reason
    assert status["last_scores"]["age_days"] < 1


def test_the_run_tells_the_whole_story(night: Night, tmp_path: Path) -> None:
    """From the data's snapshot to who served before, on the run's page."""
    decision, run_id = night.admission.decision, night.admission.run_id
    client = night.tracker._client
    run = client.get_run(run_id)
    pages = {file.path for file in client.list_artifacts(run_id, "gate")}
    assert pages == {
        f"gate/{n}" for n in ("decision.md", "criteria.json", "sheet.md", "sheet.json")
    }
    told = Path(client.download_artifacts(run_id, "gate/decision.md", str(tmp_path))).read_text()
    sheet = Path(client.download_artifacts(run_id, "gate/sheet.md", str(tmp_path))).read_text()
    assert night.admission.champion is not None
    for part in (
        decision.decision_id,
        "| champion before | none |",
        night.record.dataset_fingerprint,
        night.final.fingerprint,
        "| data snapshot | 1 |",
        *(f"| {one['name']} |" for one in decision.evidence["criteria"]),
    ):
        assert part in told
    digest = decision.evidence["sheet_sha256"]
    assert digest in sheet
    assert digest in told
    assert all(f"| {code} |" in sheet for code in ("L1.1", "L1.4", "L2", "L3.1", "L3.3"))
    tags = run.data.tags
    assert tags["holdfast.decision_id"] == decision.decision_id
    assert tags["holdfast.promotion_id"] == night.admission.champion.decision_id
    assert tags["holdfast.previous_champion"] == "none"
    assert tags["holdfast.sheet_sha256"] == digest
    assert tags["mlflow.note.content"].startswith(f"# Gate: {decision.outcome}")
    rows = night.lake.rows(
        "select evidence from lake.ledger.decisions where decision_id = $id",
        {"id": decision.decision_id},
    )
    assert json.loads(rows[0]["evidence"])["sheet_sha256"] == digest


@pytest.mark.faults(56)
def test_a_challenger_that_does_not_load_is_a_decision(night: Night, tmp_path: Path) -> None:
    """Not an error of the night: the champion serves, and the ledger says why."""
    before = find_champion(night.lake)
    damaged = tmp_path / "damaged"
    shutil.copytree(night.record.model.directory, damaged)
    text = (damaged / "model.lgb.txt").read_text()
    (damaged / "model.lgb.txt").write_text(text[: len(text) // 3])
    record = replace(night.record, model=replace(night.record.model, directory=damaged))
    blocked = admit(night.lake, night.tracker, record, night.final, AUDIT)
    assert blocked.decision.outcome == "blocked"
    assert "it loads and is quick and small: no" in blocked.decision.reason
    assert blocked.served == "champion"
    assert find_champion(night.lake) == before
    assert night.tracker._client.get_run(blocked.run_id).info.status == "FINISHED"


PLAIN_PYFUNC = """
import importlib.util, json, sys
for name in ("tasks", "flows", "expectations"):
    sys.modules[name] = None
import mlflow, pyarrow.parquet
uri, model, features, answer = sys.argv[1:]
mlflow.set_tracking_uri(uri)
loaded = mlflow.pyfunc.load_model(model)
frame = pyarrow.parquet.read_table(features).to_pandas()
frame["probability"] = loaded.predict(frame)["probability"].to_numpy()
frame["reason_1"] = loaded.predict(frame)["reason_1"].to_numpy()
columns = ["customer_id", "probability", "reason_1"]
pyarrow.parquet.write_table(
    pyarrow.Table.from_pandas(frame[columns], preserve_index=False), answer
)
"""


def test_plain_pyfunc_gives_the_numbers_of_the_batch_scores(night: Night, tmp_path: Path) -> None:
    """In a process of its own that cannot import the project."""
    inputs = night.lake.arrow(
        "select * from lake.main.night_features where as_of = $as_of",
        {"as_of": night.scores.as_of},
    )
    names = list(night.record.model.feature_names)
    columns = {name: inputs[name].cast(pa.float64()) for name in names}
    pyarrow.parquet.write_table(
        pa.table({"customer_id": inputs["customer_id"], **columns}), tmp_path / "features.parquet"
    )
    arguments = [
        night.tracker.uri,
        f"models:/{night.tracker.model_name}@champion",
        str(tmp_path / "features.parquet"),
        str(tmp_path / "answer.parquet"),
    ]
    subprocess.run(
        [sys.executable, "-I", "-c", PLAIN_PYFUNC, *arguments],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "MLFLOW_DISABLE_TELEMETRY": "true"},
        check=True,
        timeout=120,
    )
    answer = pyarrow.parquet.read_table(tmp_path / "answer.parquet")
    plain = {row["customer_id"]: row for row in answer.to_pylist()}
    assert night.scores.parquet_path is not None
    scored = pyarrow.parquet.read_table(night.scores.parquet_path).to_pylist()
    assert len(scored) == len(plain) == 300
    for row in scored:
        assert row["probability"] == plain[row["customer_id"]]["probability"]
        assert row["reason_1"] == (plain[row["customer_id"]]["reason_1"] or NO_REASON)


def test_no_customer_is_in_mlflow_or_among_the_models(night: Night) -> None:
    searched = 0
    for directory in (night.settings.home / "mlflow", night.settings.home / "models"):
        for path in directory.rglob("*"):
            if path.is_file():
                searched += 1
                assert PREFIX.encode() not in path.read_bytes(), path
    assert searched > 20
    assert night.scores.csv_path is not None
    assert PREFIX.encode() in night.scores.csv_path.read_bytes()  # the search does find ids
    connection = night.tracker._client.search_runs([night.tracker._experiment()], max_results=1000)
    for run in connection:
        assert PREFIX not in str(run.to_dictionary())
    assert PREFIX not in str(night.lake.rows("select * from lake.ledger.decisions"))


def test_the_same_training_again_keeps_the_champion(night: Night) -> None:
    """A rerun after a kill, or a night without news."""
    before = find_champion(night.lake)
    again = admit(night.lake, night.tracker, night.record, night.final, AUDIT)
    assert again.decision.outcome == "keep"
    assert again.champion == before
    assert night.tracker.alias_version(CHAMPION) == (before.version if before else None)
    run = night.tracker._client.get_run(again.run_id)
    assert run.data.tags["holdfast.decision"] == "keep"


def test_missing_evidence_blocks_and_the_reason_is_in_ledger_and_tags(night: Night) -> None:
    broken = night.final.contact_gain_amount.copy()
    broken[0] = np.nan
    before = find_champion(night.lake)
    blocked = admit(
        night.lake,
        night.tracker,
        night.record,
        replace(night.final, contact_gain_amount=broken),
        AUDIT,
    )
    assert blocked.decision.outcome == "blocked"
    assert find_champion(night.lake) == before
    last = champion_status(night.lake)["last_decision"]
    assert last["outcome"] == "blocked"
    assert "contact_gain_amount" in last["reason"]
    tags = night.tracker._client.get_run(blocked.run_id).data.tags
    assert "contact_gain_amount" in tags["holdfast.decision_reason"]


def test_a_champion_that_cannot_score_blocks(night: Night) -> None:
    names = [name for name in night.final.features.column_names if name != "recency_days"]
    without = replace(night.final, features=night.final.features.select(names))
    blocked = admit(night.lake, night.tracker, night.record, without, AUDIT)
    assert blocked.decision.outcome == "blocked"
    assert "champion" in blocked.decision.reason


def test_the_champion_serves_with_mlflow_down(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_TRACKING_URI", "http://127.0.0.1:9")
    champion, predictor = load_champion(night.lake)
    assert champion == find_champion(night.lake)
    assert np.isfinite(predictor.predict(night.final.features)).all()
    assert open_champion(night.lake, champion).feature_names == champion.feature_names
