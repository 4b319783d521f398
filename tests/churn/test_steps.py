"""The step on a real lake: a feature table in, a record and the final customers out."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.churn.model_code import open_model
from tasks.churn.steps import train_churn
from tasks.errors import DataRejected
from tasks.handles import FeatureTable
from tasks.settings import PROJECT, load_settings
from tasks.warehouse import Lake, open_lake
from tests.churn.made_up import DRIVERS, WORDS, churn_settings, labelled_table
from tests.conftest import MakeSettings

pytestmark = pytest.mark.sql


def _table(lake: Lake, *, labelled: bool = True) -> FeatureTable:
    lake.load_arrow("made", labelled_table().drop_columns(["region"]))
    with lake.writer_lock("test"), lake.publish("test", "features", {}):
        lake.execute("create table lake.main.features_made as select * from made")
    return FeatureTable(
        table="features_made",
        as_of=(datetime(2024, 6, 29, tzinfo=UTC),),
        known_by=(datetime(2024, 9, 1, tzinfo=UTC),),
        snapshot_id=lake.snapshot().snapshot_id,
        fingerprint="f" * 64,
        rows=2800,
        feature_names=tuple(DRIVERS),
        labelled=labelled,
    )


def test_a_training_on_the_lake(make_settings: MakeSettings) -> None:
    small = churn_settings().model_dump(mode="json")
    settings = make_settings(churn=small, features={"horizon_days": 60})
    known_by = datetime(2024, 9, 1, tzinfo=UTC)
    with open_lake(settings) as lake:
        table = _table(lake)
        record, final = train_churn(lake, table, DRIVERS, WORDS, known_by)
    assert record.model.metrics["auc"][0] > record.rule.metrics["auc"][0]
    assert record.dataset_fingerprint == table.fingerprint
    assert record.as_of == datetime(2024, 6, 29, tzinfo=UTC)
    assert record.known_by == known_by
    assert len(record.trials) == 6
    assert (
        record.lock_hash == hashlib.sha256((PROJECT / "requirements.lock").read_bytes()).hexdigest()
    )
    again = open_model(record.model.directory).predict(final.features)
    assert (again == final.model_probability).all()
    assert (final.expected_returns(again) == final.model_return_amount).all()
    assert final.features.column_names == list(DRIVERS)
    assert final.budget_contacts == 181
    assert record.model.directory.is_relative_to(settings.home)


def test_a_table_without_outcomes_is_refused(lake: Lake) -> None:
    table = _table(lake, labelled=False)
    with pytest.raises(DataRejected, match="no outcomes"):
        train_churn(lake, table, DRIVERS, WORDS, datetime(2024, 9, 1, tzinfo=UTC))


def test_every_deployment_has_sound_churn_settings() -> None:
    for path in sorted((PROJECT / "conf").glob("*.yaml")):
        if path.stem != "prefect":
            settings = load_settings(path.stem, home=Path("unused"))
            assert settings.churn.rules
            assert settings.economics.budget_amount > 0
