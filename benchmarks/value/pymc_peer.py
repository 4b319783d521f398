"""Run by the Python of an environment with `pymc-marketing`: the most likely BG/NBD of a file.

    python pymc_peer.py counts.npz horizon

Maximum a posteriori with flat priors, the quickest that it offers. It takes one row a customer, so
collapsed rows are repeated. Prints one line of JSON.
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
    import pandas as pd
    from pymc_marketing.clv import BetaGeoModel
    from pymc_marketing.prior import Prior

    counts = np.load(sys.argv[1])
    times = counts["customers"].astype(int)
    data = pd.DataFrame(
        {
            "customer_id": np.arange(times.sum()),
            "frequency": np.repeat(counts["frequency"], times),
            "recency": np.repeat(counts["recency"], times),
            "T": np.repeat(counts["age"], times),
        }
    )
    started, cpu = time.perf_counter(), time.process_time()
    flat = {name: Prior("HalfFlat") for name in ("r", "alpha", "a", "b")}
    model = BetaGeoModel(data=data, model_config=flat)
    model.fit(method="map")
    fitted, fit_cpu = time.perf_counter(), time.process_time() - cpu
    model.expected_purchases(future_t=float(sys.argv[2]))
    told = time.perf_counter()
    posterior = model.idata.posterior
    print(
        json.dumps(
            {
                "parameters": {name: float(posterior[name].mean()) for name in flat},
                "log_likelihood": None,
                "fit_seconds": fitted - started,
                "fit_cpu_seconds": fit_cpu,
                "predict_seconds": told - fitted,
                "unsound": 0,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
