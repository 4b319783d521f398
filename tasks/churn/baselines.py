"""What the model must beat: simple rules, logistic regression and a random forest.

They see the same rows as the model and are judged on the same customers. A rule can be served in
the model's place; the other two are there to be compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.churn.data import Floats, Indices, TrainingData
from tasks.churn.metrics import area_under_curve
from tasks.churn.model_code import rule_scores
from tasks.churn.splits import Splits
from tasks.sections import ChurnSettings, RuleSettings

# A customer's own gap of less than a day would make every pause look endless.
_LEAST_DIVISOR = 1.0
_FOREST_LEAST_LEAF = 20
_LOGISTIC_PENALTY = 0.1


@dataclass(frozen=True)
class Rule:
    """A rule with what it fills in for missing values and how it is brought into (0, 1)."""

    settings: RuleSettings
    content: dict[str, Any]
    feature_names: tuple[str, ...]

    def score(self, data: TrainingData, rows: Indices) -> Floats:
        """Scores in (0, 1), higher for leaving, shape (len(rows),)."""
        columns = {name: data.column(name)[rows] for name in self.feature_names}
        return rule_scores(columns, self.content)


def fit_rules(data: TrainingData, splits: Splits, settings: ChurnSettings) -> tuple[Rule, ...]:
    """The rules whose features are there; with none, the best single feature.

    A fallback is the median of the training rows. Which single feature is best, and which way it
    points, is seen on the validation parts, never on the test.
    """
    present = [
        rule
        for rule in settings.rules
        if rule.feature in data.feature_names
        and (rule.divided_by is None or rule.divided_by in data.feature_names)
    ]
    return tuple(
        _fit_rule(rule, data, splits.final) for rule in present or [_best_feature(data, splits)]
    )


def _fit_rule(rule: RuleSettings, data: TrainingData, rows: Indices) -> Rule:
    names = (rule.feature, *((rule.divided_by,) if rule.divided_by else ()))
    columns = {name: data.column(name)[rows] for name in names}
    content: dict[str, Any] = {
        "name": rule.name,
        "reason": rule.reason,
        "feature": rule.feature,
        "divided_by": rule.divided_by,
        "sign": 1.0 if rule.higher_means_leaving else -1.0,
        "least_divisor": _LEAST_DIVISOR,
        "fallbacks": {name: _median(values) for name, values in columns.items()},
    }
    filled = [
        np.where(np.isfinite(columns[name]), columns[name], content["fallbacks"][name])
        for name in names
    ]
    score = filled[0] if len(filled) == 1 else filled[0] / np.maximum(filled[1], _LEAST_DIVISOR)
    low, centre, high = np.quantile(score, [0.25, 0.5, 0.75])
    content |= {"centre": float(centre), "scale": float(high - low) or 1.0}
    return Rule(rule, content, names)


def _best_feature(data: TrainingData, splits: Splits) -> RuleSettings:
    rows = np.concatenate([fold.valid for fold in splits.folds])
    churned = data.churned[rows]
    best, name, upward = -1.0, data.feature_names[0], True
    for place, feature in enumerate(data.feature_names):
        values = data.features[rows, place]
        values = np.where(np.isfinite(values), values, _median(values))
        area = area_under_curve(churned, values)
        if max(area, 1 - area) > best:
            best, name, upward = max(area, 1 - area), feature, area >= 0.5
    driver = data.drivers[data.feature_names.index(name)]
    return RuleSettings(
        name="best_feature",
        reason=data.words.get(driver, name.replace("_", " ")),
        feature=name,
        divided_by=None,
        higher_means_leaving=upward,
    )


def predict_logistic(
    data: TrainingData, train: Indices, judged: Indices, settings: ChurnSettings
) -> Floats:
    """Logistic regression on imputed features made normal, so that tails do not rule it."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer

    train = _draw(train, settings)
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        QuantileTransformer(
            n_quantiles=min(500, len(train)),
            output_distribution="normal",
            subsample=None,
            random_state=settings.seed,
        ),
        LogisticRegression(C=_LOGISTIC_PENALTY, max_iter=1000),
    )
    model.fit(data.features[train], data.churned[train])
    return _predict(model, data, judged)


def predict_forest(
    data: TrainingData, train: Indices, judged: Indices, settings: ChurnSettings
) -> Floats:
    """A random forest, imputed, with leaves of at least 20 rows."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        RandomForestClassifier(
            n_estimators=settings.forest_trees,
            min_samples_leaf=_FOREST_LEAST_LEAF,
            max_samples=0.5 if len(train) > 2000 else None,
            n_jobs=settings.workers,
            random_state=settings.seed,
        ),
    )
    train = _draw(train, settings)
    model.fit(data.features[train], data.churned[train])
    # Threads add the trees' votes in the order they end, which moves the last digit.
    model[-1].set_params(n_jobs=1)
    return _predict(model, data, judged)


def _predict(model: Any, data: TrainingData, judged: Indices) -> Floats:
    predicted: Floats = model.predict_proba(data.features[judged])[:, 1]
    return predicted


def _draw(rows: Indices, settings: ChurnSettings) -> Indices:
    """At most `maximum_baseline_rows` of the rows, drawn with the seed, in their order."""
    if len(rows) <= settings.maximum_baseline_rows:
        return rows
    rng = np.random.default_rng(settings.seed)
    return np.sort(rng.choice(rows, settings.maximum_baseline_rows, replace=False))


def _median(values: Floats | Sequence[float]) -> float:
    known: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if len(known) else 0.0
