"""The learner that serves: fitted on every matured lot, bounded by them, kept as text.

    learner.json      which learner, names of the features, the calibration and its bounds
    <part>.lgb.txt    LightGBM boosters in their text format; nothing in a directory is code

A raw prediction is not told as it is: the lots say, on customers whom the model had not learnt
from, how much of its spread is true (a regression of the outcome on the draw and on draw times
prediction: the best linear predictor of Chernozhukov et al. 2018) and how far it goes. Who is
unlike anybody in the lots, as a list of few kinds of customers draws them, gets no prediction.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import StoredDataCorrupt
from tasks.evidence import KeptLearner, Measure
from tasks.keeping import read_texts
from tasks.uplift.effects import Trial, measure_effect
from tasks.uplift.learners import fit_learners, fit_likeness

if TYPE_CHECKING:
    from tasks.incrementality import UpliftSettings

Floats = NDArray[np.float64]

FORMAT = 1
_RECORD = "learner.json"
_LIKENESS = "likeness"
# What decides of each learner: the boosters that its prediction is made of.
_PARTS = {
    "t_learner": ("contacted", "not_contacted"),
    "x_learner": ("added_contacted", "added_not_contacted"),
}
# Of the lots' own predictions, so much at either end goes beyond what is told.
_BEYOND = 0.005
# Whoever was a tenth as often in a lot as the average customer, or less, is unlike them.
_LEAST_LIKENESS = 0.1


@dataclass(frozen=True, slots=True)
class Calibration:
    """From a raw prediction to what is told: a line, and where it ends."""

    mean: float
    centre: float
    slope: float
    low: float
    high: float

    def tell(self, raw: Floats) -> Floats:
        """Bounded; NaN stays NaN, so that nobody is told what was not found.

        >>> Calibration(0.1, 0.5, 0.5, -0.1, 0.2).tell(np.array([0.5, 9.0, -9.0, np.nan])).tolist()
        [0.1, 0.2, -0.1, nan]
        """
        known = np.where(np.isfinite(raw), raw, np.nan)
        return np.clip(self.mean + self.slope * (known - self.centre), self.low, self.high)


@dataclass(frozen=True, slots=True)
class Learner:
    """An opened learner; rows of `feature_names` in, what a contact adds of each out."""

    name: str
    feature_names: tuple[str, ...]
    drawn_share: float
    calibration: Calibration
    boosters: Mapping[str, Any]

    def predict(self, features: Floats) -> Floats:
        """What a contact adds, bounded, shape (rows,); NaN of whom nothing is known or like."""
        if len(features) == 0:
            return np.empty(0)
        first, second = (self._ask(part, features) for part in _PARTS[self.name])
        raw = (
            first - second
            if self.name == "t_learner"
            else (1 - self.drawn_share) * first + self.drawn_share * second
        )
        told = self.calibration.tell(raw)
        if _LIKENESS in self.boosters:
            told = np.where(self._ask(_LIKENESS, features) >= _LEAST_LIKENESS, told, np.nan)
        return np.where(np.isfinite(features).any(axis=1), told, np.nan)

    def _ask(self, part: str, features: Floats) -> Floats:
        return np.asarray(self.boosters[part].predict(features, num_threads=1), dtype=np.float64)


def calibrate(
    trial: Trial, scores: Floats, measure: Measure, settings: UpliftSettings
) -> Calibration | None:
    """How the cross-fitted predictions of a trial are to be told; None where they tell nothing."""
    effect = measure_effect(
        trial, measure, confidence=settings.confidence, scale=settings.effect_scale
    )
    if effect is None or not np.isfinite(scores).all():
        return None
    good = 1 - trial.lapsed if measure == "lapse_share" else trial.margin
    sizes = np.maximum(np.bincount(trial.lots), 1)

    def apart(values: Floats) -> Floats:
        return np.asarray(values - (np.bincount(trial.lots, weights=values) / sizes)[trial.lots])

    centre = float(scores.mean())
    drawn, spread = apart(trial.treated.astype(np.float64)), scores - centre
    columns = np.column_stack([drawn, drawn * spread, apart(spread)])
    slope = float(np.linalg.lstsq(columns, apart(good), rcond=None)[0][1])
    # The effect shrunk as the ladder tells it; a spread is never told wider than predicted.
    mean = -effect.expected if measure == "lapse_share" else effect.expected
    slope = min(slope, 1.0)
    told = mean + slope * spread
    low, high = (float(one) for one in np.quantile(told, [_BEYOND, 1 - _BEYOND]))
    if not all(math.isfinite(one) for one in (mean, centre, slope, low, high)) or slope <= 0:
        return None
    if measure == "lapse_share":
        low, high = max(low, -1.0), min(high, 1.0)
    return Calibration(mean, centre, slope, low, high)


def render_learner(
    served: str,
    trial: Trial,
    features: Floats,
    others: Floats,
    names: Sequence[str],
    measure: Measure,
    calibration: Calibration,
    settings: UpliftSettings,
) -> dict[str, str]:
    """Fit on the whole trial; the files of its directory by name, the same from the same data.

    `features` has shape (subjects, names), `others` (customers, names): who could have been in the
    lots by what is known of them, and was not.
    """
    binary = measure == "lapse_share"
    fitted = fit_learners(
        features,
        1 - trial.lapsed if binary else trial.margin,
        trial.treated,
        settings.learner,
        seed=settings.seed,
        binary=binary,
    )
    parts = {part: getattr(fitted, part) for part in _PARTS[served]}
    likeness = fit_likeness(features, others, settings.learner, seed=settings.seed)
    if likeness is not None:
        parts[_LIKENESS] = likeness
    record = {
        "format": FORMAT,
        "learner": served,
        "measure": measure,
        "feature_names": list(names),
        "drawn_share": fitted.drawn_share,
        "calibration": asdict(calibration),
        "parts": sorted(parts),
    }
    texts = {f"{part}.lgb.txt": str(booster.model_to_string()) for part, booster in parts.items()}
    return {
        _RECORD: json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n",
        **texts,
    }


def learners_directory(home: Path, deployment: str) -> Path:
    """Where the learners are kept, each under the first digits of its hash."""
    return home / "models" / f"{deployment}.uplift"


def find_directory(home: Path, deployment: str, model_hash: str) -> Path:
    """The directory of one learner."""
    return learners_directory(home, deployment) / model_hash[:32]


def open_learner(directory: Path, kept: KeptLearner) -> Learner:
    """Open a learner of which every byte has its checksum; nothing else is parsed.

    Raises Refused (77) for other files, StoredDataCorrupt (74) where they are gone or say
    something that is not known here.
    """
    import lightgbm

    texts = read_texts(directory, kept.files)
    record = json.loads(texts[_RECORD])
    if record.get("format") != FORMAT or record["learner"] not in _PARTS:
        raise StoredDataCorrupt(
            "An uplift learner is not of the form that is known here.", found=str(directory)
        )
    return Learner(
        record["learner"],
        tuple(record["feature_names"]),
        float(record["drawn_share"]),
        Calibration(**record["calibration"]),
        {part: lightgbm.Booster(model_str=texts[f"{part}.lgb.txt"]) for part in record["parts"]},
    )
