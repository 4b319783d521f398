"""A replay's moment reaches what Prefect runs: flows, their tasks, and flows within flows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from prefect import flow, task

from tasks.moments import read_clock, standing_at
from tasks.services.environment import Services, build_client_environment

pytestmark = pytest.mark.flow
MOMENT = datetime(2011, 3, 1, tzinfo=UTC)


@task  # type: ignore[untyped-decorator]
def tell() -> datetime:
    return read_clock()


@flow  # type: ignore[untyped-decorator]
def inner() -> datetime:
    moment: datetime = tell()
    return moment


@flow  # type: ignore[untyped-decorator]
def outer() -> tuple[datetime, datetime, datetime]:
    return read_clock(), tell(), inner()


def test_flows_and_tasks_stand_at_the_moment(prefect_services: Services, home: Path) -> None:
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_URL,
        PREFECT_CLIENT_CSRF_SUPPORT_ENABLED,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOGGING_TO_API_ENABLED,
        temporary_settings,
    )

    known = build_client_environment(home, prefect_services)
    asked = {
        PREFECT_API_URL: known["PREFECT_API_URL"],
        PREFECT_API_AUTH_STRING: known["PREFECT_API_AUTH_STRING"],
        PREFECT_CLIENT_CSRF_SUPPORT_ENABLED: True,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
        PREFECT_LOGGING_TO_API_ENABLED: False,
    }
    with temporary_settings(asked), standing_at(MOMENT):
        assert outer() == (MOMENT, MOMENT, MOMENT)
    assert read_clock().year > 2020
