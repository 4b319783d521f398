"""What a report says of an item."""

from __future__ import annotations

import json

import pytest

from tasks.oncall.text import render_markdown, render_text
from tasks.oncall.page import render_item, Viewer
from tasks.warehouse import Lake

from .made_up import PREVIEW, make_queue, make_report


@pytest.mark.sql
def test_x(lake: Lake) -> None:
    make_queue(lake)
    report = make_report(lake, preview=PREVIEW)
    print(render_text(report))
    print(render_markdown(report))
    json.dumps(report.as_dictionary())
    __import__("pathlib").Path("/tmp/item.html").write_text(render_item(report))
    __import__("pathlib").Path("/tmp/item2.html").write_text(
        render_item(report, viewer=Viewer("ann", "t"))
    )
