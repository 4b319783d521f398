"""A line that moves while a person watches, and nothing where none does."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from tasks.churn.tuning import Progress as Report


@contextlib.contextmanager
def show_progress(what: str) -> Iterator[Report | None]:
    """Progress on standard error if it is a terminal; None otherwise, and logs stay clean."""
    if not sys.stderr.isatty():
        yield None
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
    ) as bar:
        line = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(line, completed=done, total=total)
