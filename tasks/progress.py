"""What a person sees while a long piece of work runs; quiet where no terminal looks on."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
# What is done now, of how much in all, and what is at work (None: as before).
Report = Callable[[int, int, str | None], None]


@contextlib.contextmanager
def show_progress(doing: str) -> Iterator[Report | None]:
    """A line on standard error if it is a terminal; None otherwise, and logs stay clean."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        line = bar.add_task(doing, total=None)

        def report(done: int, total: int, at: str | None = None) -> None:
            described = doing if at is None else f"{doing} {at}"
            bar.update(line, completed=done, total=total, description=described)

        yield report


def track(items: Sequence[Item], doing: str, name: Callable[[Item], str]) -> Iterator[Item]:
    """The items one by one, with a line that names the one at work."""
    with show_progress(doing) as report:
        for done, item in enumerate(items):
            if report is not None:
                report(done, len(items), name(item))
            yield item
