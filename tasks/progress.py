"""What a person sees while a long piece of work runs; quiet where no terminal looks on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def track(items: Sequence[Item], doing: str, name: Callable[[Item], str]) -> Iterator[Item]:
    """The items one by one, with a progress line on stderr that names the one at work."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as progress:
        bar = progress.add_task(doing, total=len(items))
        for item in items:
            progress.update(bar, description=f"{doing} {name(item)}")
            yield item
            progress.advance(bar)
