"""MLflow's server: on PostgreSQL and loopback, behind a login, one worker and no job runners.

Run as a module it is the child process itself: it brings the store's tables up to date under
their lock, and then becomes `mlflow server`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tasks.postgres import DATABASE_URL_VARIABLE, Database, parse_url
from tasks.services.environment import LOGIN, build_child_environment, find_secret
from tasks.services.prefect_server import login_header
from tasks.services.processes import LOOPBACK, Server, fetch_status

DATABASE = "mlflow"
AUTH_DATABASE = "mlflow_auth"
NAME = "MLflow"


def plan_server(home: Path, port: int, database: Database, auth_database: Database) -> Server:
    """The server process. Its passwords go through the environment and a private file."""
    artifacts = home / "mlflow" / "artifacts"
    artifacts.mkdir(parents=True, exist_ok=True, mode=0o700)
    url = f"http://{LOOPBACK}:{port}"
    environment = {
        **build_child_environment(home),
        "MLFLOW_BACKEND_STORE_URI": database.url("psycopg2"),
        "MLFLOW_ARTIFACTS_DESTINATION": artifacts.resolve().as_uri(),
        "MLFLOW_AUTH_CONFIG_PATH": str(_write_auth_config(home, auth_database)),
        "MLFLOW_AUTH_ADMIN_USERNAME": LOGIN,
        "MLFLOW_AUTH_ADMIN_PASSWORD": find_secret(home, "mlflow"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": find_secret(home, "mlflow_sessions"),
        # Seven job runners and their supervisor are 2 GB that nothing here uses.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "HOLDFAST_MLFLOW_PORT": str(port),
        DATABASE_URL_VARIABLE: database.url("psycopg2").replace("+psycopg2", ""),
    }
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        environment.pop(name, None)  # those of a client; this is the server
    return Server(
        name=NAME,
        arguments=[sys.executable, "-m", "tasks.services.mlflow_server"],
        environment=environment,
        log=home / "logs" / "mlflow.log",
        is_ready=lambda: fetch_status(f"{url}/health") == 200,
    )


def check_login(home: Path, url: str) -> int:
    """The status of a call with our login: 200 is well, 401 a password that is not ours."""
    header = login_header(f"{LOGIN}:{find_secret(home, 'mlflow')}")
    return fetch_status(f"{url}/api/2.0/mlflow/experiments/search?max_results=1", header)


def _write_auth_config(home: Path, database: Database) -> Path:
    """MLflow's login file; private, since the database's address may hold a password."""
    path = home / "secrets" / "mlflow_auth.ini"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    url = database.url("psycopg2").replace("%", "%%")  # `%` is special in an .ini file
    lines = [
        "[mlflow]",
        # Who has no permission of his own may look: one login sees all, others must be let in.
        "default_permission = NO_PERMISSIONS",
        f"database_uri = {url}",
        f"admin_username = {LOGIN}",
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth",
    ]
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def main() -> None:
    """Migrate the store, then become the server."""
    from tasks.tracking.store import migrate

    uri = os.environ["MLFLOW_BACKEND_STORE_URI"]
    migrate(parse_url(os.environ[DATABASE_URL_VARIABLE]), uri)
    arguments = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth"]
    arguments += ["--host", LOOPBACK, "--port", os.environ["HOLDFAST_MLFLOW_PORT"]]
    arguments += ["--workers", "1", "--serve-artifacts"]
    os.execv(sys.executable, arguments)  # noqa: S606  (it takes this process over, id and all)


if __name__ == "__main__":
    main()
