"""Flows that are in the register of runs: what ends one is on the queue."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar, cast

from flows.telling import tell_oncall
from tasks.errors import HoldfastError
from tasks.incidents.runs import watching_run
from tasks.settings import Settings, load_settings
from tasks.warehouse import open_lake

Body = TypeVar("Body", bound=Callable[..., Any])
_LOG = logging.getLogger("holdfast.runs")
_IS_WATCHED = ContextVar("_IS_WATCHED", default=False)


def watched(command: str) -> Callable[[Body], Body]:
    """Between `@flow` and its body, whose first argument is the deployment.

    The outermost flow is the run; what it calls belongs to it.
    """

    def around(body: Body) -> Body:
        @functools.wraps(body)
        def run(deployment: str | Path, *args: Any, **kwargs: Any) -> Any:
            if _IS_WATCHED.get():
                return body(deployment, *args, **kwargs)
            settings = load_settings(deployment)
            token = _IS_WATCHED.set(True)
            try:
                with watching_run(settings, command):
                    return body(deployment, *args, **kwargs)
            except Exception:  # told of and raised again: a bug and want of memory are items too
                _tell(settings)
                raise
            finally:
                _IS_WATCHED.reset(token)

        return cast("Body", run)

    return around


def _tell(settings: Settings) -> None:
    """Tell people of the item; the run has its own error to end with."""
    try:
        with open_lake(settings) as lake:
            tell_oncall(lake)
    except HoldfastError as error:
        _LOG.warning("Nobody was told: %s", error.what)
