"""What comes: churn rate, active base and revenue, in all and by segment."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from tasks.clock import find_time
from tasks.findings import ForecastFindings
from tasks.forecasts import steps as forecasts
from tasks.settings import load_settings
from tasks.warehouse import open_lake


@flow(name="forecast")
def forecast(deployment: str | Path) -> ForecastFindings:
    """Forecast and write it to the ledger; the same night twice is one run.

    A history that is too short gives a note. Raises DataRejected (65) where nothing was ordered.
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        now = find_time(lake, settings)
        return forecasts.make_forecasts(lake, now.as_of, now.known_by)
