"""FLAML on the very same splits, for the same time. Run by FLAML's own interpreter.

Arguments: an .npz of the data and splits, seconds, seed. Prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import numpy as np


class _Splits:
    """Our validation parts, as scikit-learn's splitters give theirs."""

    def __init__(self, folds: list[tuple[np.ndarray, np.ndarray]]) -> None:
        self.folds = folds

    def get_n_splits(self, *_args: object, **_kwargs: object) -> int:
        return len(self.folds)

    def split(self, *_args: object, **_kwargs: object) -> object:
        return iter(self.folds)


def main() -> None:
    warnings.simplefilter("ignore")
    from flaml import AutoML

    stored = np.load(sys.argv[1])
    seconds, seed = float(sys.argv[2]), int(sys.argv[3])
    folds = [
        (stored[f"train_{number}"], stored[f"valid_{number}"])
        for number in range(int(stored["folds"]))
    ]
    automl = AutoML()
    started = time.process_time()
    automl.fit(
        stored["features"],
        stored["churned"].astype(int),
        task="classification",
        metric="ap",
        estimator_list=["lgbm"],
        time_budget=seconds,
        eval_method="cv",
        split_type=_Splits(folds),
        n_splits=len(folds),
        n_jobs=1,
        seed=seed,
        verbose=0,
        retrain_full=True,
    )
    spent = time.process_time() - started
    predicted = automl.predict_proba(stored["test"])[:, 1]
    print(
        json.dumps(
            {
                "probability": predicted.tolist(),
                "cpu_seconds": spent,
                "trials": len(automl.config_history or {}),
                "config": {k: float(v) for k, v in automl.best_config.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
