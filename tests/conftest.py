"""Fixtures that several kinds of test share: settings of a throw-away deployment and its lake."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import shutil
import signal
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.settings import Settings, load_settings

_numbers = itertools.count(1)

# What takes minutes. Two processes share the tests by files: what is long comes first, else
# one of them waits at the end for the other.
_LONGEST = (
    "flows/test_nightly.py",  # it looks at the shop's first night, to which others add more
    "flows",
    "acceptance/test_online_retail.py",
    "faults/test_crash_intake.py",
    "faults/test_corpus.py",
    "acceptance/test_unit_change.py",
    "faults/test_state_machine.py",
    "services/test_supervisor.py",
    "rollout/test_killed.py",
    "replay/test_replaying.py",
)

# Whatever the developer's shell says, tests talk to their own servers and send nothing out.
os.environ.update(
    {
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "MPLBACKEND": "Agg",
        # As the command sets them: threads of small matrices only wait for one another.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
)
for _name in ("HOLDFAST_DATABASE_URL", "HOLDFAST_HOME", "HOLDFAST_CRASH_AT"):
    os.environ.pop(_name, None)
# A shell starts background jobs deaf to Ctrl-C, and children inherit that; the tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

MakeSettings = Callable[..., Settings]

# Settings of deployments by how long they are used, and the scopes of the fixtures being made.
_made: defaultdict[str, list[Settings]] = defaultdict(list)
_scopes: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; the order within a file and among the others stays."""
    directory = Path(__file__).parent
    places = {directory / name: place for place, name in enumerate(_LONGEST)}
    last = len(places)
    items.sort(key=lambda item: places.get(item.path, places.get(item.path.parent, last)))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """By files, but all nights in one process: their shop and Prefect's server are made once."""
    from xdist.scheduler import LoadFileScheduling

    class ByShop(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "tests/flows" if nodeid.startswith("tests/flows/") else nodeid.split("::")[0]

    return ByShop(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Any) -> Iterator[None]:
    """Know for how long what a fixture makes is used."""
    _scopes.append(fixturedef.scope)
    try:
        return (yield)
    finally:
        _scopes.pop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Lakes go with the test or the module that made them, once its fixtures have ended.

    With a hundred of them in one PostgreSQL, to open the next takes half as long again.
    """
    result = yield
    _forget(_made["function"])
    if nextitem is None or nextitem.path != item.path:
        _forget(_made["module"])
    return result


def _forget(made: list[Settings]) -> None:
    lakes = [one for one in made if (one.home / "lake" / one.deployment).is_dir()]
    made.clear()
    if not lakes:
        return
    import psycopg2

    from tasks import warehouse
    from tasks.postgres import connect, find_database
    from tasks.quoting import quote

    for settings in lakes:
        opened = warehouse._open.pop((str(settings.home), settings.deployment), None)
        if opened is not None:
            opened[0].close()
    connection = connect(find_database(lakes[0].home))
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("set lock_timeout = '1s'")
        for settings in lakes:
            schema = quote(warehouse.lake_schema(settings.deployment))
            # What a process still reads stays: it costs the later tests a little time.
            with contextlib.suppress(psycopg2.errors.LockNotAvailable):
                cursor.execute(f"drop schema if exists {schema} cascade")


@pytest.fixture(scope="session")
def home() -> Path:
    """One state directory, and so one embedded PostgreSQL, for the whole session.

    Not below pytest's own: each session of pytest closes that to other users when it starts,
    and the server, which as root runs as a user of its own, would lose its data at any time.
    """
    directory = Path(tempfile.mkdtemp(prefix="holdfast-tests-"))
    directory.chmod(0o711)
    # What is registered first runs last: by then the server has been stopped.
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


@pytest.fixture(scope="session")
def make_settings(home: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeSettings:
    """Settings of a new deployment, its name unique in the session; sections as in its YAML."""
    directory = tmp_path_factory.mktemp("deployments")

    def make(name: str | None = None, **sections: object) -> Settings:
        deployment = name or f"test_{next(_numbers)}"
        path = directory / f"{deployment}.yaml"
        path.write_text(yaml.safe_dump({"deployment": deployment, **sections}), encoding="utf-8")
        settings = load_settings(path, home=home)
        _made[_scopes[-1] if _scopes else "function"].append(settings)
        return settings

    return make


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    """Settings of a new deployment with nothing but the defaults."""
    return make_settings()


@pytest.fixture
def lake(settings: Settings) -> Iterator[object]:
    """A new, empty lake in the session's PostgreSQL."""
    from tasks.warehouse import open_lake

    with open_lake(settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets beside the project; a test that needs it skips without."""
    from tasks.settings import PROJECT

    directory = Path(os.environ.get("HOLDFAST_DATA") or PROJECT.parent / "shared" / "data")
    if not directory.is_dir():
        pytest.skip(f"no data sets at {directory}: set HOLDFAST_DATA")  # licences keep them out
    return directory.resolve()


@pytest.fixture(scope="session")
def hillstrom(shared_data: Path) -> Path:
    """MineThatData's e-mail test of 64,000 customers, a row each; skips without the file."""
    path = shared_data / "hillstrom" / "hillstrom.parquet"
    if not path.is_file():
        pytest.skip(f"no {path}: set HOLDFAST_DATA")  # its licence is not stated: not copied
    return path
