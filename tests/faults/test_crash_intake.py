"""Kill -9 anywhere in intake, start again: nothing lost, nothing twice (FAULTS 36, 41, 46)."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import LockHeld
from tasks.postgres import find_database
from tasks.settings import Settings
from tasks.warehouse import Lake, open_lake
from tests.faults.crash_harness import (
    SCENARIOS,
    crash_points,
    describe_lake,
    points_of,
    random_delays,
    run_until_done,
    source_of,
)

pytestmark = pytest.mark.faults

KILLS = 6

MakeDisturbed = Callable[[str], tuple[Settings, Path]]


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

    def make(scenario: str) -> tuple[Settings, Path]:
        folder = tmp_path_factory.mktemp("deliveries")
        settings = make_settings(
            intake=source_of(folder, scenario), warehouse={"compact_after_files": 2, "threads": 1}
        )
        home = tmp_path_factory.mktemp("state")
        return settings.model_copy(update={"home": home}), folder

    return make


def _undisturbed(
    where: tuple[Settings, Path], database_url: str, scenario: str, rounds: Sequence[int]
) -> dict[str, Any]:
    """What a run that nobody killed publishes."""
    settings, folder = where
    run = run_until_done(settings, folder, database_url, scenario, rounds)
    assert run.exit_codes == (0,)
    described = _describe(settings, database_url)
    assert described["doubled"] == 0
    assert described["ledger"]
    return described


def _describe(settings: Settings, database_url: str) -> dict[str, Any]:
    os.environ["HOLDFAST_DATABASE_URL"] = database_url
    try:
        return describe_lake(settings)
    finally:
        del os.environ["HOLDFAST_DATABASE_URL"]


@pytest.mark.faults(36, 46)
@pytest.mark.parametrize(
    "scenario", ["accept", "reject", "stop", "correct", "merge", "cut", "decide"]
)
def test_killed_at_every_point_and_started_again_it_ends_as_if_undisturbed(
    scenario: str, disturbed: MakeDisturbed, database_url: str
) -> None:
    points = points_of(scenario)
    settings, folder = disturbed(scenario)
    for number, point in enumerate(points):
        run = run_until_done(settings, folder, database_url, scenario, [number], crash_at=point)
        assert run.exit_codes == (-signal.SIGKILL, 0), f"{point} was not reached"
    assert _describe(settings, database_url) == _undisturbed(
        disturbed(scenario), database_url, scenario, range(len(points))
    )


def test_every_point_belongs_to_a_scenario() -> None:
    covered = {point for scenario in SCENARIOS for point in points_of(scenario)}
    assert covered == set(crash_points())
    assert len(covered) > 30


@pytest.mark.faults(36)
def test_killed_at_random_times_it_ends_as_if_undisturbed(
    disturbed: MakeDisturbed, database_url: str
) -> None:
    settings, folder = disturbed("everything")
    delays = random_delays(seed=11, kills=KILLS, longest_seconds=2.5)
    run = run_until_done(settings, folder, database_url, "everything", kill_after_seconds=delays)
    assert -signal.SIGKILL in run.exit_codes
    assert _describe(settings, database_url) == _undisturbed(
        disturbed("everything"), database_url, "everything", [0]
    )


def _hold_the_lock(settings: Settings, ready: Any) -> None:
    with open_lake(settings) as lake, lake.writer_lock("hold"):
        ready.set()
        signal.pause()


@pytest.mark.faults(41, 44)
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
