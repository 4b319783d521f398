"""A replay of six weeks with planted faults, killed in the middle and run again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest

from flows.replay import Replayed, replay
from flows.replaying import tell_week
from tasks.registry import steps as registry
from tasks.settings import PROJECT, load_settings
from tasks.warehouse import open_lake

from .shop import write_shop

pytestmark = [pytest.mark.flow, pytest.mark.timeout(900)]

SINCE, UNTIL = date(2022, 3, 14), date(2022, 4, 18)
PLANTS = ("duplicate_file@2022-03-21", "unit_change@2022-03-28", "late_file@2022-04-11")
# Killed in the third step, between a batch's commit and what follows it.
KILLED = """
import os, sys
from datetime import date
if __name__ == "__main__":
    from flows.replay import replay
    from flows.replaying import tell_week

    def watch(told, seconds):
        print(tell_week(told), flush=True)
        if told.as_of.date() == date(2022, 3, 21):
            os.environ["HOLDFAST_CRASH_AT"] = "publish.after_commit"

    replay(sys.argv[1], date(2022, 3, 14), date(2022, 4, 18), "1w", sys.argv[2:], watch)
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    return write_shop(tmp_path_factory.mktemp("replayed"), home)


def run(path: Path) -> tuple[list[str], Replayed]:
    lines: list[str] = []
    found = replay(path, SINCE, UNTIL, "1w", PLANTS, lambda told, _: lines.append(tell_week(told)))
    return lines, found


def test_faults_are_caught_and_a_killed_replay_goes_on(
    shop: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_HOME", str(home))
    script = tmp_path / "killed.py"
    script.write_text(KILLED, encoding="utf-8")
    killed = subprocess.run(
        [sys.executable, str(script), str(shop), *PLANTS],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = killed.stdout.splitlines()
    lines, found = run(shop)
    assert before == lines[:2]
    assert [line[:10] for line in lines] == [
        "2022-03-14", "2022-03-21", "2022-03-28", "2022-04-04", "2022-04-11", "2022-04-18",
    ]  # fmt: skip
    assert "gate: v" in lines[0]
    assert lines[1].endswith("planted duplicate_file")
    # The step in which it was killed says what it would have said.
    assert lines[2].endswith(
        "planted unit_change; opened UNIT_SHIFT:orders; settled: replayed UNIT_SHIFT"
    )
    assert "planted late_file; opened GAP:orders" in lines[4]
    assert "settled: recovered GAP; gate: v" in lines[5]
    assert {one.plant.kind: one.by.partition(" ")[0] for one in found.caught} == {
        "duplicate_file": "intake:", "unit_change": "UNIT_SHIFT", "late_file": "GAP",
    }  # fmt: skip
    assert all(one.planted_at <= (one.caught_at or one.planted_at) for one in found.caught)

    # The money: four lists have matured, and the truth is known.
    assert found.account is not None
    assert len(found.account.weeks) == 4
    assert [one.policy for one in found.account.sums] == [
        "served", "never retrained", "always promoted", "best rule",
    ]  # fmt: skip
    assert {"money of served", "lead over best rule"} <= {one.claim for one in found.checks}
    assert found.page is not None
    assert "Content-Security-Policy" in found.page.read_text(encoding="utf-8")

    # All is done: the same lines and sums, without a night.
    again, told = run(shop)
    assert again == lines
    assert told.account == found.account
    assert told.seconds == (0.0,) * 6

    # Who served is answered for each week, by the replay's ledger and not by the shop's.
    with open_lake(found.settings) as lake:
        for week in found.weeks:
            reign = registry.find_reign(lake, datetime.combine(week.as_of.date(), time.max, UTC))
            assert reign is not None
            assert reign.champion.version == week.champion
    with open_lake(load_settings(shop, home=home)) as lake:
        assert registry.find_champion(lake) is None
