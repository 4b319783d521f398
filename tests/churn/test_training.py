"""A training from the table to the files, and the files as MLflow and the scores open them."""

from __future__ import annotations

import json
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest

from tasks.churn.model_code import Model, open_model
from tasks.churn.model_files import hash_model
from tasks.churn.training import TrainingResult, train
from tests.churn.made_up import (
    DRIVERS,
    WORDS,
    churn_settings,
    economics_settings,
    labelled_table,
    training_data,
)


def _train(directory: Path, **changes: object) -> TrainingResult:
    return train(
        training_data(),
        churn_settings(**changes),
        economics_settings(),
        directory=directory,
        study_directory=directory / "optuna",
    )


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    return _train(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="module")
def model(result: TrainingResult) -> Model:
    return open_model(result.model.directory)


def test_two_trainings_give_the_same_bytes(result: TrainingResult, tmp_path: Path) -> None:
    again = _train(tmp_path, workers=2)
    assert again.model.model_hash == result.model.model_hash == hash_model(again.model.directory)
    assert again.rule.model_hash == result.rule.model_hash
    for path in result.model.directory.iterdir():
        if path.is_file():
            assert path.read_bytes() == (again.model.directory / path.name).read_bytes(), path.name
    assert again.model.metrics == result.model.metrics
    assert again.baselines == result.baselines
    assert again.curves == result.curves
    assert again.slices == result.slices


def test_it_learns_what_is_there(result: TrainingResult) -> None:
    estimate, low, high = result.model.metrics["auc"]
    assert low < estimate < high
    assert estimate > 0.65
    assert result.beats_best_rule
    assert result.rule.name == "own_cadence"
    assert set(result.baselines) == {
        "rule recency",
        "rule own_cadence",
        "logistic regression",
        "random forest",
    }
    assert next(iter(result.drivers)) in ("cadence", "service")
    assert {row["slice"] for row in result.slices} >= {"region: north", "tenure: lowest third"}


def test_the_final_block_holds_the_last_cutoff(result: TrainingResult) -> None:
    final = result.final
    assert len(final.rows) == 400
    assert result.split["test"]["cutoffs"] == ["2024-06-29"]
    assert result.split["final_training"]["cutoffs"][-1] == "2024-04-30"
    contacted = np.argsort(-final.model_score)[: round(400 * final.contact_budget_share)]
    gains = final.contact_gain_amount[contacted][final.model_score[contacted] > 0]
    assert float(result.profit_amounts["lightgbm"]) == pytest.approx(gains.sum(), abs=2)


def test_columns_are_taken_by_name_and_a_missing_one_is_named(model: Model) -> None:
    table = labelled_table()
    shuffled = table.select(sorted(table.column_names, reverse=True))
    assert (model.predict(table) == model.predict(shuffled)).all()
    assert (model.predict(table) == model.predict(table.to_pandas())).all()
    with pytest.raises(ValueError, match="1 are missing: tickets_90"):
        model.predict(table.drop_columns(["tickets_90"]))
    place = table.column_names.index("noise")
    with_text = table.set_column(place, "noise", table["region"])
    with pytest.raises(ValueError, match="'noise' is"):
        model.predict(with_text)


def test_contributions_add_up_to_the_margin(model: Model) -> None:
    matrix = model.matrix(labelled_table())[:300]
    names, pushes = model.contributions(matrix)
    assert set(names) == set(WORDS)
    base = model.booster.predict(matrix[:1], pred_contrib=True)[0, -1]
    raw = model.raw_scores(matrix)
    assert pushes.sum(axis=1) + base == pytest.approx(np.log(raw / (1 - raw)), abs=1e-9)


def test_reasons_push_towards_leaving_and_say_it_in_words(model: Model) -> None:
    matrix = model.matrix(labelled_table())[:500]
    names, pushes = model.contributions(matrix)
    driver = {WORDS[name]: place for place, name in enumerate(names)}
    reasons = model.reasons_matrix(matrix)
    assert {len(row) for row in reasons} <= {0, 1, 2, 3}
    assert sum(len(row) > 0 for row in reasons) > 450
    for row, push in zip(reasons, pushes, strict=True):
        weights = [push[driver[words]] for words in row]
        assert all(weight > 0 for weight in weights)
        assert weights == sorted(weights, reverse=True)


def test_a_rule_is_opened_like_a_model(result: TrainingResult) -> None:
    rule = open_model(result.rule.directory)
    table = labelled_table()
    probability = rule.predict(table)
    assert ((probability > 0) & (probability < 1)).all(), "a missing gap takes the fallback"
    assert set(rule.reasons(table)) == {("pause against their own rhythm",)}
    gap = np.nan_to_num(table["gap_median_days"].to_numpy(), nan=1e9)
    known = gap < 1e9
    ratio = table["recency_days"].to_numpy() / np.maximum(gap, 1)
    order = np.argsort(ratio[known], kind="stable")
    assert (np.diff(probability[known][order]) >= 0).all()


# MLflow warns of its own classes while it is imported.
@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")
@pytest.mark.parametrize("kind", ["model", "rule"])
def test_plain_mlflow_gives_the_same_numbers(
    result: TrainingResult, kind: str, tmp_path: Path
) -> None:
    import mlflow

    directory = getattr(result, kind).directory
    mlflow.pyfunc.save_model(
        str(tmp_path / "saved"),
        python_model=str(directory / "model_code.py"),
        artifacts={"model": str(directory)},
        pip_requirements=["lightgbm"],
    )
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "saved"))
    names = [*DRIVERS][::-1]
    frame = labelled_table().to_pandas()[names].astype(float)[:200]
    output = loaded.predict(frame)
    own = open_model(directory)
    assert (output["probability"].to_numpy() == own.predict(frame)).all()
    wanted = [row[0] if row else None for row in own.reasons(frame)]
    assert [None if pd.isna(v) else v for v in output["reason_1"]] == wanted


def test_the_stored_text_is_lightgbms_own_and_holds_no_customer(result: TrainingResult) -> None:
    text = (result.model.directory / "model.lgb.txt").read_text()
    again = lightgbm.Booster(model_str=text)
    assert again.model_to_string() == text, "not canonical (fault 58)"
    assert again.feature_name() == list(DRIVERS)
    for directory in (result.model.directory, result.rule.directory):
        for path in directory.iterdir():
            if path.is_file():
                assert "c00001" not in path.read_text()
    signature = json.loads((result.model.directory / "signature.json").read_text())
    assert signature["drivers"] == list(DRIVERS.values())


def test_without_declared_rules_the_best_feature_is_the_rule(tmp_path: Path) -> None:
    found = _train(tmp_path, rules=(), trials=1)
    assert found.rule.name == "best_feature"
    assert json.loads((found.rule.directory / "rule.json").read_text())["feature"] in DRIVERS
