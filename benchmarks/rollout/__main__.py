"""Does a rollout keep its word? Worlds with known truth through the code that decides for real.

    python -m benchmarks.rollout                           20,000 rollouts a world: 40 min of CPU
    python -m benchmarks.rollout --rollouts 1000           a first impression
    python -m benchmarks.rollout --keep runs/rollout       goes on where it was stopped
    python -m benchmarks.rollout --only "A/A"              of the worlds whose name holds that

Each rollout goes the product's way: a ledger table of enrolments in DuckDB, the SQL that counts by
day and arm, and `judge` at every look until it ends. Drawn are buckets (that hashes fall evenly is
shown apart, over 1,000 salts) and what befalls the customers. What peers would say is looked up for
every tenth part.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.rollout.hashing import print_hashing
from benchmarks.rollout.studies import Chunk, cut, list_studies, read_chunk, run_chunk
from benchmarks.rollout.table import print_table
from benchmarks.rollout.trials import Summary
from tasks.progress import track


def main() -> None:
    arguments = _read_arguments()
    # One thread a process: the matrices are small and there are as many processes as cores.
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
    studies = [study for study in list_studies() if arguments.only in study.world.name]
    chunks = cut(studies, arguments.rollouts, arguments.keep)
    open_ones = [chunk for chunk in chunks if chunk.file is None or not chunk.file.exists()]
    if arguments.print_kept:
        chunks = [chunk for chunk in chunks if chunk not in open_ones]
        open_ones = []
    found: dict[Chunk, list[Summary]] = {}
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        done = pool.map(run_chunk, open_ones)
        for chunk in track(open_ones, "rollouts", lambda chunk: chunk.study.world.name):
            found[chunk] = next(done)
    by_study: dict[str, list[Summary]] = {study.world.name: [] for study in studies}
    for chunk in chunks:
        kept = found.get(chunk)
        if kept is None:
            assert chunk.file is not None
            kept = read_chunk(chunk.file)
        by_study[chunk.study.world.name] += kept
    if not arguments.only:
        print_hashing()
    print_table([(s.world, by_study[s.world.name]) for s in studies if by_study[s.world.name]])


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollout")
    parser.add_argument("--rollouts", type=int, default=20_000, help="of each world without effect")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="a folder for what is done, to go on later")
    parser.add_argument(
        "--print-kept", action="store_true", help="run nothing, print what the folder has"
    )
    parser.add_argument("--only", default="", help="worlds whose name holds this text")
    return parser.parse_args()


if __name__ == "__main__":
    main()
