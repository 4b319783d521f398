"""Services that falter or go in the middle of the work, and two who work at once (FAULTS C)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.postgres import find_database
from tasks.services.environment import Services
from tests.flows.gateway import Gateway, standing_before
from tests.flows.nights import Shop, write_deployment

pytestmark = [pytest.mark.flow, pytest.mark.faults, pytest.mark.timeout(600)]


def _codes(shop: Shop) -> list[str]:
    return [item["code"] for item in shop.ask("quarantine", "list")]


def _tracking_through(gateway: Gateway, home: Path) -> str:
    database = find_database(home)
    return f"postgresql://{database.user}@127.0.0.1:{gateway.port}/mlflow"


def _socket_of(home: Path) -> Path:
    database = find_database(home)
    return Path(str(database.host)) / f".s.PGSQL.{database.port or 5432}"


@pytest.mark.faults(47)
def test_prefect_that_goes_in_the_middle_of_a_night_loses_nothing(
    shop: Shop, prefect_services: Services
) -> None:
    before = shop.ask("status")
    with standing_before(prefect_services.prefect_port, down_after=12) as gateway:
        url = f"http://127.0.0.1:{gateway.port}/api"
        done = replace(shop, environment={**shop.environment, "PREFECT_API_URL": url}).run(
            "nightly"
        )
        assert gateway.is_down
    assert done.returncode == 0, done.stderr
    after = shop.ask("status")
    assert after["champion"]["model_hash"] == before["champion"]["model_hash"]
    assert after["batches"]["tables"] == before["batches"]["tables"]


@pytest.mark.faults(43)
def test_a_store_that_falters_twice_is_asked_a_third_time(shop: Shop, home: Path) -> None:
    with standing_before(_socket_of(home), refuse_first=2) as gateway:
        done = shop.run("train", HOLDFAST_TRACKING_URI=_tracking_through(gateway, home))
    assert gateway.connections > 2
    assert done.returncode == 0, done.stderr


@pytest.mark.faults(51)
def test_mlflow_that_goes_in_the_middle_of_a_training_is_an_item_and_the_champion_scores(
    shop: Shop, home: Path
) -> None:
    champion = _reign(shop)
    with standing_before(_socket_of(home), down_after=4) as gateway:
        uri = _tracking_through(gateway, home)
        done = shop.run("train", HOLDFAST_TRACKING_URI=uri)
        assert gateway.is_down
        assert done.returncode == 69, done.stderr
        assert "MLflow store does not answer" in done.stderr
        assert "MLFLOW" in _codes(shop)
        scored = shop.run("score", HOLDFAST_TRACKING_URI=uri)
        assert scored.returncode == 0, scored.stderr
    assert _reign(shop) == champion
    done = shop.run("train")
    assert done.returncode == 0, done.stderr
    assert "MLFLOW" not in _codes(shop)


@pytest.mark.faults(40)
def test_of_two_nights_at_once_nothing_is_done_twice(shop: Shop) -> None:
    # The first night of a lake, so that there is something that could be taken in twice.
    path = write_deployment(shop.path.with_name("twin_shop.yaml"), shop.folder)
    twins = replace(shop, path=path)
    with ThreadPoolExecutor(2) as pool:
        nights = list(pool.map(lambda _: twins.run("nightly"), range(2)))
    # One may be told that somebody else is at it; neither may fail otherwise.
    assert {night.returncode for night in nights} <= {0, 75}, [one.stderr for one in nights]
    assert 0 in {night.returncode for night in nights}
    alone, at_once = shop.ask("status"), twins.ask("status")
    for table, counted in alone["batches"]["tables"].items():
        for key in ("received", "accepted", "quarantined", "batches"):
            assert at_once["batches"]["tables"][table][key] == counted[key], (table, key)
    assert at_once["champion"]["model_hash"] == alone["champion"]["model_hash"]
    done = twins.run("nightly")
    assert done.returncode == 0, done.stderr


def _reign(shop: Shop) -> dict[str, Any]:
    """Who serves, but for when it was asked."""
    return {key: value for key, value in shop.ask("champion").items() if key != "at"}
