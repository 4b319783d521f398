"""Draw the page for marketing from what the ledger holds, in both languages."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from tasks.clock import find_as_of
from tasks.portrait import steps as portrait
from tasks.portrait.steps import Page
from tasks.registry import steps as registry
from tasks.settings import load_settings
from tasks.warehouse import open_lake


@flow(name="portray")
def portray(deployment: str | Path) -> Page:
    """Draw the newest findings of each kind. The same findings give the same page, any time.

    What has not been found out yet is said so, with the command that finds it out. Raises
    DataRejected (65) for a lake without rows, StoredDataCorrupt (74) for findings that cannot be
    read, DiskFailure (73).
    """
    settings = load_settings(deployment)
    with open_lake(settings) as lake:
        found = portrait.gather_findings(
            lake, registry.champion_status(lake), find_as_of(lake, settings)
        )
    return portrait.draw_page(settings, found)
