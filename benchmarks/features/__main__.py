"""What features of 12 monthly cut-offs cost, in CPU time over scanning the same columns.

    python -m benchmarks.features --lines 20_000_000 [--folder DIR] [--polars PYTHON] [--no-peers]

Every participant is a process of its own with two threads. pandas and Polars compute only 10 of
the features (recency, tenure, order days and amounts by windows), a filter and a group a cut-off,
which is how such code is mostly written. Polars is not among our dependencies: `--polars` names an
interpreter that has it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.measurement import measure_work, run_apart

# A customer has about 40 lines; the table says how many came out.
_LINES_A_CUSTOMER = 38
CUTOFFS = tuple(datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=30 * n) for n in range(12))
HORIZON_DAYS, ACTIVITY_WINDOW_DAYS, MEMORY_MB, CHUNK_LINES = 30, 180, 2500, 4_000_000
# What the features read, and so what the scan reads.
_SCAN = (
    "select max(customer_id), max(ordered_at), max(category), max(channel),"
    " sum(net_amount::double), sum(discount_amount::double), max(is_return), max(received_at),"
    " max(batch_number) from read_parquet({file})"
)


def scan(file: Path, _folder: Path) -> dict[str, Any]:
    from tasks.warehouse import literal, scratch

    with scratch(memory_limit_mb=MEMORY_MB, threads=2) as connection:
        text = _SCAN.format(file=literal(str(file)))
        connection.execute(text)
        runs = [measure_work(lambda: {"rows": len(connection.rows(text))}) for _ in range(3)]
        return min(runs, key=lambda run: float(run["cpu_seconds"]))


def features(file: Path, folder: Path) -> dict[str, Any]:
    from tasks.features.computing import compute_features
    from tasks.features.request import Request
    from tasks.warehouse import literal, scratch

    request = Request(
        CUTOFFS,
        CUTOFFS,
        {"orders": f"read_parquet({literal(str(file))})"},
        "lapse",
        HORIZON_DAYS,
        ACTIVITY_WINDOW_DAYS,
        chunk_lines=CHUNK_LINES,
    )
    stored = [0.0]
    with scratch(memory_limit_mb=MEMORY_MB, threads=2, temporary=folder / "spill") as connection:

        def write(rows: str) -> None:
            start = time.process_time()
            target = literal(str(folder / "result.parquet"))
            connection.execute(f"copy ({rows}) to {target} (format parquet)")
            stored[0] += time.process_time() - start

        def work() -> dict[str, Any]:
            computed = compute_features(connection, request, write)
            return {"rows": computed.rows, "features": len(computed.features)}

        found = measure_work(work)
    found["cpu_seconds"] -= stored[0]
    return {**found, "storing_cpu_seconds": stored[0]}


def pandas(file: Path, _folder: Path) -> dict[str, Any]:
    import pandas as pd

    def work() -> dict[str, Any]:
        columns = ["customer_id", "ordered_at", "net_amount", "is_return"]
        lines = pd.read_parquet(file, columns=columns)
        lines = lines[~lines["is_return"]]
        lines["amount"] = lines["net_amount"].astype(float)
        lines["day"] = lines["ordered_at"].dt.floor("D")
        days = lines.groupby(["customer_id", "day"], as_index=False, observed=True)["amount"].sum()
        rows = 0
        for cutoff in CUTOFFS:
            seen = days[days["day"] < cutoff]
            age = (pd.Timestamp(cutoff) - seen["day"]).dt.days
            parts = {"customer_id": seen["customer_id"], "age": age}
            for window in (7, 30, 90, 365):
                parts[f"days_{window}"] = (age <= window).astype(int)
                parts[f"amount_{window}"] = seen["amount"].where(age <= window, 0.0)
            ways = {name: "sum" for name in parts if name.startswith(("days", "amount"))}
            table = pd.DataFrame(parts).groupby("customer_id").agg(
                recency=("age", "min"), tenure=("age", "max"),
                **{name: (name, way) for name, way in ways.items()},
            )  # fmt: skip
            rows += int((table["recency"] <= ACTIVITY_WINDOW_DAYS).sum())
        return {"rows": rows, "features": 10}

    return measure_work(work)


PARTS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "scan": scan,
    "features": features,
    "pandas": pandas,
}


def _make_shop(file: Path, lines: int) -> None:
    from tasks.warehouse import scratch

    with scratch(memory_limit_mb=MEMORY_MB, threads=2, temporary=file.parent / "spill") as made:
        made.run(
            Path(__file__).parent / "shop.sql",
            {"customers": lines // _LINES_A_CUSTOMER},
            names={"file": str(file).replace("'", "''")},
        )


def _print_row(name: str, found: dict[str, Any], scanned: float) -> None:
    if "error" in found:
        print(f"{name:22}  {found['error']}")
        return
    cpu = float(found["cpu_seconds"])
    print(
        f"{name:22} {cpu:9.2f} s {cpu / scanned:8.1f} x {found['wall_seconds']:9.1f} s"
        f" {found['peak_mb']:8,.0f} MB {found.get('features', ''):>5} {found['rows']:>12,}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    parser.add_argument("--lines", type=lambda text: int(text.replace("_", "")), default=20_000_000)
    parser.add_argument("--folder", type=Path, help="where the data go; kept for another run")
    parser.add_argument("--polars", default="", help="a Python interpreter that has polars")
    parser.add_argument("--no-peers", action="store_true", help="neither pandas nor Polars")
    parser.add_argument("--part", choices=sorted(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        print(json.dumps(PARTS[chosen.part](chosen.file, chosen.folder)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"orders_{chosen.lines}.parquet"
        if not file.is_file():
            _make_shop(file, chosen.lines)
        own = [sys.executable, "-m", "benchmarks.features", "--file", str(file)]
        own += ["--folder", str(folder), "--part"]
        scanned = run_apart([*own, "scan"])
        if "error" in scanned:
            raise SystemExit(scanned["error"])
        base = float(scanned["cpu_seconds"])
        print(f"{chosen.lines:,} lines asked for, 12 cut-offs, memory limit {MEMORY_MB:,} MB")
        print(f"{'':22} {'CPU':>11} {'to scan':>10} {'wall':>11} {'peak':>11} {'feat.':>5} "
              f"{'rows':>12}")  # fmt: skip
        _print_row("scan", {**scanned, "features": ""}, base)
        found = run_apart([*own, "features"])
        _print_row("features", found, base)
        if "error" not in found:
            total = float(found["cpu_seconds"]) + float(found["storing_cpu_seconds"])
            print(f"{'  and written to disk':22} {total:9.2f} s {total / base:8.1f} x")
        if chosen.no_peers:
            return
        _print_row("pandas", run_apart([*own, "pandas"]), base)
        if not chosen.polars:
            print(f"{'polars':22}  absent: name an interpreter that has it with --polars")
            return
        peer = str(Path(__file__).parent / "polars_peer.py")
        _print_row("polars", run_apart([chosen.polars, peer, str(file)]), base)


if __name__ == "__main__":
    main()
