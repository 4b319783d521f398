"""Kill -9 anywhere in intake, start again: nothing lost, nothing twice (FAULTS 36, 41, 46)."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import LockHeld
from tasks.postgres import find_database
from tasks.settings import Settings
from tasks.warehouse import Lake, open_lake
from tests.faults.crash_harness import (
    crash_points,
    describe_lake,
    random_delays,
    run_until_done,
    scenarios_of,
    source_of,
)

pytestmark = pytest.mark.faults

KILLS = 6
CASES = [(point, scenario) for point in crash_points() for scenario in scenarios_of(point)]

MakeDisturbed = Callable[[], tuple[Settings, Path]]


@pytest.fixture(scope="module")
def database_url(home: Path) -> str:
    """The session's own PostgreSQL, named so that children need not start one."""
    database = find_database(home)
    return f"postgresql://{database.user}@/{database.name}?host={database.host}"


@pytest.fixture(scope="module")
def disturbed(
    make_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> MakeDisturbed:
    """Settings of a new deployment with its own state and delivery folder."""

    def make() -> tuple[Settings, Path]:
        folder = tmp_path_factory.mktemp("deliveries")
        settings = make_settings(
            intake=source_of(folder), warehouse={"compact_after_files": 2, "threads": 1}
        )
        home = tmp_path_factory.mktemp("state")
        return settings.model_copy(update={"home": home}), folder

    return make


@pytest.fixture(scope="module")
def expected(disturbed: MakeDisturbed, database_url: str) -> Callable[[str], dict[str, Any]]:
    """What an undisturbed run of a scenario publishes."""
    known: dict[str, dict[str, Any]] = {}

    def find(scenario: str) -> dict[str, Any]:
        if scenario not in known:
            settings, folder = disturbed()
            assert run_until_done(settings, folder, database_url, scenario).exit_codes == (0,)
            known[scenario] = _describe(settings, database_url)
            assert known[scenario]["doubled"] == 0
            assert known[scenario]["ledger"]
        return known[scenario]

    return find


def _describe(settings: Settings, database_url: str) -> dict[str, Any]:
    os.environ["HOLDFAST_DATABASE_URL"] = database_url
    try:
        return describe_lake(settings)
    finally:
        del os.environ["HOLDFAST_DATABASE_URL"]


@pytest.mark.parametrize(("point", "scenario"), CASES)
def test_killed_at_a_point_and_started_again_it_ends_as_if_undisturbed(
    point: str,
    scenario: str,
    disturbed: MakeDisturbed,
    database_url: str,
    expected: Callable[[str], dict[str, Any]],
) -> None:
    settings, folder = disturbed()
    run = run_until_done(settings, folder, database_url, scenario, crash_at=point)
    assert run.exit_codes == (-signal.SIGKILL, 0), "the point was not reached"
    assert _describe(settings, database_url) == expected(scenario)


def test_killed_at_random_times_it_ends_as_if_undisturbed(
    disturbed: MakeDisturbed,
    database_url: str,
    expected: Callable[[str], dict[str, Any]],
) -> None:
    settings, folder = disturbed()
    delays = random_delays(seed=11, kills=KILLS, longest_seconds=2.5)
    run = run_until_done(settings, folder, database_url, "everything", kill_after_seconds=delays)
    assert -signal.SIGKILL in run.exit_codes
    assert _describe(settings, database_url) == expected("everything")


def _hold_the_lock(settings: Settings, ready: Any) -> None:
    with open_lake(settings) as lake, lake.writer_lock("hold"):
        ready.set()
        signal.pause()


def test_a_killed_holder_frees_the_lock_and_a_living_one_is_named(
    settings: Settings, lake: Lake
) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=_hold_the_lock, args=(settings, ready))
    holder.start()
    assert ready.wait(60)
    with pytest.raises(LockHeld) as held, lake.writer_lock("test", wait_seconds=0.2):
        pass
    assert held.value.exit_code == 75
    assert f"pid {holder.pid}" in str(held.value)
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join(30)
    with lake.writer_lock("test", wait_seconds=10):
        pass
