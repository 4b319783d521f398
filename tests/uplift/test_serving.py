"""The learner that serves: text with checksums, bounded, and silent of whom it knows nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.errors import HoldfastError, Refused, StoredDataCorrupt
from tasks.evidence import KeptLearner
from tasks.incrementality import UpliftSettings
from tasks.keeping import combine_hashes, hash_texts, write_texts
from tasks.uplift.learners import fit_learners
from tasks.uplift.serving import Calibration, open_learner, render_learner
from tests.uplift.drawn import FEATURES, QUICK, draw_trial

SETTINGS = UpliftSettings.model_validate(QUICK)
NAMES = tuple(f"f{number}" for number in range(FEATURES))
CALIBRATION = Calibration(mean=0.02, centre=0.0, slope=0.5, low=-0.1, high=0.12)
NOBODY = np.empty((0, FEATURES))


def keep(
    directory: Path,
    served: str = "t_learner",
    others: NDArray[np.float64] = NOBODY,
    calibration: Calibration = CALIBRATION,
) -> KeptLearner:
    trial, features = draw_trial("unlike", 1)
    files = render_learner(
        served, trial, features, others, NAMES, "lapse_share", calibration, SETTINGS
    )
    write_texts(directory, files, "uplift.learner_written")
    hashes = hash_texts(files)
    plain: dict[str, Any] = {"mean": 0.0, "centre": 0.0, "slope": 1.0, "low": 0.0, "high": 0.0}
    return KeptLearner(
        learner=served, files=hashes, model_hash=combine_hashes(hashes), rows=len(trial), **plain
    )


@pytest.mark.parametrize("served", ["t_learner", "x_learner"])
def test_what_was_kept_tells_what_was_fitted(tmp_path: Path, served: str) -> None:
    wide = Calibration(mean=0.0, centre=0.0, slope=1.0, low=-1.0, high=1.0)
    kept = keep(tmp_path / "one", served, calibration=wide)
    trial, features = draw_trial("unlike", 1)
    fitted = fit_learners(
        features,
        1 - trial.lapsed,
        trial.treated,
        SETTINGS.learner,
        seed=SETTINGS.seed,
        binary=True,
    )
    told = open_learner(tmp_path / "one", kept).predict(features)
    assert np.allclose(told, fitted.predict(features)[served])
    # Nothing in the directory is code, and the same data make the same files.
    assert {path.suffix for path in (tmp_path / "one").iterdir()} == {".json", ".txt"}
    assert keep(tmp_path / "two", served, calibration=wide) == kept


def test_predictions_are_bounded_whatever_is_asked(tmp_path: Path) -> None:
    learner = open_learner(tmp_path / "one", keep(tmp_path / "one"))
    generator = np.random.default_rng(2)
    asked = generator.normal(size=(200, FEATURES)) * 10.0 ** generator.integers(0, 300, (200, 1))
    asked[:50, 0] = np.inf
    told = learner.predict(asked)
    assert np.isfinite(told).all()
    assert told.min() >= -0.1
    assert told.max() <= 0.12
    # Of whom nothing at all is known, nothing is told; of whom something is, it is.
    assert np.isnan(learner.predict(np.full((1, FEATURES), np.nan))).all()
    partly = np.full((1, FEATURES), np.nan)
    partly[0, 0] = 1.0
    assert np.isfinite(learner.predict(partly)).all()
    assert learner.predict(NOBODY).shape == (0,)


def test_of_customers_unlike_anybody_in_the_lots_nothing_is_told(tmp_path: Path) -> None:
    """As a list of the risky draws them: the safe were never in a lot."""
    _, features = draw_trial("unlike", 1)
    others = np.random.default_rng(3).normal(size=(1500, FEATURES))
    others[:, 5] += 20
    learner = open_learner(tmp_path / "one", keep(tmp_path / "one", others=others))
    assert np.isnan(learner.predict(others)).mean() > 0.99
    assert np.isfinite(learner.predict(features)).mean() > 0.99
    # Where they were drawn among their like, as a campaign draws, everybody is.
    _, more = draw_trial("unlike", 2)
    mixed = open_learner(tmp_path / "two", keep(tmp_path / "two", others=more))
    assert np.isfinite(mixed.predict(more)).mean() > 0.99


@pytest.mark.faults
@pytest.mark.parametrize("harm", ["flipped", "cut", "missing", "added", "gone", "link"])
def test_a_damaged_learner_is_not_parsed(tmp_path: Path, harm: str) -> None:
    directory = tmp_path / "one"
    kept = keep(directory)
    path = directory / "contacted.lgb.txt"
    if harm == "flipped":
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("0.", "9.", 1), encoding="utf-8")
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif harm == "missing":
        path.unlink()
    elif harm == "added":
        (directory / "model_code.py").write_text("1 / 0", encoding="utf-8")
    elif harm == "gone":
        for one in directory.iterdir():
            one.unlink()
    else:
        moved = tmp_path / "elsewhere"
        path.rename(moved)
        path.symlink_to(moved)
    with pytest.raises((Refused, StoredDataCorrupt)) as raised:
        open_learner(directory, kept)
    assert isinstance(raised.value, HoldfastError)
    # Written again it is whole again.
    assert keep(directory) == kept
    assert open_learner(directory, kept).feature_names == NAMES
