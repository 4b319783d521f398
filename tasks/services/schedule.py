"""What is served and when, and the runs that nobody executes any more.

`conf/prefect.yaml` is read strictly: a misspelt key in Prefect's own reader is a schedule that
never fires. A run whose process is gone stays RUNNING in Prefect for ever, and with a concurrency
limit of one it would keep every later night from starting: such runs are marked Crashed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tasks.errors import ConfigurationError
from tasks.liveness import is_process_tag, is_running, process_of_tag
from tasks.services.prefect_server import PrefectApi

FLOW_RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"
_PAGE = 200


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Timing(_Part):
    """When a deployment runs: cron fields, or seconds between runs."""

    cron: str | None = Field(None, pattern=r"^\S+( \S+){4}$")
    interval: float | None = Field(None, gt=0)
    timezone: str = "UTC"
    active: bool = True

    @model_validator(mode="after")
    def _has_one(self) -> Timing:
        if (self.cron is None) == (self.interval is None):
            raise ValueError("one of `cron` and `interval` is needed")
        return self


class Concurrency(_Part):
    """How many runs of a deployment may be at work, and what becomes of one more."""

    limit: int = Field(default=1, ge=1)
    collision_strategy: Literal["CANCEL_NEW", "ENQUEUE"] = "CANCEL_NEW"


class Trigger(_Part):
    """An event of ours about the deployment in `parameters` that starts a run."""

    event: str = Field(pattern=r"^holdfast\.[a-z_.]{1,80}$")


class Deployment(_Part):
    """One entry of `conf/prefect.yaml`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    # A module, never a file: Prefect puts a file's folder first on `sys.path`.
    entrypoint: str = Field(pattern=r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)+$")
    description: str = ""
    tags: tuple[str, ...] = ()
    parameters: dict[str, Any] = Field(default_factory=dict)
    concurrency_limit: Concurrency = Field(default_factory=Concurrency)
    schedules: tuple[Timing, ...] = ()
    triggers: tuple[Trigger, ...] = ()


class _File(_Part):
    name: str
    definitions: dict[str, Any] = Field(default_factory=dict)
    deployments: tuple[Deployment, ...]

    @model_validator(mode="after")
    def _has_unique_names(self) -> _File:
        names = [deployment.name for deployment in self.deployments]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two deployments are called {', '.join(twice)}")
        return self


def read_schedule(path: Path) -> tuple[Deployment, ...]:
    """The deployments of a schedule file. Raises ConfigurationError (78) naming the wrong key."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        # Strict takes no list for a tuple except from JSON, where there is nothing else.
        import json

        return _File.model_validate_json(json.dumps(data)).deployments
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{path}: `{place}`: {first['msg']}.") from None
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is not a readable schedule.", found=" ".join(str(error).split())
        ) from None


def mark_crashed(api: PrefectApi, why: str, minimum_age_seconds: float = 0.0) -> list[str]:
    """Mark the runs of ours whose process is gone as Crashed; return their names.

    Ours are those that a served deployment or `holdfast` itself has started; a run of somebody's
    notebook is left alone. `minimum_age_seconds` spares runs whose process is just starting.
    """
    unfinished = api.post(
        "/flow_runs/filter",
        {
            "flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}},
            "limit": _PAGE,
        },
    )
    youngest = datetime.now(UTC) - timedelta(seconds=minimum_age_seconds)
    served = _runs_with_process() if unfinished else set()
    crashed = []
    for run in unfinished:
        if datetime.fromisoformat(run["state"]["timestamp"]) > youngest:
            continue
        root = _find_root(api, run)
        if _has_process(root, served) is not False:
            continue
        api.post(
            f"/flow_runs/{run['id']}/set_state",
            {"state": {"type": "CRASHED", "name": "Crashed", "message": why}, "force": True},
        )
        crashed.append(str(run["name"]))
    return crashed


def count_missed(api: PrefectApi, names: Iterable[str]) -> dict[str, int]:
    """How many runs of each deployment were due while nobody served them."""
    found = api.post(
        "/flow_runs/filter",
        {
            "flow_runs": {
                "state": {"type": {"any_": ["SCHEDULED"]}},
                "expected_start_time": {"before_": datetime.now(UTC).isoformat()},
            },
            "deployments": {"name": {"any_": list(names)}},
            "limit": _PAGE,
        },
    )
    due = api.post("/deployments/filter", {"deployments": {"name": {"any_": list(names)}}})
    name_of = {deployment["id"]: str(deployment["name"]) for deployment in due}
    missed: dict[str, int] = {}
    for run in found:
        name = name_of.get(run["deployment_id"])
        if name is not None:
            missed[name] = missed.get(name, 0) + 1
    return missed


def catch_up(api: PrefectApi, missed: dict[str, int]) -> None:
    """Ask for one run of each deployment that missed any, however many it missed."""
    if not missed:
        return
    found = api.post("/deployments/filter", {"deployments": {"name": {"any_": list(missed)}}})
    for deployment in found:
        count = missed[deployment["name"]]
        message = f"Catches up {count} missed run{'s' if count > 1 else ''}."
        api.post(
            f"/deployments/{deployment['id']}/create_flow_run",
            {"state": {"type": "SCHEDULED", "message": message}},
        )


def _find_root(api: PrefectApi, run: dict[str, Any]) -> dict[str, Any]:
    """The run that this one is a part of, itself if it is none's: they share the process."""
    while run.get("parent_task_run_id"):
        parent = api.get(f"/task_runs/{run['parent_task_run_id']}")
        run = api.get(f"/flow_runs/{parent['flow_run_id']}")
    return run


def _has_process(run: dict[str, Any], served: set[str]) -> bool | None:
    """Whether the run's process lives; None for a run that is not ours to judge."""
    for tag in run.get("tags", ()):
        if is_process_tag(tag):
            return is_running(*process_of_tag(tag))
    if run.get("deployment_id"):
        return str(run["id"]) in served
    return None


def _runs_with_process() -> set[str]:
    """Ids of the runs that a process of this host executes for a served deployment."""
    import psutil

    found = set()
    for process in psutil.process_iter():
        try:
            run = process.environ().get(FLOW_RUN_VARIABLE)
        except (psutil.Error, OSError):
            continue  # another user's, or it has just ended: no run of ours
        if run:
            found.add(run)
    return found
