"""Staged files that nobody needs any more."""

from __future__ import annotations

import shutil
import time

from tasks.intake.ledger import UNFINISHED, read_batches
from tasks.settings import Settings
from tasks.warehouse import Lake

_STAGED_MAXIMUM_AGE_SECONDS = 3600.0


def clear_staging(lake: Lake, settings: Settings) -> int:
    """Remove staged batches that ended more than an hour ago; gives how many.

    Not at once, because a second process with the same delivery may still be reading them. What
    an unfinished batch has staged stays.
    """
    folder = settings.home / "staging" / settings.deployment
    if not folder.is_dir():
        return 0
    unfinished = {batch.content_hash for batch in read_batches(lake, states=UNFINISHED)}
    oldest = time.time() - _STAGED_MAXIMUM_AGE_SECONDS
    cleared = 0
    for staged in sorted(folder.glob("[0-9a-f]*")):
        newest = max((p.stat().st_mtime for p in staged.rglob("*")), default=0.0)
        if staged.is_dir() and staged.name not in unfinished and newest < oldest:
            shutil.rmtree(staged, ignore_errors=True)
            cleared += 1
    return cleared
