"""The long form of the crash test: kill intake at random times, many times, and compare.

    python -m benchmarks.crash --kills 200 --seed 1

Each run goes through every kind of delivery, is killed several times at random, started again
until it ends by itself, and compared with an undisturbed run by hash. Prints one line a run and
ends with 1 at the first difference.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import yaml

from tasks.postgres import DATABASE_URL_VARIABLE, find_database
from tasks.settings import Settings, load_settings
from tests.faults.crash_harness import describe_lake, random_delays, run_until_done, source_of

KILLS_A_RUN = 8


def _settings(root: Path, name: str) -> tuple[Settings, Path]:
    folder = root / name / "deliveries"
    folder.mkdir(parents=True)
    path = root / f"{name}.yaml"
    sections = {
        "deployment": name,
        "intake": source_of(folder),
        "warehouse": {"compact_after_files": 2, "threads": 1},
    }
    path.write_text(yaml.safe_dump(sections), encoding="utf-8")
    return load_settings(path, home=root / name / "state"), folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="holdfast-crash-") as directory:
        root = Path(directory)
        database = find_database(root / "server")
        url = f"postgresql://{database.user}@/{database.name}?host={database.host}"
        os.environ[DATABASE_URL_VARIABLE] = url
        settings, folder = _settings(root, "undisturbed")
        started = time.monotonic()
        run_until_done(settings, folder, url, "everything")
        longest = time.monotonic() - started
        expected = describe_lake(settings)
        print(f"undisturbed: {longest:.1f} s, {expected['visible']} rows")
        done = run = 0
        while done < asked.kills:
            run += 1
            settings, folder = _settings(root, f"run{run}")
            delays = random_delays(asked.seed * 1000 + run, KILLS_A_RUN, longest)
            codes = run_until_done(
                settings, folder, url, "everything", kill_after_seconds=delays
            ).exit_codes
            killed = codes.count(-signal.SIGKILL)
            done += killed
            found = describe_lake(settings)
            different = [key for key in expected if found[key] != expected[key]]
            print(f"run {run}: {killed} kills ({done} in all), {'; '.join(different) or 'equal'}")
            if different:
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
