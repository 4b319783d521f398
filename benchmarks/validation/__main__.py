"""What judging a batch costs beside plain SQL that computes the same counts.

    python -m benchmarks.validation [--lines 10_000_000] [--folder DIR] [--repeats 3]
        [--pandera PYTHON] [--no-peers]

The batch is a staged Parquet file of order lines in which every rule is broken by one line in
2,000. Participants take turns, each run is a process of its own with two threads, and medians are
printed; peers run once. Everybody's counts must be the planted ones, or the benchmark ends with an
error.

The plain SQL says how many lines break which rule, by a plain grouping of all columns and, as a
second text, by comparing only lines whose hash occurs twice. Ours also says which lines they are,
writes them down with their raw line, measures the batch's figures, and has Great Expectations count
everything a second time. pandera and Polars are not among our dependencies: `--pandera` names an
interpreter that has them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measurement import measure_work, run_apart
from benchmarks.validation.planted import (
    MEMORY_MB,
    NOW,
    benchmark_settings,
    past,
    planted_rows,
    staged_batch,
    write_lines,
)

SQL = Path(__file__).parent
# They take minutes where the others take seconds, and run once.
_PEERS = ("Great Expectations on pandas", "pandera on Polars")
_FIGURES = ("cpu_seconds", "wall_seconds", "peak_mb")


def _plain(file: Path, folder: Path, repeated: str) -> dict[str, Any]:
    from tasks.contracts import CONTRACTS
    from tasks.warehouse import Connection, literal, quote, scratch

    names = {
        "file": str(file).replace("'", "''"),
        "columns": ", ".join(quote(name) for name in CONTRACTS["orders"].names),
        "categories": ", ".join(literal(f"category {number}") for number in range(24)),
    }
    names["repeated"] = Connection.text(SQL / repeated, names=names)
    text = Connection.text(SQL / "counts.sql", names={"repeated": names.pop("repeated"), **names})
    with scratch(memory_limit_mb=MEMORY_MB, threads=2, temporary=folder / "spill") as connection:
        return measure_work(lambda: {"counts": _counts(connection.one(text))})


def _counts(row: dict[str, Any]) -> dict[str, int]:
    return {name: int(value) for name, value in row.items() if name in planted_rows(1)}


def plain(file: Path, folder: Path, _lines: int) -> dict[str, Any]:
    return _plain(file, folder, "repeated_plainly.sql")


def plain_by_hash(file: Path, folder: Path, _lines: int) -> dict[str, Any]:
    return _plain(file, folder, "repeated_by_hash.sql")


def split(file: Path, folder: Path, _lines: int) -> dict[str, Any]:
    """What `validate` does but for Great Expectations: figures, split and rejects."""
    from tasks.validation.binding import bind_values
    from tasks.validation.rules import active_rows, table_rules
    from tasks.validation.splitting import split_rows, write_rejects
    from tasks.validation.statistics import measure
    from tasks.warehouse import scratch

    settings = benchmark_settings(folder)
    rules = active_rows("orders", settings.validation.tables["orders"])

    def work() -> dict[str, Any]:
        with scratch(memory_limit_mb=MEMORY_MB, threads=2, temporary=folder / "spill") as opened:
            figures = measure(opened, str(file), table_rules("orders"))
            values = bind_values(table_rules("orders"), rules, figures, settings, NOW)
            found = split_rows(opened, str(file), rules, values)
            write_rejects(opened, str(file), rules, folder / "split.rejects.parquet")
        return {"counts": _counts(dict(found.broken_rows))}

    return measure_work(work)


def validate(file: Path, folder: Path, lines: int) -> dict[str, Any]:
    """The whole of `validate`, with the import of Great Expectations told apart."""
    from tasks.validation import judging

    started = time.perf_counter()
    judging.build_suite("orders", {})
    importing = time.perf_counter() - started
    settings, history = benchmark_settings(folder), past(file)

    def work() -> dict[str, Any]:
        verdict = judging.validate(staged_batch(file, lines), history, settings, now=NOW)
        counts = {result.rule: result.failed_rows for result in verdict.results}
        return {
            "counts": _counts(counts),
            "checks": sum(not result.reason for result in verdict.results if result.passed)
            + sum(not result.passed for result in verdict.results),
            "outcome": verdict.outcome,
        }

    return {**measure_work(work), "import_seconds": importing}


PARTS: dict[str, Callable[[Path, Path, int], dict[str, Any]]] = {
    "plain": plain,
    "plain_by_hash": plain_by_hash,
    "split": split,
    "validate": validate,
}


def _check(name: str, found: dict[str, Any], lines: int) -> None:
    for rule, count in planted_rows(lines).items():
        if found["counts"].get(rule) != count:
            raise SystemExit(f"{name} counts {found['counts'].get(rule)} of {rule}, not {count}")


def _print_row(label: str, runs: list[dict[str, Any]], base: dict[str, float]) -> dict[str, float]:
    errors = [run["error"] for run in runs if "error" in run]
    if errors:
        print(f"{label:34} {errors[0]}")
        return {}
    found = {name: median(float(run[name]) for run in runs) for name in _FIGURES}
    base = base or found
    print(
        f"{label:34} {found['cpu_seconds']:8.1f} s"
        f" {found['cpu_seconds'] / base['cpu_seconds']:6.2f} x {found['wall_seconds']:8.1f} s"
        f" {found['wall_seconds'] / base['wall_seconds']:6.2f} x {found['peak_mb']:8,.0f} MB",
        flush=True,
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.validation", description=__doc__)
    parser.add_argument("--lines", type=lambda text: int(text.replace("_", "")), default=10_000_000)
    parser.add_argument("--folder", type=Path, help="where the data go; kept for another run")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each; medians are printed")
    parser.add_argument("--pandera", default="", help="a Python that has pandera and polars")
    parser.add_argument("--no-peers", action="store_true", help="neither pandas nor Polars")
    parser.add_argument("--part", choices=sorted(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        print(json.dumps(PARTS[chosen.part](chosen.file, chosen.folder, chosen.lines)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = (chosen.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"lines_{chosen.lines}.parquet"
        if not file.is_file():
            write_lines(file, chosen.lines)
        own = [sys.executable, "-m", "benchmarks.validation", "--file", str(file)]
        own += ["--folder", str(folder), "--lines", str(chosen.lines), "--part"]
        commands = {
            "plain SQL": [*own, "plain"],
            "plain SQL, repeats found by hash": [*own, "plain_by_hash"],
            "ours, without Great Expectations": [*own, "split"],
            "ours, whole": [*own, "validate"],
        }
        if not chosen.no_peers:
            peer = str(SQL / "pandas_peer.py")
            commands[_PEERS[0]] = [sys.executable, peer, str(file)]
            if chosen.pandera:
                peer = str(SQL / "pandera_peer.py")
                commands[_PEERS[1]] = [chosen.pandera, peer, str(file)]
        _compare(commands, chosen.lines, chosen.repeats)
        if not chosen.no_peers and not chosen.pandera:
            print("pandera on Polars: absent, name an interpreter that has it with --pandera")


def _compare(commands: dict[str, list[str]], lines: int, repeats: int) -> None:
    """Run the commands in turns, peers once at the end, and print a row each."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}

    def run(name: str, turn: str) -> None:
        print(f"{turn}: {name}", file=sys.stderr, flush=True)
        found = run_apart(commands[name])
        if "error" not in found:
            _check(name, found, lines)
        runs[name].append(found)

    own = [name for name in commands if name not in _PEERS]
    for turn in range(repeats):
        for name in own:
            run(name, f"turn {turn + 1} of {repeats}")
    whole = [found for found in runs["ours, whole"] if "error" not in found]
    print(
        f"{lines:,} lines, {len(planted_rows(1))} rules of lines, medians of {repeats}, peers once"
    )
    if whole:
        print(f"{whole[0]['checks']} checks in all; the batch is {whole[0]['outcome']}")
    print(f"{'':34} {'CPU':>10} {'ratio':>8} {'wall':>10} {'ratio':>8} {'peak':>11}")
    base: dict[str, float] = {}
    for name in commands:
        if name in _PEERS:
            run(name, "peer")
        row = _print_row(name, runs[name], base)
        base = base or row
    if whole:
        importing = median(float(found["import_seconds"]) for found in whole)
        print(f"importing Great Expectations, once a process, is apart: {importing:.1f} s")


if __name__ == "__main__":
    main()
