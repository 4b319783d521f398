"""An alert's event reaches Prefect, and starts the training that waits for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.services.environment import Services, build_client_environment
from tasks.settings import PROJECT

from .nights import DEAD_PREFECT

pytestmark = pytest.mark.flow

# In a process of its own: Prefect reads its settings once a process.
CHILD = """
import os, sys, time
from uuid import uuid4
from flows.serving import build_deployment
from tasks.monitoring.following import EVENT
from tasks.orchestration import send_event
from tasks.services.prefect_server import PrefectApi
from tasks.services.schedule import Deployment, Trigger

deployment = Deployment(
    name="watched_retrain",
    entrypoint="flows.retrain.retrain",
    parameters={"deployment": "watched"},
    triggers=(Trigger(event=EVENT),),
)
own = {"deployments": {"id": {"any_": [str(build_deployment(deployment).apply())]}}}
api = PrefectApi(os.environ["PREFECT_API_URL"], os.environ["PREFECT_API_AUTH_STRING"])
assert send_event(EVENT, "another", {}, uuid4())
time.sleep(3)
assert api.post("/flow_runs/filter", {"flow_runs": {}, **own}) == []
# A new automation is known to the server within moments, so the event is sent until it is heard.
for _ in range(20):
    assert send_event(EVENT, "watched", {"alerts": ["a"]}, uuid4())
    time.sleep(2)
    if api.post("/flow_runs/filter", {"flow_runs": {}, **own}):
        break
else:
    sys.exit("no run was started")
os.environ["PREFECT_API_URL"] = sys.argv[1]
assert not send_event(EVENT, "watched", {}, uuid4())
"""


def test_an_event_starts_the_deployment_that_it_is_about(
    prefect_services: Services, home: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, DEAD_PREFECT],
        cwd=PROJECT,
        env={**os.environ, **build_client_environment(home, prefect_services)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
