"""On-call's page as a server: a process of ours on loopback, with a login a person."""

from __future__ import annotations

import sys
from pathlib import Path

from tasks.postgres import DATABASE_URL_VARIABLE, Database
from tasks.services.environment import Services, build_child_environment, build_client_environment
from tasks.services.processes import Server, fetch_status

NAME = "On-call's page"
# Each person of `oncall.people` has a secret of this name and theirs.
SECRET_PREFIX = "oncall-"  # noqa: S105  (a name)


def plan_server(home: Path, services: Services, lake: Database, deployment: str | None) -> Server:
    """The server process. `deployment` may be a file's path; those of `conf/` are served anyway.

    It knows Prefect's server, since a decision is a run like any other.
    """
    environment = {
        **build_child_environment(home),
        **build_client_environment(home, services),
        DATABASE_URL_VARIABLE: lake.url("psycopg2").replace("+psycopg2", ""),
    }
    arguments = [sys.executable, "-m", "flows.reviewing", "--port", str(services.oncall_port)]
    if deployment is not None:
        in_file = "/" in deployment or deployment.endswith((".yaml", ".yml"))
        named = str(Path(deployment).resolve()) if in_file else deployment
        arguments += ["--deployment", named]
    return Server(
        name=NAME,
        arguments=arguments,
        environment=environment,
        log=home / "logs" / "oncall.log",
        is_ready=lambda: check_health(services) == 200,
    )


def check_health(services: Services) -> int:
    """The status of its health page; 0 if nothing answers."""
    return fetch_status(f"{services.oncall_url}/health")
