"""What the tests of whole nights share: Prefect's server and one shop, each made once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tasks.postgres import ensure_database, find_database
from tasks.services import prefect_server
from tasks.services.environment import Child, Services, build_client_environment, prefect_login
from tasks.services.prefect_server import PrefectApi
from tasks.services.processes import choose_port, stop_tree, wait_until_ready

from .nights import DEAD_PREFECT, Shop, write_deployment, write_population

START_SECONDS = 150


@pytest.fixture(scope="session")
def prefect_services(home: Path) -> Iterator[Services]:
    """Prefect's real server in the session's PostgreSQL, started once."""
    port = choose_port(prefect_server.NAME, 0, "prefect-port")
    database = ensure_database(find_database(home), prefect_server.DATABASE)
    server = prefect_server.plan_server(home, port, database)
    child = server.start()
    try:
        wait_until_ready([server], START_SECONDS)
        own = psutil.Process()
        tests = Child("tests", own.pid, own.create_time(), "")
        yield Services(tests, port, 0, ready=True, children=(child,))
    finally:
        stop_tree([child.pid], 3.0)
        if server.process is not None:
            server.process.wait(timeout=10)


@pytest.fixture(scope="session")
def prefect_api(prefect_services: Services, home: Path) -> PrefectApi:
    return PrefectApi(prefect_services.prefect_api_url, prefect_login(home))


@pytest.fixture(scope="session")
def population(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    return write_population(tmp_path_factory.mktemp("population") / "shop", home)


@pytest.fixture(scope="session")
def deployment_path(population: Path) -> Path:
    return write_deployment(population.parent / "night_shop.yaml", population)


@pytest.fixture(scope="session")
def shop(deployment_path: Path, population: Path, home: Path, prefect_services: Services) -> Shop:
    """The shop after its first night, recorded by Prefect."""
    opened = Shop(
        deployment_path, home, population, build_client_environment(home, prefect_services)
    )
    done = opened.run_cold("nightly")
    assert done.returncode == 0, done.stderr
    return opened


@pytest.fixture
def unrecorded_shop(shop: Shop) -> Shop:
    """The same shop on a night on which Prefect does not answer."""
    return replace(shop, environment={**shop.environment, "PREFECT_API_URL": DEAD_PREFECT})
