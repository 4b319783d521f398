"""Photographs of a customer page for the README.

    python -m tests.pages.photographing EXPORTS/customers.html docs

`EXPORTS` is the folder that `holdfast report` names; the Korean page is looked for beside the
English one. Writes customers-head.png, customers-groups.png, customers-reasons.png,
customers-moves.png and customers-phone.png.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DESK, TELEPHONE = (1280, 1000), (390, 844)
# What is photographed of a section that goes on for long, in pixels.
_TALLEST = 1400
_DRAWN_MILLISECONDS = 120_000


def photograph(page_path: Path, directory: Path) -> list[Path]:
    """Open the page as a file, wait for its figures, and write the photographs."""
    from playwright.sync_api import sync_playwright

    korean = page_path.with_name("customers.ko.html")
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        desk = _open(browser, page_path, DESK)
        written.append(directory / "customers-head.png")
        desk.screenshot(path=written[-1], full_page=True, clip=_clip(0, 1380, DESK[0]))
        for name in ("groups", "reasons", "moves"):
            place = desk.locator(f"section#{name}").bounding_box()
            assert place is not None
            written.append(directory / f"customers-{name}.png")
            height = min(_TALLEST, place["height"] + 24)
            desk.screenshot(
                path=written[-1], full_page=True, clip=_clip(place["y"], height, DESK[0])
            )
        phone = _open(browser, korean if korean.is_file() else page_path, TELEPHONE, scale=2)
        written.append(directory / "customers-phone.png")
        phone.screenshot(path=written[-1])
        browser.close()
    return written


def _open(browser: Browser, path: Path, size: tuple[int, int], scale: int = 1) -> Page:
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]}, device_scale_factor=scale
    )
    page.goto(path.resolve().as_uri())
    page.wait_for_selector("body[data-drawn]", state="attached", timeout=_DRAWN_MILLISECONDS)
    return page


def _clip(top: float, height: float, width: int) -> dict[str, float]:
    return {"x": 0, "y": top, "width": width, "height": height}


if __name__ == "__main__":
    for one in photograph(Path(sys.argv[1]), Path(sys.argv[2])):
        print(one)
