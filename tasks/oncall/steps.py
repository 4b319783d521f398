"""The steps of on-call, as a flow calls them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from tasks.oncall.channels import send
from tasks.oncall.outbox import Delivered, deliver
from tasks.oncall.page import QueueEntry, list_entries
from tasks.oncall.publishing import Published, page_url, publish_report, write_queue
from tasks.oncall.report import IncidentReport, gather
from tasks.oncall.server import make_app, secret_name, serve
from tasks.oncall.text import render_text
from tasks.orchestration import notify_through_block, step
from tasks.warehouse import Lake

__all__ = [
    "Delivered",
    "IncidentReport",
    "Published",
    "QueueEntry",
    "gather",
    "list_entries",
    "make_app",
    "page_url",
    "publish_report",
    "render_text",
    "secret_name",
    "send_notices",
    "serve",
    "write_queue",
]


def _send_notices(
    lake: Lake,
    *,
    previews: Mapping[int, Mapping[str, Any]],
    champion: str | None,
    hurry: bool,
) -> Delivered:
    """Tell on-call of items that nobody was told of yet; the night goes on whatever channels do."""
    return deliver(
        lake,
        partial(send, notify_block=notify_through_block),
        hurry=hurry,
        previews=previews,
        champion=champion,
    )


send_notices = step(_send_notices, name="tell on-call")
