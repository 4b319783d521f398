"""Run by the Python of an environment with `lifetimes`: fit and predict what a file holds.

    python lifetimes_peer.py counts.npz horizon

Prints one line of JSON: parameters, seconds, peak memory.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings

import numpy as np


def main() -> None:
    warnings.simplefilter("ignore")
    from lifetimes import BetaGeoFitter

    counts = np.load(sys.argv[1])
    horizon = float(sys.argv[2])
    started, cpu = time.perf_counter(), time.process_time()
    model = BetaGeoFitter()
    # Collapsed rows with weights are known to lifetimes, too.
    model.fit(counts["frequency"], counts["recency"], counts["age"], weights=counts["customers"])
    fitted, fit_cpu = time.perf_counter(), time.process_time() - cpu
    orders = model.conditional_expected_number_of_purchases_up_to_time(
        horizon, counts["frequency"], counts["recency"], counts["age"]
    )
    told = time.perf_counter()
    parameters = {key: float(value) for key, value in model.params_.items()}
    print(
        json.dumps(
            {
                "parameters": parameters,
                "log_likelihood": None,  # of times that it has scaled
                "fit_seconds": fitted - started,
                "fit_cpu_seconds": fit_cpu,
                "predict_seconds": told - fitted,
                "unsound": int((~np.isfinite(np.asarray(orders, dtype=float))).sum()),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
