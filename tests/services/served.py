"""Flows that the test of `holdfast up` serves in place of a night."""

from __future__ import annotations

import os
import time
from pathlib import Path

from prefect import flow


@flow(name="tick")
def tick(path: str) -> None:
    """Leave a line, so that the test sees that the body ran, and where."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()} {os.environ['HOLDFAST_HOME']}\n")


@flow(name="linger")
def linger(path: str) -> None:
    """Leave a line and stay for longer than any test."""
    tick.fn(path)
    time.sleep(600)
