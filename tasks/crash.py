"""Named points at which a test may kill the process, to prove that a rerun mends it."""

from __future__ import annotations

import os
import signal


def crash_point(name: str) -> None:
    """Kill this process with SIGKILL if HOLDFAST_CRASH_AT names this point; else do nothing.

    One stands before and after each side effect. SIGKILL, because nothing may rely on
    `finally`: a power cut runs none. `<name>:term` is a polite SIGTERM, as a service manager sends.
    """
    asked, _, how = os.environ.get("HOLDFAST_CRASH_AT", "").partition(":")
    if asked == name:
        os.kill(os.getpid(), signal.SIGTERM if how == "term" else signal.SIGKILL)
