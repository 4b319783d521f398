"""The seam to Prefect: a step is a Prefect task inside a flow run and a plain call elsewhere.

Notebooks, tests, the replay and a night on which Prefect's server is down run the very same
functions; what makes them safe to run again is the ledger, not the orchestrator.
"""

from __future__ import annotations

import base64
import functools
import logging
import os
import re
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from tasks.errors import HoldfastError, ServiceDown
from tasks.liveness import process_tag

P = ParamSpec("P")
R = TypeVar("R")
_LOG = logging.getLogger("holdfast.orchestration")
# What an event is about: this and the name of a deployment of ours.
EVENT_RESOURCE = "holdfast.deployment."
_WITHOUT_ARTIFACTS = ContextVar("_WITHOUT_ARTIFACTS", default=False)


def inside_flow() -> bool:
    """Whether a Prefect flow run surrounds this call. Does not import Prefect to find out."""
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext

    return FlowRunContext.get() is not None


def step(
    fn: Callable[P, R],
    *,
    name: str,
    retries: int = 0,
    retry_delay_seconds: float = 5.0,
    timeout_seconds: float | None = None,
) -> Callable[P, R]:
    """Make `fn` a step called `name`.

    A step that stops for a reason of ours (bad data, a lock, a wrong setting) is not retried:
    only a failed service may answer at the next try.
    """

    @functools.cache
    def as_task() -> Any:
        from prefect import task
        from prefect.cache_policies import NO_CACHE

        return task(
            fn,
            name=name,
            retries=retries,
            retry_delay_seconds=retry_delay_seconds,
            timeout_seconds=timeout_seconds,
            retry_condition_fn=_is_passing_fault,
            cache_policy=NO_CACHE,
            persist_result=False,
        )

    @functools.wraps(fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not inside_flow():
            return fn(*args, **kwargs)
        result: R = as_task()(*args, **kwargs)
        return result

    return call


def run_flow(flow: Any, *args: Any, **kwargs: Any) -> Any:
    """Run a flow as part of what surrounds it: a subflow inside a flow run, else its plain body."""
    return flow(*args, **kwargs) if inside_flow() else flow.fn(*args, **kwargs)


def start_flow(flow: Any, *args: Any, **kwargs: Any) -> Any:
    """Run a flow from the top: recorded by Prefect if its server answers, else its plain body.

    A night on which the server is down must not stop the work: the ledger has the truth. Where it
    goes down in the middle, the body begins anew without it and finds done what is done.
    """
    if not prefect_answers():
        return flow.fn(*args, **kwargs)
    try:
        return _run_recorded(flow, *args, **kwargs)
    except Exception as error:
        if isinstance(error, HoldfastError) or prefect_answers():
            raise
        _LOG.warning(
            "Prefect's server has gone (%s): what was begun is run without it.",
            type(error).__name__,
        )
        return flow.fn(*args, **kwargs)


def _run_recorded(flow: Any, *args: Any, **kwargs: Any) -> Any:
    from prefect import tags
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    # The heartbeat thread of a synchronous flow costs a second of waiting at its end; no
    # environment variable turns it off.
    # The tag lets `holdfast up` tell a run whose process was killed from one that is at work.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}), tags(process_tag()):
        return flow(*args, **kwargs)


def prefect_answers() -> bool:
    """Whether the server that PREFECT_API_URL names is healthy (one request, two seconds)."""
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        return False
    request = urllib.request.Request(f"{url}/health")  # noqa: S310  (our own loopback address)
    login = os.environ.get("PREFECT_API_AUTH_STRING")
    if login:
        token = base64.b64encode(login.encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    try:
        with urllib.request.urlopen(request, timeout=2) as response:  # noqa: S310
            return bool(response.status == 200)
    except OSError:
        return False


def _is_passing_fault(_task: Any, _run: Any, state: Any) -> bool:
    error = state.result(raise_on_failure=False)
    return isinstance(error, ServiceDown) or not isinstance(error, HoldfastError)


@contextmanager
def without_artifacts() -> Iterator[None]:
    """Attach nothing meanwhile: what is tried on a branch must not stand beside what was done."""
    token = _WITHOUT_ARTIFACTS.set(True)
    try:
        yield
    finally:
        _WITHOUT_ARTIFACTS.reset(token)


def publish_markdown(key: str, markdown: str, description: str = "") -> None:
    """Attach a Markdown artifact to the flow run; outside a flow there is nothing to attach to.

    `key` becomes lower-case letters, digits and dashes, as Prefect wants it.
    """
    if not inside_flow() or _WITHOUT_ARTIFACTS.get():
        return
    from prefect.artifacts import create_markdown_artifact

    create_markdown_artifact(
        key=_as_key(key),
        markdown=markdown,
        description=description,
    )


def publish_link(key: str, link: str, text: str) -> None:
    """Attach a link artifact to the flow run; outside a flow there is nothing to attach to."""
    if not inside_flow() or _WITHOUT_ARTIFACTS.get():
        return
    from prefect.artifacts import create_link_artifact

    create_link_artifact(key=_as_key(key), link=link, link_text=text)


def send_event(event: str, deployment: str, payload: dict[str, Any], event_id: UUID) -> bool:
    """Tell Prefect that something happened to a deployment; whether its server answered.

    The event is about the resource `holdfast.deployment.<name>`, which automations match.
    """
    # Not `emit_event`: it hands over to a thread that drops what it cannot deliver, and whoever
    # asks for work must know whether it was heard.
    if not prefect_answers():
        return False
    import httpx
    from prefect import get_client
    from prefect.events.schemas.events import Event
    from prefect.types._datetime import now

    told = Event(
        event=event,
        occurred=now("UTC"),
        resource={"prefect.resource.id": f"{EVENT_RESOURCE}{deployment}"},
        payload=payload,
        id=event_id,
    )
    try:
        with get_client(sync_client=True) as client:
            answer = client.request("POST", "/events", json=[told.model_dump(mode="json")])
            return bool(answer.is_success)
    except httpx.HTTPError:
        return False


def notify_through_block(block: str, subject: str, body: str) -> None:
    """Send through a notification block of Prefect, named `slack-webhook/oncall`."""
    import prefect.blocks.notifications  # noqa: F401  (makes its kinds known)
    from prefect.blocks.core import Block

    Block.load(block).notify(body, subject=subject)


def _as_key(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "artifact"
