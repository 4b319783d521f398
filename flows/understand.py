"""What there is to know of the customers: worth, groups, reasons, outlook, whom to contact."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import flow

from flows.act import act
from flows.explain import explain
from flows.forecast import forecast
from flows.portray import portray
from flows.segment import segment
from flows.uplift import uplift
from flows.value import value
from tasks.errors import ConfigurationError, DataRejected
from tasks.orchestration import run_flow
from tasks.portrait.steps import Page

_LOG = logging.getLogger("holdfast.understand")
# Each reads what those before it have published, and does without what is not there.
_PARTS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("value", value),
    ("segments", segment),
    ("reasons", explain),
    ("forecasts", forecast),
    ("uplift", uplift),
    ("actions", act),
)


@dataclass(frozen=True, slots=True)
class Understanding:
    """The page, and the parts that the data do not allow, each with what is in the way."""

    page: Page
    left_out: Mapping[str, str]


@flow(name="understand")
def understand(deployment: str | Path) -> Understanding:
    """Find out all that the data allow, and draw the page of it.

    A part for which there is too little (65) or which lacks a setting (78) is left out and named:
    the others and the list of scores are no worse for it. Any other error ends it; run it again,
    what is done is not redone.
    """
    left_out: dict[str, str] = {}
    for name, part in _PARTS:
        try:
            run_flow(part, deployment)
        except (DataRejected, ConfigurationError) as error:
            left_out[name] = error.what
            _LOG.warning("Nothing of %s: %s", name, error.what)
    return Understanding(run_flow(portray, deployment), left_out)
