"""Where the servers are: the sections `tracking` and `services` of `conf/`."""

from __future__ import annotations

from pydantic import Field

from tasks.sections import Section


class TrackingSettings(Section):
    """Where experiments are shown."""

    uri: str | None = Field(
        None,
        description=(
            "An MLflow server or database; HOLDFAST_TRACKING_URI goes before it. Without either,"
            " the database 'mlflow' beside the lake, used directly."
        ),
    )
    artifact_location: str | None = Field(
        None,
        description=(
            "Where MLflow keeps files, as a URI. Without it, `mlflow/artifacts` in the state"
            " directory, or for a remote server what it decides."
        ),
    )
    timeout_seconds: int = Field(
        5, ge=1, le=120, description="How long one request may take before it counts as failed."
    )
    retries: int = Field(2, ge=0, le=10, description="Further tries of a failed request.")
    child_runs: int = Field(
        10, ge=0, le=100, description="How many of the best trials get a run of their own."
    )
    figures: bool = Field(
        True, description="Draw each training's figures into its run; a replay leaves them out."
    )


class ServicesSettings(Section):
    """The servers that `holdfast up` starts, all on loopback."""

    prefect_port: int = Field(4200, ge=1024, le=65_535, description="Port of Prefect's server.")
    mlflow_port: int = Field(5000, ge=1024, le=65_535, description="Port of MLflow's UI.")
    oncall_port: int = Field(4300, ge=1024, le=65_535, description="Port of on-call's page.")
    parallel_runs: int = Field(
        1, ge=1, le=64, description="Scheduled runs at work at the same time, all deployments."
    )
