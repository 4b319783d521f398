"""Lifetime value: speed and figures beside lifetimes, PyMC-Marketing, rules and the truth.

    python -m benchmarks.value                      CDNOW, a million customers, truth, peers
    python -m benchmarks.value --agreement completejourney --agreement online_retail
    python -m benchmarks.value --skip-peers

Peers are installed into an environment that is thrown away; one that cannot be is named with the
reason. `--agreement` needs a deployment that has been ingested.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measurement import run_apart
from benchmarks.value.agreement import compare_agreement
from benchmarks.value.truth import compare_with_truth
from tasks.settings import PROJECT
from tests.value.customers import Cdnow, collapse, simulate

_HERE = Path(__file__).parent
_PUBLISHED = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
_PEERS = {"lifetimes": "lifetimes_peer.py", "pymc-marketing": "pymc_peer.py"}
_TIMEOUT_SECONDS = 900


def main() -> None:
    arguments = _read_arguments()
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        peers = {} if arguments.skip_peers else _install_peers(directory, arguments.peer)
        data = arguments.data / "cdnow" / "cdnow_sample.parquet"
        if data.is_file():
            _show_cdnow(data, directory, peers)
        else:
            print(f"CDNOW is not compared: there is no {data}; name its folder by --data")
        _show_speed(arguments.customers, directory, peers, arguments.peer_customers)
    if arguments.truth_customers:
        print(f"\nAgainst the truth of {arguments.truth_customers:,} simulated customers, 180 days")
        print(f"{'':24s}{'Gini':>10s}{'bias':>10s}{'correlation':>13s}")
        for name, gini, bias, correlation in compare_with_truth(arguments.truth_customers):
            print(f"{name:24s}{gini:10.3f}{bias:+10.1%}{correlation:13.3f}")
        print("(P(alive): its Brier skill stands under Gini)")
    for deployment in arguments.agreement:
        print(f"\nMade to agree with churn, judged customers of {deployment}")
        print(f"{'':24s}{'':12s}{'Gini':>10s}{'bias':>10s}{'mean error':>12s}")
        for name, which, gini, bias, error in compare_agreement(deployment):
            print(f"{name:24s}{which:12s}{gini:10.3f}{bias:+10.1%}{error:12.2f}")


def _show_cdnow(data: Path, directory: Path, peers: Mapping[str, Path]) -> None:
    cdnow = Cdnow(data)
    counts = collapse(cdnow.frequency, cdnow.recency, cdnow.age)
    path = directory / "cdnow.npz"
    _write(path, counts)
    print(f"\nCDNOW, {int(counts.customers.sum()):,} customers in {len(counts):,} rows")
    published = ", ".join(f"{key} {value}" for key, value in _PUBLISHED.items())
    print(f"published (2005)        {published}, log likelihood -9582.4")
    _show_fits(_run_all(path, 39.0, peers))


def _show_speed(
    customers: int, directory: Path, peers: Mapping[str, Path], peer_customers: int
) -> None:
    """Two years of weeks at daily resolution, as the lake gives them."""
    started = time.perf_counter()
    made = simulate("bg_nbd", customers, 0.6, 6.0, 0.8, 2.5, 104.0, 1)
    days = [np.round(one * 7) / 7 for one in made]
    counts = collapse(*days)
    path = directory / "many.npz"
    _write(path, counts)
    print(
        f"\n{customers:,} customers in {len(counts):,} rows, true r 0.6, alpha 6, a 0.8, b 2.5"
        f" (made and collapsed in {time.perf_counter() - started:.1f} s)"
    )
    _show_fits(_run_all(path, 26.0, {}))
    if not peers:
        return
    few = collapse(*(one[:peer_customers] for one in days))
    path = directory / "few.npz"
    _write(path, few)
    print(f"\nThe first {peer_customers:,} of them in {len(few):,} rows")
    _show_fits(_run_all(path, 26.0, peers))


def _run_all(path: Path, horizon: float, peers: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    found = {
        f"holdfast {kind}": run_apart(
            [sys.executable, "-m", "benchmarks.value.ours", str(path), str(horizon), kind]
        )
        for kind in ("bg_nbd", "mbg_nbd")
    }
    for name, python in peers.items():
        found[f"{name} bg_nbd"] = run_apart(
            [
                "timeout", str(_TIMEOUT_SECONDS), str(python), str(_HERE / _PEERS[name]),
                str(path), str(horizon),
            ]
        )  # fmt: skip
    return found


def _show_fits(found: Mapping[str, Mapping[str, Any]]) -> None:
    for name, one in found.items():
        if "error" in one:
            print(f"{name:24s}did not end: {one['error']}")
            continue
        parameters = ", ".join(f"{key} {value:.3f}" for key, value in one["parameters"].items())
        likelihood = one["log_likelihood"]
        text = "" if likelihood is None else f", log likelihood {likelihood:,.1f}"
        print(f"{name:24s}{parameters}{text}")
        print(
            f"{'':24s}fit {one['fit_seconds']:.2f} s ({one['fit_cpu_seconds']:.2f} of CPU),"
            f" predict {one['predict_seconds']:.2f} s,"
            f" peak {one['peak_mb']:,.0f} MB, {one['unsound']:,} predictions that are no number"
        )


def _install_peers(directory: Path, given: list[str]) -> dict[str, Path]:
    """The Python of each peer: as given (`lifetimes=/path/python`), or of a new environment."""
    peers = {name: Path(python) for name, _, python in (one.partition("=") for one in given)}
    for name in _PEERS:
        if name in peers:
            continue
        home = directory / name
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        python = home / "bin" / "python"
        try:
            done = subprocess.run(
                [str(python), "-m", "pip", "install", "--quiet", name],
                capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            print(f"{name} is not compared: its installation took over {_TIMEOUT_SECONDS} s")
            continue
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            print(f"{name} is not compared: it does not install: {last}")
            continue
        peers[name] = python
    return peers


def _write(path: Path, counts: Any) -> None:
    np.savez(
        path,
        frequency=counts.frequency,
        recency=counts.recency,
        age=counts.age,
        customers=counts.customers,
    )


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.value")
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared" / "data")
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--peer-customers", type=int, default=100_000)
    parser.add_argument("--truth-customers", type=int, default=20_000, help="0 leaves it out")
    parser.add_argument("--skip-peers", action="store_true")
    parser.add_argument("--peer", action="append", default=[], help="name=/path/to/its/python")
    parser.add_argument("--agreement", action="append", default=[], help="a deployment")
    return parser.parse_args()


if __name__ == "__main__":
    main()
