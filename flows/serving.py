"""The process of `holdfast up` that registers the deployments and executes their runs.

`python -m flows.serving`; not for hands. It ends on SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.orchestration import EVENT_RESOURCE
from tasks.services.prefect_server import PrefectApi
from tasks.services.schedule import Deployment, catch_up, count_missed, read_schedule

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

POLL_SECONDS = 5.0


def load_flow(entrypoint: str) -> Any:
    """The flow itself. Its own error if it does not import, never Prefect's silent placeholder."""
    from prefect.flows import load_flow_from_entrypoint

    return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)


def build_deployment(deployment: Deployment) -> RunnerDeployment:
    """Our entry as Prefect's deployment, with the flow found by its module."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.deployments.runner import EntrypointType
    from prefect.events import DeploymentEventTrigger
    from prefect.schedules import Cron, Interval

    schedules = [
        Cron(timing.cron, timezone=timing.timezone, active=timing.active)
        if timing.cron is not None
        else Interval(
            timedelta(seconds=timing.interval or 0), timezone=timing.timezone, active=timing.active
        )
        for timing in deployment.schedules
    ]
    limit = deployment.concurrency_limit
    return load_flow(deployment.entrypoint).to_deployment(
        name=deployment.name,
        description=deployment.description,
        tags=list(deployment.tags),
        parameters=dict(deployment.parameters),
        schedules=schedules,
        triggers=[
            DeploymentEventTrigger(
                name=f"{deployment.name} on {trigger.event}",
                expect={trigger.event},
                match={
                    "prefect.resource.id": EVENT_RESOURCE + str(deployment.parameters["deployment"])
                },
            )
            for trigger in deployment.triggers
        ],
        concurrency_limit=ConcurrencyLimitConfig(
            limit=limit.limit,
            collision_strategy=ConcurrencyLimitStrategy(limit.collision_strategy),
        ),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


async def serve(deployments: Sequence[RunnerDeployment], parallel_runs: int, ready: Path) -> None:
    """Register, say so by making the file `ready`, and execute what comes due."""
    from prefect.runner import Runner

    api = PrefectApi(os.environ["PREFECT_API_URL"], os.environ["PREFECT_API_AUTH_STRING"])
    # Before registering, which makes Prefect forget what is overdue.
    missed = count_missed(api, [deployment.name for deployment in deployments])
    # Schedules stay on when we stop: what comes due meanwhile is caught up at the next start.
    runner = Runner(
        name="holdfast",
        query_seconds=POLL_SECONDS,
        limit=parallel_runs,
        pause_on_shutdown=False,
    )
    # Its own handler of SIGTERM makes a coroutine that nobody awaits and then leaves; this leaves.
    runner.handle_sigterm = _leave
    for deployment in deployments:
        await runner.aadd_deployment(deployment)
    catch_up(api, missed)
    ready.write_text(f"{os.getpid()}\n", encoding="utf-8")
    await runner.start()


def _leave(_number: int, _frame: Any) -> None:
    sys.exit(0)


def main() -> None:
    """Read the command line of the supervisor and serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m flows.serving")
    parser.add_argument("--schedule", type=Path, required=True)
    parser.add_argument("--parallel-runs", type=int, required=True)
    parser.add_argument("--ready", type=Path, required=True)
    options = parser.parse_args()
    from prefect.exceptions import TerminationSignal

    built = [build_deployment(deployment) for deployment in read_schedule(options.schedule)]
    try:
        asyncio.run(serve(built, options.parallel_runs, options.ready))
    except (KeyboardInterrupt, TerminationSignal):
        return  # it was told to stop


if __name__ == "__main__":
    main()
