"""A replay of eight weeks with planted faults: caught, and the same after it was killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.settings import PROJECT

from .shop import write_shop

pytestmark = [pytest.mark.flow, pytest.mark.timeout(600)]

SPAN = ("--from", "2022-04-04", "--to", "2022-05-23")
PLANTS = ("unit_change@2022-04-11", "duplicate_file@2022-04-18", "late_file@2022-05-02")
# Each start is killed at the next of them: the lists are not kept, the step is not recorded.
KILLED_AT = ("replay.before_contacts", "replay.before_week", "publish.after_commit")


def run(
    path: Path, home: Path, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", "-d", str(path), *arguments],
        cwd=PROJECT,
        env={**os.environ, "HOLDFAST_HOME": str(home), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stdout.splitlines() if re.match(r"\d{4}-\d\d-\d\d ", line)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    return write_shop(tmp_path_factory.mktemp("replayed"), home)


def test_faults_are_caught_and_a_killed_replay_tells_the_same(shop: Path, home: Path) -> None:
    asked = ["replay", *SPAN, *(word for plant in PLANTS for word in ("--plant", plant))]
    for point in KILLED_AT:
        killed = run(shop, home, *asked, HOLDFAST_CRASH_AT=point)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = run(shop, home, *asked)
    assert done.returncode == 0, done.stderr
    told = lines(done)[:8]
    assert [line[:10] for line in told] == [
        "2022-04-04", "2022-04-11", "2022-04-18", "2022-04-25",
        "2022-05-02", "2022-05-09", "2022-05-16", "2022-05-23",
    ]  # fmt: skip
    assert "gate: v" in told[0]
    assert "planted unit_change; opened UNIT_SHIFT:orders; settled: replayed UNIT_SHIFT" in told[1]
    assert "planted duplicate_file" in told[2]
    assert "planted late_file; opened GAP:orders" in told[4]
    assert "gate: v" in told[4] or "gate: v" in told[5]
    assert "NOT CAUGHT" not in done.stdout
    for policy in ("served", "never retrained", "always promoted", "best rule"):
        assert re.search(rf"^\s*{policy} ", done.stdout, re.MULTILINE)
    assert "money of served" in done.stdout

    # Again from a ledger in which all is done: the same lines, sums and page.
    again = run(shop, home, *asked)
    assert lines(again) == lines(done)
    page = Path(re.search(r"^Page: (.*)$", again.stdout, re.MULTILINE)[1])  # type: ignore[index]
    assert "default-src 'none'" in page.read_text(encoding="utf-8")
    assert "0 of 8 steps were run now" in again.stdout

    # Who served is answered for each week, in the replay's own ledger and not in the shop's.
    stand_in = Path(re.search(r"-d (\S+) champion", again.stdout)[1])  # type: ignore[index]
    for line in (told[0], told[-1]):
        found = json.loads(run(stand_in, home, "champion", "--at", line[:10], "--json").stdout)
        assert f"  v{found['champion']['version']} " in f"{line} "
    nobody = json.loads(run(shop, home, "champion", "--json").stdout)
    assert nobody["champion"] is None
