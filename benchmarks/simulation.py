"""How fast a population is written, and in how much memory; also makes data for other benchmarks.

    python -m benchmarks.simulation                            2 million lines, thrown away
    python -m benchmarks.simulation --lines 20000000 --out /tmp/lines_20m
    python -m benchmarks.simulation --lines 100000000 --format parquet --out /tmp/lines_100m

About 40 order lines a customer in 24 months, so that 20 million lines are 500,000 customers.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

from tasks.handles import Simulation
from tasks.populations import Purchases
from tasks.settings import Settings, load_settings
from tasks.simulation.writing import FORMATS, Format, simulate

# Measured with the purchase rate below, over the other defaults.
LINES_A_CUSTOMER = 40.0
_PURCHASES = Purchases(yearly_mean=14.9, shape=1.2)


def write_lines(
    lines: int, directory: Path, *, format: Format = "parquet", threads: int = 2
) -> Simulation:
    """A population with about so many order lines, the same for the same number of lines."""
    simulation = load_settings("simulated").simulation.model_copy(update={"purchases": _PURCHASES})
    settings: Settings = load_settings("simulated").model_copy(update={"simulation": simulation})
    warehouse = settings.warehouse.model_copy(update={"threads": threads})
    return simulate(
        settings.model_copy(update={"warehouse": warehouse}),
        customers=round(lines / LINES_A_CUSTOMER),
        directory=directory,
        format=format,
    )


def main() -> None:
    arguments = _read_arguments()
    with tempfile.TemporaryDirectory() as temporary:
        directory = arguments.out or Path(temporary) / "population"
        started, before = time.perf_counter(), os.times()
        written = write_lines(
            arguments.lines, directory, format=arguments.format, threads=arguments.threads
        )
        seconds, after = time.perf_counter() - started, os.times()
        size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    cpu = after.user + after.system - before.user - before.system
    orders = written.rows["orders"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{orders:,} order lines of {written.customers:,} customers, {arguments.format}")
    print(f"{orders / written.customers:.1f} lines a customer, {sum(written.rows.values()):,} rows")
    print(f"{seconds:.1f} s by the clock, {orders / seconds:,.0f} lines/s on {arguments.threads}")
    print(f"{cpu:.1f} s of CPU, {orders / cpu:,.0f} lines/s and core")
    print(f"{peak:,.0f} MB at most in memory, {size / 1e6:,.0f} MB on disk")
    print(f"fingerprint {written.fingerprint}")


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=2_000_000)
    parser.add_argument("--format", choices=FORMATS, default="parquet")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="kept; without it nothing is")
    return parser.parse_args()


if __name__ == "__main__":
    main()
