"""Our models in a process of their own: fit and predict what a file holds.

python -m benchmarks.value.ours counts.npz horizon kind
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

from benchmarks.measurement import measure_work
from tasks.value.btyd import Counts, expect_orders, find_alive, fit_purchases


def main() -> None:
    import scipy.optimize
    import scipy.special  # noqa: F401  (peers have imported theirs when their clock starts)

    path, horizon, kind = sys.argv[1], float(sys.argv[2]), sys.argv[3]

    def work() -> dict[str, Any]:
        counts = Counts(**np.load(path))
        started, cpu = time.perf_counter(), time.process_time()
        model = fit_purchases(counts, kind)  # type: ignore[arg-type]
        fitted, fit_cpu = time.perf_counter(), time.process_time() - cpu
        orders = expect_orders(model, counts.frequency, counts.recency, counts.age, horizon)
        find_alive(model, counts.frequency, counts.recency, counts.age)
        return {
            "parameters": model.parameters,
            "log_likelihood": model.log_likelihood,
            "fit_seconds": fitted - started,
            "fit_cpu_seconds": fit_cpu,
            "predict_seconds": time.perf_counter() - fitted,
            "unsound": int((~np.isfinite(orders)).sum()),
        }

    print(json.dumps(measure_work(work)))


if __name__ == "__main__":
    main()
