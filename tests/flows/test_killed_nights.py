"""A night killed at its worst moments and started again ends as one that nobody disturbed."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.settings import PROJECT

from .nights import DEAD_PREFECT, Shop

pytestmark = [pytest.mark.flow, pytest.mark.faults, pytest.mark.timeout(900)]

# In the order in which a night comes by; each start is killed at the next of them.
KILLED_AT = (
    "publish.after_commit",  # taken in, not yet said so
    "churn.tuning.told_1:term",  # two trials of four are known; a service manager asks to end
    "registry.after_decision",  # let in, but MLflow does not know
    "segments.promoted:term",  # groups serve, and nobody is in them yet
    "actions.before_publish",  # the lists are written, and the ledger knows of none
)
TERMINATED = 143


# Asked in a process of its own, which stops the PostgreSQL of that home when it ends.
ALIAS = """
import json, sys
from pathlib import Path
from tasks.settings import find_home, load_settings
from tasks.services.environment import prepare_process
prepare_process(find_home())
from tasks.tracking.tracker import CHAMPION, open_tracker
with open_tracker(load_settings(sys.argv[1])) as tracker:
    version = tracker.alias_version(CHAMPION)
    print(json.dumps([version, tracker.version_hash(version)]))
"""


def alias_of(shop: Shop) -> list[object]:
    """The version that MLflow's alias names, and the hash that MLflow knows it by."""
    done = subprocess.run(
        [sys.executable, "-c", ALIAS, str(shop.path)],
        cwd=PROJECT,
        env={**os.environ, "HOLDFAST_HOME": str(shop.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture
def second_home() -> Iterator[Path]:
    """Another machine's state directory; not below pytest's, which is closed to PostgreSQL."""
    directory = Path(tempfile.mkdtemp(prefix="holdfast-killed-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.faults(36, 37)
def test_a_killed_night_ends_as_an_undisturbed_one(shop: Shop, second_home: Path) -> None:
    killed = Shop(shop.path, second_home, shop.folder, {"PREFECT_API_URL": DEAD_PREFECT})
    for point in KILLED_AT:
        done = killed.run("nightly", HOLDFAST_CRASH_AT=point)
        code = TERMINATED if point.endswith(":term") else -signal.SIGKILL
        assert done.returncode == code, (point, done.stdout, done.stderr)
    # Whoever is on call hears of the last one, and no more once the night has ended well.
    assert killed.run("quarantine", "watch").returncode == 0
    [item] = [one for one in killed.ask("quarantine", "list") if one["code"] == "CRASHED"]
    assert item["source"] == "nightly"
    done = killed.run("nightly")
    assert done.returncode == 0, done.stderr
    assert "CRASHED" not in [one["code"] for one in killed.ask("quarantine", "list")]

    standing, undisturbed = killed.ask("status"), shop.ask("status")
    for key in ("received", "accepted", "quarantined", "batches"):
        for table in ("orders", "events"):
            ours = standing["batches"]["tables"][table][key]
            assert ours == undisturbed["batches"]["tables"][table][key]
    assert standing["batches"]["unfinished"] == []
    champion = standing["champion"]
    # The same data, lock and seed: the same model, byte by byte, on another machine too.
    assert champion["model_hash"] == undisturbed["champion"]["model_hash"]
    assert champion["metrics"] == undisturbed["champion"]["metrics"]
    assert alias_of(killed) == [champion["version"], champion["model_hash"]]
    # And the same lists of whom to contact, each once, and the page.
    for name in ("actions.csv", "winback.csv", "held_out.csv"):
        ours, theirs = read_list(killed, name), read_list(shop, name)
        assert ours == theirs
        assert len({row["customer_id"] for row in ours}) == len(ours)
    assert killed.scores().with_name("customers.html").is_file()


def read_list(shop: Shop, name: str) -> list[dict[str, str]]:
    """An exported list without the columns that say which run of which lake it is from."""
    with shop.scores().with_name(name).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{key: value for key, value in row.items() if key != "run_id"} for row in rows]
