"""One training: choose and fit the model, judge it once, and write down what was found.

A plain function of data and settings: no lake, no orchestrator, no tracking store. The same data,
settings and libraries give the same files, byte by byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.churn import worker
from tasks.churn.baselines import Rule, fit_rules, predict_forest, predict_logistic
from tasks.churn.calibration import Calibration, Part, choose_calibration
from tasks.churn.curves import trace_curves
from tasks.churn.data import Floats, Indices, TrainingData
from tasks.churn.leakage import measure_leakage
from tasks.churn.metrics import Replicates, compare, measure
from tasks.churn.model_code import Model, open_model
from tasks.churn.model_files import write_model
from tasks.churn.profit import sum_profit
from tasks.churn.reasons import weigh_drivers
from tasks.churn.slices import label_slices, measure_slices
from tasks.churn.splits import Splits, split_data
from tasks.churn.tuning import Progress, Tuned, tune
from tasks.economics import Economics
from tasks.handles import Curves, Interval, Trial
from tasks.keeping import golden_rows
from tasks.sections import ChurnSettings, EconomicsSettings

MODEL_NAME = "lightgbm"
# With more rows the last fit takes all threads; LightGBM's result does not depend on how many.
_ROWS_FOR_ALL_THREADS = 500_000
# The share of customers that the refit for the stability of scores does without.
_LEFT_OUT_SHARE = 0.1


@dataclass(frozen=True)
class Trained:
    """A model or rule on disk, with its metrics on the final customers."""

    name: str
    directory: Path
    model_hash: str
    feature_names: tuple[str, ...]
    metrics: Mapping[str, Interval]
    calibration: str
    golden: tuple[float, ...]


@dataclass(frozen=True)
class FinalBlock:
    """The final customers, row by row: what model and rule said, and what then happened.

    `rows` are the rows of the training data that it holds; arrays have shape (len(rows),).
    `*_score` orders the list that would be contacted (expected return of a contact);
    `contact_gain_amount` is what that contact would have brought. `refit_probability` is of the
    same model learnt with another seed and without a tenth of the customers.
    """

    rows: Indices
    customers: Indices
    churned: NDArray[np.bool_]
    value_amount: Floats
    model_probability: Floats
    model_score: Floats
    rule_probability: Floats
    rule_score: Floats
    contact_gain_amount: Floats
    contact_budget_share: float
    refit_probability: Floats
    slices: Mapping[str, NDArray[np.str_]]


@dataclass(frozen=True)
class TrainingResult:
    """Everything that a training found; no customer's id is in it.

    `baselines` holds the metrics of every contender but the model on the same final customers;
    `against_rule` the model's less the best rule's, paired. `profit_amount` are realised sums at
    the contact budget, in cents exactly, by contender.
    """

    model: Trained
    rule: Trained
    beats_best_rule: bool
    against_rule: Mapping[str, Interval]
    baselines: Mapping[str, Mapping[str, Interval]]
    profit_amounts: Mapping[str, str]
    objective: str
    params: Mapping[str, float | int | str]
    trials: tuple[Trial, ...]
    curves: Curves
    drivers: Mapping[str, float]
    slices: tuple[Mapping[str, Any], ...]
    final: FinalBlock
    split: Mapping[str, Any]
    test_as_of: datetime
    currency: str
    fingerprint: str
    rows: int
    notes: tuple[str, ...]
    tuned: Tuned
    leakage: Mapping[str, Mapping[str, Any]]


def train(
    data: TrainingData,
    churn: ChurnSettings,
    economics: EconomicsSettings,
    *,
    directory: Path,
    study_directory: Path,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train on `data`; write the model to `directory`/model and the best rule to .../rule.

    The study in `study_directory` is resumed if it was interrupted. Raises DataRejected (65)
    where the data cannot teach, LockHeld (75) where the same training runs elsewhere.
    """
    money = Economics.of(economics)
    splits = split_data(
        data, folds=churn.folds, seed=churn.seed, calibration_folds=churn.calibration_folds
    )
    test = splits.test
    rules = {rule.settings.name: rule for rule in fit_rules(data, splits, churn)}
    rule = rules[_best_rule(data, splits, rules, churn)]
    tuned = tune(data, splits, churn, directory=study_directory, progress=progress)

    calibration = choose_calibration(_parts(data, splits, tuned.scores))
    booster = fit_final(data, splits.final, tuned, churn)
    model_hash = write_model(
        directory / "model",
        feature_names=data.feature_names,
        drivers=data.drivers,
        words=data.words,
        calibration=calibration.content,
        booster_text=booster,
    )
    calibrations = {name: _calibrate_rule(one, data, splits) for name, one in rules.items()}
    rule_hash = write_model(
        directory / "rule",
        feature_names=rule.feature_names,
        drivers=tuple(data.drivers[data.feature_names.index(n)] for n in rule.feature_names),
        words=data.words,
        calibration=calibrations[rule.settings.name].content,
        rule=rule.content,
    )

    # From here on the final customers are looked at, for the first and only time; and by the
    # very files that would be served.
    model = open_model(directory / "model")
    refit = _predict_refit(data, splits, tuned, calibration, churn)
    probabilities = {MODEL_NAME: model.predict_matrix(data.features[test])}
    for name, one in rules.items():
        probabilities[f"rule {name}"] = calibrations[name].apply(one.score(data, test))
    probabilities["logistic regression"] = predict_logistic(data, splits.final, test, churn)
    probabilities["random forest"] = predict_forest(data, splits.final, test, churn)
    measured = {
        name: measure(
            data.churned[test],
            probability,
            data.value_amount[test],
            data.customers[test],
            money,
            resamples=churn.resamples,
            seed=churn.seed,
        )
        for name, probability in probabilities.items()
    }
    rule_label = f"rule {rule.settings.name}"
    against_rule = compare(measured[MODEL_NAME], measured[rule_label], churn.confidence)
    intervals = {name: found.intervals(churn.confidence) for name, found in measured.items()}
    return TrainingResult(
        model=Trained(
            MODEL_NAME,
            directory / "model",
            model_hash,
            data.feature_names,
            intervals[MODEL_NAME],
            calibration.kind,
            _predict_golden(model),
        ),
        rule=Trained(
            rule.settings.name,
            directory / "rule",
            rule_hash,
            rule.feature_names,
            intervals[rule_label],
            calibrations[rule.settings.name].kind,
            _predict_golden(open_model(directory / "rule")),
        ),
        beats_best_rule=against_rule["auc"][1] > 0,
        against_rule=against_rule,
        baselines={name: found for name, found in intervals.items() if name != MODEL_NAME},
        profit_amounts={
            name: str(sum_profit(data.churned[test], probability, data.value_amount[test], money))
            for name, probability in probabilities.items()
        },
        objective=churn.objective,
        params={
            **tuned.params,
            "trees": tuned.trees,
            "calibration": calibration.kind,
            "seed": churn.seed,
        },
        trials=tuned.trials,
        curves=trace_curves(data.churned[test], probabilities, data.value_amount[test], money),
        drivers=weigh_drivers(model, data.features[test]),
        slices=measure_slices(
            data,
            test,
            probabilities[MODEL_NAME],
            minimum_customers=churn.minimum_slice_customers,
            confidence=churn.confidence,
            seed=churn.seed,
        ),
        final=_final_block(
            data, test, probabilities[MODEL_NAME], probabilities[rule_label], refit, money
        ),
        split=_describe(data, splits),
        test_as_of=splits.test_as_of,
        currency=money.currency,
        fingerprint=data.fingerprint,
        rows=data.rows,
        notes=(*splits.notes, *_notes(measured, rule_label)),
        tuned=tuned,
        leakage=measure_leakage(data, splits, probabilities[MODEL_NAME], model.feature_names),
    )


def _best_rule(
    data: TrainingData, splits: Splits, rules: Mapping[str, Rule], churn: ChurnSettings
) -> str:
    """The rule that orders the validation parts best; the test has no say."""

    def mean(rule: Rule) -> float:
        return float(
            np.mean(
                [
                    worker.judge(
                        data.churned[fold.valid], rule.score(data, fold.valid), churn.objective
                    )
                    for fold in splits.folds
                ]
            )
        )

    return max(rules, key=lambda name: (mean(rules[name]), name))


def _calibrate_rule(rule: Rule, data: TrainingData, splits: Splits) -> Calibration:
    return choose_calibration(
        _parts(data, splits, tuple(rule.score(data, fold.valid) for fold in splits.rolling))
    )


def _parts(data: TrainingData, splits: Splits, scores: tuple[Floats, ...]) -> list[Part]:
    horizon = np.timedelta64(round((data.horizon_days or 0.0) * 86_400_000_000), "us")
    return [
        Part(
            raw,
            data.churned[fold.valid],
            fold.at,
            None if fold.at is None else fold.at + horizon,
        )
        for fold, raw in zip(splits.rolling, scores, strict=True)
    ]


def fit_final(data: TrainingData, rows: Indices, tuned: Tuned, churn: ChurnSettings) -> str:
    """LightGBM's text of the model, fitted on every row whose outcome was known at the test."""
    import lightgbm

    threads = 0 if len(rows) > _ROWS_FOR_ALL_THREADS else 1
    params = worker.booster_params(
        tuned.params, seed=churn.seed, maximum_bins=churn.maximum_bins, threads=threads
    )
    binned = lightgbm.Dataset(
        data.features[rows],
        data.churned[rows].astype(np.float32),
        feature_name=list(data.feature_names),
        params=worker.dataset_params(seed=churn.seed, maximum_bins=churn.maximum_bins),
    )
    booster = lightgbm.train(params, binned, num_boost_round=tuned.trees)
    return str(booster.model_to_string())


def _predict_refit(
    data: TrainingData, splits: Splits, tuned: Tuned, calibration: Calibration, churn: ChurnSettings
) -> Floats:
    """What the same model says of the final customers when learnt a little differently.

    Another seed, and a tenth of the customers left out: what a rerun or a few more weeks of data
    may do (Milani Fard et al. 2016, "Launch and iterate: reducing prediction churn").
    """
    import lightgbm

    seed = churn.seed + 1
    drawn = np.random.default_rng(seed).random(int(data.customers.max()) + 1)
    rows = splits.final[drawn[data.customers[splits.final]] >= _LEFT_OUT_SHARE]
    changed = churn.model_copy(update={"seed": seed})
    booster = lightgbm.Booster(model_str=fit_final(data, rows, tuned, changed))
    raw = np.asarray(booster.predict(data.features[splits.test]), dtype=np.float64)
    return calibration.apply(raw)


def _predict_golden(model: Model) -> tuple[float, ...]:
    """The model's probabilities for the golden rows; a copy must give the same."""
    rows = golden_rows(model.feature_names)
    matrix = np.asarray(rows, dtype=np.float64)
    return tuple(float(value) for value in model.predict_matrix(matrix))


def _final_block(
    data: TrainingData, rows: Indices, model: Floats, rule: Floats, refit: Floats, money: Economics
) -> FinalBlock:
    value = data.value_amount[rows]
    return FinalBlock(
        rows=rows,
        customers=data.customers[rows],
        churned=data.churned[rows],
        value_amount=value,
        model_probability=model,
        model_score=money.expected_returns(model, value),
        rule_probability=rule,
        rule_score=money.expected_returns(rule, value),
        contact_gain_amount=money.realised_returns(data.churned[rows], value),
        contact_budget_share=min(1.0, money.affordable_contacts / max(1, len(rows))),
        refit_probability=refit,
        slices=dict(label_slices(data, rows)),
    )


def _describe(data: TrainingData, splits: Splits) -> dict[str, Any]:
    def describe(rows: Indices) -> dict[str, Any]:
        days = np.unique(data.as_of[rows]).astype("datetime64[D]")
        return {
            "rows": len(rows),
            "customers": len(np.unique(data.customers[rows])),
            "churn_share": float(data.churned[rows].mean()),
            "cutoffs": [str(day) for day in days],
        }

    return {
        "kind": splits.kind,
        "test": describe(splits.test),
        "final_training": describe(splits.final),
        "folds": [
            {"label": fold.label, "train": describe(fold.train), "valid": describe(fold.valid)}
            for fold in splits.folds
        ],
    }


def _notes(measured: Mapping[str, Replicates], rule_label: str) -> tuple[str, ...]:
    areas = {name: found.estimates["auc"] for name, found in measured.items()}
    notes = []
    if areas[MODEL_NAME] <= areas[rule_label]:
        notes.append(f"LightGBM does not rank better than the {rule_label}.")
    for name in ("logistic regression", "random forest"):
        if areas[name] > areas[MODEL_NAME]:
            notes.append(f"The {name} ranked better than LightGBM on the final customers.")
    return tuple(notes)
